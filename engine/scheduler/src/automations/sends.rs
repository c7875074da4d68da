//! Messages that an answer sends: what [`super::outcome`] does with [`Action::Send`](pombo_domain::ports::Action::Send). Pure.

use pombo_domain::model::message::{MAX_TEXT_BYTES, MessageAction, Target};
use pombo_domain::model::variables::escaped;
use pombo_domain::model::*;
use pombo_domain::ports::{AutomationChange, Change, Insert, SendAction, SendContent};
use serde_json::{Map, Value};

use super::outcome::{MAX_NAME_BYTES, MAX_PAYLOAD_BYTES, MAX_SEND_MS, Making, Step, Stop, bounded, named, unfit};

const MAX_URL_BYTES: usize = 2_048;
const MAX_EMOJI_BYTES: usize = 64;
/// The priority of answers: in the middle of the connector's other messages.
const PRIORITY: u8 = 5;

impl Making<'_> {
    pub(super) fn send(&mut self, send: &SendAction) -> Step {
        if let Some(label) = &send.label {
            bounded("a label", label, MAX_NAME_BYTES)?;
        }
        if send.delay_ms > MAX_SEND_MS {
            return unfit("a message may be delayed by at most 366 days");
        }
        let delay = i64::try_from(send.delay_ms).unwrap_or(i64::MAX);
        let context = self.context;
        let mut message = NewMessage {
            connector: context.connector.index,
            to: context.conversation.chat.clone(),
            text: String::new(),
            subject: None,
            contact_name: context.conversation.contact_name.clone(),
            message_type: MessageType::General,
            priority: PRIORITY,
            scheduled_at: (delay > 0).then(|| context.now.plus_ms(delay)),
            requires_approval: false,
            force_direct: false,
            notes: None,
            webhook_url: None,
            external_id: None,
            attachments: Vec::new(),
            attachment_url: None,
            variables: None,
            options: MessageOptions::default(),
        };
        if let Some(answered) = &send.reply_to {
            message.options.reply_to = self.answered(answered)?;
        }
        self.content(&send.content, &mut message)?;
        self.plan.changes.push(Change::Insert(Insert {
            tenant: context.automation.tenant,
            messages: vec![message],
            idempotency: None,
        }));
        // Where it came from is asked when its status changes, and before it is sent: a person may have answered meanwhile.
        let (conversation, automation) = (self.conversation(), self.index());
        self.change(AutomationChange::Origin(Origin { conversation, automation, label: send.label.clone() }));
        Ok(())
    }

    fn content(&self, content: &SendContent, message: &mut NewMessage) -> Step {
        let literal = |what: &str, text: &str| {
            bounded(what, text, MAX_TEXT_BYTES)?;
            if text.contains('\0') {
                return unfit(format!("{what} must not contain the NUL character"));
            }
            Ok(escaped(text))
        };
        // Sent as an ordinary file where the channel has no voice notes.
        let voice = |wanted: bool| wanted && self.context.reads.offers("voice-notes");
        match content {
            SendContent::Text(text) => {
                if text.trim().is_empty() {
                    return unfit("a text must not be empty");
                }
                message.text = literal("a text", text)?;
            }
            SendContent::Template(template, variables) => {
                bounded("a template", template, MAX_TEXT_BYTES)?;
                if template.trim().is_empty() || template.contains('\0') {
                    return unfit("a template must not be empty, nor contain the NUL character");
                }
                bounded("a template's variables", variables, MAX_PAYLOAD_BYTES)?;
                if let Err(error) = serde_json::from_str::<Map<String, Value>>(variables) {
                    return unfit(format!("a template's variables must be a JSON object: {error}"));
                }
                message.text.clone_from(template);
                message.variables = Some(variables.clone());
            }
            SendContent::FileUrl { url, caption, voice_note } => {
                named("a file's URL", url, MAX_URL_BYTES)?;
                message.attachment_url = Some(url.clone());
                message.text = literal("a caption", caption.as_deref().unwrap_or_default())?;
                message.options.voice_note = voice(*voice_note);
            }
            SendContent::File { file, caption, voice_note } => {
                named("a file's name", &file.file_name, MAX_NAME_BYTES)?;
                bounded("a file's content type", &file.content_type, MAX_NAME_BYTES)?;
                message.attachments.push(file.clone());
                message.text = literal("a caption", caption.as_deref().unwrap_or_default())?;
                message.options.voice_note = voice(*voice_note);
            }
            SendContent::Reaction { message: to, sender, emoji } => {
                if !self.context.reads.offers("reactions") {
                    return unfit("the connector's channel has no reactions");
                }
                named("a message's id", to, MAX_NAME_BYTES)?;
                bounded("an emoji", emoji, MAX_EMOJI_BYTES)?;
                let target = Target { provider_id: to.clone(), sender: sender.clone(), text: None };
                message.options = MessageOptions { action: MessageAction::React(target), ..MessageOptions::default() };
                message.text.clone_from(emoji);
            }
        }
        Ok(())
    }

    /// The message that is replied to; `None` where the channel has no replies, and the message is sent without.
    fn answered(&self, id: &str) -> Result<Option<Target>, Stop> {
        named("the id of an answered message", id, MAX_NAME_BYTES)?;
        if !self.context.reads.offers("reply") {
            return Ok(None);
        }
        let own = match self.context.body {
            TaskBody::Message(inbound) if inbound.provider_id == id => Some(inbound),
            _ => None,
        };
        let target = |sender: &str, text| Target { provider_id: id.to_owned(), sender: Some(sender.to_owned()), text };
        match own {
            Some(inbound) => Ok(Some(target(
                &inbound.sender,
                match &inbound.content {
                    inbound::InboundContent::Text(text) => Some(text.clone()),
                    _ => None,
                },
            ))),
            None if self.context.conversation.is_group => {
                unfit("in a group only the message of the event can be answered: others do not say who wrote them")
            }
            None => Ok(Some(target(&self.context.conversation.chat, None))),
        }
    }
}
