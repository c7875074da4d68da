//! The fields of what use cases take, as keys: a problem names its field by a key, and each facade writes the key as its callers
//! know it. Nothing here is a facade's name.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::words::words;

words! {
    /// A field of a use case's input. Serialised, it is the text that the store keeps with a request's key.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    pub enum Field {
        /// Whether something is switched on.
        Active = "active",
        /// Members to add to a group.
        Add = "add",
        /// Addresses to look up.
        Addresses = "addresses",
        /// The person a conversation is assigned to.
        Assignee = "assignee",
        /// The user a conversation is assigned to.
        AssigneeId = "assignee_id",
        /// A file that the engine fetches.
        AttachmentUrl = "attachment_url",
        /// Files of a message.
        Attachments = "attachments",
        /// Who gets a campaign.
        Audience = "audience",
        /// Host interfaces that a plugin is granted.
        Capabilities = "capabilities",
        /// What a template is for.
        Category = "category",
        /// A conversation's address.
        Chat = "chat",
        /// What is asked for the address that a proxy's connections come from.
        CheckUrl = "check_url",
        /// Codes of failures.
        Codes = "codes",
        /// A colour.
        Color = "color",
        /// The company of a contact.
        Company = "company",
        /// A component's bytes.
        Component = "component",
        /// What a template consists of.
        Components = "components",
        /// A plugin's configuration.
        Config = "config",
        /// A connector, by its public id.
        #[serde(rename = "connectorId")]
        Connector = "connector",
        /// Connectors, by their public ids.
        Connectors = "connector_ids",
        /// A contact's display name.
        ContactName = "contact_name",
        /// Several contacts.
        Contacts = "contacts",
        /// Content that only a connector's plugin knows.
        Content = "content",
        /// The status of a conversation.
        ConversationStatus = "conversation_status",
        /// Processor time of a call, in milliseconds.
        CpuMs = "cpu_ms",
        /// Messages of a day.
        DailyCap = "daily_cap",
        /// Caps of the first days.
        Days = "days",
        /// The longest pause between two messages, in milliseconds.
        DelayMaxMs = "delay_max_ms",
        /// The shortest pause between two messages, in milliseconds.
        DelayMinMs = "delay_min_ms",
        /// Admins of a group to make plain members.
        Demote = "demote",
        /// A group's description.
        Description = "description",
        /// The name of the device that logs in.
        Device = "device",
        /// An e-mail address.
        Email = "email",
        /// A reaction.
        Emoji = "emoji",
        /// Kinds of events.
        Events = "events",
        /// Events of a minute.
        EventsPerMinute = "events_per_minute",
        /// The caller's reference.
        ExternalId = "external_id",
        /// Failures in a hundred messages.
        FailedPercent = "failed_percent",
        /// An uploaded file's name.
        File = "file",
        /// A stored file, by its id.
        FileId = "file_id",
        /// What a file is sent as.
        FileKind = "file_kind",
        /// Name with which a file is sent.
        FileName = "file_name",
        /// Ahead of the queue and its pace.
        ForceDirect = "force_direct",
        /// How a template's variables are named.
        Format = "format",
        /// A group's address.
        Group = "group",
        /// By how much the caps of a warm-up grow, in percent.
        GrowthPercent = "growth_percent",
        /// What a template's header shows.
        Header = "header",
        /// Rules about an account's health.
        Health = "health",
        /// Hosts that a plugin may reach.
        Hosts = "hosts",
        /// The key that makes a repeated request harmless.
        IdempotencyKey = "idempotency_key",
        /// A contact's address.
        Identifier = "identifier",
        /// After how many seconds of silence a proxy ends a connection.
        IdleSeconds = "idle_seconds",
        /// Ids of conversations.
        Ids = "ids",
        /// Since when the account behind a connector has been in use.
        InUseSince = "in_use_since",
        /// What an automation is started with.
        Input = "input",
        /// A public key.
        Key = "key",
        /// Bytes of a plugin's key/value store.
        KvBytes = "kv_bytes",
        /// The language of a template.
        Language = "language",
        /// Rows of a page, or calls of a replay.
        Limit = "limit",
        /// Messages on their way at once.
        MaxInFlight = "max_in_flight",
        /// Members of a group.
        Members = "members",
        /// Bytes of memory.
        MemoryBytes = "memory_bytes",
        /// Addresses that a text mentions.
        Mentions = "mentions",
        /// A message that something is about, named by the caller.
        #[serde(rename = "aboutMessage")]
        Message = "message",
        /// A message's category.
        MessageType = "message_type",
        /// Several messages.
        Messages = "messages",
        /// The fewest sent messages by which health is judged.
        MinSent = "min_sent",
        /// A display name.
        Name = "name",
        /// Internal remarks.
        Notes = "notes",
        /// How fast a connector may send.
        Pace = "pace",
        /// The number of a page.
        Page = "page",
        /// A password.
        Password = "password",
        /// The level of health below which a connector is paused.
        PauseBelow = "pause_below",
        /// The address of an account to pair.
        Phone = "phone",
        /// A plugin's name.
        Plugin = "plugin",
        /// An automation's place among those of its connector.
        Position = "position",
        /// A message's priority.
        Priority = "priority",
        /// Members of a group to make admins.
        Promote = "promote",
        /// A channel's own id of a message.
        ProviderId = "provider_id",
        /// The proxy of a connector.
        Proxy = "proxy",
        /// Words that messages, conversations and contacts are searched for.
        Query = "query",
        /// The queue that a conversation is in.
        Queue = "queue",
        /// The daily window without sending.
        QuietHours = "quiet_hours",
        /// Why something is done.
        Reason = "reason",
        /// Words by which people refuse advertising.
        OptOutWords = "opt_out_words",
        /// For how long a message on the account's own phone pauses automations.
        PhonePauseMinutes = "phone_pause_minutes",
        /// What ends such a pause when it is typed on the phone.
        PhoneResumeWord = "phone_resume_word",
        /// For how many days received messages are kept.
        ReceivedDays = "received_days",
        /// Categories of messages that a contact does not want.
        RefusedCategories = "refused_categories",
        /// Members of a group to take out.
        Remove = "remove",
        /// The message that is answered.
        ReplyTo = "reply_to",
        /// The request as a whole.
        Request = "request",
        /// Waits for approval.
        RequiresApproval = "requires_approval",
        /// A row of several as a whole: its fields are not looked at.
        Row = "row",
        /// How many texts a preview shows.
        Samples = "samples",
        /// The instant before which nothing is sent.
        ScheduledAt = "scheduled_at",
        /// Words to search for.
        Search = "search",
        /// What posts are signed with.
        Secret = "secret",
        /// Who wrote a message.
        Sender = "sender",
        /// The percentage of the work that a version gets.
        Share = "share",
        /// A component's signature.
        Signature = "signature",
        /// The start of a period.
        Since = "since",
        /// The level of health below which a connector is slowed.
        SlowBelow = "slow_below",
        /// What counts are split by.
        SplitBy = "split_by",
        /// When a campaign is paused by itself.
        #[serde(rename = "stop")]
        StopRules = "stop",
        /// A subject, of a message or a group.
        Subject = "subject",
        /// A tag, by its public id.
        Tag = "tag_id",
        /// A conversation's tags.
        Tags = "tags",
        /// A template to be shown.
        Template = "template",
        /// The template that a message is made from.
        TemplateId = "template_id",
        /// The tenant that something is done for.
        Tenant = "tenant",
        /// A message's text.
        #[serde(rename = "message")]
        Text = "text",
        /// An IANA time zone.
        TimeZone = "time_zone",
        /// A recipient.
        To = "to",
        /// A kind of event.
        Type = "type",
        /// The cap at which a warm-up ends.
        Until = "until",
        /// The end of a period.
        UpTo = "up_to",
        /// What a tenant calls the numbered variables of a template.
        VariableNames = "variable_names",
        /// Values for a template.
        Variables = "variables",
        /// The rules of a new account's first days.
        WarmUp = "warm_up",
        /// What is told of each change of status.
        WebhookUrl = "webhook_url",
        /// The hours that health is counted over.
        WindowHours = "window_hours",
    }
}

