//! Bounds how many submissions of one instance run at once; the rest wait in order.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Poll, Waker};

/// A counting gate. A guest is single-threaded.
#[derive(Debug)]
pub(crate) struct Gate(RefCell<State>);

#[derive(Debug)]
struct State {
    free: u32,
    next_ticket: u64,
    /// Who waits, oldest first.
    waiting: VecDeque<(u64, Waker)>,
}

impl Gate {
    pub(crate) fn new(places: u32) -> Self {
        Self(RefCell::new(State { free: places, next_ticket: 0, waiting: VecDeque::new() }))
    }

    /// Waits for a place; it is given back when the turn is dropped.
    pub(crate) async fn enter(&self) -> Turn<'_> {
        let mut ticket = None;
        poll_fn(|cx| {
            let mut state = self.0.borrow_mut();
            let first = match ticket {
                None => state.waiting.is_empty(),
                Some(mine) => state.waiting.front().is_some_and(|(t, _)| *t == mine),
            };
            if state.free > 0 && first {
                state.free -= 1;
                if ticket.is_some() {
                    state.waiting.pop_front();
                }
                // Several places may have come free before this one was polled.
                if state.free > 0
                    && let Some((_, next)) = state.waiting.front()
                {
                    next.wake_by_ref();
                }
                return Poll::Ready(());
            }
            match ticket {
                None => {
                    let mine = state.next_ticket;
                    state.next_ticket += 1;
                    state.waiting.push_back((mine, cx.waker().clone()));
                    ticket = Some(mine);
                }
                Some(mine) => {
                    if let Some((_, waker)) = state.waiting.iter_mut().find(|(t, _)| *t == mine) {
                        waker.clone_from(cx.waker());
                    }
                }
            }
            Poll::Pending
        })
        .await;
        Turn(self)
    }
}

/// A place inside.
#[derive(Debug)]
pub(crate) struct Turn<'g>(&'g Gate);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut state = self.0.0.borrow_mut();
        state.free += 1;
        if let Some((_, next)) = state.waiting.front() {
            next.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::Context;

    fn poll<F: Future>(f: Pin<&mut F>) -> Poll<F::Output> {
        f.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn places_are_given_in_order() {
        let gate = Gate::new(1);
        let Poll::Ready(first) = poll(pin!(gate.enter())) else { panic!("the first place is free") };
        let (mut b, mut c) = (pin!(gate.enter()), pin!(gate.enter()));
        assert!(poll(b.as_mut()).is_pending() && poll(c.as_mut()).is_pending());
        drop(first);
        assert!(poll(c.as_mut()).is_pending(), "b came first");
        let Poll::Ready(second) = poll(b.as_mut()) else { panic!("b's turn") };
        assert!(poll(c.as_mut()).is_pending());
        drop(second);
        assert!(poll(c.as_mut()).is_ready());
    }
}
