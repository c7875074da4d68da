//! A SOCKS 5 proxy for tests, with a user and a password. It keeps what it was asked for, and knows names that nobody else does.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::Result;

/// The user that it takes.
pub const USER: &str = "ana";
/// The user's password.
pub const PASSWORD: &str = "s3cret-of-the-proxy";

/// A proxy. Stopped or dropped, it cuts its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    names: Mutex<BTreeMap<String, SocketAddr>>,
    asked: Mutex<Vec<String>>,
    open: Mutex<Vec<TcpStream>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Starts one at this address; port 0 takes any free one.
    pub fn start(address: IpAddr) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let mut proxy = Self { address: SocketAddr::new(address, 0), shared, accepting: None };
        proxy.go_on()?;
        Ok(proxy)
    }

    /// Its URL with this password.
    pub fn url(&self, password: &str) -> String {
        format!("socks5h://{USER}:{password}@{}", self.address)
    }

    /// Makes it know a name.
    pub fn knows(&self, name: &str, address: SocketAddr) {
        lock(&self.shared.names).insert(name.to_owned(), address);
    }

    /// What it was asked for, in order: each as `host:port`, as it was written.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.shared.asked).clone()
    }

    /// Cuts every connection and frees the port.
    pub fn stop(&mut self) {
        self.shared.stopped.store(true, SeqCst);
        for stream in lock(&self.shared.open).drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }

    /// Begins again at the address that it had.
    pub fn go_on(&mut self) -> Result<()> {
        let listener = TcpListener::bind(self.address)?;
        self.address = listener.local_addr()?;
        self.shared.stopped.store(false, SeqCst);
        let shared = self.shared.clone();
        self.accepting = Some(std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stopped.load(SeqCst) {
                    return;
                }
                let shared = shared.clone();
                // How a connection ends is seen by those who use it.
                std::thread::spawn(move || shared.serve(stream).is_ok());
            }
        }));
        Ok(())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        self.keep(&stream)?;
        let methods = bytes(&mut stream, 2)?[1];
        let methods = bytes(&mut stream, methods.into())?;
        if !methods.contains(&2) {
            return stream.write_all(&[5, 0xff]);
        }
        stream.write_all(&[5, 2])?;
        bytes(&mut stream, 1)?;
        let given = (text(&mut stream)?, text(&mut stream)?);
        let fits = given == (USER.to_owned(), PASSWORD.to_owned());
        stream.write_all(&[1, u8::from(!fits)])?;
        if !fits {
            return Ok(());
        }
        let host = match bytes(&mut stream, 4)?[3] {
            1 => {
                IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes(&mut stream, 4)?).unwrap_or_default())).to_string()
            }
            4 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes(&mut stream, 16)?).unwrap_or_default()))
                .to_string(),
            _ => text(&mut stream)?,
        };
        let port = bytes(&mut stream, 2)?;
        let port = u16::from_be_bytes([port[0], port[1]]);
        lock(&self.asked).push(format!("{host}:{port}"));
        let known = lock(&self.names).get(&host).copied();
        let address = known.or_else(|| Some(SocketAddr::new(host.parse().ok()?, port)));
        let server = address.and_then(|address| TcpStream::connect(address).ok());
        let code = if server.is_some() { 0 } else { 4 };
        stream.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0])?;
        let Some(server) = server else { return Ok(()) };
        self.keep(&server)?;
        let (from, to) = (stream.try_clone()?, server.try_clone()?);
        let up = std::thread::spawn(move || pass(from, to));
        pass(server, stream);
        // What it says was seen by those who use the connection.
        let _ = up.join();
        Ok(())
    }

    /// Keeps a connection, to cut it when the proxy stops.
    fn keep(&self, stream: &TcpStream) -> io::Result<()> {
        let mut open = lock(&self.open);
        if self.stopped.load(SeqCst) {
            return stream.shutdown(Shutdown::Both);
        }
        open.push(stream.try_clone()?);
        Ok(())
    }
}

/// Passes on what comes, and its end.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    // A connection that breaks ends like one that is closed.
    let _ = io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

fn bytes(stream: &mut TcpStream, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A text with its length before it.
fn text(stream: &mut TcpStream) -> io::Result<String> {
    let length = bytes(stream, 1)?[0];
    Ok(String::from_utf8_lossy(&bytes(stream, length.into())?).into_owned())
}