/// A facade's word for a field.
pub type Names = fn(Field) -> Cow<'static, str>;

impl Field {
    /// The field's key in the engine's own words, as [`Names`].
    pub fn word(self) -> Cow<'static, str> {
        Cow::Borrowed(self.as_str())
    }

    /// The element `index` of this list.
    pub fn at(self, index: usize) -> FieldPath {
        FieldPath::from(self).at(index)
    }

    /// The field `inner` of this object.
    pub fn field(self, inner: Self) -> FieldPath {
        FieldPath::from(self).field(inner)
    }

    /// What the caller calls `name` inside this object; several names are joined by dots.
    pub fn named(self, name: impl Into<String>) -> FieldPath {
        FieldPath::from(self).named(name)
    }
}

/// The place of a value in a use case's input, or in what a caller wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldPath(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Field(Field),
    Index(usize),
    /// As the caller wrote it: a place that no key names.
    Name(String),
}

impl FieldPath {
    /// The element `index` of the list here.
    pub fn at(mut self, index: usize) -> Self {
        self.0.push(Step::Index(index));
        self
    }

    /// The field `inner` of the object here.
    pub fn field(mut self, inner: Field) -> Self {
        self.0.push(Step::Field(inner));
        self
    }

    /// What the caller calls `name` inside the object here; several names are joined by dots.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.0.push(Step::Name(name.into()));
        self
    }

    /// The same place inside the field `outer`.
    pub fn inside(mut self, outer: Field) -> Self {
        self.0.insert(0, Step::Field(outer));
        self
    }

    /// The key that it begins with; `None` for a place that the caller alone names.
    pub fn root(&self) -> Option<Field> {
        match self.0.first() {
            Some(Step::Field(field)) => Some(*field),
            _ => None,
        }
    }

    /// The key, when it is nothing else.
    pub fn only(&self) -> Option<Field> {
        self.root().filter(|_| self.0.len() == 1)
    }

    /// As a caller of this facade knows it: `messages[3].sender`, `config.host`.
    pub fn written(&self, names: impl Fn(Field) -> Cow<'static, str>) -> String {
        let mut text = String::new();
        for step in &self.0 {
            let name = match step {
                Step::Index(index) => {
                    text.push_str(&format!("[{index}]"));
                    continue;
                }
                Step::Field(field) => names(*field),
                Step::Name(name) => Cow::Owned(name.clone()),
            };
            if !text.is_empty() && !name.starts_with('[') {
                text.push('.');
            }
            text.push_str(&name);
        }
        text
    }
}

