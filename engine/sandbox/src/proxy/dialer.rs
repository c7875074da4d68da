//! Connections through the proxy, and whether it works.
//!
//! Two parties can fail: the proxy, and the server behind it. Only the first is told to the session, which is then disconnected for that
//! reason: a server that does not answer is the plugin's to judge.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pombo_domain::model::ProxyKind;
use pombo_domain::ports::{OutboundGuard, ProxyPolicy, ProxySpec};
use tokio::net::TcpStream;
use url::{Host, Url};
use uuid::Uuid;

use super::Surroundings;
use super::handshake::{self, Failed};
use crate::connector::session::SessionHandle;
use crate::host::tcp::{self, Unreachable};
use crate::options::ConnectTo;

/// How long the proxy itself may take to accept a connection, at most.
const CONNECT: Duration = Duration::from_secs(10);

/// Dials through one proxy.
pub(super) struct Dialer {
    /// The connector, for logs.
    id: Uuid,
    spec: ProxySpec,
    policy: Arc<dyn ProxyPolicy>,
    guard: Arc<dyn OutboundGuard>,
    connect_to: Arc<ConnectTo>,
    /// How long the connection to the proxy may take.
    connect: Duration,
    /// How long the proxy may take to reach the server. Both together end before the call of the plugin does, so that the plugin hears
    /// the reason.
    reach: Duration,
    session: Arc<SessionHandle>,
    problem: Mutex<Option<String>>,
}

impl Dialer {
    pub(super) fn new(id: Uuid, spec: ProxySpec, host: &Surroundings, session: Arc<SessionHandle>) -> Self {
        let call = host.host_call;
        Self {
            id,
            spec,
            policy: host.policy.clone(),
            guard: host.guard.clone(),
            connect_to: host.connect_to.clone(),
            connect: (call / 4).min(CONNECT),
            reach: call / 2,
            session,
            problem: Mutex::default(),
        }
    }

    /// Why the proxy does not work; `None` if it does, as far as is known.
    pub(super) fn problem(&self) -> Option<String> {
        self.problem.lock().clone()
    }

    /// A connection to a server by its name or address.
    pub(super) async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, Unreachable> {
        let (host, port) = self.target(host, port)?;
        match self.tunnel(&host, port).await {
            Ok(stream) => {
                self.works();
                Ok(stream)
            }
            Err(Failed::Server(why)) => {
                self.works();
                Err(Unreachable::Failed(why))
            }
            Err(Failed::Proxy(why)) => {
                self.broken(&why);
                Err(Unreachable::Failed(why))
            }
        }
    }

    /// What the proxy is told of a server that may be reached. Names stay names.
    fn target(&self, host: &str, port: u16) -> Result<(String, u16), Unreachable> {
        let allowed = |address: IpAddr| match self.guard.check_address(address) {
            true => Ok(address.to_string()),
            false => Err(Unreachable::Forbidden),
        };
        if let Some(address) = self.connect_to.get(&host.to_ascii_lowercase()) {
            return Ok((allowed(address.ip())?, address.port()));
        }
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let written = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
        // Told to the proxy as the guard reads it: in another notation an address would pass for a name.
        let unusable = || Unreachable::Failed("the server's name cannot be used".to_owned());
        let url = Url::parse(&format!("http://{written}:{port}/")).map_err(|_| unusable())?;
        self.guard.check_url(url.as_str()).map_err(|_| Unreachable::Forbidden)?;
        let host = match url.host().ok_or_else(unusable)? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => allowed(address.into())?,
            Host::Ipv6(address) => allowed(address.into())?,
        };
        Ok((host, port))
    }

    async fn tunnel(&self, host: &str, port: u16) -> Result<TcpStream, Failed> {
        let tcp = self.reached().await.map_err(Failed::Proxy)?;
        let proxy = &self.spec.proxy;
        let login = proxy.user.as_deref().zip(self.spec.password.as_deref());
        let spoken = async {
            match proxy.kind {
                ProxyKind::Socks5h => handshake::socks(tcp, login, host, port).await,
                ProxyKind::Http => handshake::connect(tcp, login, host, port).await,
            }
        };
        let late = || Failed::Proxy("the proxy does not answer in time".to_owned());
        tokio::time::timeout(self.reach, spoken).await.unwrap_or_else(|_| Err(late()))
    }

    /// A connection to the proxy itself. Its own name is the only one that is resolved here.
    async fn reached(&self) -> Result<TcpStream, String> {
        let (host, port) = (self.spec.proxy.host.as_str(), self.spec.proxy.port);
        self.policy.check_proxy(host, port).map_err(|why| format!("the proxy is not allowed: {why}"))?;
        let all: Vec<SocketAddr> = match host.parse::<IpAddr>() {
            Ok(ip) => vec![SocketAddr::new(ip, port)],
            Err(_) => tokio::time::timeout(self.connect, tokio::net::lookup_host((host, port)))
                .await
                .ok()
                .and_then(Result::ok)
                .ok_or("the proxy cannot be reached: its name does not resolve")?
                .collect(),
        };
        let may_be = |address: &SocketAddr| self.policy.check_proxy_address(host, port, address.ip());
        let allowed: Vec<SocketAddr> = all.into_iter().filter(may_be).collect();
        if allowed.is_empty() {
            return Err(
                "the proxy is not allowed: its address is private, and the operator does not list it".to_owned()
            );
        }
        let connected = tcp::first_of(&allowed, self.connect).await;
        connected.map_err(|why| format!("the proxy cannot be reached: {why}"))
    }

    fn works(&self) {
        if self.problem.lock().take().is_some() {
            tracing::info!(connector = %self.id, "a connector's proxy works again");
        }
        self.session.unblock();
    }

    fn broken(&self, why: &str) {
        let before = self.problem.lock().replace(why.to_owned());
        if before.as_deref() != Some(why) {
            tracing::warn!(connector = %self.id, reason = why, "a connector's proxy does not work");
        }
        self.session.block(why);
    }
}
