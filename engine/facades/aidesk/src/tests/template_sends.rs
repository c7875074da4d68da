//! `POST /send-message`: templates and campaigns to a number.

use std::collections::BTreeMap;

use pombo_domain::commands::campaigns::drafts::{CampaignPatch, HeaderChoice};
use pombo_domain::model::template::{Component, HeaderFormat, TemplateCategory, TemplateFormat, TemplateStatus};
use pombo_domain::model::{LabelKind, MessageType, Quality, Rules, Setting, Template};
use pombo_domain::ports::{AutomationChange, AutomationStore, TemplateChange};
use tokio::join;
use uuid::Uuid;

use super::*;

/// What a tenant needs for the documentation's samples.
struct Prepared {
    template: u32,
    queue: u32,
    status: u32,
}

impl Prepared {
    async fn on(site: &Site) -> Self {
        let tenant = site.loja.tenant.index;
        let commands = &site.world.commands;
        let label =
            async |kind, name| commands.create_label(tenant, kind, name, None).await.expect("a good name").number;
        let template = template(site, "pedido", Some(&site.instance), TemplateStatus::Approved).await;
        Self {
            template,
            queue: label(LabelKind::Queue, "Vendas").await,
            status: label(LabelKind::Status, "Novo").await,
        }
    }

    /// The documentation's body.
    fn body(&self) -> Value {
        json!({
            "number": ANA, "template_id": self.template, "variables": {"nome": "João", "codigo": "ABC123"},
            "queue_id": self.queue, "status_id": self.status
        })
    }
}

/// A template with two variables; its number.
async fn template(site: &Site, name: &str, connector: Option<&Connector>, status: TemplateStatus) -> u32 {
    let tenant = site.loja.tenant.index;
    let id = Uuid::from_u128(name.bytes().fold(1, |id, byte| id * 131 + u128::from(byte)));
    let text = "Olá {{nome}}, seu código é {{codigo}}.".to_owned();
    let new = Template {
        number: 0,
        id,
        tenant,
        connector: connector.map(|connector| connector.index),
        name: name.to_owned(),
        language: Some("pt_BR".to_owned()),
        category: TemplateCategory::Utility,
        format: TemplateFormat::Named,
        status,
        quality: Quality::Unknown,
        reason: None,
        remote_id: None,
        components: vec![Component::Body { text, examples: BTreeMap::new(), more: None }],
        variable_names: Vec::new(),
        created_at: NOW,
        updated_at: NOW,
    };
    let change = Change::Template(Box::new(TemplateChange::Put(new)));
    site.world.store.write(Batch::of(vec![change])).expect("stored");
    site.world.commands.template_by_id(tenant, id).expect("it is there").number
}

/// A campaign of the template that was started; its number.
async fn campaign(site: &Site, template: u32, started: bool) -> u32 {
    let tenant = site.loja.tenant.index;
    let patch = CampaignPatch {
        name: Some("Campanha".to_owned()),
        template: Some(template),
        connector: Some(site.instance.id),
        ..CampaignPatch::default()
    };
    let commands = &site.world.commands;
    let number = commands.create_campaign(tenant, patch).await.expect("a good draft").campaign.number;
    if started {
        commands.start_campaign(tenant, number, None).await.expect("it starts");
    }
    number
}

