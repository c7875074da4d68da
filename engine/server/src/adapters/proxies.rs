//! Which proxies connectors may use: those that the operator lists, wherever they are, and others if the operator lets tenants choose.
//!
//! A proxy that a tenant chose is reached by the engine itself, so its address is guarded like every other that a tenant chose: a private
//! one is refused unless the operator lists the proxy.

use std::net::IpAddr;

use ipnet::IpNet;
use pombo_domain::ports::{OutboundGuard, ProxyPolicy};

use super::guard::Guard;
use crate::config::{Proxies, parse_network, parse_proxy_host};

/// The policy, as configured.
pub(crate) struct AllowedProxies {
    mode: Proxies,
    networks: Vec<IpNet>,
    /// In lower case, without a trailing dot, with the port where the entry has one.
    hosts: Vec<(String, Option<u16>)>,
    /// What is public.
    public: Guard,
}

impl AllowedProxies {
    /// The entries are checked by the configuration: `host`, `host:port`, addresses, networks.
    pub(crate) fn new(mode: Proxies, entries: &[String]) -> Self {
        let mut policy = Self { mode, networks: Vec::new(), hosts: Vec::new(), public: Guard::default() };
        for entry in entries {
            match (parse_network(entry), parse_proxy_host(entry)) {
                (Some(network), _) => policy.networks.push(network),
                (None, Some((host, port))) => policy.hosts.push((normal(host), port)),
                (None, None) => {}
            }
        }
        policy
    }

    fn lists(&self, host: &str, port: u16) -> bool {
        let address = host.parse::<IpAddr>().ok();
        let host = normal(host);
        self.hosts.iter().any(|(listed, only)| *listed == host && only.is_none_or(|only| only == port))
            || address.is_some_and(|address| self.covers(address))
    }

    fn covers(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }
}

fn normal(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

impl ProxyPolicy for AllowedProxies {
    fn check_proxy(&self, host: &str, port: u16) -> Result<(), String> {
        if self.mode == Proxies::None {
            return Err("the operator of this engine allows no proxies".to_owned());
        }
        if self.lists(host, port) {
            return Ok(());
        }
        // A name may still have a listed address: that is looked at when it is connected to.
        if self.mode == Proxies::Listed && (host.parse::<IpAddr>().is_ok() || self.networks.is_empty()) {
            return Err("it is not among those that the operator of this engine lists".to_owned());
        }
        match host.parse::<IpAddr>() {
            Ok(address) if !self.public.check_address(address) => {
                Err("its address is private, and the operator of this engine does not list it".to_owned())
            }
            _ => Ok(()),
        }
    }

    fn check_proxy_address(&self, host: &str, port: u16, address: IpAddr) -> bool {
        if self.mode == Proxies::None {
            return false;
        }
        self.lists(host, port)
            || self.covers(address)
            || (self.mode == Proxies::Any && self.public.check_address(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(mode: Proxies, entries: &[&str]) -> AllowedProxies {
        AllowedProxies::new(mode, &entries.iter().map(|entry| (*entry).to_owned()).collect::<Vec<_>>())
    }

    /// Whether it may be chosen, and whether it may be reached at this address.
    fn allowed(policy: &AllowedProxies, host: &str, port: u16, address: &str) -> (bool, bool) {
        let address = address.parse().expect("an address");
        (policy.check_proxy(host, port).is_ok(), policy.check_proxy_address(host, port, address))
    }

    #[test]
    fn a_private_proxy_is_used_only_if_it_is_listed() {
        let open = policy(Proxies::Any, &["127.0.0.1:1080", "gate.lan", "10.8.0.0/16", "[fd00::1]:3128"]);
        for (host, port, address, expected) in [
            ("proxy.example", 1080, "8.8.8.8", (true, true)),
            ("proxy.example", 1080, "127.0.0.1", (true, false)),
            ("proxy.example", 1080, "10.8.1.1", (true, true)),
            ("8.8.8.8", 1, "8.8.8.8", (true, true)),
            ("127.0.0.1", 1080, "127.0.0.1", (true, true)),
            ("127.0.0.1", 1081, "127.0.0.1", (false, false)),
            ("10.8.1.1", 9, "10.8.1.1", (true, true)),
            ("10.9.1.1", 9, "10.9.1.1", (false, false)),
            ("::ffff:10.9.1.1", 9, "::ffff:10.9.1.1", (false, false)),
            ("fd00::1", 3128, "fd00::1", (true, true)),
            ("fd00::1", 3129, "fd00::1", (false, false)),
            ("Gate.LAN.", 5, "192.168.0.1", (true, true)),
            ("169.254.169.254", 80, "169.254.169.254", (false, false)),
        ] {
            assert_eq!(allowed(&open, host, port, address), expected, "{host}:{port} at {address}");
        }
    }

    #[test]
    fn an_operator_can_choose_for_tenants_or_forbid() {
        let listed = policy(Proxies::Listed, &["proxy.example:1080"]);
        assert_eq!(allowed(&listed, "proxy.example", 1080, "10.0.0.1"), (true, true));
        assert_eq!(allowed(&listed, "proxy.example", 1081, "8.8.8.8"), (false, false));
        assert_eq!(allowed(&listed, "8.8.8.8", 1080, "8.8.8.8"), (false, false));
        let network = policy(Proxies::Listed, &["10.8.0.0/16"]);
        assert_eq!(allowed(&network, "name.example", 1, "10.8.0.1"), (true, true));
        assert_eq!(allowed(&network, "name.example", 1, "8.8.8.8"), (true, false), "decided when it is connected to");
        let none = policy(Proxies::None, &["proxy.example"]);
        assert_eq!(allowed(&none, "proxy.example", 1, "8.8.8.8"), (false, false));
    }
}
