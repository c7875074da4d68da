//! Conversations for all traffic: what is received and what is sent is in one timeline, in the batch of its event or attempt.

use pombo_domain::model::contact::ContactType;
use pombo_domain::model::inbound::{Inbound, InboundContent, MediaState};
use pombo_domain::model::message::{MessageAction, MessageOptions, NewMessage, Target};
use pombo_domain::model::{Conversation, ConversationStep, InboundAttachment, MediaKind, TimelineItem};
use pombo_domain::ports::*;

use crate::support::*;

fn conversation(world: &World, chat: &str) -> Option<Conversation> {
    world.store.conversation_with(LANE, chat).expect("readable")
}

fn items(world: &World, chat: &str) -> Vec<TimelineItem> {
    let Some(conversation) = conversation(world, chat) else { return Vec::new() };
    let range = TimelineRange::default();
    world.store.timeline(TENANT, conversation.number, &range, 100).expect("readable").items
}

fn said(world: &World, chat: &str) -> Vec<String> {
    let said = |item: &TimelineItem| {
        let who = if item.entry.from_me { ">" } else { "<" };
        format!("{who} {}", item.entry.text().unwrap_or(item.entry.kind().as_str()))
    };
    items(world, chat).iter().map(said).collect()
}

/// Everything is accepted, under this id of the channel.
fn accepts_as(world: &World, id: &'static str) {
    let outcome = move || SendOutcome::accepted(Some(id.to_owned()));
    world.connectors.act(move |_| Does::Answer(outcome()));
}

fn to(chat: &str, message: NewMessage) -> NewMessage {
    NewMessage { to: chat.to_owned(), ..message }
}

#[tokio::test]
async fn both_sides_are_in_one_timeline_without_a_commit_of_its_own() {
    let mut world = World::two_way(free());
    accepts_as(&world, "P1");
    world.start().await;
    let before = world.store.commits();
    let named = Inbound { sender_name: Some("Ana".to_owned()), ..from("5511", "A1") };
    world.tell(vec![ChannelEvent::Message(named.clone())]).await.expect("taken");
    assert_eq!(world.store.commits() - before, 1, "one batch holds the event and the entry");
    world.tell(vec![ChannelEvent::Message(named)]).await.expect("taken");
    let key = world.post(to("5511", text("Olá {nome}")));
    let before = world.store.commits();
    settle().await;
    assert_eq!(world.store.commits() - before, 2, "the attempt and its outcome");
    assert_eq!(world.shown(key), "SENT");
    assert_eq!(said(&world, "5511").len(), 2, "what is told again is there once");
    let ana = conversation(&world, "5511").expect("opened");
    assert_eq!((ana.contact_name.as_deref(), ana.unread(), ana.engaged), (Some("Ana"), 1, false));
    let own = &items(&world, "5511")[1];
    assert_eq!((own.id, own.entry.message), (world.id(key), Some(key.serial)));
    // The text is the one that was sent.
    assert_eq!(own.entry.text(), world.connectors.texts().last().map(String::as_str));
    // A reaction names it by the channel's id, which came with the outcome.
    let reaction = InboundContent::Reaction { to: "P1".to_owned(), emoji: "x".to_owned() };
    world.tell(vec![ChannelEvent::Message(Inbound { content: reaction, ..from("5511", "A2") })]).await.expect("taken");
    assert_eq!(items(&world, "5511")[1].entry.reactions.len(), 1);
    world.store.check_automations().expect("it is sound");
}

#[tokio::test]
async fn a_channel_without_conversations_has_no_timeline() {
    let mut world = World::new(free());
    world.start().await;
    world.post(text("x"));
    settle().await;
    assert_eq!(conversation(&world, "ana@example.org"), None);
}

#[tokio::test]
async fn a_refused_attempt_leaves_nothing_and_a_retry_adds_no_second_entry() {
    let mut world = World::two_way(free());
    let tries = std::sync::atomic::AtomicUsize::new(0);
    world.connectors.act(move |_| match tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
        0 => Does::Answer(SendOutcome::Temporary("later".to_owned())),
        _ => Does::Answer(accepted()),
    });
    world.start().await;
    world.store.refuse_next(unavailable());
    let key = world.post(to("5511", text("x")));
    settle().await;
    assert!(said(&world, "5511").is_empty(), "nothing was stored");
    world.clock.advance(3_600_000).await;
    settle().await;
    assert_eq!((world.shown(key).as_str(), world.state(key).attempts), ("SENT", 2));
    assert_eq!(said(&world, "5511"), ["> x"]);
}

#[tokio::test]
async fn whichever_address_is_used_it_is_one_conversation() {
    let mut world = World::two_way(free());
    world.start().await;
    world.tell(vec![ChannelEvent::Message(from("77@lid", "A1"))]).await.expect("taken");
    let contact =
        ChannelEvent::Contact { address: "5511".to_owned(), display_name: None, aliases: vec!["77@lid".to_owned()] };
    world.tell(vec![contact]).await.expect("taken");
    world.tell(vec![ChannelEvent::Message(from("77@lid", "A2"))]).await.expect("taken");
    world.post(to("77@lid", text("x")));
    world.post(to("5511", text("y")));
    settle().await;
    assert_eq!(said(&world, "5511"), ["< Oi", "< Oi", "> x", "> y"]);
    assert_eq!(conversation(&world, "77@lid"), None);
    let contact = world.store.contact(TENANT, ContactType::WhatsApp, "77@lid").expect("readable");
    assert_eq!(contact.expect("one").identifier, "5511");
}