#[tokio::test]
async fn the_documented_template_is_sent_and_every_step_is_kept() {
    let site = Site::new().await;
    let prepared = Prepared::on(&site).await;
    let body = but(prepared.body(), "contact_name", json!("João"));
    for key in [site.loja.key.clone(), site.bound_to(&site.instance).await] {
        let (answer, stored) = join!(site.post_as(&key, "/send-message", &body), site.accept(WAMID));
        assert_eq!(answer.expect(200), json!({"success": true, "message_id": WAMID}));
        let content = &stored.message.content;
        assert_eq!((content.to.as_str(), content.message_type), (ANA, MessageType::Notification));
        assert_eq!(content.text, "Olá João, seu código é ABC123.");
        assert_eq!((content.options.template, content.options.campaign), (Some(prepared.template), None));
        let MessageAction::Other(own) = &content.options.action else { panic!("a connector's template") };
        let value: Value = serde_json::from_str(&own.value).expect("JSON");
        assert_eq!((own.kind.as_str(), &value["name"]), ("template", &json!("pedido")));
        assert!(own.value.contains("ABC123"));
    }
    let tenant = site.loja.tenant.index;
    let contact = site.world.store.contact(tenant, ContactType::WhatsApp, ANA).expect("reads").expect("it was created");
    assert_eq!((contact.name.as_deref(), contact.is_on(site.instance.index)), (Some("João"), true));
    let conversation = site.world.store.conversation_with(site.instance.index, ANA).expect("reads").expect("opened");
    assert_eq!((conversation.queue, conversation.status_label), (Some(prepared.queue), Some(prepared.status)));

    // A new name is kept; without one the old one stays.
    for (name, kept) in [(json!("João Silva"), "João Silva"), (Value::Null, "João Silva"), (json!(" "), "João Silva")]
    {
        let body = but(prepared.body(), "contact_name", name);
        let (answer, _) = join!(site.post("/send-message", &body), site.accept(WAMID));
        answer.expect(200);
        let contact = site.world.store.contact(tenant, ContactType::WhatsApp, ANA).expect("reads");
        assert_eq!(contact.expect("it is there").name.as_deref(), Some(kept));
    }
}

/// Stores a template anew, after a change.
fn changed(site: &Site, number: u32, change: impl FnOnce(&mut Template)) {
    let found = site.world.commands.template_by_number(site.loja.tenant.index, number).expect("it is there");
    let mut next = Template::clone(&found);
    change(&mut next);
    let put = Change::Template(Box::new(TemplateChange::Put(next)));
    site.world.store.write(Batch::of(vec![put])).expect("stored");
}

#[tokio::test]
async fn numbered_variables_go_by_the_documented_names_or_by_their_numbers() {
    let site = Site::new().await;
    let prepared = Prepared::on(&site).await;
    let with = |variables: Value| but(prepared.body(), "variables", variables);
    let text = "Olá {{1}}, seu código é {{2}}.".to_owned();
    changed(&site, prepared.template, |template| {
        template.format = TemplateFormat::Positional;
        template.components = vec![Component::Body { text, examples: BTreeMap::new(), more: None }];
    });
    let refused = site.post("/send-message", &prepared.body()).await.refusal(400);
    assert!(refused["errors"]["variables.nome"].is_array(), "it has no names yet: {refused}");
    let names = ["nome", "codigo"].map(str::to_owned).to_vec();
    changed(&site, prepared.template, |template| template.variable_names = names);

    for body in [prepared.body(), with(json!({"1": "João", "2": "ABC123"}))] {
        let (answer, stored) = join!(site.post("/send-message", &body), site.accept(WAMID));
        answer.expect(200);
        assert_eq!(stored.message.content.text, "Olá João, seu código é ABC123.");
        let MessageAction::Other(own) = &stored.message.content.options.action else { panic!("a connector's") };
        let value: Value = serde_json::from_str(&own.value).expect("JSON");
        let expected = json!([{"name": "1", "value": "João"}, {"name": "2", "value": "ABC123"}]);
        assert_eq!((&value["format"], &value["body"]), (&json!("positional"), &expected));
    }
    for (variables, field) in [
        (json!({"nome": "João", "2": "ABC123"}), "variables.2"),
        (json!({"nome": "João"}), "variables.codigo"),
        (json!({"1": "João"}), "variables.2"),
        (json!({"nome": "João", "codigo": "A", "outra": "x"}), "variables.outra"),
        (json!({"1": "João", "2": "A", "3": "x"}), "variables.3"),
    ] {
        let refused = site.post("/send-message", &with(variables)).await.refusal(400);
        assert!(refused["errors"][field][0].is_string(), "{field}: {refused}");
    }
}

/// The id of an uploaded file.
async fn uploaded(site: &Site, content: &[u8]) -> Uuid {
    let begun = site.world.commands.begin_file(site.loja.tenant.index, "arquivo").await;
    let mut upload = begun.expect("there is room");
    upload.write(content).await.expect("it can be sent");
    upload.finish(None).await.expect("stored").attachment.id
}

