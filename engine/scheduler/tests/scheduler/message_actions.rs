//! Reactions, edits, deletions and the rest that only some channels can do, on their way to the connector.

use pombo_domain::model::FileKind;
use pombo_domain::model::message::{MessageAction, MessageOptions, NewMessage, OwnContent, Target};

use crate::support::*;

fn target() -> Target {
    Target { provider_id: "3EB0".to_owned(), sender: Some("5511".to_owned()), text: Some("Oi".to_owned()) }
}

fn acting(action: MessageAction, written: &str) -> NewMessage {
    NewMessage { options: MessageOptions { action, ..MessageOptions::default() }, ..text(written) }
}

#[tokio::test]
async fn what_a_message_asks_for_reaches_the_connector() {
    let mut world = World::new(free());
    world.start().await;
    let options = MessageOptions {
        action: MessageAction::Say,
        reply_to: Some(target()),
        mentions: vec!["5511".to_owned()],
        voice_note: true,
        file_kind: Some(FileKind::Document),
        expires_at: None,
        template: Some(3),
        campaign: None,
    };
    world.post(NewMessage { options: options.clone(), ..text("x") });
    settle().await;
    world.post(NewMessage { force_direct: true, ..text("y") });
    settle().await;
    let expires_at = Some(NOON.plus_ms(1_000));
    let awaited = MessageOptions { expires_at, ..MessageOptions::default() };
    world.post(NewMessage { force_direct: true, options: awaited, ..text("z") });
    settle().await;
    let sent = world.connectors.sent.lock().clone();
    // From what it was made, the connector does not learn.
    assert_eq!(sent[0].options, MessageOptions { template: None, ..options });
    // To go ahead of the queue is not enough.
    assert_eq!([0, 1, 2].map(|n| sent[n].awaited), [false, false, true]);
}

#[tokio::test]
async fn an_emoji_and_a_deletion_are_no_templates_but_an_edit_is() {
    for (action, written, sent, rendered) in [
        (MessageAction::React(target()), "{{ bad }}", "{{ bad }}", 0),
        (MessageAction::React(target()), "", "", 0),
        (MessageAction::Revoke(target()), "", "", 0),
        (MessageAction::Edit(target()), "new{{ * }}", "new{}", 1),
    ] {
        let mut world = World::new(free());
        world.start().await;
        let attachment_url = Some("https://example.org/a.pdf".to_owned());
        let key = world.post(NewMessage { attachment_url, ..acting(action.clone(), written) });
        world.clock.advance(1_000).await;
        assert_eq!(world.shown(key), "SENT", "{action:?}");
        let seen = world.connectors.sent.lock()[0].clone();
        assert_eq!((seen.text.as_str(), seen.attachments, &seen.options.action), (sent, 0, &action));
        assert_eq!(*world.fetcher.fetched.lock(), 0, "only what is newly said carries files");
        assert_eq!(world.renderer.seeds.lock().len(), rendered);
    }
}

#[tokio::test]
async fn content_of_a_plugins_own_reaches_it_with_its_file_and_is_not_rendered() {
    let mut world = World::new(free());
    world.start().await;
    let own = OwnContent { kind: "template".to_owned(), value: r#"{"name":"a"}"#.to_owned() };
    let action = MessageAction::Other(own);
    let attachment_url = Some("https://example.org/a.pdf".to_owned());
    let key = world.post(NewMessage { attachment_url, ..acting(action.clone(), r"Oi \{\{ nome \}\} {{ bad") });
    world.clock.advance(1_000).await;
    assert_eq!(world.shown(key), "SENT");
    let seen = world.connectors.sent.lock()[0].clone();
    assert_eq!((seen.text.as_str(), seen.attachments, &seen.options.action), ("Oi {{ nome }} {{ bad", 1, &action));
    assert!(world.renderer.seeds.lock().is_empty(), "nothing is rendered");
}

#[tokio::test]
async fn actions_among_texts_keep_their_own_text() {
    let mut world = World::new(free());
    world.change_connector(|connector| connector.status = pombo_domain::model::connector::ConnectorStatus::Paused);
    world.start().await;
    let keys = world.post_all(
        TENANT,
        vec![
            text("a"),
            acting(MessageAction::React(target()), "👍"),
            text("b{{ * }}"),
            acting(MessageAction::Revoke(target()), ""),
            text("c"),
        ],
    );
    world.change_connector(|connector| connector.status = pombo_domain::model::connector::ConnectorStatus::Active);
    settle().await;
    assert!(keys.iter().all(|key| world.shown(*key) == "SENT"));
    assert_eq!(world.connectors.texts(), ["a", "👍", "b{}", "", "c"]);
}

#[tokio::test]
async fn who_does_not_want_messages_may_see_one_taken_back() {
    let mut world = World::new(free());
    world.inactive_contact("ana@example.org");
    world.start().await;
    let keys = [
        world.post(acting(MessageAction::Edit(target()), "x")),
        world.post(acting(MessageAction::React(target()), "👍")),
        world.post(acting(MessageAction::Revoke(target()), "")),
    ];
    settle().await;
    assert_eq!(keys.map(|key| world.shown(key)), ["FAILED inactive_contact", "FAILED inactive_contact", "SENT"]);
}
