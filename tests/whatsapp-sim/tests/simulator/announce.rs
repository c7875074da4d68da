//! What the server tells of its own accord, as a client understands it.

use serde_json::{Value, json};

use pombo_whatsapp_sim::peer::{Kind, Peer};
use pombo_whatsapp_sim::phone;

use crate::stage::{ANA, BIA, CAIO, eventually, pair, phone_has, stage, two};

async fn announce(by: &Peer, what: Value) -> Value {
    by.admin("/announce", &what).await.expect("announced")
}

/// Waits until a peer was told this, and gives what of it.
async fn told(peer: &Peer, what: &str) -> String {
    peer.wait_for(what, |e| e.told.iter().find(|(kind, _)| *kind == what).map(|(_, of)| of.clone()))
        .await
        .expect("told")
}

/// Two peers that have written with each other.
async fn acquainted() -> (pombo_whatsapp_sim::Simulator, Peer, Peer) {
    let (simulator, ana, bia) = two().await;
    let id = ana.send_text(&bia.jid(), "oi").await.expect("sent");
    bia.message(&id).await.expect("received");
    phone_has(&ana, BIA, &id).await;
    (simulator, ana, bia)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_with_a_new_phone_is_written_to_on_all_its_devices() {
    let (simulator, ana, bia) = acquainted().await;
    announce(&ana, json!({ "kind": "reinstalled", "phone": BIA })).await;
    bia.wait_for("the logout", |e| e.logged_out.clone()).await.expect("its companions are gone");
    assert!(told(&ana, "identity").await.starts_with(BIA));

    // The new phone signs a new companion, which the old identity would not vouch for.
    let new = pair(&simulator, BIA).await;
    let id = ana.send_text(&new.jid(), "telefone novo?").await.expect("sent");
    assert_eq!(new.message(&id).await.expect("received").text.as_deref(), Some("telefone novo?"));
    phone_has(&ana, BIA, &id).await;
    let back = new.send_text(&ana.jid(), "sim").await.expect("sent");
    assert_eq!(ana.message(&back).await.expect("received").text.as_deref(), Some("sim"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_a_contact_reach_who_wrote_with_it() {
    let (simulator, ana, _bia) = acquainted().await;
    let caio = pombo_whatsapp_sim::world::NewAccount { phone: CAIO.to_owned(), ..Default::default() };
    simulator.world().register(caio).expect("new");
    let bia = format!("{BIA}@s.whatsapp.net");
    let cases = [
        (
            json!({ "kind": "picture", "phone": BIA, "link": "https://pps.example/v/b.jpg" }),
            "picture",
            format!("{bia} set"),
        ),
        (json!({ "kind": "about", "phone": BIA, "text": "na praia" }), "about", format!("{bia} na praia")),
        (json!({ "kind": "business", "phone": BIA, "name": "Padaria" }), "business", format!("{bia} Padaria")),
        (json!({ "kind": "disappearing", "phone": BIA, "seconds": 86400 }), "disappearing", format!("{bia} 86400")),
        (
            json!({ "kind": "numberChanged", "phone": BIA, "to": CAIO }),
            "number",
            format!("{bia} {CAIO}@s.whatsapp.net"),
        ),
    ];
    for (what, word, expected) in cases {
        announce(&ana, what).await;
        assert_eq!(told(&ana, word).await, expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_an_account_are_told_to_it_alone() {
    let (_simulator, ana, bia) = two().await;
    let on = json!({ "phone": ANA });
    announce(
        &ana,
        json!({ "kind": "reachoutTimelock", "on": on, "until": 1_900_000_000, "enforcement": "BIZ_QUALITY" }),
    )
    .await;
    let lock = told(&ana, "mex").await;
    assert!(lock.starts_with("NotificationUserReachoutTimelockUpdate"), "{lock}");
    assert!(lock.contains("\"is_active\":true") && lock.contains("\"1900000000\""), "{lock}");
    let capping = json!({ "kind": "messageCapping", "on": on, "total": 30, "used": 29, "status": "secondWarning",
        "cycleEnds": 1_900_000_000 });
    announce(&ana, capping).await;
    ana.wait_for("the second", |e| {
        e.told.iter().any(|(_, of)| of.starts_with("MessageCappingInfo") && of.contains("SECOND_WARNING")).then_some(())
    })
    .await
    .expect("told");
    assert!(bia.seen(|e| e.told.is_empty()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_were_made_on_the_phone_reach_its_companions() {
    let (_simulator, ana, bia) = acquainted().await;
    for what in [
        json!({ "kind": "ownDevices", "phone": ANA }),
        json!({ "kind": "ownPrivacy", "phone": ANA, "name": "last", "value": "contacts" }),
        json!({ "kind": "ownDisappearing", "phone": ANA, "seconds": 0 }),
        json!({ "kind": "ownBlocklist", "phone": ANA, "who": CAIO, "blocked": true }),
    ] {
        announce(&ana, what).await;
    }
    announce(&ana, json!({ "kind": "dirty", "on": { "phone": ANA }, "what": "groups" })).await;
    assert_eq!(told(&ana, "dirty").await, "groups");
    // The client lives on, and knows its devices.
    let id = ana.send_text(&bia.jid(), "continua").await.expect("sent");
    bia.message(&id).await.expect("received");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_says_the_route_that_it_was_told() {
    let (simulator, ana, bia) = two().await;
    announce(&ana, json!({ "kind": "edgeRouting", "on": { "phone": BIA }, "routing": "CAgIAQ==" })).await;
    eventually("a connection with a route", async || {
        let logins = bia.seen(|e| e.logins);
        simulator.world().session(&pombo_whatsapp_sim::DeviceId::new(BIA, 1)).expect("online").cut();
        bia.wait_for("a login by itself", |e| (e.logins > logins).then_some(())).await.expect("came back");
        (simulator.world().routed() > 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_rings_and_a_status_is_read() {
    let (simulator, ana, bia) = acquainted().await;
    let call = announce(&ana, json!({ "kind": "call", "phone": ANA, "to": BIA, "video": true })).await;
    let id = call["id"].as_str().expect("an id").to_owned();
    assert!(told(&bia, "call").await.contains(&id));
    announce(&ana, json!({ "kind": "hangUp", "phone": ANA, "to": BIA, "id": id })).await;
    bia.wait_for("its end", |e| {
        e.told.iter().any(|(_, of)| of.contains(&id) && of.contains("Terminate")).then_some(())
    })
    .await
    .expect("told");

    let posted = announce(&ana, json!({ "kind": "statusPost", "phone": ANA, "text": "bom dia a todos" })).await;
    let got = bia.message(posted["id"].as_str().expect("an id")).await.expect("received");
    assert_eq!((got.kind, got.text.as_deref()), (Kind::Text, Some("bom dia a todos")));
    assert_eq!(got.chat, "status@broadcast");
    eventually("what her phone has", async || {
        let inbox = phone::inbox(simulator.world(), BIA).expect("an account");
        inbox.iter().any(|m| m.chat == "status@broadcast").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_without_ciphertext_is_asked_of_the_own_phone() {
    let (_simulator, ana, bia) = acquainted().await;
    let sent =
        announce(&ana, json!({ "kind": "unavailable", "phone": ANA, "to": BIA, "text": "só no telefone" })).await;
    let got = bia.message(sent["id"].as_str().expect("an id")).await.expect("her phone gave it");
    assert_eq!(got.text.as_deref(), Some("só no telefone"));

    let once = json!({ "kind": "unavailable", "phone": ANA, "to": BIA, "text": "uma vez", "viewOnce": true });
    let once = announce(&ana, once).await["id"].as_str().expect("an id").to_owned();
    bia.wait_for("word of it", |e| e.undecryptable.contains(&once).then_some(())).await.expect("told");
    let last = ana.send_text(&bia.jid(), "fim").await.expect("sent");
    bia.message(&last).await.expect("received");
    assert!(bia.received().iter().all(|m| m.id != once), "what is seen once is never given");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_login_says_why() {
    let simulator = stage(&[ANA]).await;
    let ana = pair(&simulator, ANA).await;
    let fault = json!({ "kind": "refuseLogins", "reason": 402, "code": 101, "expire": 21_600 });
    ana.admin("/faults", &fault).await.expect("armed");
    simulator.world().session(&pombo_whatsapp_sim::DeviceId::new(ANA, 1)).expect("online").cut();
    assert!(told(&ana, "ban").await.ends_with(" 21600"));

    let fault = json!({ "kind": "refuseLogins", "reason": 405 });
    ana.admin("/faults", &fault).await.expect("armed");
    ana.connect().await.expect("connects");
    told(&ana, "outdated").await;

    let fault = json!({ "kind": "refuseLogins", "reason": 403, "header": "Conta bloqueada", "locale": "pt_BR" });
    ana.admin("/faults", &fault).await.expect("armed");
    ana.connect().await.expect("connects");
    assert_eq!(ana.wait_for("the lock", |e| e.logged_out.clone()).await.expect("told"), "AccountLocked");
}
