//! Recent uploads, so that a file that goes to many people is uploaded once. Sends that need a file while it is being
//! uploaded wait for that upload; of different files only a few go at once, since each has its pieces in memory.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::rc::Rc;

use futures_channel::oneshot;

use super::Kind;
use super::outside::Trouble;
use super::upload::Uploaded;

/// For how long an upload can be used again. Hosts keep a file for weeks.
const MILLIS: u64 = 6 * 60 * 60 * 1_000;
/// Maximum number of files that are remembered.
const MOST: usize = 64;
/// Maximum number of uploads at once.
const AT_ONCE: usize = 2;

type Key = (String, Kind);
type Outcome = Result<Rc<Uploaded>, Trouble>;

enum Slot {
    Running(Vec<oneshot::Sender<Outcome>>),
    Done(Rc<Uploaded>, u64),
}

/// See the module.
#[derive(Default)]
pub(crate) struct Uploads {
    slots: RefCell<HashMap<Key, Slot>>,
    turns: RefCell<Turns>,
}

#[derive(Default)]
struct Turns {
    taken: usize,
    waiting: VecDeque<oneshot::Sender<()>>,
}

/// The permission for one upload. Dropping it lets the next upload start.
struct Turn<'a>(&'a Uploads);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut turns = self.0.turns.borrow_mut();
        while let Some(next) = turns.waiting.pop_front() {
            // The turn is handed over; who no longer waits is passed by.
            if next.send(()).is_ok() {
                return;
            }
        }
        turns.taken -= 1;
    }
}

impl Uploads {
    async fn turn(&self) -> Turn<'_> {
        let wait = {
            let mut turns = self.turns.borrow_mut();
            if turns.taken < AT_ONCE {
                turns.taken += 1;
                None
            } else {
                let (tx, rx) = oneshot::channel();
                turns.waiting.push_back(tx);
                Some(rx)
            }
        };
        if let Some(wait) = wait {
            // Its sender goes only with a turn.
            let _ = wait.await;
        }
        Turn(self)
    }

    /// The upload of the file `id`, made by `work` unless there is one.
    pub(crate) async fn get<F>(&self, id: &str, kind: Kind, now_millis: u64, work: impl FnOnce() -> F) -> Outcome
    where
        F: Future<Output = Result<Uploaded, Trouble>>,
    {
        let key = (id.to_owned(), kind);
        let wait = {
            let mut slots = self.slots.borrow_mut();
            match slots.get_mut(&key) {
                Some(Slot::Done(uploaded, at)) if now_millis.saturating_sub(*at) < MILLIS => {
                    return Ok(uploaded.clone());
                }
                Some(Slot::Running(waiting)) => {
                    let (tx, rx) = oneshot::channel();
                    waiting.push(tx);
                    Some(rx)
                }
                _ => {
                    slots.insert(key.clone(), Slot::Running(Vec::new()));
                    None
                }
            }
        };
        if let Some(wait) = wait {
            return wait.await.unwrap_or_else(|_| Err(Trouble::Temporary("the upload was abandoned".to_owned())));
        }
        let turn = self.turn().await;
        let outcome = work().await.map(Rc::new);
        drop(turn);
        let mut slots = self.slots.borrow_mut();
        let before = match &outcome {
            Ok(uploaded) => {
                if slots.len() > MOST {
                    forget_oldest(&mut slots);
                }
                slots.insert(key, Slot::Done(uploaded.clone(), now_millis))
            }
            Err(_) => slots.remove(&key),
        };
        drop(slots);
        if let Some(Slot::Running(waiting)) = before {
            for waiter in waiting {
                let _ = waiter.send(outcome.clone());
            }
        }
        outcome
    }
}

