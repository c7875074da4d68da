//! Contacts and their other addresses.

use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};
use pombo_store::DiskStore;
use uuid::Uuid;

use crate::support::*;

const PHONE: ContactType = ContactType::WhatsApp;

fn contact(tenant: TenantIndex, id: u128, identifier: &str) -> Change {
    Change::Contact(Contact { id: Uuid::from_u128(id), ..samples::contact(tenant, PHONE, identifier) })
}

fn alias(tenant: TenantIndex, alias: &str, identifier: &str) -> Change {
    Change::ContactAlias { tenant, kind: PHONE, alias: alias.to_owned(), identifier: identifier.to_owned() }
}

async fn put(store: &DiskStore, changes: Vec<Change>) {
    store.commit(Batch::of(changes)).await.unwrap();
}

/// The id of the contact that an address leads to.
fn at(store: &DiskStore, tenant: TenantIndex, address: &str) -> Option<u128> {
    store.contact(tenant, PHONE, address).unwrap().map(|contact| contact.id.as_u128())
}

fn aliases(store: &DiskStore, tenant: TenantIndex, identifier: &str) -> Vec<String> {
    store.contact_aliases(tenant, PHONE, identifier).unwrap()
}

#[tokio::test]
async fn a_contact_is_found_by_its_aliases_in_its_tenant_and_kind() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    // The alias may come first.
    put(&store, vec![alias(A, "1@lid", "5511"), alias(A, "551", "5511"), alias(A, "5511", "5511")]).await;
    assert_eq!(at(&store, A, "1@lid"), None);
    put(&store, vec![contact(A, 1, "5511"), contact(B, 2, "5511"), contact(A, 3, "55")]).await;
    for again in [false, true] {
        assert_eq!(
            ["5511", "1@lid", "551", "55", "11"].map(|a| at(&store, A, a)),
            [Some(1), Some(1), Some(1), Some(3), None]
        );
        assert_eq!((at(&store, B, "5511"), at(&store, B, "1@lid")), (Some(2), None));
        assert!(store.contact(A, ContactType::Email, "1@lid").unwrap().is_none());
        assert_eq!(aliases(&store, A, "5511"), ["1@lid", "551"]);
        assert!(aliases(&store, A, "55").is_empty(), "the aliases of 5511 are not those of 55");
        assert!(aliases(&store, B, "5511").is_empty());
        assert_sound(&store);
        if !again {
            put(&store, vec![alias(A, "551", "5511"), alias(A, "1@lid", "5511")]).await;
        }
    }
}

#[tokio::test]
async fn an_alias_moves_and_yields_to_a_contact_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    put(&store, vec![contact(A, 1, "a"), contact(A, 2, "b"), alias(A, "x", "a"), alias(A, "y", "a")]).await;
    put(&store, vec![alias(A, "x", "b")]).await;
    assert_eq!((at(&store, A, "x"), at(&store, A, "y")), (Some(2), Some(1)));
    assert_eq!((aliases(&store, A, "a"), aliases(&store, A, "b")), (vec!["y".to_owned()], vec!["x".to_owned()]));
    // The identifier wins; without it the alias is back.
    put(&store, vec![contact(A, 3, "x")]).await;
    assert_eq!(at(&store, A, "x"), Some(3));
    assert!(aliases(&store, A, "b").is_empty());
    put(&store, vec![Change::DeleteContact(A, Uuid::from_u128(3))]).await;
    assert_eq!(at(&store, A, "x"), Some(2));
    // Moves within one batch leave one.
    put(&store, vec![alias(A, "z", "a"), alias(A, "z", "b"), alias(A, "z", "a")]).await;
    assert_eq!((aliases(&store, A, "a").len(), aliases(&store, A, "b").len()), (2, 1));
    assert_sound(&store);
}

#[tokio::test]
async fn a_deleted_contact_takes_its_aliases_with_it_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    let both = |tenant| {
        vec![contact(tenant, 1, "a"), contact(tenant, 2, "ab"), alias(tenant, "x", "a"), alias(tenant, "y", "ab")]
    };
    put(&store, both(A)).await;
    put(&store, both(B)).await;
    // An alias of the same batch goes too.
    put(&store, vec![alias(A, "w", "a"), Change::DeleteContact(A, Uuid::from_u128(1))]).await;
    put(&store, vec![contact(A, 4, "a")]).await;
    assert_eq!(["x", "w", "y"].map(|address| at(&store, A, address)), [None, None, Some(2)]);
    assert_eq!(["x", "y"].map(|address| at(&store, B, address)), [Some(1), Some(2)]);
    assert!(aliases(&store, A, "a").is_empty());
    assert_sound(&store);
}