#[tokio::test]
async fn a_header_that_is_a_file_is_a_link_or_the_id_of_an_upload_or_the_campaigns() {
    let site = Site::new().await;
    let prepared = Prepared::on(&site).await;
    changed(&site, prepared.template, |template| {
        let header =
            Component::Header { format: HeaderFormat::Image, text: None, examples: BTreeMap::new(), example: None };
        template.components.insert(0, header);
    });
    let picture = uploaded(&site, b"\x89PNG\r\n\x1a\n0000").await;
    let document = uploaded(&site, b"%PDF-1.7 0000").await;
    let with = |header: Value| {
        let variables = json!({"nome": "João", "codigo": "ABC123", "header": header});
        but(prepared.body(), "variables", variables)
    };
    let media = |stored: &StoredMessage| -> Value {
        let MessageAction::Other(own) = &stored.message.content.options.action else {
            panic!("a connector's template")
        };
        serde_json::from_str::<Value>(&own.value).expect("JSON")["header"]["media"].clone()
    };
    for header in [Value::Null, json!("foto.png"), json!(document), json!(Uuid::from_u128(9))] {
        let refused = site.post("/send-message", &with(header)).await.refusal(400);
        assert!(refused["errors"]["variables.header"][0].is_string(), "{refused}");
    }
    let body = with(json!("https://x.com/foto.png"));
    let (answer, stored) = join!(site.post("/send-message", &body), site.accept(WAMID));
    answer.expect(200);
    assert_eq!(media(&stored), json!({"link": "https://x.com/foto.png"}));
    assert!(stored.message.content.attachments.is_empty());

    let body = with(json!(picture));
    let (answer, stored) = join!(site.post("/send-message", &body), site.accept(WAMID));
    answer.expect(200);
    assert_eq!(media(&stored), json!({"attachment": 0}));
    let sent = &stored.message.content.attachments[0];
    assert_eq!((sent.id, sent.content_type.as_str()), (picture, "image/png"));

    // What is sent in the name of a campaign shows what the campaign shows.
    let number = campaign(&site, prepared.template, false).await;
    let header = HeaderChoice::File { id: picture, file_name: Some("foto.png".to_owned()) };
    let patch = CampaignPatch { header: Some(Some(header)), ..CampaignPatch::default() };
    let tenant = site.loja.tenant.index;
    site.world.commands.update_campaign(tenant, number, patch).await.expect("it fits");
    site.world.commands.start_campaign(tenant, number, None).await.expect("it starts");
    let body = but(but(prepared.body(), "template_id", Value::Null), "campaign_id", json!(number));
    let (answer, stored) = join!(site.post("/send-message", &body), site.accept(WAMID));
    answer.expect(200);
    assert_eq!(stored.message.content.attachments[0].file_name, "foto.png");
}

#[tokio::test]
async fn line_breaks_are_refused_or_replaced_as_the_instance_is_set() {
    let site = Site::new().await;
    let prepared = Prepared::on(&site).await;
    site.world.connectors.describe_plugin("connector-chat", |plugin| {
        let cleaned_values = Some(Setting { field: "breaks".to_owned(), value: "replace".to_owned() });
        plugin.rules = Some(Rules { cleaned_values, ..Rules::default() });
        plugin.config_schema =
            json!({"type": "object", "properties": {"breaks": {"type": "string", "default": "refuse"}}});
    });
    let body = but(prepared.body(), "variables", json!({"nome": "João\nda\tSilva", "codigo": "A      B"}));
    let refused = site.post("/send-message", &body).await.refusal(400);
    for field in ["variables.nome", "variables.codigo"] {
        assert!(refused["errors"][field][0].is_string(), "{refused}");
    }
    // What a configuration does not say, the schema does.
    site.world.connectors.describe_plugin("connector-chat", |plugin| {
        plugin.config_schema["properties"]["breaks"]["default"] = json!("replace");
    });
    let (answer, stored) = join!(site.post("/send-message", &body), site.accept(WAMID));
    answer.expect(200);
    assert_eq!(stored.message.content.text, "Olá João da Silva, seu código é A    B.");
}

