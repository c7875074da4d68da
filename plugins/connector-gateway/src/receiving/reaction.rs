//! `reaction`: an emoji on a message.
//!
//! `key` is the message that was reacted to; the reaction's own id is in `reaction.key`.

use pombo_plugin::connector::events::{Event, Inbound, InboundContent, Reaction};

use super::body::Object;
use super::content::{EMOJI_BYTES, cut};
use super::{Refusal, echo};
use crate::address::{self, Who};
use crate::echoes::Look;
use crate::gateway::Gateway;
use crate::outside::Outside;

pub(super) async fn take(gateway: &Gateway<impl Outside>, body: &Object<'_>) -> Result<(), Refusal> {
    let target = body.must_object("key")?;
    let reaction = body.must_object("reaction")?;
    let own = reaction.must_object("key")?;
    let (to, id) = (target.must_id("id")?, own.must_id("id")?);
    let remote = target.filled("remoteJid")?.ok_or_else(|| target.problem("remoteJid", "is missing"))?;
    let not_one = || target.problem("remoteJid", "must be a JID, e.g. 5511999999999@s.whatsapp.net");
    let (chat, is_group) = match address::who(remote).ok_or_else(not_one)? {
        Who::Elsewhere => return Ok(()),
        Who::Group(group) => (group, true),
        Who::Person(_) => (address::person(remote, target.any_text(&["remoteJidAlt"])).ok_or_else(not_one)?, false),
    };
    let named = body.any_text(&["senderJid"]).or(own.any_text(&["participant"]));
    let named = match named {
        Some(jid) => {
            let wrong = || body.problem("senderJid", "must be the JID of who reacted");
            Some(address::person(jid, body.any_text(&["senderPn", "senderJidAlt"])).ok_or_else(wrong)?)
        }
        None => None,
    };
    let account = gateway.states.account().map(|account| account.address);
    // Between two, whoever is not the other one is the account.
    let is_other = |named: &String| named.ends_with("@lid") || address::may_be_one(named, &chat);
    let is_own = named.as_ref().is_some_and(|named| Some(named) == account.as_ref() || (!is_group && !is_other(named)));
    let from_me = own.flag("fromMe")? || is_own;
    let sender = if from_me { account.or(named) } else { named };
    let sender = match sender {
        Some(sender) => sender,
        None if from_me => echo::account(gateway)?,
        None if !is_group => chat.clone(),
        None => return Err(body.problem("senderJid", "is missing").into()),
    };
    let emoji = cut(reaction.text("text")?.unwrap_or_default(), EMOJI_BYTES);
    if from_me && echo::is_one(gateway, &chat, id, Some(Look::reaction(to, &emoji))).await? {
        return Ok(());
    }
    // In milliseconds already; `instant` leaves that as it is.
    let at = match reaction.instant("senderTimestampMs")? {
        Some(at) => Some(at),
        None => body.instant("messageTimestamp")?,
    };
    let message = Inbound {
        provider_id: id.to_owned(),
        chat,
        sender,
        sender_name: body.any_text(&["pushName"]).filter(|_| !from_me).map(str::to_owned),
        from_me,
        is_group,
        reply_to: None,
        mentions: Vec::new(),
        at_millis: at.unwrap_or_else(|| gateway.outside.now_millis()),
        content: InboundContent::Reaction(Reaction { to_provider_id: to.to_owned(), emoji }),
    };
    gateway.outside.commit(vec![Event::Message(message)], Vec::new()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::world::ready;
    use crate::receiving::bench::{CLIENT, connected, gateway, post};
    use serde_json::{Value, json};

    fn webhook() -> Value {
        json!({
            "key": {"remoteJid": "5511999999999@s.whatsapp.net", "id": "3EB0ABC123456789", "fromMe": false},
            "reaction": {"text": "👍", "key": {"id": "3EB0DEF987654321"}},
            "senderJid": "5511999999999@s.whatsapp.net",
        })
    }

    #[test]
    fn the_key_is_the_message_that_was_reacted_to() {
        let (world, gateway) = gateway();
        assert_eq!(post(&gateway, "reaction", &webhook()).0, 200);
        let message = world.messages().remove(0);
        assert_eq!(message.provider_id, "3EB0DEF987654321");
        assert_eq!((message.chat.as_str(), message.sender.as_str()), ("5511999999999", "5511999999999"));
        let InboundContent::Reaction(reaction) = message.content else { panic!("a reaction") };
        assert_eq!((reaction.to_provider_id.as_str(), reaction.emoji.as_str()), ("3EB0ABC123456789", "👍"));
        assert!(!message.from_me);
    }

    #[test]
    fn between_two_whoever_is_not_the_other_is_the_account() {
        let (world, gateway) = gateway();
        for (n, (sender, from_me)) in [
            ("5511999999999@s.whatsapp.net", false),
            ("551199999999@s.whatsapp.net", false),
            ("77@lid", false),
            ("5511900000000@s.whatsapp.net", true),
            ("5511888888888@s.whatsapp.net", true),
        ]
        .into_iter()
        .enumerate()
        {
            let mut body = webhook();
            body["senderJid"] = json!(sender);
            assert_eq!(post(&gateway, "reaction", &body).0, 200, "{sender}");
            assert_eq!(world.messages()[n].from_me, from_me, "{sender}");
        }
        connected(&world, &gateway);
        let mut body = webhook();
        body["key"]["remoteJid"] = json!("120363021033254949@g.us");
        body["senderJid"] = json!("5511888888888@s.whatsapp.net");
        assert_eq!(post(&gateway, "reaction", &body).0, 200);
        assert!(!world.messages()[5].from_me, "in a group it is a member");
    }

    #[test]
    fn the_accounts_own_reaction_is_from_me_and_an_empty_one_is_removed() {
        let (world, gateway) = gateway();
        let mut body = webhook();
        body["reaction"]["text"] = Value::Null;
        body["reaction"]["key"]["fromMe"] = json!(true);
        body["senderJid"] = Value::Null;
        assert_eq!(post(&gateway, "reaction", &body).0, 503, "whose is it?");
        connected(&world, &gateway);
        assert_eq!(post(&gateway, "reaction", &body).0, 200);
        let message = world.messages().remove(0);
        assert_eq!(message.sender, "5511900000000");
        let InboundContent::Reaction(reaction) = message.content else { panic!("a reaction") };
        assert!(message.from_me && reaction.emoji.is_empty());
    }

    #[test]
    fn an_echo_is_passed_over_with_and_without_an_id() {
        let (world, gateway) = gateway();
        connected(&world, &gateway);
        let mut body = webhook();
        body["reaction"]["key"]["fromMe"] = json!(true);
        let same = gateway.echoes.begin("5511999999999");
        assert_eq!(post(&gateway, "reaction", &body).0, 503, "it may be the one that is being sent");
        drop(same);
        ready(gateway.ledger.sent(&world, Some("3EB0DEF987654321"), CLIENT, Vec::new())).expect("kept");
        assert_eq!(post(&gateway, "reaction", &body).0, 200);
        gateway.echoes.expect("5511999999999", Look::reaction("3EB0ABC123456789", "👍"), world.now.get());
        body["reaction"]["key"]["id"] = json!("UNNAMED");
        assert_eq!(post(&gateway, "reaction", &body).0, 200);
        assert!(world.messages().is_empty());
        body["reaction"]["key"]["id"] = json!("PHONE");
        assert_eq!(post(&gateway, "reaction", &body).0, 200);
        assert_eq!(world.messages().len(), 1);
    }

    #[test]
    fn mistakes_name_their_field() {
        let (_, gateway) = gateway();
        for (pointer, field) in [
            ("/key/id", "key.id"),
            ("/reaction/key/id", "reaction.key.id"),
            ("/reaction/key", "reaction.key"),
            ("/reaction", "reaction"),
            ("/key/remoteJid", "key.remoteJid"),
        ] {
            let mut body = webhook();
            *body.pointer_mut(pointer).expect("a field") = Value::Null;
            let (status, answer) = post(&gateway, "reaction", &body);
            assert_eq!((status, answer["error"]["details"][field].is_array()), (400, true), "{answer}");
        }
    }
}
