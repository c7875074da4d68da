//! A simulator with accounts, and peers paired with them.

use std::time::Duration;

use pombo_whatsapp_sim::peer::{Endpoints, PATIENCE, Peer};
use pombo_whatsapp_sim::world::NewAccount;
use pombo_whatsapp_sim::{Options, Simulator};

/// Numbers of accounts. None is anybody's.
pub(crate) const ANA: &str = "5511900000001";
pub(crate) const BIA: &str = "5511900000002";
pub(crate) const CAIO: &str = "5511900000003";
pub(crate) const DUDA: &str = "5511900000004";

/// A simulator with these accounts.
pub(crate) async fn stage(phones: &[&str]) -> Simulator {
    let simulator = Simulator::start(Options::default()).await.expect("the simulator starts");
    for phone in phones {
        let account = NewAccount { phone: (*phone).to_owned(), ..Default::default() };
        simulator.world().register(account).expect("the account is new");
    }
    simulator
}

/// The same, with every account addressed by LID.
pub(crate) async fn lid_stage(phones: &[&str]) -> Simulator {
    let simulator = Simulator::start(Options::default()).await.expect("the simulator starts");
    for phone in phones {
        let account = NewAccount { phone: (*phone).to_owned(), lid_addressed: true, ..Default::default() };
        simulator.world().register(account).expect("the account is new");
    }
    simulator
}

/// A companion of the account, paired by QR.
pub(crate) async fn pair(simulator: &Simulator, phone: &str) -> Peer {
    Peer::pair(Endpoints::from(simulator), phone).await.expect("the peer pairs")
}

/// Two accounts with a companion each.
pub(crate) async fn two() -> (Simulator, Peer, Peer) {
    let simulator = stage(&[ANA, BIA]).await;
    let (ana, bia) = tokio::join!(pair(&simulator, ANA), pair(&simulator, BIA));
    (simulator, ana, bia)
}

/// Waits until a person's phone has decrypted a message: its receipt says so to the sender.
pub(crate) async fn phone_has(sender: &Peer, phone: &str, id: &str) {
    let from = format!("{phone}@s.whatsapp.net");
    sender
        .wait_for("the phone's receipt", |e| e.receipts.iter().any(|r| r.id == id && r.from == from).then_some(()))
        .await
        .expect("the phone has it");
}

/// The status and the body of a GET, over a plain socket.
pub(crate) async fn get(url: &str) -> (u16, Vec<u8>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let rest = url.strip_prefix("http://").expect("http");
    let (host, path) = rest.split_once('/').expect("a path");
    let mut stream = tokio::net::TcpStream::connect(host).await.expect("connects");
    let request = format!("GET /{path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("written");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("read");
    let status = std::str::from_utf8(&answer[9..12]).expect("a status line").parse().expect("a status");
    let body = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("headers") + 4;
    (status, answer.split_off(body))
}

/// Looks again and again, for at most [`PATIENCE`], at what nobody tells a test of.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut pause = tokio::time::interval(Duration::from_millis(5));
    let found = async {
        loop {
            pause.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("waited {PATIENCE:?} for {what}"))
}
