//! People with several addresses: a number that changes, an id of Meta's that changes, and one that comes before the number is known. It is
//! one contact and one conversation throughout, and what is sent reaches the address that holds now.

use anyhow::{Context, Result, ensure};
use pombo_tests::meta::{now, wamid};
use pombo_tests::tenant::{text_of, unique};
use pombo_tests::wait::{PATIENCE, until};
use pombo_tests::whatsapp::Events;
use serde_json::{Value, json};

use crate::shared::{Bench, person};

/// An id of Meta's of this run's own.
fn bsuid(country: &str) -> String {
    format!("{country}.{}", 1_504_000_000_000 + unique())
}

/// What an update says of who writes: the entry of `contacts`, and the fields of the message.
struct Names {
    contact: Value,
    from: Value,
}

impl Names {
    fn of(phone: Option<&str>, user: Option<&str>, parent: Option<&str>) -> Self {
        let (mut contact, mut from) = (json!({"profile": {"name": "Ana"}}), json!({}));
        for (value, theirs, own) in [
            (phone, "wa_id", "from"),
            (user, "user_id", "from_user_id"),
            (parent, "parent_user_id", "from_parent_user_id"),
        ] {
            if let Some(value) = value {
                contact[theirs] = json!(value);
                from[own] = json!(value);
            }
        }
        Self { contact, from }
    }
}

impl Bench {
    /// A webhook with a text of somebody who is named so; waits until it is stored.
    fn hears(&self, names: Names, text: &str) -> Result<()> {
        let (line, id) = (self.graph.line(), wamid());
        let mut message = json!({"id": id, "timestamp": now().to_string(), "type": "text", "text": {"body": text}});
        pombo_tests::tenant::merge(&mut message, &names.from);
        self.hook.post(&line.body(&[line.messages(&[names.contact], &[message])]))?;
        Events::all(&self.tenant).message(&id)?;
        Ok(())
    }

    /// A webhook with news of the service about somebody.
    fn news(&self, from: &Value, system: &Value) -> Result<()> {
        let line = self.graph.line();
        let mut message = json!({"id": wamid(), "timestamp": now().to_string(), "type": "system", "system": system});
        pombo_tests::tenant::merge(&mut message, from);
        self.hook.post(&line.body(&[line.messages(&[], &[message])]))
    }

    /// The only contact and the only conversation; the texts that were said, oldest first.
    fn one_person(&self) -> Result<(Value, Value, Vec<Value>)> {
        let (contacts, conversations) = (self.contacts()?, self.conversations()?);
        ensure!(contacts.len() == 1 && conversations.len() == 1, "{contacts:?} {conversations:?}");
        let chat = text_of(&conversations[0], "chat")?;
        let texts = self.said(&chat)?.iter().map(|entry| entry["text"].clone()).collect();
        Ok((contacts[0].clone(), conversations[0].clone(), texts))
    }

    /// The contact's other addresses, once it is known by this one.
    fn known_by(&self, address: &str) -> Result<Vec<Value>> {
        let contact = until(&format!("a contact known by {address}"), PATIENCE, || {
            Ok(self.contacts()?.into_iter().find(|one| one["identifier"] == address))
        })?;
        Ok(contact["aliases"].as_array().with_context(|| contact.to_string())?.clone())
    }
}

#[test]
fn who_changes_the_number_is_the_same_contact_in_the_same_conversation() -> Result<()> {
    let bench = Bench::new()?;
    let (old, new) = (person(), person());
    let (old_id, new_id) = (bsuid("BR"), bsuid("BR"));
    bench.graph.person(&json!({"phone": old, "user_id": old_id, "name": "Ana"}))?;
    bench.opened(&old)?;
    let (contact, conversation, _) = bench.one_person()?;
    bench.graph.changes_number(&old, &new, &new_id)?;
    let aliases = bench.known_by(&new)?;
    for alias in [&old, &old_id, &new_id] {
        ensure!(aliases.contains(&json!(alias)), "{alias} is not among {aliases:?}");
    }
    let id = bench.graph.says(&new, &json!({"type": "text", "text": {"body": "troquei de número"}}))?;
    Events::all(&bench.tenant).message(&id)?;
    let (after, goes_on, texts) = bench.one_person()?;
    assert_eq!((&after["id"], &after["number"]), (&contact["id"], &contact["number"]));
    assert_eq!(goes_on["id"], conversation["id"]);
    assert_eq!(texts, ["oi", "troquei de número"]);
    // The window is that of the person, and what is sent goes to the number that holds now.
    bench.send(&json!({"to": new, "text": "anotado"}))?;
    assert_eq!(bench.accepted(&new)?.len(), 1);
    let (_, _, texts) = bench.one_person()?;
    assert_eq!(texts, ["oi", "troquei de número", "anotado"]);
    bench.nothing_violated()
}

