//! Which outbound targets are allowed: the guard against requests that a tenant directs at the internal network.
//!
//! It checks at three moments: the URL as written ([`Guard::check_url`]; the `url` crate has already resolved every unusual
//! notation of an address, such as `0x7f.1` or `2130706433`), each address that a name resolves to (when connecting, so that a
//! name that changes between check and use gains nothing), and the target of each redirect as a URL of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use pombo_domain::ports::{OutboundError, OutboundGuard};
use url::{Host, Url};

use crate::config::parse_network;

/// The guard, with the operator's exceptions.
#[derive(Clone, Default)]
pub(crate) struct Guard {
    networks: Vec<IpNet>,
    /// In lower case, without a trailing dot; a leading `*.` stands for all names below.
    hosts: Vec<String>,
}

impl Guard {
    /// Allows everything public, and the entries of `allow`: addresses, networks, host names, `*.domain`.
    pub(crate) fn new(allow: &[String]) -> Self {
        let mut guard = Self::default();
        for entry in allow {
            match parse_network(entry) {
                Some(network) => guard.networks.push(network),
                None => guard.hosts.push(normal_host(entry)),
            }
        }
        // By definition the loopback, also for those who ask with an address only.
        if guard.hosts.iter().any(|host| host == "localhost") {
            guard.networks.extend(["127.0.0.0/8", "::1/128"].map(|n| n.parse::<IpNet>().expect("constant networks")));
        }
        guard
    }

    /// Whether the operator allowed this name, whatever it resolves to.
    pub(crate) fn allows_host(&self, host: &str) -> bool {
        let host = normal_host(host);
        self.hosts.iter().any(|allowed| match allowed.strip_prefix("*.") {
            Some(domain) => host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
            None => *allowed == host,
        })
    }

