//! The connector world: [`Connector`], its types, the names that the engine knows ([`Feature`], [`Capability`]), and the glue that
//! shares one instance among concurrent calls.

use std::cell::RefCell;
use std::rc::Rc;
use std::thread::LocalKey;

use futures_channel::oneshot;

/// The world as generated from `wit/`.
#[allow(missing_docs, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: ["wit/host", "wit/connector"],
        world: "pombo:connector/connector",
        generate_all,
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "export_connector_world",
        default_bindings_module: "pombo_plugin::connector::bindings",
    });
}

pub use bindings::pombo::connector::types::*;
/// The engine's interfaces.
pub use bindings::pombo::host::{events, http, kv, media, smtp, websocket};

/// The implementation of a channel. One value serves one configured connector.
#[allow(async_fn_in_trait, reason = "guests are single-threaded: no Send bound is wanted")]
pub trait Connector: Sized + 'static {
    /// Names the connector, its channel and features, and the grants that it needs.
    fn describe() -> Description;

    /// Returns the normal form of an address, or why it is not an address. Must not need a session.
    fn check_recipient(address: &str) -> Result<String, String> {
        Ok(address.trim().to_owned())
    }

    /// Creates the connector from its configuration (JSON without its secret fields).
    async fn start(config: &str) -> Result<Self, RunError>;

    /// Runs as long as the connector: holds the session and emits events. The default does nothing until the end.
    async fn run(&self, stopped: Stopped) -> Result<(), RunError> {
        stopped.await;
        Ok(())
    }

    /// Sends one message; called concurrently, many times at once.
    async fn send(&self, message: Outgoing) -> Outcome;

    /// Does anything other than sending; called concurrently, many times at once. The default supports no operation.
    async fn operate(&self, _operation: Operation) -> Result<Answer, OperationError> {
        Err(OperationError::Unsupported("this connector only sends".to_owned()))
    }

    /// Answers a request that the channel made to the connector's address in the engine; called concurrently, up to 16 times at once,
    /// if [`describe`](Self::describe) names [`Feature::Receive`]. What it tells must be in [`events`] before it returns: the caller
    /// does not repeat a request that was answered. The engine gives up after 10 seconds, and passes on a status between 200 and 599
    /// with at most 64 KiB. The default answers 404.
    async fn receive(&self, _request: ReceivedRequest) -> ReceivedResponse {
        ReceivedResponse::text(404, "this connector takes no requests")
    }
}

/// What a connector can do beyond sending plain text, for [`Description::features`]. The engine passes over names that it does not
/// know, so a plugin may also name others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feature {
    /// Files.
    Attachments,
    /// A subject.
    Subject,
    /// Groups and their operations.
    Groups,
    /// Reactions to messages.
    Reactions,
    /// Editing a sent message.
    Edit,
    /// Deleting a sent message for everyone.
    Revoke,
    /// Replying to a message.
    Reply,
    /// Mentioning people.
    Mentions,
    /// Audio as a voice note.
    VoiceNotes,
    /// Showing that somebody types.
    Typing,
    /// Marking messages as read.
    ReadReceipts,
    /// Messages of the channel come in.
    Inbound,
    /// [`Operation::OpenSession`] and [`Operation::CloseSession`].
    Sessions,
    /// [`Operation::OpenSession`] with an address.
    PairingCode,
    /// [`Operation::Lookup`].
    Lookup,
    /// [`Operation::Check`].
    Check,
    /// [`Operation::ProfilePicture`].
    ProfilePictures,
    /// [`Connector::receive`].
    Receive,
    /// Files have an [`Attachment::url`].
    AttachmentLinks,
    /// The content `template`, and the operations on templates.
    Templates,
}

impl Feature {
    /// The name in a description.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Attachments => "attachments",
            Self::Subject => "subject",
            Self::Groups => "groups",
            Self::Reactions => "reactions",
            Self::Edit => "edit",
            Self::Revoke => "revoke",
            Self::Reply => "reply",
            Self::Mentions => "mentions",
            Self::VoiceNotes => "voice-notes",
            Self::Typing => "typing",
            Self::ReadReceipts => "read-receipts",
            Self::Inbound => "inbound",
            Self::Sessions => "sessions",
            Self::PairingCode => "pairing-code",
            Self::Lookup => "lookup",
            Self::Check => "check",
            Self::ProfilePictures => "profile-pictures",
            Self::Receive => "receive",
            Self::AttachmentLinks => "attachment-links",
            Self::Templates => "templates",
        }
    }

    /// The names in a description.
    pub fn names<const N: usize>(features: [Self; N]) -> Vec<String> {
        Vec::from(features.map(|feature| feature.name().to_owned()))
    }
}

