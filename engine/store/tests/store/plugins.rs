//! Plugins, trust roots and audit trails.

use pombo_domain::Timestamp;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use uuid::Uuid;

use crate::automations::apply;
use crate::support::*;

fn uploaded_plugin(name: &str, revision: u64) -> Plugin {
    Plugin {
        versions: Vec::new(),
        active: None,
        grants: None,
        revision,
        ..samples::uploaded_plugin(name, PluginKind::Automation, A, "")
    }
}

fn entry(plugin: &str, detail: &str) -> AuditEntry {
    AuditEntry {
        plugin: plugin.to_owned(),
        owner: None,
        at: Timestamp(1),
        by: "operator".to_owned(),
        action: "uploaded".into(),
        digest: None,
        detail: detail.to_owned(),
    }
}

#[tokio::test]
async fn a_plugin_is_changed_from_the_revision_that_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let put = |name: &str, revision| apply(&store, vec![AutomationChange::Plugin(uploaded_plugin(name, revision))]);
    let lost = |name: &str| Err(StoreError::Conflict(Conflict::Plugin(name.to_owned())));
    assert_eq!(put("flow", 2).await, lost("flow"), "there is none yet");
    let (one, two) = tokio::join!(put("flow", 1), put("flow", 1));
    assert!(one.is_ok());
    assert_eq!(two, lost("flow"));
    put("flow", 2).await.unwrap();
    put("alpha", 1).await.unwrap();
    assert_eq!(put("flow", 2).await, lost("flow"));
    assert_eq!(store.plugins().unwrap().iter().map(|p| &*p.name).collect::<Vec<_>>(), ["alpha", "flow"]);
    let delete = |revision| apply(&store, vec![AutomationChange::DeletePlugin("flow".to_owned(), revision)]);
    assert_eq!(delete(1).await, lost("flow"));
    // A batch that fails does not move the revision.
    let twice = vec![
        AutomationChange::Plugin(uploaded_plugin("alpha", 2)),
        AutomationChange::Plugin(uploaded_plugin("alpha", 2)),
    ];
    assert_eq!(apply(&store, twice).await, lost("alpha"));
    assert_eq!(store.plugin("alpha").unwrap().unwrap().revision, 1);
    delete(2).await.unwrap();
    assert!(store.plugin("flow").unwrap().is_none());
    assert_eq!(delete(2).await, lost("flow"));
    put("flow", 1).await.unwrap();
    assert_sound(&store);
    drop(store);
    let store = open(folder.path(), &clock);
    assert_eq!(*store.plugin("flow").unwrap().unwrap(), uploaded_plugin("flow", 1));
    assert_sound(&store);
}

#[tokio::test]
async fn trails_go_on_after_restarts_and_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let store = open(folder.path(), &clock);
    let audit = |plugin: &str, detail: &str| AutomationChange::Audit(entry(plugin, detail));
    apply(&store, vec![audit("a", "1"), audit("ab", "x"), audit("a", "2")]).await.unwrap();
    let failing = vec![audit("a", "never"), AutomationChange::Plugin(uploaded_plugin("p", 9))];
    assert!(apply(&store, failing).await.is_err());
    drop(store);
    let store = open(folder.path(), &clock);
    apply(&store, vec![audit("a", "3")]).await.unwrap();
    let trail = |plugin: &str, limit| {
        let entries = store.audit(plugin, limit).unwrap();
        entries.into_iter().map(|entry| entry.detail).collect::<Vec<_>>()
    };
    assert_eq!(trail("a", 9), ["3", "2", "1"]);
    assert_eq!(trail("a", 1), ["3"]);
    assert_eq!(trail("ab", 9), ["x"]);
    assert!(trail("b", 9).is_empty());

    let root = |id: u128, revoked_at| TrustRoot {
        id: Uuid::from_u128(id),
        owner: None,
        name: "n".to_owned(),
        key: [3; 32],
        created_at: Timestamp(1),
        revoked_at,
    };
    let roots = [root(1, None), root(2, None), root(1, Some(Timestamp(2)))];
    apply(&store, roots.map(AutomationChange::TrustRoot).into()).await.unwrap();
    assert_eq!(store.trust_roots().unwrap(), [root(1, Some(Timestamp(2))), root(2, None)]);
    assert_sound(&store);
}
