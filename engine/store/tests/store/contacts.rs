//! Contacts and their other addresses.

use pombo_domain::TenantIndex;
use pombo_domain::model::*;
use pombo_domain::ports::*;
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