/// The engine's interfaces that need a grant, for [`Description::capabilities`]. The engine refuses a plugin that names others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Capability {
    /// [`kv`].
    Kv,
    /// [`http`].
    Http,
    /// [`websocket`].
    Websocket,
    /// [`smtp`].
    Smtp,
    /// Reading by [`media`].
    MediaRead,
    /// Storing by [`media`].
    MediaWrite,
    /// [`events`].
    Events,
}

impl Capability {
    /// The name in a description.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kv => "kv",
            Self::Http => "http",
            Self::Websocket => "websocket",
            Self::Smtp => "smtp",
            Self::MediaRead => "media-read",
            Self::MediaWrite => "media-write",
            Self::Events => "events",
        }
    }

    /// The names in a description.
    pub fn names<const N: usize>(capabilities: [Self; N]) -> Vec<String> {
        Vec::from(capabilities.map(|capability| capability.name().to_owned()))
    }
}

impl ReceivedResponse {
    /// An answer of plain text.
    pub fn text(status: u16, text: &str) -> Self {
        Self { status, content_type: "text/plain".to_owned(), body: text.as_bytes().to_vec() }
    }

    /// An answer of JSON.
    pub fn json(status: u16, json: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type: "application/json".to_owned(), body: json.into() }
    }
}

impl Description {
    /// A description without settings and without grants. Set the other fields with `..Description::new(…)`.
    pub fn new(name: &str, version: &str, channel: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            channel: channel.to_owned(),
            display_name: name.to_owned(),
            config_schema: r#"{"type":"object","additionalProperties":false}"#.to_owned(),
            secret_fields: Vec::new(),
            hosts: Vec::new(),
            capabilities: Vec::new(),
            features: Vec::new(),
            contents: Vec::new(),
            operations: Vec::new(),
            idempotent_resend: false,
            max_in_flight: 16,
            needs_session: false,
            pace: None,
            proofs: Vec::new(),
            shared_address: None,
            rules: None,
        }
    }
}

impl Outcome {
    /// The provider accepted the message under this id, and told nothing else.
    pub fn accepted(provider_id: Option<String>) -> Self {
        Self::Accepted(Acceptance { provider_id, aliases: Vec::new(), held: false })
    }

    /// [`Outcome::InvalidRecipient`] without a code of the channel's.
    pub fn invalid_recipient(reason: impl Into<String>) -> Self {
        Self::InvalidRecipient(Refusal { reason: reason.into(), code: None })
    }

    /// [`Outcome::Rejected`] without a code of the channel's.
    pub fn rejected(reason: impl Into<String>) -> Self {
        Self::Rejected(Refusal { reason: reason.into(), code: None })
    }
}

impl Throttle {
    /// Holds back all messages of the connector, without a code of the channel's.
    pub fn of_connector(retry_after_millis: u64, reason: impl Into<String>) -> Self {
        Self { retry_after_millis, reason: reason.into(), scope: ThrottleScope::Connector, code: None }
    }
}

/// Resolves when the engine asks the connector to end.
#[derive(Debug)]
pub struct Stopped(oneshot::Receiver<()>);

impl std::future::Future for Stopped {
    type Output = ();
    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> std::task::Poll<()> {
        // A dropped sender means the same as a signal: nothing else could stop the connector.
        std::pin::Pin::new(&mut self.0).poll(cx).map(|_| ())
    }
}

/// Holds the one instance, or the calls that wait for it.
#[doc(hidden)]
#[derive(Debug)]
pub enum Slot<C> {
    /// `run` has not created the instance yet; early calls wait here.
    Starting(Vec<oneshot::Sender<()>>),
    /// The instance, and how to stop it.
    Running(Rc<C>, Option<oneshot::Sender<()>>),
    /// `run` has returned.
    Ended,
}

impl<C> Slot<C> {
    /// The slot before `run`.
    pub const fn new() -> Self {
        Self::Starting(Vec::new())
    }
}

impl<C> Default for Slot<C> {
    fn default() -> Self {
        Self::new()
    }
}