    /// The checked URL.
    pub(crate) fn parse(&self, text: &str) -> Result<Url, OutboundError> {
        let bad = |why: &str| OutboundError::BadUrl(why.to_owned());
        if text.len() > 2048 {
            return Err(bad("the URL is longer than 2048 characters"));
        }
        let url = Url::parse(text).map_err(|e| bad(&format!("not a URL: {e}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad("the URL must begin with http:// or https://"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("the URL must not contain a user name or password"));
        }
        if url.port() == Some(0) {
            return Err(bad("the URL's port must not be 0"));
        }
        let allowed = match url.host() {
            None => return Err(bad("the URL has no host")),
            Some(Host::Ipv4(ip)) => self.check_address(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => self.check_address(IpAddr::V6(ip)),
            Some(Host::Domain(name)) => self.allows_host(name) || self.local_name_allowed(&normal_host(name)),
        };
        if allowed { Ok(url) } else { Err(OutboundError::Forbidden) }
    }

    /// Names that stand for this machine by definition are allowed only if loopback is; every other name is decided by the
    /// addresses that it resolves to.
    fn local_name_allowed(&self, host: &str) -> bool {
        let local = host == "localhost" || host.ends_with(".localhost");
        !local || self.check_address(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }
}

impl OutboundGuard for Guard {
    fn check_url(&self, url: &str) -> Result<(), OutboundError> {
        self.parse(url).map(|_| ())
    }

    fn check_address(&self, address: IpAddr) -> bool {
        // A socket to a mapped address is a socket to the IPv4 address in it.
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address)) || is_public(address)
    }
}

fn normal_host(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => is_public_v4(ip),
        IpAddr::V6(ip) => is_public_v6(ip),
    }
}

/// IANA's special-purpose registry (RFC 6890 and its updates), multicast and the reserved rest.
fn is_public_v4(ip: Ipv4Addr) -> bool {
    const SPECIAL: [(Ipv4Addr, u32); 15] = [
        (Ipv4Addr::new(0, 0, 0, 0), 8),       // this network
        (Ipv4Addr::new(10, 0, 0, 0), 8),      // private
        (Ipv4Addr::new(100, 64, 0, 0), 10),   // shared (carrier-grade NAT)
        (Ipv4Addr::new(127, 0, 0, 0), 8),     // loopback
        (Ipv4Addr::new(169, 254, 0, 0), 16),  // link-local, cloud metadata
        (Ipv4Addr::new(172, 16, 0, 0), 12),   // private
        (Ipv4Addr::new(192, 0, 0, 0), 24),    // protocol assignments
        (Ipv4Addr::new(192, 0, 2, 0), 24),    // documentation
        (Ipv4Addr::new(192, 88, 99, 0), 24),  // 6to4 relays
        (Ipv4Addr::new(192, 168, 0, 0), 16),  // private
        (Ipv4Addr::new(198, 18, 0, 0), 15),   // benchmarks
        (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
        (Ipv4Addr::new(203, 0, 113, 0), 24),  // documentation
        (Ipv4Addr::new(224, 0, 0, 0), 4),     // multicast
        (Ipv4Addr::new(240, 0, 0, 0), 4),     // reserved, broadcast
    ];
    !SPECIAL.iter().any(|(network, bits)| ip.to_bits() >> (32 - bits) == network.to_bits() >> (32 - bits))
}

/// Global unicast (2000::/3) without its special parts. The transition forms that contain an IPv4 address (6to4, Teredo,
/// compatible, translated) are all refused; the one that IPv6-only networks need (NAT64's well-known prefix) counts as its IPv4
/// address.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    const SPECIAL: [(Ipv6Addr, u32); 5] = [
        (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // protocol assignments, Teredo, ORCHID
        (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
        (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4
        (Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16), // the former test network
        (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
    ];
    let bits = ip.to_bits();
    if bits >> 32 == 0x0064_ff9b_u128 << 64 {
        return is_public_v4(Ipv4Addr::from_bits((bits & 0xffff_ffff) as u32));
    }
    let global_unicast = bits >> 125 == 0b001;
    global_unicast && !SPECIAL.iter().any(|(network, n)| bits >> (128 - n) == network.to_bits() >> (128 - n))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORBIDDEN: &[&str] = &[
        "http://127.0.0.1/",
        "http://127.0.0.1:8080/v1",
        "http://127.1/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://017700000001/",
        "http://127.0.0.1./",
        "http://%31%32%37.0.0.1/",
        "http://127。0。0。1/",
        "http://①②⑦.0.0.1/",
        "http://0/",
        "http://0.0.0.0/",
        "http://10.1.2.3/",
        "http://100.64.0.1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://172.16.0.1/",
        "http://172.31.255.255/",
        "http://192.0.0.1/",
        "http://192.0.2.1/",
        "http://192.88.99.1/",
        "http://192.168.0.1/",
        "http://198.18.0.1/",
        "http://198.19.255.255/",
        "http://198.51.100.7/",
        "http://203.0.113.9/",
        "http://224.0.0.1/",
        "http://239.255.255.250/",
        "http://240.0.0.1/",
        "http://255.255.255.255/",
        "http://[::]/",
        "http://[::1]/",
        "http://[::127.0.0.1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://[::ffff:0:10.0.0.1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[64:ff9b::10.0.0.1]/",
        "http://[64:ff9b:1::8.8.8.8]/",
        "http://[2002:7f00:1::]/",
        "http://[2002:808:808::1]/",
        "http://[2001::1]/",
        "http://[2001:0:7f00:1::]/",
        "http://[2001:db8::1]/",
        "http://[3fff::1]/",
        "http://[100::1]/",
        "http://[5f00::1]/",
        "http://[fc00::1]/",
        "http://[fd12:3456::1]/",
        "http://[fe80::1]/",
        "http://[fec0::1]/",
        "http://[ff02::1]/",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://a.localhost:81/",
    ];

    const BAD: &[&str] = &[
        "",
        "example.com",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com/",
        "javascript:alert(1)",
        "http://",
        "http:///",
        "http://user@example.com/",
        "http://user:pass@example.com/",
        "http://example.com@127.0.0.1/",
        "http://example.com:0/",
        "http://example.com:99999/",
        "http://[::1",
        "http://[fe80::1%25eth0]/",
        "http://256.256.256.256/",
        "http://exa mple.com/",
    ];

    const PUBLIC: &[&str] = &[
        "https://example.com/boleto.pdf",
        "http://8.8.8.8/",
        "http://8.8.8.8:8443/a?b=c#d",
        "http://100.63.255.255/",
        "http://100.128.0.1/",
        "http://172.15.0.1/",
        "http://172.32.0.1/",
        "http://198.17.0.1/",
        "http://223.255.255.254/",
        "http://[2606:4700::1111]/",
        "http://[2a00:1450:4001::1]/",
        "http://[::ffff:8.8.8.8]/",
        "http://[64:ff9b::8.8.8.8]/",
        "http://localhost.example.com/",
        "https://münchen.example/",
    ];

    #[test]
    fn special_addresses_are_refused_in_every_way_of_writing_them() {
        let guard = Guard::default();
        for url in FORBIDDEN {
            assert_eq!(guard.check_url(url), Err(OutboundError::Forbidden), "{url}");
        }
        for url in BAD {
            assert!(matches!(guard.check_url(url), Err(OutboundError::BadUrl(_))), "{url}: {:?}", guard.check_url(url));
        }
        for url in PUBLIC {
            assert_eq!(guard.check_url(url), Ok(()), "{url}");
        }
    }

    #[test]
    fn the_operator_can_allow_addresses_networks_and_names() {
        let allow = ["127.0.0.1", "10.20.0.0/16", "fd00::/8", "Files.internal", "*.lan"].map(str::to_owned);
        let guard = Guard::new(&allow);
        for url in [
            "http://127.0.0.1/",
            "http://0x7f.1/",
            "http://[::ffff:127.0.0.1]/",
            "http://localhost/",
            "http://10.20.3.4/",
            "http://[fd00::1]/",
        ] {
            assert_eq!(guard.check_url(url), Ok(()), "{url}");
        }
        for url in ["http://127.0.0.2/", "http://10.21.0.1/", "http://[::1]/", "http://192.168.0.1/"] {
            assert_eq!(guard.check_url(url), Err(OutboundError::Forbidden), "{url}");
        }
        assert!(guard.allows_host("FILES.internal."));
        assert!(guard.allows_host("a.b.lan"));
        assert!(!guard.allows_host("lan"));
        assert!(!guard.allows_host("evil-lan"));
        assert!(!guard.allows_host("files.internal.example.com"));
    }
}
