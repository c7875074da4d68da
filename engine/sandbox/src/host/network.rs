//! Names to addresses, and connections to those that the guard allows. Shared by the interfaces that reach out.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use pombo_domain::ports::OutboundGuard;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;

use crate::options::ConnectTo;
use crate::state::Services;

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum Unreachable {
    /// The guard does not allow any of its addresses.
    Forbidden,
    /// No address, no answer, or no time.
    Failed(String),
}

/// The allowed addresses of a server.
pub(crate) async fn resolve(services: &Services, host: &str, port: u16) -> Result<Vec<SocketAddr>, Unreachable> {
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
pub(crate) async fn connect(addresses: &[SocketAddr], limit: Duration) -> Result<TcpStream, Unreachable> {
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
    Err(Unreachable::Failed(format!("cannot connect: {last}")))
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