#[tokio::test]
async fn other_addresses_that_come_with_an_outcome_are_the_recipients() {
    let mut world = World::two_way(free());
    world.connectors.act(|_| {
        let aliases = ["551199", "5511", "", "551199", "5522"].map(str::to_owned).to_vec();
        Does::Answer(SendOutcome::Accepted { provider_id: None, aliases, held: true })
    });
    world.start().await;
    world.tell(vec![ChannelEvent::Message(from("5522", "A1"))]).await.expect("taken");
    let key = world.post(to("5511", text("x")));
    settle().await;
    assert_eq!(world.shown(key), "SENT held", "the channel keeps it back for now");
    let aliases = world.store.contact_aliases(TENANT, ContactType::WhatsApp, "5511").expect("readable");
    assert_eq!(aliases, ["551199"], "who has a contact stays that contact");
}

#[tokio::test]
async fn own_acts_change_their_entry_once_the_channel_has_them() {
    let mut world = World::two_way(free());
    accepts_as(&world, "P1");
    world.start().await;
    world.tell(vec![ChannelEvent::Message(from("5511", "A1"))]).await.expect("taken");
    let act = |action: MessageAction, said: &str| {
        let options = MessageOptions { action, ..MessageOptions::default() };
        NewMessage { options, ..to("5511", text(said)) }
    };
    let received = Target { provider_id: "A1".to_owned(), sender: Some("5511".to_owned()), text: None };
    world.post(act(MessageAction::React(received), "x"));
    world.post(to("5511", text("errado")));
    settle().await;
    let own = || Target { provider_id: "P1".to_owned(), sender: None, text: None };
    world.post(act(MessageAction::Edit(own()), "certo"));
    settle().await;
    assert_eq!(said(&world, "5511"), ["< Oi", "> certo"]);
    assert_eq!(items(&world, "5511")[0].entry.reactions[0].by, None);
    world.post(act(MessageAction::Revoke(own()), ""));
    settle().await;
    assert_eq!(said(&world, "5511"), ["< Oi", "> revoked"]);
}

#[tokio::test]
async fn the_file_of_a_received_message_comes_later() {
    let mut world = World::two_way(free());
    world.start().await;
    let file = InboundAttachment {
        kind: MediaKind::Image,
        media: MediaState::Pending,
        file_name: None,
        content_type: "image/png".to_owned(),
        size: None,
        caption: None,
    };
    let content = InboundContent::Attachment(file);
    world.tell(vec![ChannelEvent::Message(Inbound { content, ..from("5511", "A1") })]).await.expect("taken");
    assert_eq!(items(&world, "5511")[0].entry.received_file(), None);
    let media = MediaState::Ready(samples::attachment());
    let told = ChannelEvent::Media { chat: "5511".to_owned(), provider_id: "A1".to_owned(), media };
    world.tell(vec![told]).await.expect("taken");
    assert_eq!(items(&world, "5511")[0].entry.received_file(), Some(&samples::attachment()));
}

#[tokio::test]
async fn what_was_read_without_a_connection_is_told_at_the_next_one() {
    let mut world = World::two_way(free());
    world.start().await;
    let told = |ids: &[&str]| ids.iter().map(|id| ChannelEvent::Message(from("5511", id))).collect();
    world.tell(told(&["A1", "A2"])).await.expect("taken");
    let id = conversation(&world, "5511").expect("opened").id;
    let read = ConversationStep::Read { up_to: u64::MAX, tell: true };
    world.write(vec![Change::Automation(Box::new(AutomationChange::Conversation(TENANT, id, vec![read])))]);
    world.connectors.answer(Err(OperationError::Disconnected("gone".to_owned())));
    world.session(SessionState::Connected, Some("5599")).await;
    assert!(conversation(&world, "5511").expect("there").is_untold(), "it was not told");
    world.connectors.answer(Ok(Answer::Done));
    world.session(SessionState::Disconnected("gone".to_owned()), Some("5599")).await;
    world.session(SessionState::Connected, Some("5599")).await;
    let asked = world.connectors.asked();
    assert_eq!(asked.len(), 2, "the one that failed, and the next");
    let Some(Operation::Read { chat, messages }) = asked.last() else { panic!("{asked:?}") };
    let ids: Vec<&str> = messages.iter().map(|message| message.provider_id.as_str()).collect();
    assert_eq!((chat.as_str(), ids), ("5511", vec!["A1", "A2"]));
    assert!(!conversation(&world, "5511").expect("there").is_untold());
    world.session(SessionState::Disconnected("gone".to_owned()), Some("5599")).await;
    world.session(SessionState::Connected, Some("5599")).await;
    assert!(world.connectors.asked().is_empty(), "it is told once");
}