impl From<Field> for FieldPath {
    fn from(field: Field) -> Self {
        Self(vec![Step::Field(field)])
    }
}

impl From<String> for FieldPath {
    /// A place as the caller wrote it.
    fn from(name: String) -> Self {
        Self(vec![Step::Name(name)])
    }
}

impl From<&str> for FieldPath {
    /// A place as the caller wrote it.
    fn from(name: &str) -> Self {
        Self::from(name.to_owned())
    }
}

impl PartialEq<Field> for FieldPath {
    fn eq(&self, other: &Field) -> bool {
        self.only() == Some(*other)
    }
}

impl fmt::Display for FieldPath {
    /// In the engine's own words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written(Field::word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_written_in_the_facades_names_and_the_callers_own() {
        let names = |field: Field| match field {
            Field::Connector => Cow::Borrowed("canal"),
            other => other.word(),
        };
        let written = |path: FieldPath| path.written(names);
        assert_eq!(written(Field::Connector.into()), "canal");
        assert_eq!(written(Field::Messages.at(3).field(Field::Sender)), "messages[3].sender");
        assert_eq!(written(Field::Config.named("smtp.host")), "config.smtp.host");
        assert_eq!(written(Field::Config.named("[0]")), "config[0]");
        assert_eq!(written(FieldPath::from("priority")), "priority");
        assert_eq!(written(FieldPath::from(Field::DailyCap).inside(Field::Health)), "health.daily_cap");
    }

    #[test]
    fn a_stored_key_is_read_again() {
        for field in Field::ALL {
            let stored = serde_json::to_string(&field).expect("a text");
            assert_eq!(serde_json::from_str::<Field>(&stored).expect(&stored), field);
        }
        let stored = |field: Field| serde_json::to_value(field).expect("a text");
        assert_eq!((stored(Field::Text), stored(Field::To)), ("message".into(), "to".into()));
    }
}
