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
