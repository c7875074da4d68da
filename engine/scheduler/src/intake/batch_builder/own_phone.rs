//! What is typed on the account's own phone, while automations answer: a person takes the conversation over, or gives it back by a word.

use pombo_domain::model::TenantSettings;
use pombo_domain::model::inbound::{Inbound, InboundContent};
use pombo_domain::ports::{AutomationChange, Change, OwnEffect, OwnMessage, StoreError, StoreResult};

use super::BatchBuilder;

/// Why automations are paused, for people.
const ANSWERED: &str = "answered on the phone";
/// Why they are resumed.
const GIVEN_BACK: &str = "given back on the phone";

/// A word that was typed for the engine: it is to be deleted in its chat.
pub(in crate::intake) struct TypedWord {
    /// Place of its event among those of the batch.
    pub(in crate::intake) place: usize,
    /// Address of the conversation.
    pub(in crate::intake) chat: String,
    /// The channel's id of the message.
    pub(in crate::intake) provider_id: String,
}

/// Whether the owner says something with it: a text, a file, a place. What changes another message says nothing, and of other content it is
/// not known whether a person made it.
fn says_something(content: &InboundContent) -> bool {
    match content {
        InboundContent::Text(text) => !text.trim().is_empty(),
        InboundContent::Attachment(_) | InboundContent::Location { .. } => true,
        InboundContent::Reaction { .. }
        | InboundContent::Edit { .. }
        | InboundContent::Revoke(_)
        | InboundContent::Other(..) => false,
    }
}

impl BatchBuilder<'_> {
    /// What a message does to the automations of its conversation, which goes behind its event: something only if it is the account's
    /// own and was not sent from here. A pause is counted from when the message was sent, so that one that comes late, or from a history,
    /// pauses no longer than it should.
    pub(super) fn typed_on_phone(&mut self, inbound: &Inbound, chat: &str) -> StoreResult<Option<Change>> {
        if !self.automated || !inbound.from_me || !says_something(&inbound.content) {
            return Ok(None);
        }
        let store = &self.context.ports.store;
        let settings = match self.settings.take() {
            Some(known) => known,
            None => store.tenant_settings(self.tenant)?,
        };
        let effect = self.effect_of(inbound, &settings);
        self.settings = Some(settings);
        let Some(effect) = effect else { return Ok(None) };
        match store.message_by_provider_id(self.connector.index, &inbound.provider_id) {
            Ok(None) => {}
            Ok(Some(_)) => return Ok(None),
            // It is one of ours, and no more is asked. It must not hold up all events of its connector forever.
            Err(StoreError::Damaged(what)) => {
                tracing::error!(connector = %self.connector.id, what, "a message that the channel tells of is damaged");
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
        if effect == OwnEffect::Resumes {
            let place = self.changes.iter().filter(|change| matches!(change, Change::Event(_))).count();
            let (chat, provider_id) = (chat.to_owned(), inbound.provider_id.clone());
            self.typed.push(TypedWord { place, chat, provider_id });
        }
        let message = OwnMessage {
            tenant: self.tenant,
            connector: self.connector.index,
            chat: chat.to_owned(),
            is_group: inbound.is_group,
            effect,
            event: self.context.ports.entropy.uuid(),
            reason: if effect == OwnEffect::Resumes { GIVEN_BACK } else { ANSWERED }.to_owned(),
        };
        Ok(Some(Change::Automation(Box::new(AutomationChange::Own(message)))))
    }

    fn effect_of(&self, inbound: &Inbound, settings: &TenantSettings) -> Option<OwnEffect> {
        let pause_ms = settings.phone_pause_ms()?;
        if let InboundContent::Text(text) = &inbound.content
            && settings.is_resume_word(text)
        {
            return Some(OwnEffect::Resumes);
        }
        let until = inbound.sent_at.min(self.now).plus_ms(pause_ms);
        (until > self.now).then_some(OwnEffect::PausesUntil(until))
    }
}
