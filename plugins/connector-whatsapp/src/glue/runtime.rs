//! The library's runtime, on top of the executor and the engine's clock.

use std::future::{Future, poll_fn, ready};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use whatsapp_rust::futures::future::abortable;
use whatsapp_rust::wacore::runtime::{AbortHandle, Runtime};

use super::executor;

/// The only runtime.
pub(crate) struct Guest;

impl Runtime for Guest {
    fn spawn(&self, task: executor::Task) -> AbortHandle {
        let (task, handle) = abortable(task);
        executor::spawn(async move {
            // Aborted or done: nobody asks which.
            let _ = task.await;
        });
        AbortHandle::new(move || handle.abort())
    }

    fn spawn_detached(&self, task: executor::Task) {
        executor::spawn_boxed(task);
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(pombo_plugin::clock::sleep(time))
    }

    fn spawn_blocking(&self, work: Box<dyn FnOnce() + 'static>) -> Pin<Box<dyn Future<Output = ()>>> {
        // There is one thread: whatever blocks, blocks here.
        work();
        Box::pin(ready(()))
    }

    fn yield_now(&self) -> Option<Pin<Box<dyn Future<Output = ()>>>> {
        let mut yielded = false;
        Some(Box::pin(poll_fn(move |cx| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })))
    }

    fn yield_frequency(&self) -> u32 {
        1
    }
}