#[tokio::test]
async fn another_identifier_leaves_the_aliases_with_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    put(&store, vec![contact(A, 1, "a"), alias(A, "x", "a")]).await;
    put(&store, vec![contact(A, 1, "b")]).await;
    assert_eq!((at(&store, A, "x"), at(&store, A, "b")), (None, Some(1)));
    put(&store, vec![contact(A, 2, "a")]).await;
    assert_eq!(at(&store, A, "x"), Some(2));
    assert_sound(&store);
}

fn whole(id: u128, identifier: &str) -> Contact {
    Contact { id: Uuid::from_u128(id), ..samples::contact(A, PHONE, identifier) }
}

fn opted_out(id: u128, identifier: &str) -> Change {
    Change::Contact(Contact { active: false, reason: Some("asked".to_owned()), ..whole(id, identifier) })
}

fn delete(id: u128) -> Change {
    Change::DeleteContact(A, Uuid::from_u128(id))
}

fn number(store: &DiskStore, tenant: TenantIndex, id: u128) -> u64 {
    store.contact_by_id(tenant, Uuid::from_u128(id)).unwrap().unwrap().number
}

/// Whether the contact at an address accepts messages, and why not.
fn standing(store: &DiskStore, address: &str) -> Option<(bool, Option<String>)> {
    store.contact(A, PHONE, address).unwrap().map(|contact| (contact.active, contact.reason))
}

fn left(store: &DiskStore, address: &str) -> bool {
    store.opt_out(A, PHONE, address).unwrap().is_some()
}

#[tokio::test]
async fn numbers_count_from_one_in_each_tenant_and_are_never_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let mut store = open(folder.path(), &clock);
    put(&store, vec![contact(A, 1, "a"), contact(A, 2, "b"), contact(B, 1, "a")]).await;
    assert_eq!([number(&store, A, 1), number(&store, A, 2), number(&store, B, 1)], [1, 2, 1]);
    // A batch that fails gives none.
    let failed = store.commit(Batch::of(vec![contact(A, 3, "c"), contact(A, 4, "a")])).await;
    assert_eq!(failed, Err(StoreError::Conflict(Conflict::Contact)));
    put(&store, vec![delete(2)]).await;
    assert!(store.contact_by_number(A, 2).unwrap().is_none());
    store.close().unwrap();
    drop(store);
    store = open(folder.path(), &clock);
    put(&store, vec![contact(A, 5, "b"), contact(A, 1, "moved")]).await;
    assert_eq!([number(&store, A, 5), number(&store, A, 1)], [3, 1]);
    let by_number = store.contact_by_number(A, 1).unwrap().unwrap();
    assert_eq!((by_number.id, by_number.identifier.as_str()), (Uuid::from_u128(1), "moved"));
    assert!(
        store.contact_by_number(A, 0).unwrap().is_none() && store.contact_by_number(A, u64::MAX).unwrap().is_none()
    );
    assert_sound(&store);
}

#[tokio::test]
async fn steps_change_the_newest_version_and_a_replacement_keeps_the_connectors() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    put(&store, vec![contact(A, 1, "a")]).await;
    let step = |steps: Vec<ContactStep>, must_exist| Change::ContactSteps {
        tenant: A,
        id: Uuid::from_u128(1),
        at: Timestamp(9),
        steps,
        must_exist,
    };
    let join = |n| ContactStep::Join(ConnectorIndex(n));
    // Two that read the same version and write one after the other.
    put(&store, vec![step(vec![ContactStep::Active(false, Some("asked".to_owned()))], true)]).await;
    put(&store, vec![step(vec![ContactStep::Name(Some("Ana".to_owned())), join(2)], true)]).await;
    let now = store.contact(A, PHONE, "a").unwrap().unwrap();
    assert_eq!((now.active, now.name.as_deref(), now.updated_at), (false, Some("Ana"), Timestamp(9)));
    put(&store, vec![Change::Contact(Contact { connectors: vec![ConnectorIndex(1)], ..whole(1, "a") })]).await;
    assert_eq!(store.contact(A, PHONE, "a").unwrap().unwrap().connectors, [1, 2].map(ConnectorIndex));
    put(&store, vec![step(vec![ContactStep::Leave(ConnectorIndex(2))], true)]).await;
    assert_eq!(store.contact(A, PHONE, "a").unwrap().unwrap().connectors, [ConnectorIndex(1)]);
    put(&store, vec![delete(1), step(vec![join(3)], false)]).await;
    let gone = store.commit(Batch::of(vec![step(vec![join(3)], true)])).await;
    assert_eq!(gone, Err(StoreError::Conflict(Conflict::Contact)));
    let other_tenant = Change::ContactSteps {
        tenant: B,
        id: Uuid::from_u128(1),
        at: Timestamp(9),
        steps: vec![join(3)],
        must_exist: true,
    };
    put(&store, vec![contact(A, 1, "a")]).await;
    assert!(store.commit(Batch::of(vec![other_tenant])).await.is_err());
    assert_sound(&store);
}

