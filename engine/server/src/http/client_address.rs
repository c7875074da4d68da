//! The client's address when there are proxies in between: the nearest address that is not a trusted proxy.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use ipnet::IpNet;

use crate::config::parse_network;

/// The proxies whose X-Forwarded-For is trusted.
#[derive(Clone, Default)]
pub(crate) struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// From checked configuration; entries that are not networks are ignored.
    pub(crate) fn new(entries: &[String]) -> Self {
        Self(entries.iter().filter_map(|e| parse_network(e)).collect())
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client's address: the peer's, or, from a trusted peer, the last forwarded address that is not itself trusted. Earlier
    /// addresses, which a client may have written, are ignored.
    pub(super) fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        if self.0.is_empty() || !self.trusts(peer.ip()) {
            return peer;
        }
        let mut client = peer.ip();
        let values = headers.get_all("x-forwarded-for").into_iter().rev().filter_map(|v| v.to_str().ok());
        for hop in values.flat_map(|v| v.rsplit(',')) {
            let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
            client = address;
            if !self.trusts(address) {
                break;
            }
        }
        SocketAddr::new(client, if client == peer.ip() { peer.port() } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarded_addresses_count_from_trusted_proxies_only() {
        let proxies = TrustedProxies::new(&["10.0.0.0/8".to_owned()]);
        for (peer, forwarded, client) in [
            ("192.0.2.1:5", "203.0.113.7", "192.0.2.1"),
            ("10.0.0.1:5", "203.0.113.7", "203.0.113.7"),
            ("10.0.0.1:5", "6.6.6.6, 203.0.113.7, 10.0.0.9", "203.0.113.7"),
            ("10.0.0.1:5", "garbage", "10.0.0.1"),
            ("10.0.0.1:5", "6.6.6.6, garbage, 10.0.0.9", "10.0.0.9"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", forwarded.parse().expect("a value"));
            let found = proxies.client(peer.parse().expect("an address"), &headers);
            assert_eq!(found.ip().to_string(), client, "{peer} {forwarded}");
        }
    }
}
