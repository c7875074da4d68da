//! What a tenant sets for itself.

use crate::commands::Commands;
use crate::commands::access::actor::Actor;
use crate::commands::text::{self, Rule};
use crate::model::TenantSettings;
use crate::model::refusals::{MAX_OPT_OUT_CHARS, MAX_OPT_OUT_WORDS};
use crate::model::tenant::{MAX_PHONE_PAUSE_MINUTES, MAX_PHONE_RESUME_CHARS, MAX_RECEIVED_DAYS};
use crate::ports::{Batch, Change, ChatChange};
use crate::{Error, Field, Result, TenantIndex};

/// A change of a tenant's settings. Omitted fields stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SettingsPatch {
    /// For how many days received messages are kept; `Some(None)`: as long as their conversation.
    pub received_days: Option<Option<u32>>,
    /// The words by which people refuse advertising, at most [`MAX_OPT_OUT_WORDS`]; `Some(None)`: the usual ones.
    pub opt_out_words: Option<Option<Vec<String>>>,
    /// For how many minutes a message on the account's own phone pauses automations, at most [`MAX_PHONE_PAUSE_MINUTES`]; 0: it does not;
    /// `Some(None)`: the usual time.
    pub phone_pause_minutes: Option<Option<u32>>,
    /// What ends such a pause when it is typed on the phone; empty: nothing does; `Some(None)`: the usual word.
    pub phone_resume_word: Option<Option<String>>,
}

impl Commands {
    /// What a tenant has set for itself.
    pub fn tenant_settings(&self, tenant: TenantIndex) -> Result<TenantSettings> {
        Ok(self.ports().store.tenant_settings(tenant)?)
    }

    /// Changes what the actor's tenant has set for itself.
    pub async fn update_settings(&self, actor: &Actor, patch: SettingsPatch) -> Result<TenantSettings> {
        let tenant = actor.tenant()?;
        let mut settings = self.ports().store.tenant_settings(tenant)?;
        if let Some(days) = patch.received_days {
            if days.is_some_and(|days| !(1..=MAX_RECEIVED_DAYS).contains(&days)) {
                return Err(Error::invalid(
                    Field::ReceivedDays,
                    format!("must be from 1 to {MAX_RECEIVED_DAYS}, or null"),
                ));
            }
            settings.received_days = days;
        }
        if let Some(words) = patch.opt_out_words {
            settings.opt_out_words = words.map(checked_words).transpose()?;
        }
        if let Some(minutes) = patch.phone_pause_minutes {
            if minutes.is_some_and(|minutes| minutes > MAX_PHONE_PAUSE_MINUTES) {
                let message = format!("must be from 0 to {MAX_PHONE_PAUSE_MINUTES}, or null");
                return Err(Error::invalid(Field::PhonePauseMinutes, message));
            }
            settings.phone_pause_minutes = minutes;
        }
        if let Some(word) = patch.phone_resume_word {
            settings.phone_resume_word = word.map(|word| checked_resume_word(&word)).transpose()?;
        }
        let change = ChatChange::Settings(tenant, settings.clone());
        self.ports().store.commit(Batch::of(vec![Change::Chat(Box::new(change))])).await?;
        Ok(settings)
    }
}

/// One line without spaces around it; empty for none.
fn checked_resume_word(word: &str) -> Result<String> {
    let rule = Rule { field: Field::PhoneResumeWord, max_chars: MAX_PHONE_RESUME_CHARS, lines: false };
    Ok(text::checked_optional(rule, Some(word))?.unwrap_or_default())
}

fn checked_words(words: Vec<String>) -> Result<Vec<String>> {
    if words.len() > MAX_OPT_OUT_WORDS {
        return Err(Error::invalid(Field::OptOutWords, format!("must be at most {MAX_OPT_OUT_WORDS}")));
    }
    let one = |(at, word): (usize, &String)| {
        let rule = Rule { field: Field::OptOutWords, max_chars: MAX_OPT_OUT_CHARS, lines: false };
        text::checked(rule, word).map_err(|error| {
            let why = error.fields.into_iter().next().map(|problem| problem.message).unwrap_or_default();
            Error::invalid(Field::OptOutWords.at(at), why)
        })
    };
    words.iter().enumerate().map(one).collect()
}
