//! Who a number is: the ninth digit, and LIDs.

use anyhow::{Result, ensure};
use pombo_tests::tenant::Tenant;
use pombo_tests::whatsapp::Events;
use pombo_whatsapp_sim::world::NewAccount;
use serde_json::json;

use crate::shared::{number, pair, sent, stage};

#[test]
fn the_ninth_digit_is_settled_by_asking() -> Result<()> {
    let (stage, pair) = pair()?;
    let written = number();
    let known = format!("{}{}", &written[..4], &written[5..]);
    stage.whatsapp.world().register(NewAccount { phone: known.clone(), ..NewAccount::default() })?;
    let peer = stage.whatsapp.peer(&known)?;
    let (_, provider_id) = pair.send(&json!({"to": written, "text": "com nono dígito"}))?;
    assert_eq!(stage.whatsapp.wait(peer.message(&provider_id))?.text.as_deref(), Some("com nono dígito"));
    let path = format!("/v1/connectors/{}/lookup", pair.connector);
    let found = pair.tenant.client.post(&path, &json!({"addresses": [written, number()]}))?.expect_json(200)?;
    ensure!(found.to_string().contains(&known), "{found}");
    Ok(())
}

#[test]
fn a_person_known_by_lid_is_the_same_contact() -> Result<()> {
    let stage = stage()?;
    let (ours, theirs) = (number(), number());
    stage.whatsapp.register(&ours)?;
    let lid = NewAccount { phone: theirs.clone(), lid_addressed: true, ..NewAccount::default() };
    stage.whatsapp.world().register(lid)?;
    let tenant = Tenant::create(&stage.server)?;
    let connector = stage.whatsapp.paired(&tenant, &ours)?;
    let peer = stage.whatsapp.peer(&theirs)?;
    let mut events = Events::from_now(&tenant)?;
    let id = crate::shared::queue(&tenant, &connector, &json!({"to": theirs, "text": "por número"}))?;
    let (_, provider_id) = sent(&tenant, &id)?;
    let got = stage.whatsapp.wait(peer.message(&provider_id))?;
    let back = stage.whatsapp.wait(peer.send_text(&got.chat.parse()?, "de volta"))?;
    let event = events.message(&back)?;
    assert_eq!((&event["chat"], &event["sender"]), (&json!(theirs), &json!(theirs)), "one address for one person");
    Ok(())
}