#[doc(hidden)]
pub async fn __run<C: Connector>(slot: &'static LocalKey<RefCell<Slot<C>>>, config: String) -> Result<(), RunError> {
    crate::__install_panic_hook();
    let (stop, stopped) = oneshot::channel();
    let result = match C::start(&config).await {
        Ok(connector) => {
            let connector = Rc::new(connector);
            let before = slot.replace(Slot::Running(connector.clone(), Some(stop)));
            wake(before);
            connector.run(Stopped(stopped)).await
        }
        Err(e) => Err(e),
    };
    wake(slot.replace(Slot::Ended));
    result
}

fn wake<C>(before: Slot<C>) {
    if let Slot::Starting(waiting) = before {
        for waiter in waiting {
            // A receiver that is gone need not be woken.
            let _ = waiter.send(());
        }
    }
}

/// Waits for the instance; `None` if `run` has returned.
async fn running<C: Connector>(slot: &'static LocalKey<RefCell<Slot<C>>>) -> Option<Rc<C>> {
    loop {
        let started = slot.with_borrow_mut(|slot| match slot {
            Slot::Running(connector, _) => Ok(Some(connector.clone())),
            Slot::Starting(waiting) => {
                let (tx, rx) = oneshot::channel();
                waiting.push(tx);
                Err(rx)
            }
            Slot::Ended => Ok(None),
        });
        match started {
            Ok(found) => return found,
            // Whatever the outcome, the slot then has the new state.
            Err(started) => drop(started.await),
        }
    }
}

#[doc(hidden)]
pub async fn __send<C: Connector>(slot: &'static LocalKey<RefCell<Slot<C>>>, message: Outgoing) -> Outcome {
    match running(slot).await {
        Some(connector) => connector.send(message).await,
        None => Outcome::Disconnected("the connector has stopped".to_owned()),
    }
}

#[doc(hidden)]
pub async fn __operate<C: Connector>(
    slot: &'static LocalKey<RefCell<Slot<C>>>,
    operation: Operation,
) -> Result<Answer, OperationError> {
    match running(slot).await {
        Some(connector) => connector.operate(operation).await,
        None => Err(OperationError::Disconnected("the connector has stopped".to_owned())),
    }
}

#[doc(hidden)]
pub async fn __receive<C: Connector>(
    slot: &'static LocalKey<RefCell<Slot<C>>>,
    request: ReceivedRequest,
) -> ReceivedResponse {
    match running(slot).await {
        Some(connector) => connector.receive(request).await,
        None => ReceivedResponse::text(503, "the connector has stopped"),
    }
}

#[doc(hidden)]
pub async fn __stop<C: Connector>(slot: &'static LocalKey<RefCell<Slot<C>>>) {
    slot.with_borrow_mut(|slot| {
        if let Slot::Running(_, stop) = slot
            && let Some(stop) = stop.take()
        {
            // `run` may have returned already.
            let _ = stop.send(());
        }
    });
}