#[tokio::test]
async fn what_was_read_on_the_phone_is_read_here_up_to_then() {
    let mut world = World::two_way(free());
    world.start().await;
    let start = world.clock_now();
    let written = |id: &str, ms: i64| ChannelEvent::Message(Inbound { sent_at: start.plus_ms(ms), ..from("5511", id) });
    world.tell(vec![written("A1", 0), written("A2", 1_000), written("A3", 60_000)]).await.expect("taken");
    let unread = |world: &World| conversation(world, "5511").expect("opened").unread();
    let read = |json: String| vec![ChannelEvent::Other("chat-read".to_owned(), json)];
    for odd in ["[]", r#"{"chat":"5511"}"#, r#"{"chat":"5599","atMillis":1}"#, r#"{"chat":"5511","atMillis":1}"#] {
        world.tell(read(odd.to_owned())).await.expect("passed over");
    }
    assert_eq!(unread(&world), 3);
    let until = |ms: i64| read(format!(r#"{{"chat":"5511","atMillis":{}}}"#, start.plus_ms(ms).0));
    world.tell(until(1_500)).await.expect("taken");
    assert_eq!(unread(&world), 1, "the newest one was written later");
    let before = world.events();
    world.tell(until(1_600)).await.expect("taken");
    assert_eq!((world.events(), unread(&world)), (before, 1), "up to then nothing was unread");
    world.tell(until(60_000)).await.expect("taken");
    assert_eq!(unread(&world), 0);
    assert!(!conversation(&world, "5511").expect("there").is_untold(), "the channel knows it");
}

#[tokio::test]
async fn what_comes_together_with_its_being_read_is_read_and_nothing_is_told_twice() {
    let mut world = World::two_way(free());
    world.start().await;
    let start = world.clock_now();
    let written = |id: &str, ms: i64| ChannelEvent::Message(Inbound { sent_at: start.plus_ms(ms), ..from("5511", id) });
    let read = |ms: i64| {
        let json = format!(r#"{{"chat":"5511","atMillis":{}}}"#, start.plus_ms(ms).0);
        ChannelEvent::Other("chat-read".to_owned(), json)
    };
    let told = vec![written("A1", 0), read(0), written("A2", 60_000)];
    world.tell(told.clone()).await.expect("taken");
    let unread = |world: &World| conversation(world, "5511").expect("opened").unread();
    assert_eq!(unread(&world), 1);
    let events = world.events().len();
    // Nothing becomes read by it, although one is unread.
    world.tell(vec![read(1_000)]).await.expect("taken");
    world.tell(told).await.expect("taken");
    let long = format!(r#"{{"chat":"{}","atMillis":1}}"#, "5".repeat(513));
    world.tell(vec![ChannelEvent::Other("chat-read".to_owned(), long)]).await.expect("passed over");
    assert_eq!((unread(&world), world.events().len()), (1, events));
}

#[tokio::test]
async fn where_only_what_was_read_is_not_stored_it_is_told_again_and_nothing_comes_twice() {
    let mut world = World::two_way(free());
    world.start().await;
    let at = world.clock_now();
    let json = format!(r#"{{"chat":"5511","atMillis":{}}}"#, at.0);
    let read = ChannelEvent::Other("chat-read".to_owned(), json);
    // Said before the message, which was read nevertheless.
    let told = vec![read, ChannelEvent::Message(Inbound { sent_at: at, ..from("5511", "A1") })];
    world.store.refuse(|_, batch: &Batch| {
        let is_read = |change: &Change| {
            matches!(change, Change::Automation(change) if matches!(**change, AutomationChange::Conversation(..)))
        };
        batch.changes.iter().any(is_read).then(unavailable)
    });
    world.tell(told.clone()).await.expect_err("it is to be told again");
    let unread = |world: &World| conversation(world, "5511").expect("what was said is stored").unread();
    assert_eq!(unread(&world), 1);
    world.store.no_plan();
    world.tell(told).await.expect("taken");
    let received = conversation(&world, "5511").expect("still there").received;
    assert_eq!((unread(&world), received), (0, 1));
}

#[tokio::test]
async fn a_contact_update_of_a_group_names_its_conversation() {
    let mut world = World::two_way(free());
    world.start().await;
    let group = || "1203@g.us".to_owned();
    let named = |name: &str| ChannelEvent::Contact {
        address: group(),
        display_name: Some(name.to_owned()),
        aliases: Vec::new(),
    };
    let message = Inbound { chat: group(), is_group: true, ..from("5511", "A1") };
    world.tell(vec![ChannelEvent::Message(message), named("Obra")]).await.expect("taken");
    let name = |world: &World| conversation(world, "1203@g.us").expect("opened").contact_name;
    assert_eq!(name(&world).as_deref(), Some("Obra"));
    world.tell(vec![named("Obra 2")]).await.expect("taken");
    assert_eq!(name(&world).as_deref(), Some("Obra 2"));
}
