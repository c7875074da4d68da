//! The HTTP client for URLs that a tenant chose: no proxy, no automatic redirects, names resolved through the guard.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pombo_domain::ports::{OutboundError, OutboundGuard};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::guard::Guard;
use crate::config::Outbound;

/// A client that cannot reach the internal network.
///
/// Invariant: its users check the URL with the guard first, because addresses written in a URL are not resolved.
pub(crate) fn client(config: &Outbound, guard: &Guard) -> anyhow::Result<reqwest::Client> {
    let mut roots = rustls::RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if !config.extra_ca_file.is_empty() {
        let path = &config.extra_ca_file;
        let certificates = CertificateDer::pem_file_iter(path)
            .map_err(|e| anyhow::anyhow!("outbound.extra_ca_file: cannot read {path}: {e}"))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|e| anyhow::anyhow!("outbound.extra_ca_file: {path}: {e}"))?;
            roots.add(certificate).map_err(|e| anyhow::anyhow!("outbound.extra_ca_file: {path}: {e}"))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(GuardedResolver(guard.clone()))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(config.connect_timeout_seconds))
        .pool_idle_timeout(Duration::from_secs(30))
        .pool_max_idle_per_host(8)
        .user_agent(concat!("pombo/", env!("CARGO_PKG_VERSION")))
        .build()?)
}

/// Resolves with the system and keeps only the addresses that may be called.
pub(super) struct GuardedResolver(pub(super) Guard);

/// All addresses of the name are refused.
#[derive(Debug, thiserror::Error)]
#[error("the target address is not allowed")]
struct AddressRefused;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let any_address = guard.allows_host(name.as_str());
            let allowed: Vec<SocketAddr> =
                found.into_iter().filter(|a| any_address || guard.check_address(a.ip())).collect();
            if allowed.is_empty() {
                return Err(AddressRefused.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

/// Describes the error without the URL, which may contain a token.
pub(crate) fn describe(error: &reqwest::Error) -> OutboundError {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    let mut innermost = String::new();
    while let Some(inner) = cause {
        if inner.is::<AddressRefused>() {
            return OutboundError::Forbidden;
        }
        innermost = inner.to_string();
        cause = inner.source();
    }
    let what = if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_connect() {
        format!("cannot connect: {innermost}")
    } else if error.is_body() || error.is_decode() {
        format!("the answer was interrupted: {innermost}")
    } else {
        format!("the request failed: {innermost}")
    };
    OutboundError::Unreachable(what)
}
