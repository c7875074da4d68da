//! Tenants, users, keys, connectors, imports: uniqueness, counters, what survives a restart.

use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{ConnectorIndex, TenantIndex, Timestamp};
use uuid::Uuid;

use crate::support::*;

fn user(id: u128, email: &str) -> User {
    User {
        id: Uuid::from_u128(id),
        number: id as u32,
        tenant: A,
        email: email.to_owned(),
        name: "N".to_owned(),
        role: Role::Owner.into(),
        password_hash: "$argon2id$".to_owned(),
        login_epoch: 0,
        created_at: Timestamp(1),
    }
}

fn connector(index: ConnectorIndex, status: ConnectorStatus) -> Connector {
    Connector {
        id: Uuid::from_u128(u128::from(index.0) + 100),
        plugin: "connector-email".to_owned(),
        secrets: [("password".to_owned(), vec![1, 2, 3])].into(),
        status,
        pace: Pace { warm_up: Some(Default::default()), ..Pace::default() },
        ..samples::connector(index, A, "email")
    }
}

#[tokio::test]
async fn an_email_is_one_users_and_free_once_he_has_another() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    for number in 1..=2 {
        assert_eq!(store.next_user_number().await, Ok(number));
    }
    let put = |user: User| store.commit(Batch::of(vec![Change::User(user)]));
    let (one, two) = tokio::join!(put(user(1, "a@x")), put(user(2, "a@x")));
    assert!(one.is_ok());
    assert_eq!(two, Err(StoreError::Conflict(Conflict::Email)));
    put(user(1, "b@x")).await.unwrap();
    put(user(2, "a@x")).await.unwrap();
    assert_eq!(store.user_by_email("a@x").unwrap().unwrap().id, Uuid::from_u128(2));
    assert_eq!(store.user_by_email("b@x").unwrap().unwrap().id, Uuid::from_u128(1));
    assert_eq!(store.users(A).unwrap().len(), 2);
    assert!(store.users(B).unwrap().is_empty());
    // Nothing of a batch that fails stays.
    let tenant = Tenant { id: Uuid::from_u128(9), index: B, name: "t".to_owned(), created_at: Timestamp(1) };
    let batch = Batch::of(vec![Change::Tenant(tenant), Change::User(user(3, "a@x"))]);
    assert_eq!(store.commit(batch).await, Err(StoreError::Conflict(Conflict::Email)));
    assert!(store.tenants().unwrap().is_empty());
    assert_sound(&store);
}

#[tokio::test]
async fn numbers_are_never_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    assert_eq!(store.next_tenant_index().await, Ok(TenantIndex(1)));
    assert_eq!(store.next_connector_index().await, Ok(ConnectorIndex(1)));
    let (one, two) = tokio::join!(store.next_tenant_index(), store.next_tenant_index());
    assert_eq!((one, two), (Ok(TenantIndex(2)), Ok(TenantIndex(3))));
    drop(store);
    let store = open(folder.path(), &clock);
    assert_eq!(store.next_tenant_index().await, Ok(TenantIndex(4)));
}

