//! Templates and labels: numbers that are never given twice, names that are unique, and what a channel tells.

use pombo_domain::ConnectorIndex;
use pombo_domain::model::template::Component;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{TenantIndex, Timestamp};
use pombo_store::DiskStore;
use uuid::Uuid;

use crate::support::*;

const C: ConnectorIndex = ConnectorIndex(1);

fn template(tenant: TenantIndex, id: u128, connector: Option<ConnectorIndex>, name: &str) -> Template {
    Template {
        number: 0,
        id: Uuid::from_u128(id),
        tenant,
        connector,
        name: name.to_owned(),
        language: connector.map(|_| "pt_BR".to_owned()),
        category: TemplateCategory::Utility,
        format: TemplateFormat::Named,
        status: TemplateStatus::Approved,
        quality: Quality::Unknown,
        reason: None,
        remote_id: None,
        components: vec![Component::Body {
            text: format!("Ação de {name}"), examples: Default::default(), more: None
        }],
        variable_names: Vec::new(),
        created_at: Timestamp(1),
        updated_at: Timestamp(1),
    }
}

fn put(template: Template) -> Change {
    Change::Template(Box::new(TemplateChange::Put(template)))
}

fn label(tenant: TenantIndex, kind: LabelKind, id: u128, name: &str) -> Label {
    let (id, name, at) = (Uuid::from_u128(id), name.to_owned(), Timestamp(1));
    Label { kind, tenant, number: 0, id, name, color: Some(Color::default()), created_at: at, updated_at: at }
}

async fn done(store: &DiskStore, changes: Vec<Change>) {
    store.commit(Batch::of(changes)).await.unwrap();
}

async fn refused(store: &DiskStore, changes: Vec<Change>) -> Conflict {
    match store.commit(Batch::of(changes)).await {
        Err(StoreError::Conflict(conflict)) => conflict,
        other => panic!("{other:?}"),
    }
}

fn listed(store: &DiskStore, tenant: TenantIndex, filter: &TemplateFilter) -> Vec<u32> {
    store.templates(tenant, filter, 0, 100).unwrap().rows.iter().map(|template| template.number).collect()
}

#[tokio::test]
async fn templates_have_numbers_and_names_and_survive() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let mut store = open(folder.path(), &clock);
    done(&store, vec![put(template(A, 1, None, "um")), put(template(A, 2, Some(C), "um"))]).await;
    done(&store, vec![put(template(B, 3, None, "um"))]).await;
    assert_eq!(refused(&store, vec![put(template(A, 4, None, "um"))]).await, Conflict::TemplateName);
    assert_eq!(refused(&store, vec![put(template(A, 4, Some(C), "um"))]).await, Conflict::TemplateName);
    let unknown = Template { number: 9, ..template(A, 9, None, "nove") };
    assert_eq!(refused(&store, vec![put(unknown)]).await, Conflict::Gone);
    // A batch that fails gives no number.
    assert_eq!(
        refused(&store, vec![put(template(A, 5, None, "x")), put(template(A, 6, None, "x"))]).await,
        Conflict::TemplateName
    );
    done(&store, vec![Change::Template(Box::new(TemplateChange::Delete(A, Uuid::from_u128(2))))]).await;
    let gone = Change::Template(Box::new(TemplateChange::Delete(A, Uuid::from_u128(2))));
    assert_eq!(refused(&store, vec![gone]).await, Conflict::Gone);
    done(&store, vec![put(template(A, 7, Some(C), "um"))]).await;
    for reopened in [false, true] {
        if reopened {
            store.close().unwrap();
            drop(store);
            store = open(folder.path(), &clock);
        }
        assert_eq!(listed(&store, A, &TemplateFilter::default()), [1, 3], "2 is not given again");
        assert_eq!(store.template_by_number(A, 3).unwrap().unwrap().id, Uuid::from_u128(7));
        assert_eq!(store.template_by_number(A, 2).unwrap(), None);
        assert_eq!(store.template_by_id(A, Uuid::from_u128(3)).unwrap(), None, "it is another tenant's");
        assert_eq!(store.template_named(A, Some(C), "um", Some("pt_BR")).unwrap().unwrap().number, 3);
        assert_eq!(store.template_named(A, Some(C), "um", None).unwrap(), None);
        assert_eq!(store.verify().unwrap(), Vec::<String>::new());
    }
    let renamed = Template { name: "dois".to_owned(), ..(*store.template_by_number(A, 1).unwrap().unwrap()).clone() };
    done(&store, vec![put(renamed)]).await;
    assert_eq!(store.template_named(A, None, "um", None).unwrap(), None);
    done(&store, vec![put(template(A, 8, None, "um"))]).await;
    assert_eq!(store.verify().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn templates_are_filtered_and_paged() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    let rejected = Template { status: TemplateStatus::Rejected, ..template(A, 3, Some(C), "promo") };
    let marketing = Template { category: TemplateCategory::Marketing, ..template(A, 4, None, "oferta") };
    done(
        &store,
        [template(A, 1, None, "aviso"), template(A, 2, Some(C), "aviso"), rejected, marketing].map(put).to_vec(),
    )
    .await;
    let all = TemplateFilter::default;
    assert_eq!(listed(&store, A, &TemplateFilter { connector: Some(C), ..all() }), [2, 3]);
    assert_eq!(listed(&store, A, &TemplateFilter { own: true, ..all() }), [1, 4]);
    assert_eq!(listed(&store, A, &TemplateFilter { status: Some(TemplateStatus::Rejected), ..all() }), [3]);
    assert_eq!(listed(&store, A, &TemplateFilter { category: Some(TemplateCategory::Marketing), ..all() }), [4]);
    assert_eq!(listed(&store, A, &TemplateFilter { language: Some("pt_BR".to_owned()), ..all() }), [2, 3]);
    assert_eq!(listed(&store, A, &TemplateFilter { name: Some("aviso".to_owned()), ..all() }), [1, 2]);
    assert_eq!(listed(&store, A, &TemplateFilter { search: Some("ACAO aviso".to_owned()), ..all() }), [1, 2]);
    assert_eq!(listed(&store, B, &all()), Vec::<u32>::new());
    let page = store.templates(A, &all(), 0, 3).unwrap();
    assert_eq!((page.rows.len(), page.total, page.next), (3, 4, Some(3)));
    let rest = store.templates(A, &all(), 3, 3).unwrap();
    assert_eq!((rest.rows.len(), rest.total, rest.next), (1, 4, None));
}

