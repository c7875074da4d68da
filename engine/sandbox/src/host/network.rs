//! The way to a server: by the connector's proxy if it has one, and otherwise from its name to the addresses that the guard allows. Shared
//! by the interfaces that reach out.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use pombo_domain::ports::OutboundGuard;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::{ClientConfig, RootCertStore};

use super::route::Route;
use super::tcp::Unreachable;
use crate::options::ConnectTo;
use crate::state::{Context, Services};

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