#[tokio::test]
async fn documents_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let tenant = Tenant { id: Uuid::from_u128(5), index: A, name: "t".to_owned(), created_at: Timestamp(1) };
    let key = |id: u128, hash: u8| ApiKey {
        id: Uuid::from_u128(id),
        tenant: A,
        name: "k".to_owned(),
        hash: [hash; 32],
        prefix: "sk_live_ab12".to_owned(),
        connector: None,
        created_at: Timestamp(1),
        revoked_at: None,
    };
    let import = |id: u128, at: i64| Import {
        id: Uuid::from_u128(id),
        tenant: A,
        file_name: "f.xlsx".to_owned(),
        status: pombo_domain::model::import::ImportStatus::Done,
        rows_total: 3,
        rows_read: 3,
        accepted: 2,
        rejected: 1,
        problems: Vec::new(),
        messages: vec![(2, Uuid::from_u128(77))],
        error: None,
        created_at: Timestamp(at),
        finished_at: None,
    };
    let pace = PaceState { sent_today: 7, ..PaceState::default() };
    store
        .commit(Batch::of(vec![
            Change::Tenant(tenant.clone()),
            Change::ApiKey(key(1, 1)),
            Change::ApiKey(key(1, 2)),
            Change::Connector(connector(ConnectorIndex(1), ConnectorStatus::Active)),
            Change::Connector(connector(ConnectorIndex(2), ConnectorStatus::Deleted)),
            Change::Pace(ConnectorIndex(1), pace.clone()),
            Change::Import(import(1, 10)),
            Change::Import(import(2, 30)),
            Change::Import(import(3, 20)),
        ]))
        .await
        .unwrap();
    drop(store);
    let store = open(folder.path(), &clock);
    assert_eq!(store.tenants().unwrap(), vec![tenant.clone()]);
    assert_eq!(store.tenant_by_id(tenant.id).unwrap(), Some(tenant));
    assert!(store.api_key_by_hash(&[1; 32]).unwrap().is_none(), "replaced");
    assert!(store.api_key_by_hash(&[2; 32]).unwrap().is_some());
    assert_eq!(store.api_keys(A).unwrap().len(), 1);
    assert_eq!(store.connectors(Some(A)).unwrap().len(), 1, "deleted ones are not listed");
    assert!(store.connectors(Some(B)).unwrap().is_empty());
    assert!(store.connector(ConnectorIndex(2)).unwrap().is_some());
    let one = connector(ConnectorIndex(1), ConnectorStatus::Active);
    assert!(*store.connector_by_id(A, one.id).unwrap().unwrap() == one);
    assert!(store.connector_by_id(B, one.id).unwrap().is_none());
    assert!(*store.connector_of_any_tenant(one.id).unwrap().unwrap() == one);
    assert!(store.connector_of_any_tenant(Uuid::from_u128(5)).unwrap().is_none());
    assert_eq!(store.pace_state(ConnectorIndex(1)).unwrap(), pace);
    assert_eq!(store.pace_state(ConnectorIndex(2)).unwrap(), PaceState::default());
    let ids: Vec<u128> = store.imports(A, 2).unwrap().iter().map(|i| i.id.as_u128()).collect();
    assert_eq!(ids, vec![2, 3]);
    assert_eq!(store.import(A, Uuid::from_u128(1)).unwrap(), Some(import(1, 10)));
    assert_eq!(store.import(B, Uuid::from_u128(1)).unwrap(), None);
    assert_sound(&store);
}

#[tokio::test]
async fn a_folder_in_use_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let Err(error) = pombo_store::open(options(), folder.path(), clock.clone(), entropy()) else {
        panic!("opened twice")
    };
    assert!(matches!(error, pombo_store::Error::Locked { .. }));
    assert!(error.to_string().contains("in use by another process"), "{error}");
    drop(store);
    open(folder.path(), &clock);
}

fn token(number: u64, user: u128, day: i32) -> AccessToken {
    AccessToken {
        number,
        tenant: A,
        user: Uuid::from_u128(user),
        device: "phone".to_owned(),
        hash: [number as u8; 32],
        created_at: Timestamp(1),
        last_used_day: day,
    }
}

