//! Starts and stops the servers around a world.

use std::{future::Future, net::SocketAddr, sync::Arc};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::{Error, World, admin, media, phone, session};

/// Where to listen. Port 0 takes any free one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ports {
    /// The websocket of the protocol.
    pub ws: u16,
    /// Uploads and downloads.
    pub media: u16,
    /// The admin.
    pub admin: u16,
}

/// How to start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Where to listen, on 127.0.0.1.
    pub ports: Ports,
}

/// Tells tasks to stop.
#[derive(Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Waits until the simulator stops.
    pub async fn requested(&mut self) {
        // The sender gone means the same.
        if self.0.wait_for(|stop| *stop).await.is_err() {
            tracing::trace!("the simulator was dropped");
        }
    }
}

/// A running simulator. Dropped, it stops without waiting.
pub struct Simulator {
    world: Arc<World>,
    ports: Ports,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Simulator {
    /// Starts with an empty world.
    pub async fn start(options: Options) -> Result<Self, Error> {
        Self::start_with(World::new(), options.ports).await
    }

    /// Starts around a world that exists: after [`stop`](Self::stop), that is a restart of the server.
    pub async fn start_with(world: Arc<World>, ports: Ports) -> Result<Self, Error> {
        let (ws, ws_port) = listen(ports.ws).await?;
        let (media, media_port) = listen(ports.media).await?;
        let (admin, admin_port) = listen(ports.admin).await?;
        let ports = Ports { ws: ws_port, media: media_port, admin: admin_port };
        world.set_media_host(format!("127.0.0.1:{media_port}"));
        let (stop, watch) = watch::channel(false);
        let shutdown = Shutdown(watch);
        let tasks = vec![
            tokio::spawn(accept(ws, world.clone(), shutdown.clone())),
            tokio::spawn(media::serve(media, world.clone(), shutdown.clone())),
            tokio::spawn(admin::serve(admin, world.clone(), shutdown.clone())),
            tokio::spawn(phone::run(world.clone(), shutdown)),
        ];
        Ok(Self { world, ports, stop, tasks })
    }

    /// What the server remembers.
    pub fn world(&self) -> &Arc<World> {
        &self.world
    }

    /// The ports it listens on.
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Where clients connect.
    pub fn ws_url(&self) -> String {
        format!("ws://127.0.0.1:{}/ws/chat", self.ports.ws)
    }

    /// The admin.
    pub fn admin_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.admin)
    }

    /// `host:port` of the media server.
    pub fn media_host(&self) -> String {
        format!("127.0.0.1:{}", self.ports.media)
    }

    /// Stops: cuts every connection and waits until the ports are free. The world stays.
    pub async fn stop(mut self) -> (Arc<World>, Ports) {
        self.stop.send_replace(true);
        for task in self.tasks.drain(..) {
            if let Err(e) = task.await {
                tracing::error!(error = %e, "a task of the simulator failed");
            }
        }
        (self.world.clone(), self.ports)
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

async fn listen(port: u16) -> Result<(TcpListener, u16), Error> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let failed = |source| Error::Listen { address: address.to_string(), source };
    let socket = tokio::net::TcpSocket::new_v4().map_err(failed)?;
    // A restart takes the same port although old connections linger.
    socket.set_reuseaddr(true).map_err(failed)?;
    socket.bind(address).map_err(failed)?;
    let listener = socket.listen(1024).map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    Ok((listener, port))
}

async fn accept(listener: TcpListener, world: Arc<World>, mut shutdown: Shutdown) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.requested() => break,
            Some(_) = sessions.join_next(), if !sessions.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => admit(&mut sessions, stream, &world, &shutdown),
                Err(e) => {
                    tracing::warn!(error = %e, "cannot accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            },
        }
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

fn admit(sessions: &mut JoinSet<()>, stream: TcpStream, world: &Arc<World>, shutdown: &Shutdown) {
    if world.faults.is_closed(world.clock.now()) {
        return;
    }
    let serving: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> =
        Box::pin(session::serve(stream, world.clone(), shutdown.clone()));
    sessions.spawn(serving);
}
