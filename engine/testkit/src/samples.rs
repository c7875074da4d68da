//! Values of the domain that many tests need, with usual contents; a test changes fields with `..`.

use std::collections::BTreeMap;

use pombo_domain::model::campaign::WatchedFrom;
use pombo_domain::model::plugin::Grants;
use pombo_domain::model::template::Component;
use pombo_domain::model::*;
use pombo_domain::ports::*;
use pombo_domain::{AutomationIndex, ConnectorIndex, TenantIndex};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::NOON;

/// An ordinary message of a connector.
pub fn message(connector: ConnectorIndex, to: &str, text: &str) -> NewMessage {
    NewMessage {
        connector,
        to: to.to_owned(),
        text: text.to_owned(),
        subject: None,
        contact_name: None,
        message_type: MessageType::General,
        priority: 5,
        scheduled_at: None,
        requires_approval: false,
        force_direct: false,
        notes: None,
        webhook_url: None,
        external_id: None,
        attachments: Vec::new(),
        attachment_url: None,
        variables: None,
        options: MessageOptions::default(),
    }
}

/// A message as a plugin receives it.
pub fn outgoing(to: &str, text: &str) -> Outgoing {
    Outgoing {
        client_id: Uuid::from_u128(0xabc),
        to: to.to_owned(),
        contact_name: Some("Ana".to_owned()),
        text: text.to_owned(),
        subject: None,
        attachments: Vec::new(),
        action: message::MessageAction::Say,
        reply_to: None,
        mentions: Vec::new(),
        voice_note: false,
        file_kind: None,
        awaited: false,
        attempt: 1,
    }
}

/// An inbound text in a one-to-one conversation.
pub fn inbound(sender: &str, provider_id: &str) -> Inbound {
    Inbound {
        provider_id: provider_id.to_owned(),
        chat: sender.to_owned(),
        sender: sender.to_owned(),
        sender_name: None,
        from_me: false,
        is_group: false,
        reply_to: None,
        mentions: Vec::new(),
        sent_at: NOON,
        content: InboundContent::Text("Oi".to_owned()),
    }
}

/// A receipt from the channel for the message `client_id`.
pub fn report(client_id: Uuid, kind: ReceiptKind) -> ChannelEvent {
    ChannelEvent::Receipt {
        client_id: Some(client_id),
        provider_id: "p-1".to_owned(),
        recipient: None,
        kind,
        at: NOON,
        reason: None,
    }
}

/// A small PDF.
pub fn attachment() -> Attachment {
    Attachment {
        id: Uuid::from_u128(7),
        file_name: "a.pdf".to_owned(),
        content_type: "application/pdf".to_owned(),
        size: 3,
    }
}

/// A contact that accepts messages.
pub fn contact(tenant: TenantIndex, kind: ContactType, identifier: &str) -> Contact {
    let id = Uuid::from_u128(identifier.bytes().fold(7, |id, byte| id * 131 + u128::from(byte)));
    Contact::new(id, tenant, kind, identifier, NOON)
}

/// A pace without any limit, in UTC.
pub fn free() -> Pace {
    Pace { time_zone: "UTC".to_owned(), ..Pace::default() }
}

/// An active connector of this channel on the plugin `fake`, without any limit; its id is its index.
pub fn connector(index: ConnectorIndex, tenant: TenantIndex, channel: &str) -> Connector {
    Connector {
        id: Uuid::from_u128(u128::from(index.0)),
        index,
        tenant,
        name: format!("connector {}", index.0),
        plugin: "fake".to_owned(),
        channel: channel.to_owned(),
        config: "{}".to_owned(),
        secrets: BTreeMap::new(),
        status: ConnectorStatus::Active,
        status_reason: None,
        pace: free(),
        created_at: NOON,
        updated_at: NOON,
        receive_epoch: 0,
        proxy: None,
    }
}

/// A connector plugin of this channel that only sends.
pub fn plugin(name: &str, channel: &str) -> PluginDescription {
    PluginDescription {
        name: name.to_owned(),
        version: "0.1.0".to_owned(),
        digest: String::new(),
        channel: channel.to_owned(),
        display_name: String::new(),
        config_schema: Value::Null,
        secret_fields: Vec::new(),
        capabilities: Vec::new(),
        features: Vec::new(),
        contents: Vec::new(),
        operations: Vec::new(),
        idempotent_resend: true,
        max_in_flight: 50,
        needs_session: false,
        pace: None,
        proofs: Vec::new(),
        shared_address: None,
        rules: None,
    }
}

/// The plugin `connector-email`: it wants a `host`, and has the secret `password`.
pub fn email_plugin() -> PluginDescription {
    PluginDescription {
        digest: "00".repeat(32),
        display_name: "E-mail (SMTP)".to_owned(),
        config_schema: json!({"type": "object", "properties": {"host": {"type": "string"}}, "required": ["host"]}),
        secret_fields: vec!["password".to_owned()],
        capabilities: vec!["smtp".to_owned()],
        max_in_flight: 10,
        ..plugin("connector-email", "email")
    }
}

/// The plugin `connector-chat` of the channel `whatsapp`: it has every feature, and needs a session.
pub fn chat_plugin() -> PluginDescription {
    let features = [
        "attachments",
        "groups",
        "reactions",
        "edit",
        "revoke",
        "reply",
        "mentions",
        "voice-notes",
        "typing",
        "read-receipts",
        "sessions",
        "pairing-code",
        "lookup",
        "inbound",
    ];
    PluginDescription {
        digest: "00".repeat(32),
        display_name: "Chat".to_owned(),
        config_schema: json!({"type": "object"}),
        capabilities: vec!["websocket".to_owned()],
        features: features.map(str::to_owned).to_vec(),
        max_in_flight: 10,
        needs_session: true,
        pace: Some(Pace {
            delay_min_ms: 2_000,
            delay_max_ms: 9_000,
            warm_up: Some(connector::WarmUp::default()),
            health: Some(connector::HealthRules::default()),
            ..Pace::default()
        }),
        ..plugin("connector-chat", "whatsapp")
    }
}

