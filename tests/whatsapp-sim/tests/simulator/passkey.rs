//! Accounts that demand a passkey: a native client goes through the whole handshake with the passkey in software, and each way to stall
//! is one that the client sees.

use pombo_whatsapp_sim::faults::PasskeyFault;
use pombo_whatsapp_sim::peer::{Endpoints, Peer};
use pombo_whatsapp_sim::world::NewAccount;
use pombo_whatsapp_sim::{Options, Simulator};
use serde_json::{Value, json};
use whatsapp_rust::passkey::{Assertion, parse_request_options};

use crate::stage::{ANA, eventually};

/// A simulator with an account that demands a passkey, and a client that shows a code.
async fn demanding(fault: Option<PasskeyFault>) -> (Simulator, Peer) {
    let simulator = Simulator::start(Options::default()).await.expect("the simulator starts");
    let account = NewAccount { phone: ANA.to_owned(), demands_passkey: true, ..Default::default() };
    simulator.world().register(account).expect("the account is new");
    if let Some(fault) = fault {
        simulator.world().faults.on_next_passkey(ANA, fault);
    }
    let peer = Peer::new(Endpoints::from(&simulator), ANA);
    peer.connect().await.expect("connects");
    let qr = peer.wait_for("a QR code", |e| e.qr_codes.last().cloned()).await.expect("shown");
    let scanned = peer.admin(&format!("/phones/{ANA}/scan"), &json!({ "qr": qr })).await.expect("scanned");
    assert_eq!(scanned, json!({"asksForPasskey": true}));
    (simulator, peer)
}

async fn told(peer: &Peer, what: &'static str) -> String {
    peer.wait_for(what, |e| e.told.iter().find(|(kind, _)| *kind == what).map(|(_, of)| of.clone()))
        .await
        .expect("told")
}

/// Asks the account's passkey and gives its answer.
async fn give(simulator: &Simulator, peer: &Peer) -> Result<(), String> {
    let options = told(peer, "passkey").await;
    let asked = parse_request_options(&options).expect("options of WebAuthn");
    let passkey = simulator.world().passkey(ANA).expect("it demands one");
    assert_eq!(asked.allow_credentials, [passkey.credential()]);
    let options: Value = serde_json::from_str(&options).expect("JSON");
    let answer = passkey.answer(&options).expect("a challenge");
    let assertion =
        Assertion { assertion_json: answer.to_string().into_bytes(), credential_id: passkey.credential().to_vec() };
    let client = peer.client().expect("connected");
    client.send_passkey_response(assertion).await.map_err(|error| error.to_string())
}

/// Compares the code and confirms it.
async fn confirm(simulator: &Simulator, peer: &Peer) -> Result<(), String> {
    let ours = told(peer, "passkey-code").await;
    let theirs = eventually("the code on the phone", async || simulator.world().passkey_code(ANA)).await;
    assert_eq!(ours, theirs);
    let client = peer.client().expect("connected");
    client.send_passkey_confirmation().await.map_err(|error| error.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_is_linked_with_its_passkey() {
    for fault in [None, Some(PasskeyFault::WithoutOptions)] {
        let (simulator, peer) = demanding(fault).await;
        assert!(simulator.world().devices(ANA).iter().all(|device| device.device == 0), "not before the passkey");
        give(&simulator, &peer).await.expect("taken");
        confirm(&simulator, &peer).await.expect("taken");
        peer.wait_for("the first login", |e| (e.logins > 0).then_some(())).await.expect("logged in");
        peer.reconnect().await.expect("the session is a session like any other");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_passkey_is_refused() {
    let (simulator, peer) = demanding(None).await;
    let options: Value = serde_json::from_str(&told(&peer, "passkey").await).expect("JSON");
    let other = pombo_whatsapp_sim::authenticator::Authenticator::new();
    let mine = simulator.world().passkey(ANA).expect("it demands one").credential().to_vec();
    for credential_id in [other.credential().to_vec(), mine] {
        let answer = other.answer(&options).expect("a challenge");
        let assertion = Assertion { assertion_json: answer.to_string().into_bytes(), credential_id };
        let client = peer.client().expect("connected");
        let refused = client.send_passkey_response(assertion).await.expect_err("another passkey").to_string();
        assert!(refused.contains("code=403"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_refused_with_its_code() {
    for (fault, code) in [(PasskeyFault::Refused, 403), (PasskeyFault::Expired, 410), (PasskeyFault::NoReference, 503)]
    {
        let (simulator, peer) = demanding(Some(fault)).await;
        let refused = give(&simulator, &peer).await.expect_err("refused");
        assert!(refused.contains(&format!("code={code}")), "{fault:?}: {refused}");
    }
    let (simulator, peer) = demanding(Some(PasskeyFault::ConfirmRefused)).await;
    give(&simulator, &peer).await.expect("taken");
    let refused = confirm(&simulator, &peer).await.expect_err("refused");
    assert!(refused.contains("code=400"), "{refused}");
    let (_simulator, peer) = demanding(Some(PasskeyFault::OptionsRefused)).await;
    assert!(told(&peer, "passkey-error").await.contains("code=404"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_is_seen() {
    let (simulator, peer) = demanding(Some(PasskeyFault::CutAfterAnswer)).await;
    give(&simulator, &peer).await.expect_err("the connection is cut");
    let (simulator, peer) = demanding(Some(PasskeyFault::BrokenContinuation)).await;
    give(&simulator, &peer).await.expect("taken");
    assert!(told(&peer, "passkey-error").await.contains("primary_ephemeral_identity"));
    let (_simulator, peer) = demanding(Some(PasskeyFault::BrokenOptions)).await;
    assert!(parse_request_options(&told(&peer, "passkey").await).is_err());
    let (simulator, peer) = demanding(Some(PasskeyFault::OtherCode)).await;
    give(&simulator, &peer).await.expect("taken");
    let ours = told(&peer, "passkey-code").await;
    let theirs = eventually("the code on the phone", async || simulator.world().passkey_code(ANA)).await;
    assert_ne!(ours, theirs, "somebody is in between");
}
