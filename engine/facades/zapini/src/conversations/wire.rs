//! A conversation as it is shown: plain, for user interfaces of chats, and with who answers it.

use std::collections::BTreeMap;

use poem_openapi::Object;
use pombo_api::error::Failure;
use pombo_api::options::ApiState;
use pombo_domain::Timestamp;
use pombo_domain::commands::conversations::ConversationView;
use pombo_domain::model::{Conversation, EntryKind, LastMessage, Tag};
use serde::Serialize;
use uuid::Uuid;

use crate::automation::AutomationStatus;
use crate::credentials::Caller;
use crate::instance::{InstanceStatus, phone_number};
use crate::refs::{instances, number};
use crate::times::{micros, seconds};

/// A tag, as a conversation shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Object)]
#[oai(rename = "ConversationTag")]
pub(crate) struct ShownTag {
    /// Id of the tag.
    pub(crate) id: Uuid,
    /// Name of the tag.
    pub(crate) name: String,
    /// Colour of the tag: `#` and six hexadecimal digits in lower case.
    pub(crate) color: String,
}

impl ShownTag {
    pub(crate) fn of(tag: &Tag) -> Self {
        Self { id: tag.id, name: tag.name.clone(), color: tag.color.to_hex() }
    }
}

/// The instance of a conversation.
#[derive(Debug, Clone, Serialize, Object)]
#[oai(rename = "ConversationInstance")]
pub(crate) struct ShownInstance {
    /// Id of the instance.
    uuid: Uuid,
    /// The account's phone number, digits with country code; the last one known while it is not connected.
    #[oai(nullable)]
    phone_number: Option<String>,
    /// Whether it is connected.
    status: InstanceStatus,
}

/// A conversation.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "Conversation")]
pub(crate) struct ConversationBody {
    /// Id of the conversation.
    id: Uuid,
    /// Its number, which is accepted wherever a conversation is named in a path.
    conversation_id: u64,
    /// The contact's phone number, digits with country code; null where WhatsApp does not tell it. Of a group, its JID.
    #[oai(nullable)]
    contact_number: Option<String>,
    /// Name of the contact or the group, if known.
    #[oai(nullable)]
    contact_name: Option<String>,
    /// What to show: the name, else the number, or the JID where there is no number.
    display_name: String,
    /// Whether it is a group.
    is_group: bool,
    /// URL of the profile picture. Only in the answer for a single conversation; null in lists, and when no picture can be fetched right
    /// now.
    #[oai(nullable)]
    profile_picture_url: Option<String>,
    /// How the newest message begins, at most 200 characters. Of a file without a text and a name, its kind in brackets, as in
    /// `[image]`. Null if there is no message, or if the newest one was deleted.
    #[oai(nullable)]
    last_message: Option<String>,
    /// When the newest message came or was sent.
    #[oai(nullable)]
    last_message_at: Option<String>,
    /// Number of received messages that nobody has read.
    unread_count: u64,
    /// Whether it is archived.
    is_archived: bool,
    /// Its tags, by name; left out unless they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    tags: Option<Vec<ShownTag>>,
    /// Its instance; left out unless the format is `chat`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    instance: Option<ShownInstance>,
}

/// A conversation, and who answers it.
#[derive(Debug, Serialize, Object)]
pub(crate) struct ConversationDetail {
    /// The conversation.
    #[serde(flatten)]
    #[oai(flatten)]
    conversation: ConversationBody,
    /// Who answers it.
    automation_status: AutomationStatus,
    /// Whether a message by hand would be accepted.
    can_send_manual_message: bool,
    /// When the automations were paused; null while they are not.
    #[oai(nullable)]
    automation_paused_at: Option<String>,
    /// Until when anything may be written to the contact; left out where the channel always takes everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[oai(skip_serializing_if_is_none)]
    reply_window: Option<ReplyWindow>,
}

/// Until when anything may be written to a contact.
#[derive(Debug, Serialize, Object)]
pub(crate) struct ReplyWindow {
    /// When it closes, or closed; null if the contact never wrote.
    #[oai(nullable)]
    until: Option<String>,
    /// Whether it is open now.
    open: bool,
}

/// The answer to an archiving.
#[derive(Debug, Serialize, Object)]
pub(crate) struct ArchivedConversation {
    /// Id of the conversation.
    archived_id: Uuid,
    /// When it was archived.
    archived_at: String,
}

impl ArchivedConversation {
    pub(crate) fn of(conversation: &Conversation, now: Timestamp) -> Self {
        // It may have come back since.
        Self { archived_id: conversation.id, archived_at: micros(conversation.archived_at.unwrap_or(now)) }
    }
}