#[tokio::test]
async fn a_text_of_the_tenants_own_goes_through_any_instance() {
    let site = Site::new().await;
    let prepared = Prepared::on(&site).await;
    let own = template(&site, "proprio", None, TemplateStatus::Approved).await;
    let body = but(prepared.body(), "template_id", json!(own));
    let (answer, stored) = join!(site.post("/send-message", &body), site.accept("3EB0"));
    assert_eq!(answer.expect(200)["message_id"], "3EB0");
    assert!(says(&stored));
    assert_eq!(stored.message.content.text, "Olá João, seu código é ABC123.");
    assert_eq!(stored.message.content.options.template, Some(own));
}

#[tokio::test]
async fn the_documented_campaign_is_sent_and_others_say_why_not() {
    let site = Site::new().await;
    let prepared = Prepared::on(&site).await;
    let body = |number: u32| {
        let body = but(prepared.body(), "template_id", Value::Null);
        but(body, "campaign_id", json!(number))
    };
    let running = campaign(&site, prepared.template, true).await;
    let of_running = body(running);
    let (answer, stored) = join!(site.post("/send-message", &of_running), site.accept(WAMID));
    assert_eq!(answer.expect(200), json!({"success": true, "message_id": WAMID}));
    let options = &stored.message.content.options;
    assert_eq!((options.template, options.campaign), (Some(prepared.template), Some(running)));

    let draft = campaign(&site, prepared.template, false).await;
    let stopped = campaign(&site, prepared.template, true).await;
    site.world.commands.stop_campaign(site.loja.tenant.index, stopped, None).await.expect("it stops");
    let sent = site.messages();
    for (number, why) in [(draft, "draft"), (stopped, "stopped"), (999, "is not the number of a campaign")] {
        let refused = site.post("/send-message", &body(number)).await.refusal(400);
        let said = refused["errors"]["campaign_id"][0].as_str().expect("it is named");
        assert!(said.contains(why), "{refused}");
    }
    assert_eq!(site.messages(), sent);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let site = Site::new().await;
    let prepared = Prepared::on(&site).await;
    let paused = template(&site, "pausado", Some(&site.instance), TemplateStatus::Paused).await;
    let body = || prepared.body();
    for (body, field) in [
        (but(body(), "number", Value::Null), "number"),
        (but(body(), "number", json!("")), "number"),
        (but(body(), "number", json!("+5511978049825")), "number"),
        (but(body(), "number", json!("55 11 97804-9825")), "number"),
        (but(body(), "number", json!("5511978049825551197804")), "number"),
        (but(body(), "number", json!(5_511_978_049_825_u64)), "number"),
        (but(body(), "queue_id", Value::Null), "queue_id"),
        (but(body(), "queue_id", json!("5")), "queue_id"),
        (but(body(), "queue_id", json!(999)), "queue_id"),
        (but(body(), "status_id", Value::Null), "status_id"),
        (but(body(), "status_id", json!(1.5)), "status_id"),
        (but(body(), "status_id", json!(4_294_967_297_u64)), "status_id"),
        (but(body(), "template_id", Value::Null), "template_id"),
        (but(body(), "template_id", json!("15")), "template_id"),
        (but(body(), "template_id", json!(999)), "template_id"),
        (but(body(), "template_id", json!(paused)), "template_id"),
        (but(body(), "campaign_id", json!(3)), "template_id"),
        (but(body(), "contact_name", json!(5)), "contact_name"),
        (but(body(), "contact_name", json!("x".repeat(256))), "contact_name"),
        (but(body(), "variables", json!("nome")), "variables"),
        (but(body(), "variables", json!({"nome": ["João"], "codigo": "A"})), "variables"),
        (but(body(), "variables", json!({"nome": "João"})), "variables.codigo"),
        (but(body(), "variables", json!({"nome": "João", "codigo": null})), "variables.codigo"),
        (but(body(), "variables", json!({"nome": "João", "codigo": "A", "outra": "x"})), "variables.outra"),
        (but(body(), "variables", Value::Null), "variables.nome"),
    ] {
        let refused = site.post("/send-message", &body).await.refusal(400);
        assert!(refused["errors"][field][0].is_string(), "{body}: {refused}");
        assert!(refused["message"].as_str().is_some_and(|text| text.contains(field)), "{refused}");
    }
    // Everything that is wrong is named at once.
    let refused = site.post("/send-message", &json!({})).await.refusal(400);
    let named: Vec<_> = refused["errors"].as_object().expect("an object").keys().cloned().collect();
    assert_eq!(named, ["number", "queue_id", "status_id", "template_id"]);
    assert_eq!(site.messages(), 0);
}

