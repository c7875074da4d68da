//! A proxy that a test runs itself, on loopback: SOCKS 5 and the method CONNECT on one port, told apart by the first byte. It keeps what
//! it was asked for, and knows names that nobody else does.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A running proxy. Dropped, it ends with all its connections.
pub struct TestProxy {
    port: u16,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    login: Option<(String, String)>,
    names: Mutex<BTreeMap<String, SocketAddr>>,
    asked: Mutex<Vec<String>>,
}

impl Drop for TestProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TestProxy {
    /// One that takes everybody.
    pub async fn start() -> Self {
        Self::listening(0, None).await
    }

    /// One that takes only who knows this user name and this password.
    pub async fn with_login(user: &str, password: &str) -> Self {
        Self::listening(0, Some((user.to_owned(), password.to_owned()))).await
    }

    /// One that takes everybody, on a port that is free.
    pub async fn start_on(port: u16) -> Self {
        Self::listening(port, None).await
    }

    async fn listening(port: u16, login: Option<(String, String)>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
        let port = listener.local_addr().expect("bound").port();
        let shared = Arc::new(Shared { login, names: Mutex::default(), asked: Mutex::default() });
        let serving = shared.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                while connections.try_join_next().is_some() {}
                let shared = serving.clone();
                // How a connection ends is seen by those who use it.
                connections.spawn(async move { shared.serve(stream).await.is_ok() });
            }
        });
        Self { port, shared, task }
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Makes it know a name.
    pub fn knows(&self, name: &str, address: SocketAddr) {
        self.shared.names.lock().insert(name.to_owned(), address);
    }

    /// What it was asked for, in order: each as `host:port`, as it was written.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().clone()
    }

    /// Ends it, cuts its connections and frees its port.
    pub async fn stop(mut self) {
        self.task.abort();
        // It was aborted.
        let _ = (&mut self.task).await;
    }
}

impl Shared {
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let server = match stream.read_u8().await? {
            5 => self.socks(&mut stream).await?,
            _ => self.connect(&mut stream).await?,
        };
        if let Some(mut server) = server {
            tokio::io::copy_bidirectional(&mut stream, &mut server).await?;
        }
        Ok(())
    }

    async fn reach(&self, host: &str, port: u16) -> Option<TcpStream> {
        self.asked.lock().push(format!("{host}:{port}"));
        let known = self.names.lock().get(host).copied();
        let address = known.or_else(|| Some(SocketAddr::new(host.parse::<IpAddr>().ok()?, port)))?;
        TcpStream::connect(address).await.ok()
    }

    /// `None` when it refused.
    async fn socks(&self, stream: &mut TcpStream) -> io::Result<Option<TcpStream>> {
        let mut methods = vec![0; usize::from(stream.read_u8().await?)];
        stream.read_exact(&mut methods).await?;
        let wanted = if self.login.is_some() { 2 } else { 0 };
        if !methods.contains(&wanted) {
            stream.write_all(&[5, 0xff]).await?;
            return Ok(None);
        }
        stream.write_all(&[5, wanted]).await?;
        if let Some((user, password)) = &self.login {
            stream.read_u8().await?;
            let given = (text(stream).await?, text(stream).await?);
            let fits = (&given.0, &given.1) == (user, password);
            stream.write_all(&[1, u8::from(!fits)]).await?;
            if !fits {
                return Ok(None);
            }
        }
        let mut head = [0; 4];
        stream.read_exact(&mut head).await?;
        let host = match head[3] {
            1 => IpAddr::from(stream.read_u32().await?.to_be_bytes()).to_string(),
            4 => IpAddr::from(stream.read_u128().await?.to_be_bytes()).to_string(),
            _ => text(stream).await?,
        };
        let port = stream.read_u16().await?;
        let server = self.reach(&host, port).await;
        let code = if server.is_some() { 0 } else { 4 };
        stream.write_all(&[5, code, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
        Ok(server)
    }

    /// `None` when it refused.
    async fn connect(&self, stream: &mut TcpStream) -> io::Result<Option<TcpStream>> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let credentials = self.login.as_ref().map(|(user, password)| STANDARD.encode(format!("{user}:{password}")));
        let expected = credentials.map(|text| format!("proxy-authorization: basic {}", text.to_ascii_lowercase()));
        if expected.is_some_and(|expected| !head.lines().any(|line| line.to_ascii_lowercase() == expected)) {
            stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await?;
            return Ok(None);
        }
        let authority = head.split(' ').nth(1).unwrap_or_default();
        let (host, port) = authority.rsplit_once(':').unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let server = self.reach(host, port.parse().unwrap_or_default()).await;
        let answer: &[u8] = match server {
            Some(_) => b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n",
            None => b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
        };
        stream.write_all(answer).await?;
        Ok(server)
    }
}

/// A text with its length before it.
async fn text(stream: &mut TcpStream) -> io::Result<String> {
    let mut bytes = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
