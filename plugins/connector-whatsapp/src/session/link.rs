//! One client of the library: built over the glue and the store, watched, and taken down. Its handler runs inside the library's own
//! tasks and only sorts: what concerns the session goes to the session's task, content to the content's.

use std::cell::{Cell, RefCell};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use pombo_plugin::clock;
use whatsapp_rust::anyhow::{self, anyhow};
use whatsapp_rust::futures::StreamExt;
use whatsapp_rust::futures::future::{Either, select};
use whatsapp_rust::pair_code::PairCodeOptions;
use whatsapp_rust::passkey::Assertion as LibraryAssertion;
use whatsapp_rust::store::commands::DeviceCommand;
use whatsapp_rust::store::persistence_manager::PersistenceManager;
use whatsapp_rust::wacore::store::DevicePropsOverride;
use whatsapp_rust::wacore::types::events::{
    Event, EventHandler, EventInterest, EventKind, InboundMessage, Subscription,
};
use whatsapp_rust::wacore_binary::SERVER_JID;
use whatsapp_rust::waproto::whatsapp::device_props::{AppVersion, PlatformType};
use whatsapp_rust::{
    CacheConfig, CacheEntryConfig, Client, ClientProfile, InboundDurabilityHook, OwnedNodeRef, RawNodeLease,
    async_trait,
};

use crate::config::{Config, Platform};
use crate::glue::socket::{Sockets, Watcher};
use crate::glue::{self, executor};
use crate::inbound;
use crate::live::{Live, Shared};
use crate::passkey::{Act, Assertion};
use crate::store::Store;
use crate::version::Version;

/// How many one-time prekeys are given to the server at once: as many as WhatsApp's own client gives. They are made in one go, which takes
/// a fraction of the time that the engine lets a guest run without giving way.
const PREKEYS: usize = 812;
/// The library saves at every change; this is only its second look.
const SAVER: Duration = Duration::from_secs(120);

/// What of the session's concern happened to the client.
pub(super) enum Happening {
    /// The library says so.
    Library(Arc<Event>),
    /// No connection was made; says why.
    Refused(String),
    /// The connection ended.
    Lost,
    /// The client tries no more by itself.
    Ended,
    /// The server demands a passkey and does not say which: the library asks.
    AskedWithoutOptions,
    /// The answer of a passkey was sent; `Err` says what went wrong.
    Given(Result<(), String>),
    /// The confirmation of the code was sent; `Err` says what went wrong.
    Confirmed(Result<(), String>),
}

/// One client of the protocol library, from its making to its end.
pub(super) struct Link {
    live: Live,
    happenings: UnboundedReceiver<Happening>,
    report: UnboundedSender<Happening>,
    /// While an account is linked, every stanza is looked at: the library does not tell that it asks for the options of a passkey, and
    /// waits for them far longer than a person does.
    stanzas: Option<RawNodeLease>,
    _subscription: Subscription,
}

impl Link {
    /// Builds a client over the stored session, or over a new one that is about to be paired. It claims this version for as long as
    /// it lives.
    pub(super) async fn open(shared: &Rc<Shared>, version: Version, pairing: bool) -> anyhow::Result<Self> {
        let persistence = Arc::new(PersistenceManager::new(Arc::new(Store)).await?);
        if pairing {
            persistence.process_command(DeviceCommand::SetDeviceProps(props(&shared.config))).await;
        }
        persistence.process_command(DeviceCommand::SetClientProfile(profile(&shared.config))).await;
        let (report, happenings) = unbounded();
        let watch = Rc::new(Watch {
            shared: shared.clone(),
            report: report.clone(),
            goes_on: RefCell::new(None),
            connection: Cell::new(0),
        });
        // History is not skipped, for what it says of people: privacy tokens, without which WhatsApp refuses first messages (463) even to
        // those whom the phone knows well, the numbers behind LIDs, the salt of tokens, the account's own name. Its messages are dropped,
        // because nobody here listens to the library's event of them. The library inflates it piece by piece: of at most two blobs at once,
        // one conversation each is in memory. A blob that is fetched is bounded by the engine's limit of an answer (4 MiB), one within a
        // message by the frame.
        let client = Client::builder()
            .with_runtime(glue::Runtime)
            .with_persistence_manager(persistence)
            .with_transport_factory(Sockets::new(server(&shared.config), watch.clone()))
            .with_http_client(glue::http::Requests)
            .with_version_override(version.parts())
            .with_cache_config(caches())
            .with_wanted_pre_key_count(PREKEYS)
            .with_background_saver_interval(SAVER)
            .with_inbound_durability_hook(Hook(shared.clone()))
            .build()
            .await
            .map_err(|error| anyhow!(error.to_string()))?
            .into_client();
        watch.goes_on.replace(Some(client.enable_auto_reconnect.clone()));
        let live = Live { client: client.clone(), shared: shared.clone() };
        let (content, mut queue) = unbounded::<Arc<Event>>();
        let subscription = client.subscribe(interest(), Arc::new(Sorter { watch, content }));
        let reader = live.clone();
        executor::spawn(async move {
            while let Some(event) = queue.next().await {
                inbound::handle(&reader, &event).await;
            }
        });
        let stanzas = pairing.then(|| client.acquire_raw_node_forwarding());
        Ok(Self { live, happenings, report, stanzas, _subscription: subscription })
    }