#[tokio::test]
async fn a_tenants_key_sends_by_its_only_instance_with_templates() {
    let site = Site::new().await;
    let prepared = Prepared::on(&site).await;
    // One without templates does not count.
    let plain = site.another("connector-plain").await;
    let body = prepared.body();
    let (answer, _) = join!(site.post("/send-message", &body), site.accept(WAMID));
    answer.expect(200);
    // Its own key names it; the template is another's.
    let bound = site.bound_to(&plain).await;
    let refused = site.post_as(&bound, "/send-message", &prepared.body()).await.refusal(400);
    assert!(refused["errors"]["template_id"].is_array(), "{refused}");
    // Of two, nobody can tell.
    site.another("connector-chat").await;
    let refused = site.post("/send-message", &prepared.body()).await.refusal(400);
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("bound to one of them")), "{refused}");
    let bound = site.bound_to(&site.instance).await;
    let body = prepared.body();
    let (answer, _) = join!(site.post_as(&bound, "/send-message", &body), site.accept(WAMID));
    answer.expect(200);
    // Another tenant has none, and sees none of this one's.
    site.post_as(&site.other.key, "/send-message", &prepared.body()).await.refusal(400);
    let mail = site.another("connector-email").await;
    let bound = site.bound_to(&mail).await;
    site.post_as(&bound, "/send-message", &prepared.body()).await.refusal(401);
}

#[tokio::test]
async fn where_no_instance_keeps_templates_the_only_one_sends_the_tenants_own_texts() {
    let site = Site::new().await;
    let prepared = Prepared::on(&site).await;
    let own = template(&site, "proprio", None, TemplateStatus::Approved).await;
    let body = but(prepared.body(), "template_id", json!(own));
    site.world.connectors.describe_plugin("connector-chat", |plugin| {
        plugin.features.retain(|feature| feature != "templates");
    });
    // A connector of another channel is not an instance, and does not make a second one.
    site.another("connector-email").await;
    let (answer, stored) = join!(site.post("/send-message", &body), site.accept("3EB0"));
    assert_eq!(answer.expect(200)["message_id"], "3EB0");
    assert_eq!(stored.message.content.text, "Olá João, seu código é ABC123.");
    // Of two, nobody can tell; of none, there is nothing to tell.
    site.another("connector-plain").await;
    let refused = site.post("/send-message", &body).await.refusal(400);
    assert!(refused["errors"]["apikey"][0].as_str().is_some_and(|why| why.contains("several")), "{refused}");
    let refused = site.post_as(&site.other.key, "/send-message", &body).await.refusal(400);
    assert!(refused["errors"]["apikey"][0].as_str().is_some_and(|why| why.contains("no instance")), "{refused}");
}

#[tokio::test]
async fn a_template_goes_while_an_automation_answers_and_a_text_by_hand_does_not() {
    let site = Site::new().await;
    let prepared = Prepared::on(&site).await;
    let (tenant, connector) = (site.loja.tenant.index, site.instance.index);
    let contact = site.contact(ANA, &[&site.instance]).await;
    let answering = AutomationChange::Put(samples::automation(1, tenant, connector, "acme-bot"));
    let open = AutomationChange::Open { tenant, connector, chat: ANA.to_owned(), is_group: false };
    let changes = [answering, open].map(|change| Change::Automation(Box::new(change)));
    site.world.store.write(Batch::of(changes.to_vec())).expect("stored");

    let by_hand = json!({"contact_id": contact, "instance_id": connector.0, "message_content": "Oi"});
    let refused = site.post("/sendmessage", &by_hand).await.refusal(400);
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("pause it first")), "{refused}");
    let body = prepared.body();
    let (answer, _) = join!(site.post("/send-message", &body), site.accept(WAMID));
    answer.expect(200);
}
