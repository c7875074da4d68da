//! The proxy of a connector. What its plugin opens leaves by it: HTTP, WebSockets, mail, files. There is no other way out for a connector
//! that has one: when the proxy fails, the connection fails, and names are resolved by the proxy alone.
//!
//! `dialer.rs` makes connections through it and remembers whether it works; `handshake.rs` is what is spoken with it; `web.rs` is the
//! HTTP client on top; `exit.rs` asks from which address it calls. All of it runs in the task of the caller, apart from the checks of the
//! exit, which have a task for as long as the connector runs.
//!
//! It must not know what a plugin speaks through it. The user name, the password and the proxy's address reach no log line and no plugin.

mod dialer;
mod exit;
mod handshake;
mod web;

use std::sync::Arc;
use std::time::Duration;

use pombo_domain::ports::{Clock, OutboundGuard, ProxyPolicy, ProxySpec, ProxyStatus};
use reqwest::{RequestBuilder, Response};
use tokio::net::TcpStream;
use uuid::Uuid;

use self::dialer::Dialer;
use self::exit::Exit;
use self::web::Web;
use crate::connector::session::SessionHandle;
use crate::host::resources::ExchangeError;
use crate::host::tcp::Unreachable;
use crate::options::ConnectTo;

/// What a proxy needs of the host.
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) guard: Arc<dyn OutboundGuard>,
    pub(crate) policy: Arc<dyn ProxyPolicy>,
    pub(crate) connect_to: Arc<ConnectTo>,
    pub(crate) tls: Arc<rustls::ClientConfig>,
    /// Only makes requests: proxies send them.
    pub(crate) http: reqwest::Client,
    /// How long one call of a plugin into the host may take.
    pub(crate) host_call: Duration,
}

/// The proxy of one connector, with the HTTP connections that are open through it. A changed proxy is another value: nothing that was
/// opened by the old one is used by the new one.
pub(crate) struct Proxy {
    dialer: Arc<Dialer>,
    web: Web,
    exit: Exit,
    /// Half of the silence after which the proxy ends a connection.
    ping_after: Duration,
}

impl Proxy {
    /// `session` is told when the proxy stops working, and when it works again.
    pub(crate) fn new(id: Uuid, spec: ProxySpec, host: Surroundings, session: Arc<SessionHandle>) -> Self {
        let ping_after = Duration::from_secs(u64::from(spec.proxy.idle_seconds)) / 2;
        let exit = Exit::new(spec.proxy.check_url.clone(), &host);
        let dialer = Arc::new(Dialer::new(id, spec, &host, session));
        let web = Web::new(dialer.clone(), &host.tls, ping_after);
        Self { dialer, web, exit, ping_after }
    }

    /// A connection to `host` and `port`, which the proxy resolves and reaches.
    pub(crate) async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, Unreachable> {
        self.dialer.dial(host, port).await
    }

    /// Sends a request. The client that `builder` was made with is not used.
    pub(crate) async fn send(&self, builder: RequestBuilder) -> Result<Response, ExchangeError> {
        self.web.send(builder).await
    }

    /// After how long a silence a connection needs a sign of life, so that the proxy does not end it.
    pub(crate) fn ping_after(&self) -> Duration {
        self.ping_after
    }

    /// What is known of it.
    pub(crate) fn status(&self) -> ProxyStatus {
        ProxyStatus { problem: self.dialer.problem(), ..self.exit.status() }
    }
}