#[tokio::test]
async fn an_opt_out_outlives_its_contact_and_the_next_one_takes_it_over() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let mut store = open(folder.path(), &clock);
    put(&store, vec![opted_out(1, "a"), contact(A, 2, "b"), delete(1), delete(2)]).await;
    assert_eq!((left(&store, "a"), left(&store, "b")), (true, false));
    assert!(store.opt_out(B, PHONE, "a").unwrap().is_none());
    assert!(store.opt_out(A, ContactType::Email, "a").unwrap().is_none());
    store.close().unwrap();
    drop(store);
    store = open(folder.path(), &clock);
    assert_eq!(store.opt_out(A, PHONE, "a").unwrap().unwrap().reason.as_deref(), Some("asked"));
    put(&store, vec![contact(A, 3, "a"), contact(A, 4, "b")]).await;
    assert_eq!(standing(&store, "a"), Some((false, Some("asked".to_owned()))));
    assert_eq!(standing(&store, "b"), Some((true, None)));
    assert!(!left(&store, "a"), "the contact has it now");
    // Who is active again leaves nothing behind.
    put(&store, vec![Change::Contact(whole(3, "a")), delete(3)]).await;
    assert!(!left(&store, "a"));
    assert_sound(&store);
}

#[tokio::test]
async fn an_opt_out_counts_under_every_address_of_the_person() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    // The aliases stay with it.
    put(&store, vec![opted_out(1, "551"), alias(A, "1@lid", "551"), delete(1)]).await;
    assert!(left(&store, "551") && left(&store, "1@lid"));
    assert_eq!(store.contact_identifier(A, PHONE, "1@lid").unwrap(), "551");
    put(&store, vec![contact(A, 2, "1@lid")]).await;
    assert_eq!(standing(&store, "1@lid"), Some((false, Some("asked".to_owned()))), "the same person");
    assert!(left(&store, "551"), "the other address still opted out");
    // One that becomes an alias later: of somebody, and of nobody yet.
    put(&store, vec![opted_out(3, "x"), delete(3), opted_out(4, "y"), delete(4), contact(A, 5, "somebody")]).await;
    put(&store, vec![alias(A, "x", "somebody"), alias(A, "y", "nobody")]).await;
    assert_eq!(standing(&store, "somebody"), Some((false, Some("asked".to_owned()))));
    assert!(left(&store, "nobody") && left(&store, "y"));
    assert!(!left(&store, "x"), "the contact has it");
    // A contact of its own under an alias: its opt-out is the other one's.
    put(&store, vec![contact(A, 6, "main"), alias(A, "second", "main"), opted_out(7, "second"), delete(7)]).await;
    assert_eq!(standing(&store, "main"), Some((false, Some("asked".to_owned()))));
    assert_sound(&store);
}

#[tokio::test]
async fn lists_have_exact_totals_before_and_after_changes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    put(&store, (1..=5).map(|n| contact(A, n, &format!("55{n}"))).collect()).await;
    let list = |search: Option<&str>, after, skip| {
        let filter = ContactFilter { search: search.map(str::to_owned), ..ContactFilter::default() };
        let store = &store;
        async move {
            let page = store.list_contacts(A, filter, after, skip, 2).await.unwrap();
            (page.rows.iter().map(|contact| contact.number).collect::<Vec<_>>(), page.total, page.next)
        }
    };
    assert_eq!(list(None, 0, 0).await, (vec![1, 2], 5, Some(2)));
    assert_eq!(list(None, 2, 2).await, (vec![5], 5, None));
    let named = Contact { push_name: Some("Érica".to_owned()), ..whole(4, "554") };
    put(&store, vec![delete(2), Change::Contact(named), contact(A, 6, "556"), contact(B, 7, "557")]).await;
    assert_eq!(list(None, 0, 0).await, (vec![1, 3], 5, Some(3)));
    assert_eq!(list(Some("erica"), 0, 0).await, (vec![4], 1, None));
    assert_eq!(list(Some("55 6"), 0, 0).await, (vec![6], 1, None));
    let theirs = store.list_contacts(B, ContactFilter::default(), 0, 0, 10).await.unwrap();
    assert_eq!((theirs.total, theirs.rows.len()), (1, 1));
    // A batch that fails is not listed either.
    store.commit(Batch::of(vec![delete(1), contact(A, 9, "556")])).await.unwrap_err();
    assert_eq!(list(None, 0, 0).await.1, 5);
    assert_sound(&store);
}
