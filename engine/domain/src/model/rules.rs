//! What a channel demands of those who send through it, as its plugin declares it. The engine keeps to it before it calls the plugin.
//!
//! It holds plain values: it must not know a channel, and nothing here waits or counts.

use serde::{Deserialize, Serialize};

use super::message::MessageType;
use crate::Timestamp;
use crate::words::words;

/// What a channel demands of senders. The default demands nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// For how long after a person's last message anything may be written to that person. `None`: at any time.
    pub reply_window_ms: Option<i64>,
    /// The kinds of content of the plugin's own that may be sent outside of the reply window.
    pub outside_window: Vec<String>,
    /// How fast one recipient may be written to.
    pub recipient_rate: Option<Bucket>,
    /// How fast the connector may send in all.
    pub throughput: Option<Throughput>,
    /// How many different people may be written to outside of the reply window.
    pub audience: Option<AudienceRule>,
    /// What it takes and then does not deliver.
    pub undelivered: Vec<Undelivered>,
    /// The categories that a person may refuse at the channel. Empty: the channel calls them as [`category_named`] does.
    pub opt_out_categories: Vec<OptOutCategory>,
    /// The setting of a connector with which values of a template's variables are cleaned, see
    /// [`crate::model::Template::fill_for_send`]. `None`: values that need it are refused.
    pub cleaned_values: Option<Setting>,
}

/// A category of messages that a person may refuse at a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptOutCategory {
    /// The channel's name of it.
    pub name: String,
    /// The category here.
    pub category: MessageType,
}

/// A text that a top-level field of a connector's configuration has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The field, which is not a secret one.
    pub field: String,
    /// The text.
    pub value: String,
}

/// The category of messages behind a word of the connector world; `None` for another word.
pub fn category_named(word: &str) -> Option<MessageType> {
    Some(match word {
        "marketing" => MessageType::Marketing,
        "utility" | "notification" => MessageType::Notification,
        "authentication" | "transactional" => MessageType::Transactional,
        "support" => MessageType::Support,
        "reminder" => MessageType::Reminder,
        "general" => MessageType::General,
        _ => return None,
    })
}

/// Messages that a channel takes and then does not deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// The kind of the plugin's own content that is concerned. `None`: whatever a message contains.
    pub kind: Option<String>,
    /// The category of these messages.
    pub category: MessageType,
    /// How the addresses of their recipients begin, in the plugin's normal form. None of them is empty.
    pub beginnings: Vec<String>,
    /// Why they are not delivered, for a person.
    pub detail: String,
}

/// A token bucket: so many at once, and one more after each pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// How many at once; at least 1.
    pub burst: u32,
    /// The pause after which there is one more; at least 1.
    pub refill_ms: i64,
}

/// How fast a connector may send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Throughput {
    /// Messages per second; at least 1.
    pub per_second: u32,
    /// Whether received messages count, too.
    pub counts_received: bool,
}

/// How many different people may be written to outside of the reply window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudienceRule {
    /// The top-level configuration field by which connectors share one audience: those of a tenant that run the same plugin and have
    /// the same value. `None`, or no value: the connector has an audience of its own.
    pub shared_by: Option<String>,
    /// How many people within the window. `None`: no limit, until the channel tells one.
    pub limit: Option<u32>,
    /// The length of the moving window; at least an hour.
    pub window_ms: i64,
}

words! {
    /// What a channel thinks of what is sent. The places of the values are stored: add only behind the last one.
    #[derive(Default, Serialize, Deserialize)]
    pub enum Quality {
        /// Good.
        Green = "green",
        /// Recipients complain.
        Yellow = "yellow",
        /// Recipients complain much: limits follow.
        Red = "red",
        /// The channel has not told.
        #[default]
        Unknown = "unknown",
    }
}

