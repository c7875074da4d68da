//! What a channel tells of the templates that it keeps.

use pombo_domain::Timestamp;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use uuid::Uuid;

use crate::support::*;

fn template() -> Template {
    Template {
        number: 0,
        id: Uuid::from_u128(7),
        tenant: TENANT,
        connector: Some(LANE),
        name: "aviso".to_owned(),
        language: Some("pt_BR".to_owned()),
        category: TemplateCategory::Utility,
        format: TemplateFormat::Named,
        status: TemplateStatus::Pending,
        quality: Quality::Unknown,
        reason: None,
        remote_id: None,
        components: Vec::new(),
        variable_names: Vec::new(),
        created_at: Timestamp(0),
        updated_at: Timestamp(0),
    }
}

#[tokio::test]
async fn the_news_of_a_template_change_it_and_are_in_the_log() {
    let mut world = World::two_way(free());
    world.write(vec![Change::Template(Box::new(TemplateChange::Put(template())))]);
    world.start().await;
    let told = |json: &str| vec![ChannelEvent::Other("template".to_owned(), json.to_owned())];
    let now = |world: &World| world.store.template_by_number(TENANT, 1).expect("reads").expect("it is there");
    for odd in [
        "[]",
        "{}",
        r#"{"name":"aviso"}"#,
        r#"{"name":"aviso","language":"en","status":"approved"}"#,
        r#"{"name":"outro","language":"pt_BR","status":"approved"}"#,
        r#"{"name":"aviso","language":"pt_BR","status":"dreaming"}"#,
    ] {
        world.tell(told(odd)).await.expect("taken");
        assert_eq!(now(&world).status, TemplateStatus::Pending, "{odd}");
    }
    let events = world.events().len();
    let rejected = r#"{"name":"aviso","language":"pt_BR","id":"77","status":"rejected","reason":"INVALID_FORMAT"}"#;
    world.tell(told(rejected)).await.expect("taken");
    let after = now(&world);
    assert_eq!((after.status, after.remote_id.as_deref()), (TemplateStatus::Rejected, Some("77")));
    assert_eq!(after.reason.as_deref(), Some("INVALID_FORMAT"));
    assert_eq!(world.events().len(), events + 1);
    let more = r#"{"name":"aviso","language":"pt_BR","quality":"red","category":"marketing"}"#;
    world.tell(told(more)).await.expect("taken");
    let after = now(&world);
    assert_eq!((after.quality, after.category), (Quality::Red, TemplateCategory::Marketing));
    assert_eq!((after.status, after.number), (TemplateStatus::Rejected, 1));
}

/// A template that consists of another text.
const CONTENTS: &str = r#"{"name":"aviso","language":"pt_BR","contents":true}"#;

/// A connector whose channel keeps the template, and tells that it consists of something else: three times at once.
async fn told_of_contents(world: &mut World) {
    world.connectors.describe(|plugin| plugin.features.push("templates".to_owned()));
    world.write(vec![Change::Template(Box::new(TemplateChange::Put(template())))]);
    world.start().await;
    let told = ChannelEvent::Other("template".to_owned(), CONTENTS.to_owned());
    world.tell(vec![told.clone(), told.clone(), told]).await.expect("taken");
}

fn page(text: &str) -> Result<Answer, OperationError> {
    Ok(Answer::Other(format!(
        r#"{{"templates": [{{"id": "77", "name": "aviso", "language": "pt_BR", "status": "approved", "category": "utility",
            "format": "named", "quality": "green", "components": [{{"type": "body", "text": "{text}"}}]}}]}}"#
    )))
}

fn body(world: &World) -> Option<String> {
    let found = world.store.template_by_number(TENANT, 1).expect("reads").expect("it is there");
    found.body().map(str::to_owned)
}

#[tokio::test]
async fn what_a_template_consists_of_is_asked_for_once_however_often_it_is_told() {
    let mut world = World::two_way(free());
    world.connectors.answer(page("Outro texto"));
    told_of_contents(&mut world).await;
    assert_eq!(body(&world).as_deref(), Some("Outro texto"));
    assert_eq!(world.connectors.asked(), [Operation::Other("list-templates".to_owned(), "{}".to_owned())]);
    world.connectors.answer(page("Mais um texto"));
    world.tell(vec![ChannelEvent::Other("template".to_owned(), CONTENTS.to_owned())]).await.expect("taken");
    assert_eq!(body(&world).as_deref(), Some("Mais um texto"));
    // What says nothing of it asks for nothing.
    let approved = r#"{"name":"aviso","language":"pt_BR","status":"approved"}"#;
    world.connectors.asked();
    world.tell(vec![ChannelEvent::Other("template".to_owned(), approved.to_owned())]).await.expect("taken");
    assert_eq!(world.connectors.asked(), []);
}

#[tokio::test]
async fn a_connector_that_does_not_answer_is_asked_again_after_pauses_and_not_forever() {
    let mut world = World::two_way(free());
    world.connectors.answer(Err(OperationError::Disconnected("no session".to_owned())));
    world.connectors.answer(page("Outro texto"));
    told_of_contents(&mut world).await;
    assert_eq!((body(&world), world.connectors.asked().len()), (None, 1));
    world.clock.advance(10_000).await;
    assert_eq!(body(&world).as_deref(), Some("Outro texto"));

    (0..100).for_each(|_| world.connectors.answer(Err(OperationError::Failed("no".to_owned()))));
    world.connectors.asked();
    world.tell(vec![ChannelEvent::Other("template".to_owned(), CONTENTS.to_owned())]).await.expect("taken");
    for _ in 0..40 {
        world.clock.advance(600_000).await;
    }
    assert_eq!(world.connectors.asked().len(), 8);
}

#[tokio::test]
async fn a_plugin_that_keeps_no_templates_is_not_asked_for_any() {
    let mut world = World::two_way(free());
    world.start().await;
    world.tell(vec![ChannelEvent::Other("template".to_owned(), CONTENTS.to_owned())]).await.expect("taken");
    assert_eq!(world.connectors.asked(), []);
}