fn forget_oldest(slots: &mut HashMap<Key, Slot>) {
    let oldest = slots
        .iter()
        .filter_map(|(key, slot)| match slot {
            Slot::Done(_, at) => Some((*at, key.clone())),
            Slot::Running(_) => None,
        })
        .min_by_key(|(at, _)| *at);
    if let Some((_, key)) = oldest {
        slots.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::ready;
    use std::cell::Cell;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn uploaded(size: u64) -> Uploaded {
        Uploaded {
            url: String::new(),
            direct_path: String::new(),
            key: [0; 32],
            key_at_secs: 0,
            sha256: [0; 32],
            encrypted_sha256: [0; 32],
            size,
            sidecar: None,
            look: crate::media::Look::default(),
        }
    }

    #[test]
    fn one_upload_serves_all_who_want_it() {
        let uploads = Uploads::default();
        let made = Cell::new(0);
        let open = Cell::new(false);
        let work = || async {
            made.set(made.get() + 1);
            std::future::poll_fn(|_| if open.get() { Poll::Ready(()) } else { Poll::Pending }).await;
            Ok(uploaded(made.get()))
        };
        let mut cx = Context::from_waker(Waker::noop());
        let mut first = pin!(uploads.get("m", Kind::Image, 0, work));
        let mut second = pin!(uploads.get("m", Kind::Image, 0, work));
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        open.set(true);
        assert_eq!(first.as_mut().poll(&mut cx), Poll::Ready(Ok(Rc::new(uploaded(1)))));
        assert_eq!(second.as_mut().poll(&mut cx), Poll::Ready(Ok(Rc::new(uploaded(1)))));
        assert_eq!(ready(uploads.get("m", Kind::Image, MILLIS - 1, work)).map(|u| u.size), Ok(1));
        assert_eq!(
            ready(uploads.get("m", Kind::Document, 1, work)).map(|u| u.size),
            Ok(2),
            "another kind has other keys"
        );
        assert_eq!(ready(uploads.get("m", Kind::Image, MILLIS, work)).map(|u| u.size), Ok(3), "too old");
    }

    #[test]
    fn only_a_few_go_at_once_and_each_end_lets_one_go() {
        let uploads = Uploads::default();
        let (going, open) = (Cell::new(0), Cell::new(0));
        let work = || async {
            going.set(going.get() + 1);
            std::future::poll_fn(|_| if open.get() > 0 { Poll::Ready(()) } else { Poll::Pending }).await;
            open.set(open.get() - 1);
            Ok(uploaded(1))
        };
        let mut cx = Context::from_waker(Waker::noop());
        let names: Vec<String> = (0..5).map(|n| n.to_string()).collect();
        let mut all: Vec<_> = names.iter().map(|n| Box::pin(uploads.get(n, Kind::Image, 0, work))).collect();
        for ended in 0..5 {
            all.retain_mut(|one| one.as_mut().poll(&mut cx).is_pending());
            assert_eq!((all.len(), going.get()), (5 - ended, (ended + AT_ONCE).min(5)));
            open.set(1);
            // Only one of those that go can end now.
            let mut done = false;
            all.retain_mut(|one| {
                let pending = done || one.as_mut().poll(&mut cx).is_pending();
                done |= !pending;
                pending
            });
        }
        assert!(all.is_empty());
        assert_eq!(uploads.turns.borrow().taken, 0);
    }

    #[test]
    fn a_failure_is_not_kept() {
        let uploads = Uploads::default();
        let failed = ready(uploads.get("m", Kind::Image, 0, || async { Err(Trouble::Temporary("no".into())) }));
        assert_eq!(failed, Err(Trouble::Temporary("no".into())));
        assert!(ready(uploads.get("m", Kind::Image, 0, || async { Ok(uploaded(1)) })).is_ok());
    }

    #[test]
    fn only_so_many_are_remembered() {
        let uploads = Uploads::default();
        for n in 0..500u64 {
            assert!(ready(uploads.get(&n.to_string(), Kind::Image, n, || async { Ok(uploaded(n)) })).is_ok());
        }
        assert!(uploads.slots.borrow().len() <= MOST + 1);
        assert!(uploads.slots.borrow().contains_key(&("499".to_owned(), Kind::Image)));
    }
}