/// With a new phone number, Meta makes a new id; who hides the number is told of by the ids alone.
#[test]
fn who_gets_another_id_of_metas_is_the_same_contact() -> Result<()> {
    let bench = Bench::silent()?;
    let (old, new) = (bsuid("BR"), bsuid("BR"));
    bench.hears(Names::of(None, Some(&old), None), "sem telefone")?;
    let (contact, conversation, _) = bench.one_person()?;
    bench.news(&json!({}), &json!({"type": "user_changed_user_id", "user_id": new, "previous_user_id": old}))?;
    ensure!(bench.known_by(&new)?.contains(&json!(old)), "the old id is forgotten");
    bench.hears(Names::of(None, Some(&new), None), "com outro id")?;
    // Something that was on its way comes under the old one.
    bench.hears(Names::of(None, Some(&old), None), "e um atrasado")?;
    let (after, goes_on, texts) = bench.one_person()?;
    assert_eq!((&after["id"], &goes_on["id"]), (&contact["id"], &conversation["id"]));
    assert_eq!(texts, ["sem telefone", "com outro id", "e um atrasado"]);
    assert_eq!(goes_on["replyWindow"]["open"], true, "{goes_on}");
    Ok(())
}

#[test]
fn who_is_known_by_metas_id_first_and_by_the_number_later_is_one_contact() -> Result<()> {
    let bench = Bench::new()?;
    let (phone, id) = (person(), bsuid("BR"));
    bench.graph.person(&json!({"phone": phone, "user_id": id, "name": "Ana", "hides_phone": true}))?;
    bench.opened(&id)?;
    let (contact, conversation, _) = bench.one_person()?;
    assert_eq!(contact["identifier"], id.as_str());
    // The tenant names the contact, and it refuses something: that is kept when the number is known.
    let path = format!("/v1/contacts/{}", text_of(&contact, "id")?);
    let patch = json!({"name": "Ana da Padaria", "refusedCategories": ["MARKETING"]});
    bench.tenant.client.patch(&path, &patch)?.expect(200)?;
    bench.graph.person(&json!({"phone": phone, "user_id": id, "name": "Ana"}))?;
    let said = bench.graph.says(&phone, &json!({"type": "text", "text": {"body": "agora com número"}}))?;
    Events::all(&bench.tenant).message(&said)?;
    ensure!(bench.known_by(&phone)?.contains(&json!(id)), "the id is forgotten");
    let (after, goes_on, texts) = bench.one_person()?;
    assert_eq!((&after["id"], &goes_on["id"]), (&contact["id"], &conversation["id"]));
    assert_eq!((&after["name"], &after["refusedCategories"]), (&json!("Ana da Padaria"), &json!(["MARKETING"])));
    assert_eq!(texts, ["oi", "agora com número"]);
    // Both addresses lead there, and each is used as it was given.
    for to in [&phone, &id] {
        bench.send(&json!({"to": to, "text": "para você"}))?;
        assert_eq!(bench.one_person()?.1["id"], conversation["id"]);
    }
    for to in [&phone, &id] {
        let marketing = json!({"to": to, "text": "promoção", "messageType": "MARKETING"});
        assert_eq!(bench.try_queue(&marketing)?.status, 400, "{to}");
    }
    let (_, _, texts) = bench.one_person()?;
    assert_eq!(texts, ["oi", "agora com número", "para você", "para você"]);
    bench.nothing_violated()
}

/// Linked portfolios have an id of a person in common, which may come beside the others or alone.
#[test]
fn the_id_that_portfolios_share_leads_to_the_same_conversation() -> Result<()> {
    let bench = Bench::silent()?;
    let (phone, id, parent) = (person(), bsuid("BR"), bsuid("BR.ENT"));
    bench.hears(Names::of(None, Some(&id), Some(&parent)), "com dois ids")?;
    let (contact, conversation, _) = bench.one_person()?;
    bench.hears(Names::of(None, None, Some(&parent)), "só com o comum")?;
    bench.hears(Names::of(Some(&phone), Some(&id), Some(&parent)), "com tudo")?;
    bench.hears(Names::of(Some(&phone), None, None), "só com o número")?;
    let aliases = bench.known_by(&phone)?;
    ensure!(aliases.contains(&json!(id)) && aliases.contains(&json!(parent)), "{aliases:?}");
    let (after, goes_on, texts) = bench.one_person()?;
    assert_eq!((&after["id"], &goes_on["id"]), (&contact["id"], &conversation["id"]));
    assert_eq!(texts, ["com dois ids", "só com o comum", "com tudo", "só com o número"]);
    Ok(())
}
