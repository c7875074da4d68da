//! Tags: one for each name, on conversations by reference, counted.

use std::collections::BTreeMap;

use pombo_domain::model::tag::MAX_TAGS_OF_TENANT;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, TenantIndex};
use pombo_store::DiskStore;
use uuid::Uuid;

use crate::support::*;

fn create(tenant: TenantIndex, id: u128, name: &str) -> Change {
    let (id, name) = (Uuid::from_u128(id), name.to_owned());
    Change::Tag(TagChange::Create { tenant, id, name, color: Color::default() })
}

fn rename(tenant: TenantIndex, id: u128, name: &str) -> Change {
    Change::Tag(TagChange::Update { tenant, id: Uuid::from_u128(id), name: Some(name.to_owned()), color: None })
}

fn delete(tenant: TenantIndex, id: u128) -> Change {
    Change::Tag(TagChange::Delete(tenant, Uuid::from_u128(id)))
}

async fn put(store: &DiskStore, changes: Vec<Change>) {
    store.commit(Batch::of(changes)).await.unwrap();
}

async fn refused(store: &DiskStore, changes: Vec<Change>) -> Conflict {
    match store.commit(Batch::of(changes)).await {
        Err(StoreError::Conflict(conflict)) => conflict,
        other => panic!("{other:?}"),
    }
}

/// A new conversation; its id.
async fn opened(store: &DiskStore, tenant: TenantIndex, chat: &str) -> Uuid {
    let connector = ConnectorIndex(tenant.0);
    let open = AutomationChange::Open { tenant, connector, chat: chat.to_owned(), is_group: false };
    put(store, vec![Change::Automation(Box::new(open))]).await;
    store.conversation_with(connector, chat).unwrap().unwrap().id
}

fn steps(tenant: TenantIndex, conversation: Uuid, steps: &[(bool, &str)]) -> Change {
    let step = |(add, name): &(bool, &str)| {
        let name = (*name).to_owned();
        if *add { ConversationStep::Tag(name) } else { ConversationStep::Untag(name) }
    };
    let steps = steps.iter().map(step).collect();
    Change::Automation(Box::new(AutomationChange::Conversation(tenant, conversation, steps)))
}

fn shown(store: &DiskStore, conversation: Uuid) -> Vec<String> {
    store.conversation(conversation).unwrap().unwrap().tags
}

fn names(store: &DiskStore, tenant: TenantIndex) -> Vec<String> {
    store.tags(tenant).unwrap().iter().map(|tag| tag.name.clone()).collect()
}

async fn counts(store: &DiskStore, tenant: TenantIndex) -> BTreeMap<String, u64> {
    let counts = store.tag_counts(tenant).await.unwrap();
    let count = |tag: &std::sync::Arc<Tag>| Some((tag.name.clone(), *counts.get(&tag.number)?));
    store.tags(tenant).unwrap().iter().filter_map(count).collect()
}

#[tokio::test]
async fn a_tag_that_is_put_on_a_conversation_is_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let mut store = open(folder.path(), &clock);
    let (one, two) = (opened(&store, A, "1").await, opened(&store, A, "2").await);
    // In one group: both batches need it.
    let (first, second) = tokio::join!(
        store.commit(Batch::of(vec![steps(A, one, &[(true, "VIP"), (true, "boleto"), (true, "vip")])])),
        store.commit(Batch::of(vec![steps(A, two, &[(true, "Vip")])])),
    );
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(
        (shown(&store, one), shown(&store, two)),
        (vec!["VIP".to_owned(), "boleto".to_owned()], vec!["VIP".to_owned()])
    );
    assert_eq!(names(&store, A), ["VIP", "boleto"]);
    assert_eq!(counts(&store, A).await, BTreeMap::from([("VIP".to_owned(), 2), ("boleto".to_owned(), 1)]));
    assert!(names(&store, B).is_empty());
    put(&store, vec![steps(A, one, &[(false, "vIP"), (false, "unknown")])]).await;
    assert_eq!(shown(&store, one), ["boleto"]);
    assert_eq!(counts(&store, A).await["VIP"], 1);
    store.close().unwrap();
    drop(store);
    store = open(folder.path(), &clock);
    assert_eq!(
        (shown(&store, two), names(&store, A)),
        (vec!["VIP".to_owned()], vec!["VIP".to_owned(), "boleto".to_owned()])
    );
    assert_eq!(counts(&store, A).await["VIP"], 1);
    assert_sound(&store);
}

#[tokio::test]
async fn a_renamed_tag_keeps_its_conversations_and_a_deleted_one_loses_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    let one = opened(&store, A, "1").await;
    put(&store, vec![create(A, 1, "vip"), create(A, 2, "boleto")]).await;
    put(&store, vec![steps(A, one, &[(true, "vip"), (true, "boleto")])]).await;
    put(&store, vec![rename(A, 1, "Ouro")]).await;
    assert_eq!(shown(&store, one), ["Ouro", "boleto"]);
    let found = |name: &str| {
        let filter = ConversationFilter { tag: Some(name.to_owned()), ..ConversationFilter::default() };
        store.conversations(A, &filter, None, 10).unwrap().0.len()
    };
    assert_eq!([found("ouro"), found("vip"), found("BOLETO")], [1, 0, 1]);
    // The old name is free for another tag, which nobody has.
    put(&store, vec![create(A, 3, "VIP")]).await;
    assert_eq!(shown(&store, one), ["Ouro", "boleto"]);
    put(&store, vec![delete(A, 1)]).await;
    assert_eq!((shown(&store, one), found("ouro")), (vec!["boleto".to_owned()], 0));
    // One of the same name is not the one that was deleted.
    put(&store, vec![create(A, 4, "Ouro")]).await;
    assert_eq!(shown(&store, one), ["boleto"]);
    assert_eq!(counts(&store, A).await, BTreeMap::from([("boleto".to_owned(), 1)]));
    let numbers: Vec<u32> = store.tags(A).unwrap().iter().map(|tag| tag.number).collect();
    assert_eq!(numbers, [2, 3, 4], "no number is given twice");
    assert_sound(&store);
}