/// The answer to a restoration from the archive.
#[derive(Debug, Serialize, Object)]
pub(crate) struct RestoredConversation {
    /// Id of the conversation.
    pub(crate) conversation_id: Uuid,
    /// Always `true`.
    pub(crate) restored: bool,
}

/// The answer to a reading.
#[derive(Debug, Serialize, Object)]
pub(crate) struct ReadConversation {
    /// Id of the conversation.
    pub(crate) conversation_id: Uuid,
    /// Number of received messages that nobody has read: what came in the meantime.
    pub(crate) unread_count: u64,
}

/// What conversations are shown with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// Their tags.
    tags: bool,
    /// Their instances.
    instance: bool,
}

impl Form {
    /// For user interfaces of chats.
    pub(crate) const CHAT: Self = Self { tags: true, instance: true };

    /// As the parameters `format` and `include_tags` say.
    pub(crate) fn of(is_chat: bool, include_tags: Option<bool>) -> Self {
        Self { tags: is_chat || include_tags == Some(true), instance: is_chat }
    }
}

/// Conversations as they are shown, in the same order.
pub(crate) fn shown(
    state: &ApiState,
    caller: &Caller,
    form: Form,
    conversations: Vec<ConversationView>,
) -> Result<Vec<ConversationBody>, Failure> {
    let mut tags = BTreeMap::new();
    if form.tags {
        for tag in state.commands.plain_tags(caller.tenant)? {
            tags.insert(tag.name.clone(), ShownTag::of(&tag));
        }
    }
    let mut own = BTreeMap::new();
    if form.instance {
        for view in instances(state, caller)? {
            let status = InstanceStatus::of(&view.session);
            let uuid = view.connector.id;
            own.insert(uuid, ShownInstance { uuid, phone_number: phone_number(&view), status });
        }
    }
    let body = |view: ConversationView| {
        let named = |name: &String| tags.get(name).cloned();
        let shown_tags = form.tags.then(|| view.conversation.tags.iter().filter_map(named).collect());
        let instance = own.get(&view.connector).cloned();
        ConversationBody { tags: shown_tags, instance, ..ConversationBody::plain(&view) }
    };
    Ok(conversations.into_iter().map(body).collect())
}

/// A conversation with who answers it.
pub(crate) async fn detailed(
    state: &ApiState,
    caller: &Caller,
    form: Form,
    view: ConversationView,
) -> Result<ConversationDetail, Failure> {
    let automation_status = AutomationStatus::of(&view);
    let automation_paused_at = view.conversation.handover.as_ref().map(|handover| seconds(handover.at));
    let reply_window = view.window.map(|window| ReplyWindow { until: window.until.map(seconds), open: window.open });
    let (connector, chat) = (view.connector, view.conversation.chat.clone());
    let conversation = shown(state, caller, form, vec![view])?.pop();
    let conversation = conversation.ok_or_else(|| Failure::not_found("Conversation"))?;
    let profile_picture_url = state.commands.profile_picture(caller.tenant, connector, &chat).await;
    Ok(ConversationDetail {
        conversation: ConversationBody { profile_picture_url, ..conversation },
        automation_status,
        can_send_manual_message: automation_status != AutomationStatus::Active,
        automation_paused_at,
        reply_window,
    })
}

impl ConversationBody {
    fn plain(view: &ConversationView) -> Self {
        let conversation = &view.conversation;
        let contact_number = if conversation.is_group { Some(view.address()) } else { number(view.address()) };
        let last = conversation.last.as_ref();
        Self {
            id: conversation.id,
            conversation_id: conversation.number,
            contact_number: contact_number.map(str::to_owned),
            contact_name: view.name().map(str::to_owned),
            display_name: view.display_name().to_owned(),
            is_group: conversation.is_group,
            profile_picture_url: None,
            last_message: last.and_then(beginning),
            last_message_at: last.map(|last| seconds(last.at)),
            unread_count: conversation.unread(),
            is_archived: conversation.archived_at.is_some(),
            tags: None,
            instance: None,
        }
    }
}

/// How a message begins; nothing of one that was deleted.
fn beginning(last: &LastMessage) -> Option<String> {
    let text = last.preview.as_str();
    match last.kind {
        EntryKind::Revoked => None,
        kind if text.is_empty() && kind != EntryKind::Text => Some(format!("[{}]", kind.as_str())),
        _ => Some(text.to_owned()),
    }
}
