//! A network namespace of a test's own: what runs in it reaches this process by one address, and nothing else. It needs the rights of root
//! and the programs `unshare`, `nsenter` and `ip`.
//!
//! The namespace has no loopback and no route, so that whatever is sent anywhere else (a name to be resolved included) fails at once, and
//! the kernel counts it.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::process::Watched;
use crate::wait::until;

/// A namespace. It ends with its value.
#[derive(Debug)]
pub struct Namespace {
    /// Sleeps in it, and so keeps it.
    holder: Watched,
    outside: Ipv4Addr,
    inside: Ipv4Addr,
}

fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output().with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        bail!("{program} {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn namespace_of(process: &str) -> Result<std::path::PathBuf> {
    Ok(std::fs::read_link(Path::new("/proc").join(process).join("ns/net"))?)
}

impl Namespace {
    /// Makes one. An error says why this machine or this user cannot.
    pub fn make() -> Result<Self> {
        let ours = namespace_of("self")?;
        let mut holder = Watched::start(Command::new("unshare").args(["--net", "sleep", "infinity"]))?;
        let id = holder.id().to_string();
        until("the namespace", Duration::from_secs(10), || {
            if let Some(status) = holder.ended()? {
                bail!("unshare ended: {status}");
            }
            Ok(namespace_of(&id).ok().filter(|now| *now != ours))
        })?;
        // One network of four addresses for each process and namespace; names of links have at most 15 characters.
        let block = holder.id() % 0x4000;
        let address = |last: u32| Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 231, 0, 0)) + block * 4 + last);
        let (outside, inside) = (address(1), address(2));
        let (near, far) = (format!("pb{id}a"), format!("pb{id}b"));
        run("ip", &["link", "add", &near, "type", "veth", "peer", "name", &far, "netns", &id])?;
        run("ip", &["address", "add", &format!("{outside}/30"), "dev", &near])?;
        run("ip", &["link", "set", &near, "up"])?;
        let namespace = Self { holder, outside, inside };
        namespace.run("ip", &["address", "add", &format!("{inside}/30"), "dev", &far])?;
        namespace.run("ip", &["link", "set", &far, "up"])?;
        Ok(namespace)
    }

    /// The address of this process as seen from inside.
    pub fn outside(&self) -> Ipv4Addr {
        self.outside
    }

    /// The address of what runs inside.
    pub fn inside(&self) -> Ipv4Addr {
        self.inside
    }

    /// What becomes a program that follows it, inside the namespace.
    pub fn wrapper(&self) -> Vec<String> {
        ["nsenter", "--target", &self.holder.id().to_string(), "--net", "--"].map(str::to_owned).into()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let wrapper = self.wrapper();
        let mut all: Vec<&str> = wrapper[1..].iter().map(String::as_str).collect();
        all.push(program);
        all.extend(arguments);
        run(&wrapper[0], &all)
    }

    /// How often something inside wanted to reach what is not there: the kernel's `OutNoRoutes`, of IPv4 and IPv6.
    pub fn astray(&self) -> Result<u64> {
        let four = self.run("cat", &["/proc/net/snmp"])?;
        let mut lines = four.lines().filter_map(|line| line.strip_prefix("Ip: "));
        let (names, values) = lines.next().zip(lines.next()).context("no figures of IP")?;
        let place = names.split(' ').position(|name| name == "OutNoRoutes").context("no OutNoRoutes")?;
        let four: u64 = values.split(' ').nth(place).context("no value")?.parse()?;
        // A kernel without IPv6 has no such file.
        let six = self.run("cat", &["/proc/net/snmp6"]).unwrap_or_default();
        let six = six.lines().find_map(|line| line.strip_prefix("Ip6OutNoRoutes")).map(str::trim);
        Ok(four + six.map(str::parse::<u64>).transpose()?.unwrap_or(0))
    }

    /// Shows that [`Self::astray`] counts connections to another address and to this machine, and datagrams, as questions for names are.
    pub fn prove(&self) -> Result<()> {
        for stray in ["exec 3<>/dev/tcp/192.0.2.1/9", "exec 3<>/dev/tcp/127.0.0.1/9", "exec 3<>/dev/udp/192.0.2.1/53"] {
            let before = self.astray()?;
            ensure!(self.run("bash", &["-c", stray]).is_err(), "{stray}: it came through");
            ensure!(self.astray()? > before, "{stray}: it was not counted");
        }
        Ok(())
    }
}