#[tokio::test]
async fn names_are_unique_in_a_tenant_and_a_batch_that_fails_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    put(&store, vec![create(A, 1, "Ação"), create(A, 2, "outra"), create(B, 3, "ação")]).await;
    assert_eq!(refused(&store, vec![create(A, 4, "ACAO")]).await, Conflict::TagName);
    assert_eq!(refused(&store, vec![rename(A, 2, "acao ")]).await, Conflict::TagName);
    put(&store, vec![rename(A, 1, "AÇÃO")]).await;
    assert_eq!(refused(&store, vec![rename(B, 1, "x")]).await, Conflict::Gone, "another tenant's");
    assert_eq!(refused(&store, vec![delete(B, 1)]).await, Conflict::Gone);
    let gone = vec![create(A, 5, "nova"), rename(A, 2, "mudada"), delete(A, 1), delete(A, 99)];
    assert_eq!(refused(&store, gone).await, Conflict::Gone);
    assert_eq!(
        (names(&store, A), names(&store, B)),
        (vec!["AÇÃO".to_owned(), "outra".to_owned()], vec!["ação".to_owned()])
    );
    assert!(store.tag_by_id(B, Uuid::from_u128(1)).unwrap().is_none());
    assert_eq!(store.tag_by_name(A, "acao").unwrap().unwrap().id, Uuid::from_u128(1));
    // Within one batch: a name that becomes free, and a tag that was just made.
    put(&store, vec![rename(A, 1, "livre"), create(A, 6, "ação"), rename(A, 6, "acaso"), create(A, 7, "Ação")]).await;
    assert_eq!(names(&store, A), ["livre", "outra", "acaso", "Ação"]);
    assert_sound(&store);
}

#[tokio::test]
async fn a_tenant_has_so_many_tags_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    let one = opened(&store, A, "1").await;
    let all: Vec<Change> = (0..MAX_TAGS_OF_TENANT).map(|n| create(A, n as u128 + 1, &format!("t{n}"))).collect();
    put(&store, all).await;
    assert_eq!(refused(&store, vec![create(A, 9_999, "one more")]).await, Conflict::TooManyTags);
    put(&store, vec![steps(A, one, &[(true, "one more"), (true, "t7")])]).await;
    assert_eq!(shown(&store, one), ["t7"], "there is no room for a new one");
    put(&store, vec![delete(A, 1), create(A, 9_999, "one more")]).await;
    put(&store, vec![create(B, 10_000, "t7")]).await;
    assert_sound(&store);
}

#[tokio::test]
async fn deleted_tags_do_not_take_the_places_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    let one = opened(&store, A, "1").await;
    let most = pombo_domain::model::conversation::MAX_TAGS;
    let all: Vec<String> = (0..most).map(|n| format!("t{n}")).collect();
    put(&store, all.iter().map(|name| steps(A, one, &[(true, name.as_str())])).collect()).await;
    put(&store, vec![steps(A, one, &[(true, "late")])]).await;
    assert_eq!((shown(&store, one).len(), store.tag_by_name(A, "late").unwrap()), (most, None));
    let dead = store.tag_by_name(A, "t0").unwrap().unwrap().id;
    put(&store, vec![Change::Tag(TagChange::Delete(A, dead)), steps(A, one, &[(true, "late")])]).await;
    let tags = shown(&store, one);
    assert_eq!((tags.len(), tags.contains(&"late".to_owned())), (most, true));
    assert_sound(&store);
}

#[tokio::test]
async fn lists_ask_by_name_and_a_deleted_conversation_is_counted_no_longer() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let (one, two) = (opened(&store, A, "1").await, opened(&store, A, "2").await);
    put(&store, vec![create(A, 1, "Ação"), create(A, 2, "b")]).await;
    put(&store, vec![steps(A, one, &[(true, "ação"), (true, "b")]), steps(A, two, &[(true, "b")])]).await;
    let find = async |filter: ConversationFilter| {
        let order = ConversationOrder::Id { after: None };
        let found = store.find_conversations(A, filter, order, 9).await.unwrap();
        found.rows.iter().map(|row| row.id).collect::<Vec<_>>()
    };
    let all = ConversationFilter::default;
    let tagged =
        |tags: &[&str]| ConversationFilter { tags: tags.iter().map(|tag| (*tag).to_owned()).collect(), ..all() };
    assert_eq!(find(tagged(&["ACAO", "unknown"])).await, [one]);
    assert_eq!(find(tagged(&["unknown"])).await, Vec::<Uuid>::new());
    put(&store, vec![rename(A, 1, "c")]).await;
    assert_eq!(find(tagged(&["c"])).await, [one]);
    let by_tag = async || store.count_conversations(A, None).await.unwrap().by_tag;
    assert_eq!(by_tag().await, [("b".to_owned(), 2), ("c".to_owned(), 1)]);
    assert_eq!(counts(&store, A).await, BTreeMap::from([("b".to_owned(), 2), ("c".to_owned(), 1)]));
    put(&store, vec![delete(A, 2)]).await;
    assert_eq!(find(ConversationFilter { tagged: Some(false), ..all() }).await, [two], "its tag is gone");
    assert_eq!(by_tag().await, [("c".to_owned(), 1)]);
    put(&store, vec![Change::Chat(Box::new(ChatChange::Delete(A, one)))]).await;
    assert!(counts(&store, A).await.is_empty() && by_tag().await.is_empty());
    assert_sound(&store);
}