#[tokio::test]
async fn access_tokens_belong_to_a_user_and_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let numbers = |tokens: Vec<AccessToken>| tokens.iter().map(|token| token.number).collect::<Vec<_>>();
    let id = Uuid::from_u128(1);
    for number in 1..=4 {
        assert_eq!(store.next_access_token_number().await, Ok(number));
    }
    store.next_user_number().await.unwrap();
    let commit = |changes| store.commit(Batch::of(changes));
    let orphan = commit(vec![Change::AccessToken(token(1, 1, 10))]).await;
    assert_eq!(orphan, Err(StoreError::Conflict(Conflict::Gone)));
    commit(vec![Change::User(user(1, "a@x")), Change::AccessToken(token(1, 1, 10))]).await.unwrap();
    commit(vec![Change::AccessToken(token(2, 1, 20)), Change::AccessToken(token(3, 1, 30))]).await.unwrap();
    // A day that is noted after the end of a token does not bring it back.
    commit(vec![
        Change::RevokeAccessToken(2),
        Change::AccessTokenUsed(2, 40),
        Change::AccessTokenUsed(1, 15),
        Change::RevokeAccessToken(77),
    ])
    .await
    .unwrap();
    // Nothing of a batch that fails stays: neither the end of the old token nor the new one.
    let failed = commit(vec![Change::RevokeAccessToken(1), Change::AccessToken(token(4, 9, 1))]).await;
    assert_eq!(failed, Err(StoreError::Conflict(Conflict::Gone)));
    assert_eq!(numbers(store.access_tokens(id).unwrap()), [1, 3]);
    assert_sound(&store);
    drop(store);
    let store = open(folder.path(), &clock);
    assert_eq!(numbers(store.access_tokens(id).unwrap()), [1, 3]);
    assert_eq!(store.access_token(1).unwrap().map(|token| token.last_used_day), Some(15));
    assert!(store.access_token(2).unwrap().is_none());
    assert_eq!(store.access_tokens_unused_since(30, 9).unwrap(), [1]);
    assert_eq!(store.access_tokens_unused_since(31, 1).unwrap(), [1], "a limit");
    assert_eq!(store.next_access_token_number().await, Ok(5), "numbers are not given again");
    assert_sound(&store);

    let gone = vec![Change::RevokeAccessToken(1), Change::RevokeAccessToken(3), Change::DeleteUser(A, id)];
    store.commit(Batch::of(gone)).await.unwrap();
    assert!(store.user(A, id).unwrap().is_none() && store.user_by_email("a@x").unwrap().is_none());
    assert!(store.access_tokens(id).unwrap().is_empty());
    // The address is free again, and the number is not.
    assert_eq!(store.next_user_number().await, Ok(2));
    store.commit(Batch::of(vec![Change::User(user(2, "a@x"))])).await.unwrap();
    assert_sound(&store);
    drop(store);
    let store = open(folder.path(), &clock);
    assert_eq!(store.users(A).unwrap().len(), 1);
    assert_sound(&store);
}

#[tokio::test]
async fn a_changed_secret_for_requests_of_a_channel_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let changed = Connector { receive_epoch: 300, ..connector(ConnectorIndex(1), ConnectorStatus::Active) };
    store.commit(Batch::of(vec![Change::Connector(changed.clone())])).await.unwrap();
    drop(store);
    let store = open(folder.path(), &clock);
    assert!(*store.connector(ConnectorIndex(1)).unwrap().unwrap() == changed);
    assert_sound(&store);
}

#[tokio::test]
async fn a_proxy_survives_a_restart_and_its_removal_too() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let proxy = Proxy {
        kind: ProxyKind::Socks5h,
        host: "proxy.example".to_owned(),
        port: 1080,
        user: Some("ana".to_owned()),
        password: Some(vec![7, 8]),
        check_url: Some("https://address.example/".to_owned()),
        idle_seconds: 45,
    };
    let mut proxied =
        Connector { receive_epoch: 3, proxy: Some(proxy), ..connector(ConnectorIndex(1), ConnectorStatus::Active) };
    proxied.pace.category_order = false;
    store.commit(Batch::of(vec![Change::Connector(proxied.clone())])).await.unwrap();
    drop(store);
    let store = open(folder.path(), &clock);
    assert!(*store.connector(ConnectorIndex(1)).unwrap().unwrap() == proxied);
    proxied.pace.in_use_since = Some(Timestamp(5));
    store.commit(Batch::of(vec![Change::Connector(proxied.clone())])).await.unwrap();
    drop(store);
    let store = open(folder.path(), &clock);
    assert!(
        *store.connector(ConnectorIndex(1)).unwrap().unwrap() == proxied,
        "with how long the account has been in use"
    );
    (proxied.proxy, proxied.pace.in_use_since) = (None, None);
    store.commit(Batch::of(vec![Change::Connector(proxied.clone())])).await.unwrap();
    drop(store);
    let store = open(folder.path(), &clock);
    assert!(*store.connector(ConnectorIndex(1)).unwrap().unwrap() == proxied);
    assert_sound(&store);
}