    pub(super) fn live(&self) -> Live {
        self.live.clone()
    }

    pub(super) fn happenings(&mut self) -> &mut UnboundedReceiver<Happening> {
        &mut self.happenings
    }

    /// Connects; [`Happening::Ended`] follows when that, or the connection, ended.
    pub(super) fn connect(&self) {
        let client = self.live.client.clone();
        let report = self.report.clone();
        client.enable_auto_reconnect.store(true, Ordering::Relaxed);
        executor::spawn(async move {
            client.run().await;
            // Without a receiver nobody wants to know.
            let _ = report.unbounded_send(Happening::Ended);
        });
    }

    /// Whether the client was shut down for good, by itself: another one must be built.
    pub(super) fn is_spent(&self) -> bool {
        self.live.client.shutdown_signal().is_fired()
    }

    /// Asks for a code to type on the phone; it comes as an event, and so does a refusal.
    pub(super) fn ask_for_code(&self, phone_number: String) {
        let client = self.live.client.clone();
        executor::spawn(async move {
            let options = PairCodeOptions { phone_number, ..PairCodeOptions::default() };
            // Both answers are events.
            let _ = client.pair_with_code(options).await;
        });
    }

    /// Sends a part of the passkey step; what came of it is reported.
    pub(super) fn act(&self, act: Act) {
        let client = self.live.client.clone();
        let report = self.report.clone();
        executor::spawn(async move {
            let happened = match act {
                Act::Give(Assertion { json, credential }) => {
                    let answer = LibraryAssertion { assertion_json: json, credential_id: credential };
                    Happening::Given(client.send_passkey_response(answer).await.map_err(|error| error.to_string()))
                }
                Act::Confirm => {
                    Happening::Confirmed(client.send_passkey_confirmation().await.map_err(|error| error.to_string()))
                }
            };
            // Without a receiver the link is gone.
            let _ = report.unbounded_send(happened);
        });
    }

    /// The account is linked.
    pub(super) fn paired(&mut self) {
        drop(self.stanzas.take());
    }

    /// Writes the device now.
    pub(super) async fn save(&self) {
        if let Err(error) = self.live.client.persistence_manager().flush().await {
            pombo_plugin::log::error(
                "session",
                &crate::redact::line(&format!("the session could not be stored: {error}")),
            );
        }
    }

    /// Ends the connection in good order; what takes longer than `grace` is left.
    pub(super) async fn close(&self, grace: Duration) {
        select(pin!(self.live.client.disconnect()), pin!(clock::sleep(grace))).await;
        self.live.shared.acks.connection_lost();
    }

    /// Unlinks this device at the server, if the server can be reached, and ends the connection.
    pub(super) async fn log_out(&self, grace: Duration) {
        let mut logout = pin!(self.live.client.logout());
        let mut end = pin!(clock::sleep(grace));
        if let Either::Right(_) = select(logout.as_mut(), end.as_mut()).await {
            self.close(grace).await;
        }
        self.live.shared.acks.connection_lost();
    }
}

/// The library goes on by itself after a planned end (515 after pairing, a dead socket), and must not otherwise: the pauses between
/// attempts, and their bound, are the session's. So `goes_on` holds while a connection stands and is down while one is sought.
struct Watch {
    shared: Rc<Shared>,
    report: UnboundedSender<Happening>,
    goes_on: RefCell<Option<Arc<AtomicBool>>>,
    /// The newest connection's number.
    connection: Cell<u64>,
}

impl Watch {
    fn goes_on(&self, yes: bool) {
        if let Some(flag) = &*self.goes_on.borrow() {
            flag.store(yes, Ordering::Relaxed);
        }
    }

    fn report(&self, happening: Happening) {
        // Without a receiver the link is gone, and what happens to its client is nobody's concern.
        let _ = self.report.unbounded_send(happening);
    }
}

impl Watcher for Watch {
    fn connecting(&self) -> u64 {
        self.goes_on(false);
        self.connection.set(self.connection.get() + 1);
        self.connection.get()
    }

    fn refused(&self, why: &str) {
        self.report(Happening::Refused(why.to_owned()));
    }

    fn ended(&self, connection: u64) {
        if connection == self.connection.get() {
            self.shared.acks.connection_lost();
            self.report(Happening::Lost);
        }
    }
}

struct Sorter {
    watch: Rc<Watch>,
    content: UnboundedSender<Arc<Event>>,
}