impl Rules {
    /// Whether a person may be written to outside of the reply window with content of this kind of the plugin's own.
    pub fn allows_outside(&self, kind: Option<&str>) -> bool {
        kind.is_some_and(|kind| self.outside_window.iter().any(|allowed| allowed == kind))
    }

    /// The rule by which the channel would not deliver such a message to an address; `None` if it would. `kind` is that of the plugin's
    /// own content, if the message has some.
    pub fn undelivered(&self, kind: Option<&str>, category: MessageType, to: &str) -> Option<&Undelivered> {
        self.undelivered.iter().find(|rule| {
            rule.category == category
                && rule.kind.as_deref().is_none_or(|wanted| kind == Some(wanted))
                && rule.beginnings.iter().any(|beginning| to.starts_with(beginning.as_str()))
        })
    }

    /// The category that a channel calls so when it tells that a person refuses it; `None` for a name that it does not declare.
    pub fn opt_out_category(&self, name: &str) -> Option<MessageType> {
        if self.opt_out_categories.is_empty() {
            return category_named(name);
        }
        self.opt_out_categories.iter().find(|one| one.name == name).map(|one| one.category)
    }

    /// Until when anything may be written to a person who last wrote at `written_at`; `None` where the channel has no window, or the
    /// person never wrote.
    pub fn window_until(&self, written_at: Option<Timestamp>) -> Option<Timestamp> {
        Some(written_at?.plus_ms(self.reply_window_ms?))
    }
}

/// What a channel told of the limits of one connector. It goes before what the plugin declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChannelLimits {
    /// How many people may be written to outside of the reply window; `Some(None)`: any number. `None`: the channel told nothing.
    pub audience: Option<Option<u32>>,
    /// Messages per second.
    pub per_second: Option<u32>,
    /// What the channel thinks of what is sent.
    pub quality: Quality,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_category_goes_by_the_names_that_are_declared() {
        let rules = Rules::default();
        assert_eq!(rules.opt_out_category("marketing"), Some(MessageType::Marketing));
        assert_eq!(rules.opt_out_category("utility"), Some(MessageType::Notification));
        assert_eq!(rules.opt_out_category("promos"), None);
        let promos = OptOutCategory { name: "promos".to_owned(), category: MessageType::Reminder };
        let rules = Rules { opt_out_categories: vec![promos], ..rules };
        assert_eq!(rules.opt_out_category("promos"), Some(MessageType::Reminder));
        assert_eq!(rules.opt_out_category("marketing"), None, "it has names of its own");
    }

    #[test]
    fn what_is_not_delivered_depends_on_content_category_and_address() {
        let rule = |kind: Option<&str>, category, beginning: &str| Undelivered {
            kind: kind.map(str::to_owned),
            category,
            beginnings: vec!["99".to_owned(), beginning.to_owned()],
            detail: beginning.to_owned(),
        };
        let undelivered =
            vec![rule(Some("template"), MessageType::Marketing, "1212"), rule(None, MessageType::Reminder, "44")];
        let rules = Rules { undelivered, ..Rules::default() };
        let found = |kind, category, to| rules.undelivered(kind, category, to).map(|rule| rule.detail.as_str());
        assert_eq!(found(Some("template"), MessageType::Marketing, "12125551234"), Some("1212"));
        assert_eq!(found(Some("template"), MessageType::Marketing, "14165551234"), None, "another area");
        assert_eq!(found(Some("template"), MessageType::Notification, "12125551234"), None, "another category");
        assert_eq!(found(Some("card"), MessageType::Marketing, "12125551234"), None, "another kind");
        assert_eq!(found(None, MessageType::Marketing, "12125551234"), None, "a text");
        assert_eq!(found(None, MessageType::Reminder, "4420"), Some("44"));
        assert_eq!(found(Some("card"), MessageType::Reminder, "4420"), Some("44"), "whatever it contains");
        assert_eq!(Rules::default().undelivered(None, MessageType::Reminder, "4420"), None);
    }
}
