//! One task per connection: handshake, then pairing or login, then the router of stanzas. It owns the socket; everyone else
//! reaches it through its [`SessionHandle`]. Nothing is polled: the task sleeps until the socket or the handle wakes it.

mod code;
pub mod iq;
mod keys;
mod login;
mod message;
mod pairing;
mod passkey;
mod presence;
mod receipt;
mod router;
mod settings;
mod usync;

use std::sync::Arc;

use tokio::{net::TcpStream, sync::mpsc};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use wacore_binary::{Jid, Node, NodeContent, builder::NodeBuilder};

pub(crate) use code::primary_hello;
pub(crate) use keys::take_bundle;
pub(crate) use login::remove_companion;
pub(crate) use message::distribute;
pub(crate) use pairing::complete as complete_pairing;
pub(crate) use passkey::demand as demand_passkey;
pub(crate) use presence::send_chatstate;
pub(crate) use receipt::send as send_receipt;
pub(crate) use settings::trust;

use crate::{
    Shutdown,
    faults::LoginRefusal,
    journal::Direction,
    web_version,
    wire::{ClientHello, Link, LinkError, SealedLink},
    world::{DeviceId, World},
};

/// How many queued stanzas go into one write.
const BURST: usize = 64;

/// The way to a connection from everywhere else. Queues only.
#[derive(Clone)]
pub struct SessionHandle {
    /// Who is connected. A client that is not paired yet has no number.
    pub device: DeviceId,
    /// Names the connection.
    pub connection: u64,
    outbound: mpsc::UnboundedSender<Outbound>,
}

/// What a session is asked to do.
enum Outbound {
    Stanza(Node),
    /// Send this last stanza, end the stream and close.
    End(Option<Node>),
    /// Cut the socket, without a word.
    Cut,
}

impl SessionHandle {
    /// Sends a stanza. A session that has ended ignores it: what must arrive is in the device's queue.
    pub fn send(&self, stanza: Node) {
        self.ask(Outbound::Stanza(stanza));
    }

    /// Sends a last stanza and closes.
    pub fn end(&self, last: Option<Node>) {
        self.ask(Outbound::End(last));
    }

    /// Cuts the socket, as a network does.
    pub fn cut(&self) {
        self.ask(Outbound::Cut);
    }

    fn ask(&self, outbound: Outbound) {
        if self.outbound.send(outbound).is_err() {
            tracing::trace!(connection = self.connection, "the session ended before");
        }
    }
}

/// `<stream:error code=…>`.
pub(crate) fn stream_error(code: u16) -> Node {
    NodeBuilder::new("stream:error").attr("code", u32::from(code)).build()
}

/// `<stream:error code="401"><conflict type="device_removed"/>`: the device is no longer a companion.
pub(crate) fn removed() -> Node {
    let mut removed = stream_error(401);
    removed.content =
        Some(NodeContent::Nodes(vec![NodeBuilder::new("conflict").attr("type", "device_removed").build()]));
    removed
}

/// `<stream:error><conflict type="replaced"/>`, without a code: another connection took this one's place.
pub(crate) fn replaced() -> Node {
    NodeBuilder::new("stream:error").children([NodeBuilder::new("conflict").attr("type", "replaced").build()]).build()
}

/// `<stream:error><ack/>`: the client acknowledged what it was not sent.
pub(crate) fn wrong_ack(ack: &Node) -> Node {
    NodeBuilder::new("stream:error").children([ack.clone()]).build()
}

/// Serves one connection until it ends.
pub(crate) async fn serve(stream: TcpStream, world: Arc<World>, mut shutdown: Shutdown) {
    let connection = world.next_serial();
    let run = connect(stream, world.clone(), connection);
    let ended = tokio::select! {
        ended = run => ended,
        () = shutdown.requested() => Ok(()),
    };
    world.pairings.lock().forget(connection);
    world.passkeys.lock().linkings.remove(&connection);
    match ended {
        Ok(()) | Err(LinkError::Closed | LinkError::Socket(_)) => {}
        Err(LinkError::Protocol(e)) => tracing::warn!(connection, error = %e, "a client broke the protocol"),
    }
}