#[tokio::test]
async fn what_a_channel_tells_changes_what_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), &clock());
    done(&store, vec![put(template(A, 1, Some(C), "aviso"))]).await;
    let news = |name: &str| TemplateNews {
        connector: C,
        tenant: A,
        name: name.to_owned(),
        language: "pt_BR".to_owned(),
        remote_id: Some("77".to_owned()),
        status: Some(TemplateStatus::Rejected),
        quality: None,
        category: None,
        reason: Some("INVALID_FORMAT".to_owned()),
    };
    let told = |news: TemplateNews| Change::Template(Box::new(TemplateChange::Told(news)));
    done(&store, vec![told(news("aviso")), told(news("nobody"))]).await;
    let after = store.template_by_number(A, 1).unwrap().unwrap();
    assert_eq!((after.status, after.remote_id.as_deref()), (TemplateStatus::Rejected, Some("77")));
    assert_eq!((after.reason.as_deref(), after.quality), (Some("INVALID_FORMAT"), Quality::Unknown));
    let quality = TemplateNews { status: None, reason: None, quality: Some(Quality::Red), ..news("aviso") };
    done(&store, vec![told(quality)]).await;
    let after = store.template_by_number(A, 1).unwrap().unwrap();
    assert_eq!((after.reason.as_deref(), after.quality), (Some("INVALID_FORMAT"), Quality::Red));
    let approved = TemplateNews { status: Some(TemplateStatus::Approved), reason: None, ..news("aviso") };
    done(&store, vec![told(approved)]).await;
    assert_eq!(store.template_by_number(A, 1).unwrap().unwrap().reason, None);
}

#[tokio::test]
async fn labels_sort_conversations_and_numbers_are_not_given_twice() {
    let folder = tempfile::tempdir().unwrap();
    let clock = clock();
    let mut store = open(folder.path(), &clock);
    let put = |label: Label| Change::Label(LabelChange::Put(label));
    let (queue, status) = (LabelKind::Queue, LabelKind::Status);
    done(&store, vec![put(label(A, queue, 1, "Vendas")), put(label(A, queue, 2, "Suporte"))]).await;
    done(&store, vec![put(label(A, status, 3, "vendas")), put(label(B, queue, 4, "Vendas"))]).await;
    assert_eq!(refused(&store, vec![put(label(A, queue, 5, "VENDAS"))]).await, Conflict::LabelName);
    let unknown = Label { number: 9, ..label(A, queue, 9, "x") };
    assert_eq!(refused(&store, vec![put(unknown)]).await, Conflict::Gone);

    let sort = |chat: &str, queue: Option<u32>, status: Option<u32>| {
        let (tenant, connector, chat) = (A, C, chat.to_owned());
        Change::Chat(Box::new(ChatChange::Sort { tenant, connector, chat, queue, status }))
    };
    done(&store, vec![sort("5511", Some(2), None), sort("5511", None, Some(1)), sort("5522", Some(1), None)]).await;
    done(&store, vec![Change::Label(LabelChange::Delete(A, queue, Uuid::from_u128(2)))]).await;
    done(&store, vec![put(label(A, queue, 6, "Suporte"))]).await;
    for reopened in [false, true] {
        if reopened {
            store.close().unwrap();
            drop(store);
            store = open(folder.path(), &clock);
        }
        let numbers: Vec<u32> = store.labels(A, queue).unwrap().iter().map(|label| label.number).collect();
        assert_eq!(numbers, [1, 3]);
        assert_eq!(store.label_by_number(A, queue, 2).unwrap(), None);
        assert_eq!(store.label_by_number(A, status, 1).unwrap().unwrap().name, "vendas");
        assert_eq!(store.label_by_id(A, queue, Uuid::from_u128(4)).unwrap(), None, "it is another tenant's");
        let one = store.conversation_with(C, "5511").unwrap().unwrap();
        assert_eq!((one.queue, one.status_label), (Some(2), Some(1)));
        let order = ConversationOrder::Id { after: None };
        let found = |filter: ConversationFilter| store.find_conversations(A, filter, order, 10);
        let in_queue = ConversationFilter { queue: Some(2), ..ConversationFilter::default() };
        let with_status = ConversationFilter { status_label: Some(1), ..ConversationFilter::default() };
        assert_eq!(found(in_queue.clone()).await.unwrap().total, 1);
        assert_eq!(found(with_status).await.unwrap().total, 1);
        assert_eq!(store.conversations(A, &in_queue, None, 10).unwrap().0.len(), 1);
        assert_eq!(store.verify().unwrap(), Vec::<String>::new());
    }
}
