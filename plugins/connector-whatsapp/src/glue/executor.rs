//! Keeps the tasks that outlast the call in which they were spawned: a guest's task belongs to the export that spawned it, so
//! these tasks are queued here and all driven by `run`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Poll, Waker};

use whatsapp_rust::futures::StreamExt;
use whatsapp_rust::futures::stream::FuturesUnordered;

pub(crate) type Task = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Task>,
    /// The waker of the `run` that drains the queue; absent before it begins and after it has ended.
    drainer: Option<Waker>,
}

thread_local! {
    static QUEUE: RefCell<Queue> = RefCell::new(Queue::default());
}

/// Runs a task as long as `run` does.
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) {
    spawn_boxed(Box::pin(task));
}

/// [`spawn`] for a task that is already boxed.
pub(crate) fn spawn_boxed(task: Task) {
    let drainer = QUEUE.with_borrow_mut(|queue| {
        queue.waiting.push_back(task);
        queue.drainer.clone()
    });
    if let Some(drainer) = drainer {
        drainer.wake();
    }
}

/// Drives `root` and, until it ends, every spawned task. Then the remaining tasks are dropped.
pub(crate) async fn drain<T>(root: impl Future<Output = T>) -> T {
    let mut root = pin!(root);
    let mut tasks: FuturesUnordered<Task> = FuturesUnordered::new();
    let result = poll_fn(|cx| {
        QUEUE.with_borrow_mut(|queue| queue.drainer = Some(cx.waker().clone()));
        if let Poll::Ready(result) = root.as_mut().poll(cx) {
            return Poll::Ready(result);
        }
        loop {
            let new = QUEUE.with_borrow_mut(|queue| std::mem::take(&mut queue.waiting));
            let added = !new.is_empty();
            tasks.extend(new);
            match tasks.poll_next_unpin(cx) {
                // One task ended: others may be ready as well.
                Poll::Ready(Some(())) => {}
                // A new task must be polled once before its wakers can be trusted.
                _ if added => {}
                _ if QUEUE.with_borrow(|queue| queue.waiting.is_empty()) => return Poll::Pending,
                _ => {}
            }
        }
    })
    .await;
    QUEUE.with_borrow_mut(|queue| queue.drainer = None);
    let left = QUEUE.with_borrow_mut(|queue| std::mem::take(&mut queue.waiting));
    drop(left);
    result
}
