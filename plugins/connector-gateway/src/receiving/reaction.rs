//! `reaction`: an emoji on a message.
//!
//! `key` is the message that was reacted to; the reaction's own id is in `reaction.key`.

use pombo_plugin::connector::events::{Event, Inbound, InboundContent, Reaction};

use super::Refusal;
use super::body::Object;
use super::content::{EMOJI_BYTES, cut};
use crate::address::{self, Who};
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
    let account = gateway.states.account().map(|account| account.address);
    let named = body.any_text(&["senderJid"]).or(own.any_text(&["participant"]));
    let sender = match named {
        Some(jid) => {
            let wrong = || body.problem("senderJid", "must be the JID of who reacted");
            Some(address::person(jid, body.any_text(&["senderPn", "senderJidAlt"])).ok_or_else(wrong)?)
        }
        None => None,
    };
    let from_me = own.flag("fromMe")? || (sender.is_some() && sender == account);
    let sender = match sender.or_else(|| account.filter(|_| from_me)) {
        Some(sender) => sender,
        None if !is_group || from_me => chat.clone(),
        None => return Err(body.problem("senderJid", "is missing").into()),
    };
    // An echo of an own reaction that the engine sent.
    if from_me && gateway.ledger.client_of(&gateway.outside, id).await?.is_some() {
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
        content: InboundContent::Reaction(Reaction {
            to_provider_id: to.to_owned(),
            emoji: cut(reaction.text("text")?.unwrap_or_default(), EMOJI_BYTES),
        }),
    };
    gateway.outside.commit(vec![Event::Message(message)], Vec::new()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::world::ready;
    use crate::receiving::bench::{gateway, post};
    use crate::states::{Session, account};
    use serde_json::{Value, json};

    fn webhook() -> Value {
        json!({
            "key": {"remoteJid": "5511999999999@s.whatsapp.net", "id": "3EB0ABC123456789", "fromMe": false},
            "reaction": {"text": "👍", "key": {"id": "3EB0DEF987654321"}},
            "senderJid": "5511888888888@s.whatsapp.net",
        })
    }

    #[test]
    fn the_key_is_the_message_that_was_reacted_to() {
        let (world, gateway) = gateway();
        assert_eq!(post(&gateway, "reaction", &webhook()).0, 200);
        let message = world.messages().remove(0);
        assert_eq!(message.provider_id, "3EB0DEF987654321");
        assert_eq!((message.chat.as_str(), message.sender.as_str()), ("5511999999999", "5511888888888"));
        let InboundContent::Reaction(reaction) = message.content else { panic!("a reaction") };
        assert_eq!((reaction.to_provider_id.as_str(), reaction.emoji.as_str()), ("3EB0ABC123456789", "👍"));
        assert!(!message.from_me);
    }

    #[test]
    fn the_accounts_own_reaction_is_from_me_and_an_empty_one_is_removed() {
        let (world, gateway) = gateway();
        ready(gateway.states.set(&world, Session::Connected, account("5511888888888", None))).expect("kept");
        let mut body = webhook();
        body["reaction"]["text"] = Value::Null;
        assert_eq!(post(&gateway, "reaction", &body).0, 200);
        let message = world.messages().remove(0);
        let InboundContent::Reaction(reaction) = message.content else { panic!("a reaction") };
        assert!(message.from_me && reaction.emoji.is_empty());
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
