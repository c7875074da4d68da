//! What was uploaded lately, so that a file that goes to many people goes to the host once. Those who want a file while it is being
//! uploaded wait for that upload.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::rc::Rc;

use futures_channel::oneshot;
use wacore::download::MediaType;

use super::outside::Trouble;
use super::upload::Uploaded;

/// How long an upload is used again. Hosts keep a file for weeks.
const MILLIS: u64 = 6 * 60 * 60 * 1_000;
/// The most files remembered.
const MOST: usize = 64;

type Key = (String, &'static str);
type Outcome = Result<Rc<Uploaded>, Trouble>;

enum Slot {
    Running(Vec<oneshot::Sender<Outcome>>),
    Done(Rc<Uploaded>, u64),
}

/// See the module.
#[derive(Default)]
pub(crate) struct Uploads {
    slots: RefCell<HashMap<Key, Slot>>,
}

impl Uploads {
    /// The upload of the file `id`, made by `work` unless there is one.
    pub(crate) async fn get<F>(
        &self,
        id: &str,
        media_type: MediaType,
        now_millis: u64,
        work: impl FnOnce() -> F,
    ) -> Outcome
    where
        F: Future<Output = Result<Uploaded, Trouble>>,
    {
        let key = (id.to_owned(), media_type.app_info());
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
            return wait.await.unwrap_or_else(|_| Err(Trouble::Temporary("the upload was given up".to_owned())));
        }
        let outcome = work().await.map(Rc::new);
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
        let mut first = pin!(uploads.get("m", MediaType::Image, 0, work));
        let mut second = pin!(uploads.get("m", MediaType::Image, 0, work));
        assert!(first.as_mut().poll(&mut cx).is_pending());
        assert!(second.as_mut().poll(&mut cx).is_pending());
        open.set(true);
        assert_eq!(first.as_mut().poll(&mut cx), Poll::Ready(Ok(Rc::new(uploaded(1)))));
        assert_eq!(second.as_mut().poll(&mut cx), Poll::Ready(Ok(Rc::new(uploaded(1)))));
        assert_eq!(ready(uploads.get("m", MediaType::Image, MILLIS - 1, work)).map(|u| u.size), Ok(1));
        assert_eq!(
            ready(uploads.get("m", MediaType::Document, 1, work)).map(|u| u.size),
            Ok(2),
            "another kind has other keys"
        );
        assert_eq!(ready(uploads.get("m", MediaType::Image, MILLIS, work)).map(|u| u.size), Ok(3), "too old");
    }

    #[test]
    fn a_failure_is_not_kept() {
        let uploads = Uploads::default();
        let failed = ready(uploads.get("m", MediaType::Image, 0, || async { Err(Trouble::Temporary("no".into())) }));
        assert_eq!(failed, Err(Trouble::Temporary("no".into())));
        assert!(ready(uploads.get("m", MediaType::Image, 0, || async { Ok(uploaded(1)) })).is_ok());
    }

    #[test]
    fn only_so_many_are_remembered() {
        let uploads = Uploads::default();
        for n in 0..500u64 {
            assert!(ready(uploads.get(&n.to_string(), MediaType::Image, n, || async { Ok(uploaded(n)) })).is_ok());
        }
        assert!(uploads.slots.borrow().len() <= MOST + 1);
        assert!(uploads.slots.borrow().contains_key(&("499".to_owned(), MediaType::Image.app_info())));
    }
}
