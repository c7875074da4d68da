//! Which lane may prepare a batch next: a bounded number at a time, taking turns between tenants, then between a tenant's connectors.
//!
//! A tenant with a thousand busy connectors gets the same turns as a tenant with one. It does not know what a turn is for.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use pombo_domain::TenantIndex;
use tokio::sync::oneshot;

struct State {
    free: usize,
    /// Tenants with somebody waiting, each once, in the order of their turns.
    turns: VecDeque<TenantIndex>,
    waiting: HashMap<TenantIndex, VecDeque<oneshot::Sender<Turn>>>,
}

/// Hands out turns.
#[derive(Clone)]
pub struct Gate {
    state: Arc<Mutex<State>>,
}

/// The right to prepare one batch; returned when dropped.
pub struct Turn {
    /// `None` once it was passed on.
    state: Option<Arc<Mutex<State>>>,
}

impl Gate {
    /// A gate that lets `turns` (at least one) through at a time.
    pub fn new(turns: usize) -> Self {
        let state = State { free: turns.max(1), turns: VecDeque::new(), waiting: HashMap::new() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Waits for `tenant`'s turn. Each lane has at most one such call under way, so that its connectors alternate too.
    pub async fn turn(&self, tenant: TenantIndex) -> Turn {
        let receiver = {
            let mut state = self.state.lock();
            if state.free > 0 && state.turns.is_empty() {
                state.free -= 1;
                return Turn { state: Some(self.state.clone()) };
            }
            let (sender, receiver) = oneshot::channel();
            let queue = state.waiting.entry(tenant).or_default();
            let joins = queue.is_empty();
            queue.push_back(sender);
            if joins {
                state.turns.push_back(tenant);
            }
            receiver
        };
        match receiver.await {
            Ok(turn) => turn,
            // The sender lives in the state, which this gate keeps, until it is used.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(shared) = self.state.take() else { return };
        let mut state = shared.lock();
        state.free += 1;
        while state.free > 0 {
            let Some(tenant) = state.turns.pop_front() else { break };
            let Some(queue) = state.waiting.get_mut(&tenant) else { continue };
            let next = queue.pop_front();
            if queue.is_empty() {
                state.waiting.remove(&tenant);
            } else {
                state.turns.push_back(tenant);
            }
            let Some(next) = next else { continue };
            match next.send(Turn { state: Some(shared.clone()) }) {
                Ok(()) => state.free -= 1,
                // It gave up waiting: the turn never left, so its drop must not return it.
                Err(mut unused) => unused.state = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn tenants_take_turns_whatever_the_number_of_their_lanes() {
        let gate = Gate::new(1);
        let first = gate.turn(TenantIndex(1)).await;
        let mut waiting = Vec::new();
        for _ in 0..50 {
            waiting.push((1, Box::pin(gate.turn(TenantIndex(1)))));
        }
        waiting.push((2, Box::pin(gate.turn(TenantIndex(2)))));
        waiting.push((2, Box::pin(gate.turn(TenantIndex(2)))));
        assert!(waiting.iter_mut().all(|(_, turn)| turn.now_or_never().is_none()));
        let mut order = Vec::new();
        let mut held = Some(first);
        while !waiting.is_empty() {
            drop(held.take());
            let at = (0..waiting.len()).find(|i| match waiting[*i].1.as_mut().now_or_never() {
                Some(turn) => {
                    held = Some(turn);
                    true
                }
                None => false,
            });
            order.push(waiting.remove(at.expect("somebody has the turn")).0);
        }
        assert_eq!(&order[..6], &[1, 2, 1, 2, 1, 1]);
    }

    #[tokio::test]
    async fn a_waiter_that_gives_up_costs_no_turn() {
        let gate = Gate::new(1);
        let first = gate.turn(TenantIndex(1)).await;
        let mut gone = Box::pin(gate.turn(TenantIndex(2)));
        assert!(gone.as_mut().now_or_never().is_none());
        let mut stays = Box::pin(gate.turn(TenantIndex(3)));
        assert!(stays.as_mut().now_or_never().is_none());
        drop(gone);
        drop(first);
        let turn = stays.now_or_never().expect("the turn passed on");
        drop(turn);
        assert!(gate.turn(TenantIndex(1)).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_turn_that_was_given_but_not_received_comes_back() {
        let gate = Gate::new(1);
        let first = gate.turn(TenantIndex(1)).await;
        let mut given = Box::pin(gate.turn(TenantIndex(2)));
        assert!(given.as_mut().now_or_never().is_none());
        drop(first);
        drop(given);
        assert!(gate.turn(TenantIndex(1)).now_or_never().is_some());
    }
}