async fn connect(mut stream: TcpStream, world: Arc<World>, connection: u64) -> Result<(), LinkError> {
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!(error = %e, "cannot set TCP_NODELAY");
    }
    if world.web_version.answers(&mut stream).await.map_err(|e| LinkError::Socket(e.into()))? {
        return Ok(());
    }
    // A frame may be as large as the protocol's 16 MiB; an idle session should hold next to nothing.
    let config = WebSocketConfig::default()
        .max_message_size(Some(32 << 20))
        .max_frame_size(Some(32 << 20))
        .read_buffer_size(4096)
        .write_buffer_size(0);
    let socket = tokio_tungstenite::accept_async_with_config(stream, Some(config)).await?;
    let mut link = Link::new(socket);
    let hello = link.frame().await?;
    if link.routing().is_some() {
        world.count_routed();
    }
    let protocol = |e: crate::wire::HandshakeError| LinkError::Protocol(e.to_string());
    let mut client =
        match ClientHello::read(&world.identity, &hello, world.faults.accepts_resumption()).map_err(protocol)? {
            ClientHello::Complete { reply, client } => {
                link.send(&reply).await?;
                client
            }
            ClientHello::Pending { reply, pending } => {
                link.send(&reply).await?;
                let finish = link.frame().await?;
                pending.finish(&finish).map_err(protocol)?
            }
        };
    let mut sealed = link.seal(client.write, client.read);
    if world.web_version.refuses(&client.payload) {
        let refusal = login::failure(&LoginRefusal { reason: web_version::OUTDATED, ..LoginRefusal::default() });
        return refuse(&world, sealed, (connection, &DeviceId::new("", 0)), &refusal).await;
    }
    let (outbound, inbox) = mpsc::unbounded_channel();
    let registration = client.payload.device_pairing_data.take();
    match (client.payload.username, registration) {
        (None, Some(registration)) => {
            let handle = SessionHandle { device: DeviceId::new("", 0), connection, outbound };
            pairing::begin(&world, &handle, client.noise_key, &registration)?;
            let unpaired = handle.device.clone();
            world.note_begin(connection, &unpaired);
            let ended = Session { world: world.clone(), handle, inbox, kind: Kind::Pairing }.run(&mut sealed).await;
            world.note_end(connection, &unpaired, &reason(&ended));
            ended?.settle(sealed).await;
            Ok(())
        }
        (Some(username), _) => {
            let device = client.payload.device.and_then(|device| u16::try_from(device).ok()).unwrap_or(0);
            match login::admit(&world, &username.to_string(), device, &client.noise_key) {
                Err(refusal) => {
                    let known = world.resolve_device(&Jid::pn_device(username.to_string(), device));
                    let device = known.unwrap_or_else(|| DeviceId::new("", 0));
                    refuse(&world, sealed, (connection, &device), &refusal).await
                }
                Ok(device) => {
                    let handle = SessionHandle { device, connection, outbound };
                    let leaving = Leaving { world: world.clone(), session: handle.clone() };
                    let device = handle.device.clone();
                    world.note_begin(connection, &device);
                    login::begin(&world, &handle, &client.payload);
                    let ended =
                        Session { world: world.clone(), handle, inbox, kind: Kind::LoggedIn }.run(&mut sealed).await;
                    // Whoever was told goodbye is offline from then on, however long it takes to close its end.
                    drop(leaving);
                    world.note_end(connection, &device, &reason(&ended));
                    ended?.settle(sealed).await;
                    Ok(())
                }
            }
        }
        (None, None) => Err(LinkError::Protocol("the payload is neither a login nor a registration".into())),
    }
}

