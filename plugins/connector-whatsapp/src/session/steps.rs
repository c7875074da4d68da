//! What the session's task waits for, one after the other: wishes, what happens to the client, the clock, the end.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures_channel::mpsc;
use pombo_plugin::clock;
use pombo_plugin::connector::Stopped;
use whatsapp_rust::futures::StreamExt;

use super::Wish;
use super::link::{Happening, Link};

/// What the task waits for.
pub(super) enum Step {
    Happened(Happening),
    Wished(Wish),
    Rang(Alarm),
    Stop,
}

#[derive(Clone, Copy)]
pub(super) enum Alarm {
    Connect,
    PairingTimeout,
    /// The time of a part of the passkey step is over.
    Passkey,
}

pub(super) type Wait = Pin<Box<dyn Future<Output = ()>>>;

/// What `run` waits for, other than the client.
pub(super) struct Outside {
    pub(super) wishes: mpsc::UnboundedReceiver<Wish>,
    pub(super) stopped: Stopped,
}

impl Outside {
    /// The next of them, or of the link's happenings, or the alarm.
    pub(super) async fn next(&mut self, link: Option<&mut Link>, alarm: &mut Option<(Alarm, Wait)>) -> Step {
        let mut link = link;
        poll_fn(|cx| {
            if Pin::new(&mut self.stopped).poll(cx).is_ready() {
                return Poll::Ready(Step::Stop);
            }
            // The sender lives in the session, as this does.
            if let Poll::Ready(Some(wish)) = self.wishes.poll_next_unpin(cx) {
                return Poll::Ready(Step::Wished(wish));
            }
            if let Some(link) = link.as_mut()
                && let Poll::Ready(Some(happening)) = link.happenings().poll_next_unpin(cx)
            {
                return Poll::Ready(Step::Happened(happening));
            }
            if let Some((kind, wait)) = alarm.as_mut()
                && wait.as_mut().poll(cx).is_ready()
            {
                let kind = *kind;
                *alarm = None;
                return Poll::Ready(Step::Rang(kind));
            }
            Poll::Pending
        })
        .await
    }
}

/// The end of a pause.
pub(super) fn wait(time: Duration) -> Wait {
    Box::pin(clock::sleep(time))
}
