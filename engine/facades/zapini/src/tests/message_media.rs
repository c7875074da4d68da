//! Section "Mídia": the files of messages of conversations.

use pombo_domain::model::{Attachment, Inbound, InboundAttachment, InboundContent, MediaKind, MediaState, TimelineAct};
use pombo_domain::ports::{AutomationStore, Batch, Change, ChatChange, ChatMessage, ChatStore, Store, TimelineRange};
use pombo_testkit::samples;
use uuid::Uuid;

use super::auth::with;
use super::*;

const CHAT: &str = "5511987654321";

/// A message as the intake would store it; its id.
async fn receive(site: &Site, provider_id: &str, content: InboundContent) -> Uuid {
    let inbound = Inbound { content, ..samples::inbound(CHAT, provider_id) };
    let message = ChatMessage {
        tenant: site.loja.tenant.index,
        connector: site.instance.index,
        chat: CHAT.to_owned(),
        is_group: Some(false),
        contact_name: None,
        act: TimelineAct::of(&inbound),
    };
    let change = Change::Chat(Box::new(ChatChange::Received(message)));
    site.world.store.commit(Batch::of(vec![change])).await.expect("commits");
    let conversation = site.world.store.conversation_with(site.instance.index, CHAT).expect("reads").expect("open");
    let range = TimelineRange::default();
    let page = site.world.store.timeline(site.loja.tenant.index, conversation.number, &range, 9).expect("reads");
    page.items.last().expect("an entry").id
}

fn picture(media: MediaState) -> InboundContent {
    InboundContent::Attachment(InboundAttachment {
        kind: MediaKind::Image,
        media,
        file_name: None,
        content_type: "image/jpeg".to_owned(),
        size: None,
        caption: Some("olha".to_owned()),
    })
}

async fn stored(site: &Site, name: &str, content: &[u8]) -> Attachment {
    let media = site.world.commands.media();
    let created = media.create(site.loja.tenant.index, name, Some("image/jpeg"), 99).await;
    let mut writer = created.expect("creates");
    writer.write(content).await.expect("writes");
    writer.finish().await.expect("finishes")
}

#[tokio::test]
async fn a_received_file_is_a_download_with_its_type() {
    let site = Site::new().await;
    let file = stored(&site, "foto.jpg", b"JPEG").await;
    let id = receive(&site, "R1", picture(MediaState::Ready(file))).await;
    let path = format!("/messages/{id}/media");
    for named in [id.to_string(), "1".to_owned(), "R1".to_owned()] {
        let answer = site.get(&format!("/messages/{named}/media")).await;
        assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (200, b"JPEG".as_slice()), "{named}");
    }
    let answer = site.get(&path).await;
    for (name, value) in [
        ("content-type", "image/jpeg"),
        ("content-length", "4"),
        ("x-content-type-options", "nosniff"),
        ("content-disposition", "attachment; filename=\"foto.jpg\"; filename*=UTF-8''foto.jpg"),
    ] {
        assert_eq!(answer.headers[name], value, "{name}");
    }
    assert_eq!(site.ask(&site.other, "GET", &path, None).await.error(404), "NOT_FOUND");
    let tenant = site.loja.tenant.index;
    let key = async |instance: Uuid| {
        site.world.commands.create_api_key(tenant, "bot", Some(instance)).await.expect("a good name").key
    };
    let (own, another) = (key(site.instance.id).await, key(site.another(&site.loja).await.id).await);
    assert_eq!(with(&site, &own, "GET", &path, None).await.status, 200);
    assert_eq!(with(&site, &another, "GET", &path, None).await.error(403), "FORBIDDEN");
}

#[tokio::test]
async fn a_file_that_is_not_there_yet_or_never_will_be_is_not_found_and_says_why() {
    let site = Site::new().await;
    let pending = receive(&site, "R1", picture(MediaState::Pending)).await;
    let answer = site.get(&format!("/messages/{pending}/media")).await;
    assert_eq!(answer.error(404), "NOT_FOUND");
    assert_eq!(answer.headers["retry-after"], "5");

    let failed = receive(&site, "R2", picture(MediaState::Failed("the phone no longer has it".to_owned()))).await;
    let answer = site.get(&format!("/messages/{failed}/media")).await;
    assert_eq!(answer.error(404), "NOT_FOUND");
    assert!(!answer.headers.contains_key("retry-after") && answer.text().contains("the phone no longer has it"));
}

#[tokio::test]
async fn a_message_without_a_file_and_an_unknown_one_have_none() {
    let site = Site::new().await;
    let text = receive(&site, "R1", InboundContent::Text("oi".to_owned())).await;
    let lost = Attachment { id: Uuid::from_u128(77), ..samples::attachment() };
    let lost = receive(&site, "R2", picture(MediaState::Ready(lost))).await;
    let file = stored(&site, "foto.jpg", b"JPEG").await;
    let taken_back = receive(&site, "R3", picture(MediaState::Ready(file))).await;
    receive(&site, "R4", InboundContent::Revoke("R3".to_owned())).await;
    for id in
        [text, lost, taken_back, Uuid::from_u128(5)].map(|id| id.to_string()).iter().map(String::as_str).chain(["x"])
    {
        assert_eq!(site.get(&format!("/messages/{id}/media")).await.error(404), "NOT_FOUND", "{id}");
    }
}
