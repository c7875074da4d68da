//! The way to a server: by the connector's proxy if it has one, and otherwise from its name to the addresses that the guard allows. Shared
//! by the interfaces that reach out.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pombo_domain::ports::OutboundGuard;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;

use crate::options::ConnectTo;
use crate::proxy::Proxy;
use crate::state::{Context, Services};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreachable {
    /// The guard does not allow any of its addresses.
    #[error("the server's address is not allowed")]
    Forbidden,
    /// No address, no answer, or no time; or the proxy does not work.
    #[error("{0}")]
    Failed(String),
}

/// How a connector reaches one server.
pub(crate) enum Route {
    /// At one of these addresses.
    Direct(Vec<SocketAddr>),
    /// By its proxy, which gets the name and the port.
    Proxied(Arc<Proxy>, String, u16),
}

impl Route {
    /// A connection. A route by a proxy never becomes a direct one.
    pub(crate) async fn connect(&self, limit: Duration) -> Result<TcpStream, Unreachable> {
        match self {
            Self::Direct(addresses) => connect(addresses, limit).await,
            Self::Proxied(proxy, host, port) => proxy.dial(host, *port).await,
        }
    }
}

/// The way to a server. With a proxy nothing is resolved here.
pub(crate) async fn route(context: &Context, services: &Services, host: &str, port: u16) -> Result<Route, Unreachable> {
    match &context.proxy {
        Some(proxy) => Ok(Route::Proxied(proxy.clone(), host.to_owned(), port)),
        None => resolve(services, host, port).await.map(Route::Direct),
    }
}

/// The allowed addresses of a server.
async fn resolve(services: &Services, host: &str, port: u16) -> Result<Vec<SocketAddr>, Unreachable> {
    if let Some(address) = services.connect_to.get(&host.to_ascii_lowercase()) {
        let allowed = services.guard.check_address(address.ip());
        return if allowed { Ok(vec![*address]) } else { Err(Unreachable::Forbidden) };
    }
    let all: Vec<SocketAddr> = match host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
        Ok(ip) => vec![SocketAddr::new(ip, port)],
        Err(_) => tokio::time::timeout(services.limits.host_call, tokio::net::lookup_host((host, port)))
            .await
            .map_err(|_| Unreachable::Failed("the server's name was not resolved in time".to_owned()))?
            .map_err(|_| Unreachable::Failed("the server's name does not resolve".to_owned()))?
            .collect(),
    };
    if all.is_empty() {
        return Err(Unreachable::Failed("the server's name has no address".to_owned()));
    }
    let allowed: Vec<_> = all.into_iter().filter(|a| services.guard.check_address(a.ip())).collect();
    if allowed.is_empty() { Err(Unreachable::Forbidden) } else { Ok(allowed) }
}

/// A connection to the first of `addresses` that answers.
async fn connect(addresses: &[SocketAddr], limit: Duration) -> Result<TcpStream, Unreachable> {
    first_of(addresses, limit).await.map_err(|why| Unreachable::Failed(format!("cannot connect: {why}")))
}

/// The same; the error is why the last of them did not answer.
pub(crate) async fn first_of(addresses: &[SocketAddr], limit: Duration) -> Result<TcpStream, String> {
    let mut last = "no address".to_owned();
    for address in addresses {
        match tokio::time::timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Dialogues are short lines and answers; waiting to fill a packet only adds delay.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY");
                }
                return Ok(stream);
            }
            Ok(Err(error)) => last = error.kind().to_string(),
            Err(_) => last = "no answer in time".to_owned(),
        }
    }
    Err(last)
}

/// TLS with the public authorities and `extra` ones.
pub(crate) fn tls(
    extra: impl IntoIterator<Item = rustls::pki_types::CertificateDer<'static>>,
) -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for authority in extra {
        roots.add(authority)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth())
}

/// The resolver of the HTTP client: gives only what the guard allows, at connect time.
pub(crate) struct GuardedResolver {
    pub(crate) guard: Arc<dyn OutboundGuard>,
    pub(crate) connect_to: Arc<ConnectTo>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.guard.clone();
        let elsewhere = self.connect_to.get(&name.as_str().to_ascii_lowercase()).copied();
        Box::pin(async move {
            let found: Vec<SocketAddr> = match elsewhere {
                Some(address) => vec![address],
                None => tokio::net::lookup_host((name.as_str(), 0)).await?.collect(),
            };
            let allowed: Vec<SocketAddr> = found.into_iter().filter(|a| guard.check_address(a.ip())).collect();
            if allowed.is_empty() {
                return Err(io::Error::from(io::ErrorKind::PermissionDenied).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}