/// The session's own news.
const SESSION: &[EventKind] = &[
    EventKind::Connected,
    EventKind::Disconnected,
    EventKind::PairSuccess,
    EventKind::PairError,
    EventKind::LoggedOut,
    EventKind::PairingQrCode,
    EventKind::PairingCode,
    EventKind::PairingCodeRefresh,
    EventKind::PairingCodeError,
    EventKind::PairPasskeyRequest,
    EventKind::PairPasskeyConfirmation,
    EventKind::PairPasskeyError,
    EventKind::StreamReplaced,
    EventKind::TemporaryBan,
    EventKind::ClientOutdated,
    EventKind::ConnectFailure,
    EventKind::SelfPushNameUpdated,
];

fn interest() -> EventInterest {
    EventInterest::of(SESSION)
        .with(EventKind::ServerAck)
        .with(EventKind::RawNode)
        .union(EventInterest::of(inbound::KINDS))
}

impl EventHandler for Sorter {
    fn handle_event(&self, event: Arc<Event>) {
        match &*event {
            Event::ServerAck(ack) => return self.watch.shared.acks.answered(ack),
            Event::RawNode(stanza) => {
                if asks_without_options(stanza) {
                    self.watch.report(Happening::AskedWithoutOptions);
                }
                return;
            }
            Event::Connected(_) | Event::PairingQrCode(_) | Event::PairSuccess(_) => self.watch.goes_on(true),
            Event::Disconnected(_) => self.watch.goes_on(false),
            _ => {}
        }
        let kind = event.kind();
        if SESSION.contains(&kind) {
            self.watch.report(Happening::Library(event));
        } else {
            // Ends only with the executor.
            let _ = self.content.unbounded_send(event);
        }
    }
}

/// Whether the server demands a passkey in this stanza and leaves out which.
fn asks_without_options(stanza: &OwnedNodeRef) -> bool {
    let stanza = stanza.get();
    stanza.get_attr("type").is_some_and(|kind| kind == "passkey_prologue_request")
        && stanza.get_attr("from").is_some_and(|from| from == SERVER_JID)
        && stanza.get_optional_child("passkey_request_options").is_none()
}

/// Commits what arrived before the library acknowledges it: a message that the engine did not take stays with the server.
struct Hook(Rc<Shared>);

#[async_trait(?Send)]
impl InboundDurabilityHook for Hook {
    async fn on_messages(&self, client: Arc<Client>, batch: &[InboundMessage]) -> anyhow::Result<()> {
        let live = Live { client, shared: self.0.clone() };
        inbound::commit(&live, batch).await.map_err(|why| anyhow!(why))
    }
}

#[cfg(not(feature = "simulator"))]
fn server(_config: &Config) -> String {
    whatsapp_rust::wacore::net::WHATSAPP_WEB_WS_URL.to_owned()
}

#[cfg(feature = "simulator")]
fn server(config: &Config) -> String {
    format!("ws://{}/ws/chat", config.server_host)
}

fn props(config: &Config) -> DevicePropsOverride {
    let platform = match config.platform {
        Platform::Chrome => PlatformType::CHROME,
        Platform::Firefox => PlatformType::FIREFOX,
        Platform::Safari => PlatformType::SAFARI,
        Platform::Edge => PlatformType::EDGE,
        Platform::Desktop => PlatformType::DESKTOP,
    };
    let [primary, secondary, tertiary] = config.os_version;
    let version = AppVersion {
        primary: Some(primary),
        secondary: Some(secondary),
        tertiary: Some(tertiary),
        ..AppVersion::default()
    };
    DevicePropsOverride::new().with_os(config.device_name.clone()).with_version(version).with_platform_type(platform)
}

/// What the client says of itself at each login: as WhatsApp's own client in a browser, which reports this version of the system
/// everywhere, with the language that the operator chose.
fn profile(config: &Config) -> ClientProfile {
    ClientProfile {
        os_version: "0.1".to_owned(),
        locale_language: config.locale.language.clone(),
        locale_country: config.locale.country.clone(),
        ..ClientProfile::web()
    }
}

/// The library's caches, cut to what one account uses: everything in them is in the store as well. The caches that hold locks keep
/// their size: a lock that is dropped too early guards nothing.
fn caches() -> CacheConfig {
    let minutes = |n: u64| Some(Duration::from_secs(n * 60));
    CacheConfig {
        group_cache: CacheEntryConfig::new(minutes(60), 32),
        // A group's members all at once, or every send to it would read the store for each.
        device_registry_cache: CacheEntryConfig::new(minutes(60), 1_200),
        message_retry_counts: CacheEntryConfig::new(minutes(60), 128),
        undecryptable_dispatched: CacheEntryConfig::new(minutes(5), 128),
        pdo_pending_requests: CacheEntryConfig::new(Some(Duration::from_secs(30)), 32),
        pdo_requested: CacheEntryConfig::new(minutes(24 * 60), 128),
        sender_key_devices_cache: CacheEntryConfig::new(minutes(60), 32),
        session_recreate_history: CacheEntryConfig::new(minutes(60), 64),
        // Kept in memory in addition to the store: the library takes a message out of the store while it sends it again, and a
        // second device that asks at that moment would get nothing.
        recent_messages: CacheEntryConfig::new(minutes(5), 32),
        seed_msg_secrets_from_history: false,
        ..CacheConfig::default()
    }
}
