//! What is said in conversations, as the engine would store it.

use pombo_domain::MessageKey;
use pombo_domain::model::*;
use pombo_domain::ports::{AutomationStore, Batch, Change, ChatChange, ChatMessage, Store};
use pombo_testkit::samples;
use uuid::Uuid;

use super::*;

/// A text from a person, as the channel tells it.
pub(super) fn says(chat: &str, id: &str, text: &str) -> Inbound {
    let content = InboundContent::Text(text.to_owned());
    Inbound { sender_name: Some("John Doe".to_owned()), content, ..samples::inbound(chat, id) }
}

/// A text from a member of a group.
pub(super) fn says_in_group(group: &str, sender: &str, id: &str, text: &str) -> Inbound {
    Inbound { sender: sender.to_owned(), sender_name: None, is_group: true, ..says(group, id, text) }
}

/// A reaction to a message; an empty emoji takes it back.
pub(super) fn reacts(to: &str, emoji: &str, by: &Inbound) -> Inbound {
    let content = InboundContent::Reaction { to: to.to_owned(), emoji: emoji.to_owned() };
    Inbound { provider_id: format!("{}-{emoji}", by.provider_id), content, ..by.clone() }
}

/// Stores what an instance received.
pub(super) async fn receive(site: &Site, instance: &Connector, inbound: Inbound) {
    let is_person = !inbound.is_group && !inbound.from_me;
    let message = ChatMessage {
        tenant: instance.tenant,
        connector: instance.index,
        chat: inbound.chat.clone(),
        is_group: Some(inbound.is_group),
        contact_name: inbound.sender_name.clone().filter(|_| is_person),
        act: TimelineAct::of(&inbound),
    };
    let received = Change::Chat(Box::new(ChatChange::Received(message)));
    site.world.store.commit(Batch::of(vec![received])).await.expect("commits");
}

/// Stores an own message with its first attempt, which the channel takes as `provider_id`.
pub(super) async fn send(
    site: &Site,
    instance: &Connector,
    by: &str,
    to: &str,
    text: &str,
    provider_id: &str,
) -> MessageKey {
    let store = &site.world.store;
    let mut batch = samples::inserts(instance.tenant, vec![samples::message(instance.index, to, text)]);
    batch.changes.push(Change::Chat(Box::new(ChatChange::Author(by.to_owned()))));
    let (key, id, now) = store.commit(batch).await.expect("commits").inserted[0];
    let stored = store.message(key).expect("reads").expect("it is stored");
    let claimed = stored.state.claim(now).expect("it waits");
    let content = EntryContent::Sent {
        text: Some(text.to_owned()),
        subject: None,
        attachments: Vec::new(),
        voice_note: false,
        file_kind: None,
    };
    let entry = TimelineEntry { content, ..TimelineEntry::sent(key, now) };
    let message = ChatMessage {
        tenant: instance.tenant,
        connector: instance.index,
        chat: to.to_owned(),
        is_group: None,
        contact_name: None,
        act: TimelineAct::Say(entry),
    };
    let attempted = Change::Chat(Box::new(ChatChange::Attempted(key, id, message)));
    let update = Change::Update(samples::update(&stored, claimed));
    store.commit(Batch::of(vec![update, attempted])).await.expect("commits");
    let provider_id = Some(provider_id.to_owned());
    store.step(key, |state| state.sent(provider_id, now).expect("it was tried"));
    key
}

/// Stores what the channel reports about an own message.
pub(super) async fn report(site: &Site, key: MessageKey, kind: ReceiptKind) {
    let mut receipts = site.world.store.receipts(key).expect("reads");
    receipts.note(None, kind, NOW, Some("why"));
    site.world.store.commit(Batch::of(vec![Change::Receipts(key, receipts)])).await.expect("commits");
}

/// A contact with a name.
pub(super) async fn contact(site: &Site, address: &str, name: &str) {
    let contact = samples::contact(site.loja.tenant.index, ContactType::WhatsApp, address);
    let named = Contact { name: Some(name.to_owned()), ..contact };
    site.world.store.commit(Batch::of(vec![Change::Contact(named)])).await.expect("commits");
}

/// The conversation of an instance with an address.
pub(super) fn known(site: &Site, instance: &Connector, chat: &str) -> Conversation {
    site.world.store.conversation_with(instance.index, chat).expect("reads").expect("it is open")
}

/// The id of the same.
pub(super) fn id_of(site: &Site, instance: &Connector, chat: &str) -> Uuid {
    known(site, instance, chat).id
}
