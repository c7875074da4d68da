//! What a channel tells of the templates that it keeps.

use pombo_domain::Timestamp;
use pombo_domain::commands::templates::{Asking, Synced, synchronise};
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

/// Synchronises while `changes` are committed before the channel's list is answered.
async fn synchronised_during(world: &World, changes: Vec<Change>) -> Synced {
    let store = world.store.clone();
    world.connectors.meanwhile(move || drop(store.write(Batch::of(changes)).expect("a test's own write")));
    let entropy = ConstantEntropy(9);
    let asking =
        Asking { store: &*world.store, connectors: &*world.connectors, entropy: &entropy, clock: &world.clock };
    synchronise(asking, &world.stored_connector(LANE)).await.expect("the channel answers")
}

/// A world whose store has the template as it was created, approved, with a name for its variable.
fn approved() -> World {
    let world = World::two_way(free());
    let known = Template { status: TemplateStatus::Approved, variable_names: vec!["nome".to_owned()], ..template() };
    world.write(vec![Change::Template(Box::new(TemplateChange::Put(known)))]);
    world
}

fn stored(world: &World) -> Template {
    Template::clone(&world.store.template_by_number(TENANT, 1).expect("reads").expect("it is there"))
}

fn pending(text: &str) -> Result<Answer, OperationError> {
    page(text).map(|answer| match answer {
        Answer::Other(json) => Answer::Other(json.replace("approved", "pending")),
        other => other,
    })
}

fn news(status: Option<TemplateStatus>) -> TemplateNews {
    TemplateNews {
        connector: LANE,
        tenant: TENANT,
        name: "aviso".to_owned(),
        language: "pt_BR".to_owned(),
        remote_id: None,
        status,
        quality: None,
        category: None,
        reason: None,
    }
}

#[tokio::test]
async fn what_a_channel_tells_while_it_lists_its_templates_is_newer_than_the_list() {
    // The approval is news, or it confirms what was known.
    for before in [TemplateStatus::Pending, TemplateStatus::Approved] {
        let world = approved();
        world.write(vec![Change::Template(Box::new(TemplateChange::Put(Template {
            number: 1,
            status: before,
            ..stored(&world)
        })))]);
        world.connectors.answer(pending("Outro texto"));
        let told = TemplateChange::Told(news(Some(TemplateStatus::Approved)));
        let synced = synchronised_during(&world, vec![Change::Template(Box::new(told))]).await;
        assert_eq!((synced.changed, synced.total), (1, 1));
        let after = stored(&world);
        assert_eq!((after.status, after.body()), (TemplateStatus::Approved, Some("Outro texto")), "{before}");
        assert_eq!(after.remote_id.as_deref(), Some("77"));
        // The next list, during which nothing is told, counts whole.
        world.connectors.answer(pending("Outro texto"));
        synchronised_during(&world, Vec::new()).await;
        assert_eq!((stored(&world).status, stored(&world).quality), (TemplateStatus::Pending, Quality::Green));
    }
}

#[tokio::test]
async fn what_a_person_changes_while_templates_are_synchronised_stays() {
    let put = |template: Template| vec![Change::Template(Box::new(TemplateChange::Put(template)))];
    // Names of variables: the channel does not know them.
    let world = approved();
    let renamed =
        Template { variable_names: vec!["cliente".to_owned()], updated_at: world.clock.now(), ..stored(&world) };
    world.connectors.answer(page("Outro texto"));
    synchronised_during(&world, put(renamed)).await;
    let after = stored(&world);
    assert_eq!((after.body(), after.variable_names.as_slice()), (Some("Outro texto"), &["cliente".to_owned()][..]));

    // Another text, which the channel took after it wrote its list.
    let world = approved();
    let [Ok(Answer::Other(listed)), Ok(Answer::Other(edited))] = [page("Texto antigo"), page("Texto novo")] else {
        panic!("pages")
    };
    let (edited, _) = pombo_domain::model::template::read_page(&edited).expect("a page");
    let edited =
        Template { status: TemplateStatus::Pending, components: edited[0].components.clone(), ..stored(&world) };
    world.connectors.answer(Ok(Answer::Other(listed)));
    synchronised_during(&world, put(edited.clone())).await;
    assert_eq!(stored(&world), edited);

    // One that the list does not have yet, and one that the person deleted.
    let world = approved();
    let nothing = || Ok(Answer::Other(r#"{"templates": []}"#.to_owned()));
    let again = Template { remote_id: Some("78".to_owned()), ..stored(&world) };
    world.connectors.answer(nothing());
    synchronised_during(&world, put(again.clone())).await;
    assert_eq!(stored(&world), again);
    world.connectors.answer(nothing());
    assert_eq!(synchronised_during(&world, Vec::new()).await.removed, 1);
    assert_eq!(stored(&world).status, TemplateStatus::Deleted);
    world.connectors.answer(page("Outro texto"));
    let delete = TemplateChange::Delete(TENANT, template().id);
    synchronised_during(&world, vec![Change::Template(Box::new(delete))]).await;
    assert_eq!(world.store.template_by_number(TENANT, 1), Ok(None));

    // One that was created while it was listed: it is not stored twice, and the others are.
    world.connectors.answer(page("Outro texto"));
    synchronised_during(&world, put(template())).await;
    let all = world.store.templates(TENANT, &TemplateFilter::default(), 0, 9).expect("reads");
    assert_eq!(all.rows.iter().map(|found| (found.number, found.body())).collect::<Vec<_>>(), [(2, None)]);
}