/// An automation on `connector` that is called for messages and timers; its id and its position are its index.
pub fn automation(index: u32, tenant: TenantIndex, connector: ConnectorIndex, plugin: &str) -> Automation {
    Automation {
        id: Uuid::from_u128(u128::from(index)),
        index: AutomationIndex(index),
        tenant,
        connector,
        name: format!("automation {index}"),
        plugin: plugin.to_owned(),
        config: format!(r#"{{"n":{index}}}"#),
        secrets: BTreeMap::new(),
        position: index,
        observer: false,
        events: [EventKind::MessageReceived, EventKind::TimerFired].into_iter().collect(),
        status: AutomationStatus::Active,
        groups: false,
        record: false,
        created_at: NOON,
        updated_at: NOON,
    }
}

/// A tenant's plugin with one active version, which is granted everything that it could ask for.
pub fn uploaded_plugin(name: &str, kind: PluginKind, tenant: TenantIndex, digest: &str) -> Plugin {
    let wants = Wants { kv_bytes: 1 << 20, events_per_minute: 1_000_000, ..Wants::default() };
    Plugin {
        name: name.to_owned(),
        owner: Some(tenant),
        kind,
        versions: vec![version(name, digest, false)],
        active: Some(digest.to_owned()),
        previous: None,
        grants: Some(Grants { what: wants, by: "user:1".to_owned(), at: NOON }),
        rollout: None,
        revision: 1,
        created_at: NOON,
        updated_at: NOON,
    }
}

/// A ready version of the plugin `name`: an automation that is called for messages and timers.
pub fn version(name: &str, digest: &str, observer: bool) -> PluginVersion {
    let description = AutomationDescription {
        name: name.to_owned(),
        version: format!("1.0.0-{digest}"),
        display_name: name.to_owned(),
        config_schema: json!({}),
        secret_fields: Vec::new(),
        events: [EventKind::MessageReceived, EventKind::TimerFired].into_iter().collect(),
        observer,
        wants: Wants::default(),
    };
    PluginVersion {
        digest: digest.to_owned(),
        version: description.version.clone(),
        display_name: description.display_name.clone(),
        size: 1,
        status: VersionStatus::Ready,
        wants: Wants::default(),
        description: serde_json::to_string(&description).expect("JSON"),
        signed_by: None,
        uploaded_by: "user:1".to_owned(),
        uploaded_at: NOON,
    }
}

/// Inserts messages of a tenant.
pub fn inserts(tenant: TenantIndex, messages: Vec<NewMessage>) -> Batch {
    Batch::of(vec![Change::Insert(Insert { tenant, messages, idempotency: None })])
}

/// A change of a message's state, with the webhook delivery that belongs to it.
pub fn update(message: &StoredMessage, state: MessageState) -> Update {
    let delivery = Delivery::of(&message.message, Some(message.state.status), &state);
    Update { key: message.message.key, state, delivery }
}

/// An action that sends this text.
pub fn say(text: &str) -> Action {
    labelled(text, None)
}

/// An action that sends this text with an optional label.
pub fn labelled(text: &str, label: Option<&str>) -> Action {
    Action::Send(SendAction {
        content: SendContent::Text(text.to_owned()),
        reply_to: None,
        delay_ms: 0,
        label: label.map(str::to_owned),
    })
}

/// A text of the tenant's own with a variable `nome`, approved.
pub fn template(tenant: TenantIndex, text: &str) -> Template {
    Template {
        number: 0,
        id: Uuid::from_u128(0x7e),
        tenant,
        connector: None,
        name: "ola".to_owned(),
        language: None,
        category: TemplateCategory::Marketing,
        format: TemplateFormat::Named,
        status: TemplateStatus::Approved,
        quality: Quality::Unknown,
        reason: None,
        remote_id: None,
        components: vec![Component::Body { text: text.to_owned(), examples: BTreeMap::new(), more: None }],
        variable_names: Vec::new(),
        created_at: NOON,
        updated_at: NOON,
    }
}

/// A draft of a campaign that sends the tenant's template 1.
pub fn campaign(tenant: TenantIndex, connector: ConnectorIndex) -> Campaign {
    Campaign {
        number: 0,
        id: Uuid::from_u128(0xca),
        tenant,
        name: "Natal".to_owned(),
        template: 1,
        connector,
        status: CampaignStatus::Draft,
        audience: Audience::Contacts(ContactChoice::default()),
        bindings: BTreeMap::new(),
        header: None,
        priority: 5,
        stop: StopRules::default(),
        scheduled_at: None,
        pausing: None,
        watched_from: WatchedFrom::default(),
        connector_down: false,
        connector_downs: 0,
        created_at: NOON,
        updated_at: NOON,
        frozen_at: None,
        started_at: None,
        ended_at: None,
        revision: 0,
        text: None,
    }
}

/// Pending rows of a campaign, from number 1: one for each address.
pub fn campaign_rows<'a>(addresses: impl IntoIterator<Item = &'a str>) -> Vec<(CampaignRow, RowState)> {
    let row = |(number, to): (u32, &str)| {
        let row = CampaignRow {
            number,
            line: None,
            to: to.to_owned(),
            name: None,
            contact: None,
            variables: BTreeMap::from([("nome".to_owned(), format!("n{number}"))]),
        };
        (row, RowState { outcome: RowOutcome::Pending, detail: None, message: None, at: NOON })
    };
    (1..).zip(addresses).map(row).collect()
}
