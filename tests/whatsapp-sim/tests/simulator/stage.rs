//! A simulator with accounts, and peers paired with them.

use pombo_whatsapp_sim::peer::{Endpoints, Peer};
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