/// Tells a client that it is not let in.
async fn refuse(
    world: &World,
    mut link: SealedLink,
    (connection, device): (u64, &DeviceId),
    refusal: &Node,
) -> Result<(), LinkError> {
    world.note_stanza(connection, device, Direction::Out, refusal);
    link.queue(refusal)?;
    link.flush().await?;
    world.note_end(connection, device, &format!("refused {}", iq::attr(refusal, "reason")));
    link.close().await;
    Ok(())
}

/// Why a session ended, as the journal has it.
fn reason(ended: &Result<Ended, LinkError>) -> String {
    match ended {
        Ok(Ended::Farewell(reason)) => reason.clone(),
        Ok(Ended::Cut) => "cut".to_owned(),
        Err(LinkError::Closed | LinkError::Socket(_)) => "left".to_owned(),
        Err(LinkError::Protocol(_)) => "protocol".to_owned(),
    }
}

/// What a last stanza says about the end.
fn farewell(last: Option<&Node>) -> String {
    let Some(last) = last else { return "closed".to_owned() };
    if last.get_optional_child("ack").is_some() {
        return "wrongAck".to_owned();
    }
    match last.get_optional_child("conflict").map(|conflict| iq::attr(conflict, "type")) {
        Some(conflict) if conflict == "device_removed" => "loggedOut".to_owned(),
        Some(conflict) => conflict,
        None => format!("streamError {}", iq::attr(last, "code")),
    }
}

/// However a logged-in session ends, the world learns it.
struct Leaving {
    world: Arc<World>,
    session: SessionHandle,
}

impl Drop for Leaving {
    fn drop(&mut self) {
        login::leave(&self.world, &self.session);
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Pairing,
    LoggedIn,
}

/// How a session ended.
enum Ended {
    /// Its last stanza was sent; what it said.
    Farewell(String),
    /// The socket is to be cut.
    Cut,
}

impl Ended {
    async fn settle(self, link: SealedLink) {
        match self {
            Self::Farewell(_) => link.close().await,
            Self::Cut => drop(link),
        }
    }
}

struct Session {
    world: Arc<World>,
    handle: SessionHandle,
    inbox: mpsc::UnboundedReceiver<Outbound>,
    kind: Kind,
}

impl Session {
    fn note(&self, direction: Direction, node: &Node) {
        self.world.note_stanza(self.handle.connection, &self.handle.device, direction, node);
    }

    async fn run(mut self, link: &mut SealedLink) -> Result<Ended, LinkError> {
        loop {
            tokio::select! {
                biased;
                Some(outbound) = self.inbox.recv() => {
                    let mut next = Some(outbound);
                    let mut taken = 0;
                    while let Some(outbound) = next.take() {
                        match outbound {
                            Outbound::Stanza(stanza) => {
                                link.queue(&stanza)?;
                                self.note(Direction::Out, &stanza);
                                if self.world.faults.counts_out(&self.handle.device) {
                                    link.flush().await?;
                                    return Ok(Ended::Cut);
                                }
                            }
                            Outbound::End(last) => {
                                if let Some(last) = &last {
                                    link.queue(last)?;
                                    self.note(Direction::Out, last);
                                }
                                link.queue(&NodeBuilder::new("xmlstreamend").build())?;
                                link.flush().await?;
                                return Ok(Ended::Farewell(farewell(last.as_ref())));
                            }
                            Outbound::Cut => return Ok(Ended::Cut),
                        }
                        taken += 1;
                        if taken < BURST {
                            next = self.inbox.try_recv().ok();
                        }
                    }
                    link.flush().await?;
                }
                node = link.node() => {
                    let node = node?;
                    self.note(Direction::In, &node);
                    match self.kind {
                        Kind::Pairing => pairing::route(&self.world, &self.handle, &node),
                        Kind::LoggedIn => router::route(&self.world, &self.handle, &node),
                    }
                    self.world.journal.touch();
                    if self.world.faults.counts_in(&self.handle.device) {
                        return Ok(Ended::Cut);
                    }
                }
            }
        }
    }
}