/// Exports a [`Connector`](crate::connector::Connector) as the plugin of this crate.
#[macro_export]
macro_rules! export_connector {
    ($connector:ty) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::connector as sdk;

            thread_local! {
                static SLOT: ::std::cell::RefCell<sdk::Slot<$connector>> =
                    const { ::std::cell::RefCell::new(sdk::Slot::new()) };
            }
            struct Exported;
            impl sdk::bindings::Guest for Exported {
                fn describe() -> sdk::Description {
                    $crate::__install_panic_hook();
                    <$connector as sdk::Connector>::describe()
                }
                fn check_recipients(
                    recipients: ::std::vec::Vec<::std::string::String>,
                ) -> ::std::vec::Vec<::std::result::Result<::std::string::String, ::std::string::String>> {
                    recipients.iter().map(|r| <$connector as sdk::Connector>::check_recipient(r)).collect()
                }
                async fn run(config: ::std::string::String) -> ::std::result::Result<(), sdk::RunError> {
                    sdk::__run(&SLOT, config).await
                }
                async fn send(message: sdk::Outgoing) -> sdk::Outcome {
                    sdk::__send(&SLOT, message).await
                }
                async fn operate(operation: sdk::Operation) -> ::std::result::Result<sdk::Answer, sdk::OperationError> {
                    sdk::__operate(&SLOT, operation).await
                }
                async fn receive(request: sdk::ReceivedRequest) -> sdk::ReceivedResponse {
                    sdk::__receive(&SLOT, request).await
                }
                async fn stop() {
                    sdk::__stop(&SLOT).await
                }
            }
            sdk::bindings::export_connector_world! { Exported with_types_in sdk::bindings }
        };
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    struct Echo(String);
    impl Connector for Echo {
        fn describe() -> Description {
            Description::new("echo", "1", "test")
        }
        async fn start(config: &str) -> Result<Self, RunError> {
            if config == "bad" { Err(RunError::Config("no".into())) } else { Ok(Self(config.to_owned())) }
        }
        async fn send(&self, message: Outgoing) -> Outcome {
            Outcome::accepted(Some(format!("{}-{}", self.0, message.client_id)))
        }
    }

    fn message(id: &str) -> Outgoing {
        Outgoing {
            client_id: id.into(),
            to: "x".into(),
            contact_name: None,
            content: Content::Other((String::new(), String::new())),
            reply_to: None,
            mentions: Vec::new(),
            voice_note: false,
            attempt: 1,
            metadata: Vec::new(),
        }
    }

    fn poll<F: Future>(f: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        f.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn a_send_that_comes_before_the_configuration_waits_for_it() {
        thread_local!(static SLOT: RefCell<Slot<Echo>> = const { RefCell::new(Slot::new()) });
        let mut early = pin!(__send(&SLOT, message("1")));
        assert!(poll(early.as_mut()).is_pending());
        let mut run = pin!(__run(&SLOT, "c".into()));
        assert!(poll(run.as_mut()).is_pending());
        assert_eq!(poll(early.as_mut()), Poll::Ready(Outcome::accepted(Some("c-1".into()))));
        assert!(poll(pin!(__stop(&SLOT)).as_mut()).is_ready());
        assert_eq!(poll(run.as_mut()), Poll::Ready(Ok(())));
        assert!(matches!(poll(pin!(__send(&SLOT, message("2"))).as_mut()), Poll::Ready(Outcome::Disconnected(_))));
        let late = poll(pin!(__operate(&SLOT, Operation::Groups)).as_mut());
        assert!(matches!(late, Poll::Ready(Err(OperationError::Disconnected(_)))), "{late:?}");
    }

    #[test]
    fn an_operation_that_is_not_offered_is_said_to_be_so() {
        thread_local!(static SLOT: RefCell<Slot<Echo>> = const { RefCell::new(Slot::new()) });
        let mut early = pin!(__operate(&SLOT, Operation::Groups));
        assert!(poll(early.as_mut()).is_pending());
        let mut run = pin!(__run(&SLOT, "c".into()));
        assert!(poll(run.as_mut()).is_pending());
        let answer = poll(early.as_mut());
        assert!(matches!(answer, Poll::Ready(Err(OperationError::Unsupported(_)))), "{answer:?}");
    }

    #[test]
    fn a_request_that_nobody_expects_is_answered_so() {
        thread_local!(static SLOT: RefCell<Slot<Echo>> = const { RefCell::new(Slot::new()) });
        let request = || ReceivedRequest {
            method: "POST".into(),
            path: "incoming".into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            proven: false,
        };
        let mut run = pin!(__run(&SLOT, "c".into()));
        assert!(poll(run.as_mut()).is_pending());
        let Poll::Ready(answer) = poll(pin!(__receive(&SLOT, request())).as_mut()) else { panic!("answers") };
        assert_eq!((answer.status, answer.content_type.as_str()), (404, "text/plain"));
        assert!(poll(pin!(__stop(&SLOT)).as_mut()).is_ready());
        assert!(poll(run.as_mut()).is_ready());
        let Poll::Ready(answer) = poll(pin!(__receive(&SLOT, request())).as_mut()) else { panic!("answers") };
        assert_eq!(answer.status, 503);
    }

    #[test]
    fn names_are_those_of_the_world() {
        assert_eq!(Feature::names([Feature::VoiceNotes, Feature::Receive]), ["voice-notes", "receive"]);
        assert_eq!(Capability::names([Capability::MediaRead]), ["media-read"]);
    }

    #[test]
    fn a_bad_configuration_ends_run_and_frees_the_waiting() {
        thread_local!(static SLOT: RefCell<Slot<Echo>> = const { RefCell::new(Slot::new()) });
        let mut early = pin!(__send(&SLOT, message("1")));
        assert!(poll(early.as_mut()).is_pending());
        assert_eq!(poll(pin!(__run(&SLOT, "bad".into())).as_mut()), Poll::Ready(Err(RunError::Config("no".into()))));
        assert!(matches!(poll(early.as_mut()), Poll::Ready(Outcome::Disconnected(_))));
    }
}
