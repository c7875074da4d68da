//! What the simulated Meta remembers: apps, tokens, businesses, people, messages, and the clock. One lock around all of it, held
//! by nobody across an `.await`. It makes no HTTP: what is to be posted lies in [`World::outbox`].

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::faults::Faults;
use crate::journal::Journal;
use crate::knobs::{Knobs, Taken};
use crate::limits::{Bucket, Distinct, Recent};
use crate::shape::Shape;
use crate::webhooks::Outbox;

/// Most messages that are remembered, in each direction.
const MOST_MESSAGES: usize = 500_000;

fn yes() -> bool {
    true
}
fn rate() -> u32 {
    80
}
fn green() -> String {
    "GREEN".into()
}
fn connected() -> String {
    "CONNECTED".into()
}
fn unlimited() -> Value {
    json!("TIER_UNLIMITED")
}
fn scopes() -> Vec<String> {
    vec!["whatsapp_business_messaging".into(), "whatsapp_business_management".into()]
}

/// An app at Meta.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Its id.
    pub id: String,
    /// What webhooks are signed with.
    pub secret: String,
    /// What the verification of a callback carries.
    #[serde(default)]
    pub verify_token: String,
    /// Where webhooks go: an `http://` URL.
    #[serde(default, alias = "callback_url")]
    pub callback: Option<String>,
}

/// An access token.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// The token.
    pub token: String,
    /// The app it is of.
    pub app: String,
    /// What it allows.
    #[serde(default = "scopes")]
    pub scopes: Vec<String>,
    /// Unix seconds; 0 never expires.
    #[serde(default)]
    pub expires_at: i64,
    /// When its access to people's data ends, in Unix seconds; 0 never.
    #[serde(default)]
    pub data_access_expires_at: i64,
    /// The WABAs it may see; unset sees all.
    #[serde(default)]
    pub wabas: Option<Vec<String>>,
    /// It was taken back.
    #[serde(default)]
    pub revoked: bool,
}

/// A business portfolio.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Portfolio {
    /// Its id.
    pub id: String,
    /// `TIER_250` … `TIER_UNLIMITED`, or any number.
    #[serde(default = "unlimited")]
    pub tier: Value,
}

impl Portfolio {
    /// How many distinct people a day; `None` is without limit.
    pub(crate) fn limit(&self) -> Option<usize> {
        if let Some(number) = self.tier.as_u64() {
            return usize::try_from(number).ok();
        }
        match self.tier.as_str().unwrap_or_default().trim_start_matches("TIER_") {
            "50" => Some(50),
            "250" => Some(250),
            "1K" => Some(1000),
            "2K" => Some(2000),
            "10K" => Some(10_000),
            "100K" => Some(100_000),
            _ => None,
        }
    }
}

/// A WhatsApp Business account.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waba {
    /// Its id.
    pub id: String,
    /// The portfolio it belongs to.
    pub portfolio: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// The apps that get its webhooks; unset means every app.
    #[serde(default)]
    pub apps: Option<Vec<String>>,
    /// A callback of its own.
    #[serde(default)]
    pub override_callback: Option<String>,
}

/// A business number.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Number {
    /// Its id.
    pub id: String,
    /// As people write it.
    pub display_phone_number: String,
    /// The WABA it is of.
    pub waba: String,
    /// Whether it may send.
    #[serde(default = "yes")]
    pub registered: bool,
    /// GREEN, YELLOW, RED, UNKNOWN.
    #[serde(default = "green")]
    pub quality: String,
    /// Messages per second, in and out together.
    #[serde(default = "rate", alias = "throughput_per_second")]
    pub throughput: u32,
    /// The name people see.
    #[serde(default)]
    pub verified_name: String,
    /// CONNECTED and so on.
    #[serde(default = "connected")]
    pub status: String,
    /// Every message is refused with this code: 131031 locked, 131042 unpaid, 33 deleted.
    #[serde(default)]
    pub restricted_code: Option<i64>,
    /// The business profile.
    #[serde(default)]
    pub profile: Value,
    /// A callback of its own.
    #[serde(default)]
    pub override_callback: Option<String>,
}

impl Number {
    pub(crate) fn digits(&self) -> String {
        digits(&self.display_phone_number)
    }
}

/// A person with, or without, WhatsApp.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// How the admin calls this person; the phone number if not given.
    #[serde(default)]
    pub id: String,
    /// The number as a business writes it, digits.
    #[serde(default)]
    pub phone: Option<String>,
    /// WhatsApp's own writing of it, if that differs.
    #[serde(default)]
    pub wa_id: Option<String>,
    /// The business-scoped user id.
    #[serde(default, alias = "bsuid")]
    pub user_id: Option<String>,
    /// The username: webhooks then show no phone.
    #[serde(default)]
    pub username: Option<String>,
    /// The name people see.
    #[serde(default)]
    pub name: String,
    /// Whether there is an account.
    #[serde(default = "yes")]
    pub has_whatsapp: bool,
    /// The user blocked the business.
    #[serde(default)]
    pub blocked: bool,
    /// The client is too old.
    #[serde(default)]
    pub old_client: bool,
    /// Marketing was stopped.
    #[serde(default)]
    pub opted_out: bool,
    /// Whether reading is told.
    #[serde(default = "yes")]
    pub receipts_on: bool,
    /// Two letters.
    #[serde(default)]
    pub country: Option<String>,
    /// Webhooks show no phone, with or without a username.
    #[serde(default)]
    pub hides_phone: bool,
}

impl User {
    /// The id of webhooks, if the business may see it.
    pub(crate) fn visible_wa_id(&self) -> Option<&str> {
        if self.hides_phone || (self.username.is_some() && self.phone.is_none()) {
            return None;
        }
        self.wa_id.as_deref().or(self.phone.as_deref())
    }

    /// The entry of `contacts` in a webhook.
    pub(crate) fn contact(&self) -> Value {
        let mut profile = json!({});
        if !self.name.is_empty() {
            profile["name"] = json!(self.name);
        }
        if let Some(username) = &self.username {
            profile["username"] = json!(username);
        }
        let mut contact = json!({ "profile": profile });
        if let Some(wa_id) = self.visible_wa_id() {
            contact["wa_id"] = json!(wa_id);
        }
        if let Some(user_id) = &self.user_id {
            contact["user_id"] = json!(user_id);
        }
        contact
    }

    pub(crate) fn is_american(&self) -> bool {
        match &self.country {
            Some(country) => country == "US",
            None => self.phone.as_deref().is_some_and(|phone| phone.starts_with('1')),
        }
    }
}

/// A template.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    pub(crate) id: u64,
    pub(crate) waba: String,
    pub(crate) name: String,
    pub(crate) language: String,
    pub(crate) status: String,
    pub(crate) category: String,
    pub(crate) previous_category: Option<String>,
    pub(crate) components: Value,
    pub(crate) parameter_format: String,
    pub(crate) quality: String,
    pub(crate) rejected_reason: String,
    pub(crate) ttl: Option<i64>,
    pub(crate) edited: Edits,
    pub(crate) shape: Shape,
    /// After so many sends the rest is held.
    pub(crate) pacing: Option<u32>,
    pub(crate) sends: u32,
}

/// When an approved template was edited.
pub(crate) type Edits = Vec<i64>;

impl Template {
    pub(crate) fn json(&self) -> Value {
        let mut value = json!({
            "id": self.id.to_string(), "name": self.name, "language": self.language, "status": self.status,
            "category": self.category, "parameter_format": self.parameter_format, "components": self.components,
            "quality_score": { "score": self.quality }, "rejected_reason": self.rejected_reason,
        });
        if let Some(previous) = &self.previous_category {
            value["previous_category"] = json!(previous);
        }
        if let Some(ttl) = self.ttl {
            value["message_send_ttl_seconds"] = json!(ttl);
        }
        value
    }
}

/// A file.
#[derive(Debug, Clone)]
pub(crate) struct Media {
    pub(crate) waba: String,
    pub(crate) mime: String,
    pub(crate) bytes: Bytes,
    pub(crate) sha256: [u8; 32],
    pub(crate) expires: i64,
}

/// An upload of a template's sample that was begun.
#[derive(Debug, Clone)]
pub(crate) struct SampleUpload {
    pub(crate) app: String,
    pub(crate) mime: String,
    pub(crate) length: usize,
    /// What stands behind its id, as a query.
    pub(crate) signature: String,
    pub(crate) received: Vec<u8>,
}

/// A message of the business.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) number: usize,
    pub(crate) user: usize,
    pub(crate) at: i64,
    pub(crate) body: Value,
    pub(crate) callback_data: Option<String>,
    pub(crate) template: Option<u64>,
    pub(crate) pricing: Option<Value>,
    pub(crate) status: &'static str,
    pub(crate) code: Option<i64>,
}

/// A message of a person.
#[derive(Debug, Clone)]
pub(crate) struct Said {
    pub(crate) id: String,
    pub(crate) number: usize,
    pub(crate) user: usize,
    pub(crate) at: i64,
    pub(crate) message: Value,
    pub(crate) read: bool,
}

/// The driven clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Clock {
    /// Milliseconds at which it stands; unset, it runs.
    pub(crate) frozen: Option<i64>,
    /// Milliseconds it was advanced by.
    pub(crate) ahead: i64,
}

/// How often a rule was broken by the client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Violations {
    /// More distinct people outside the window than the portfolio may.
    pub tier_exceeded: u64,
    /// The bucket of a number and a person was empty.
    pub pair_exceeded: u64,
    /// The bucket of a number was empty.
    pub throughput_exceeded: u64,
    /// Something other than a template outside the window.
    pub outside_window: u64,
    /// A person was sent the same `biz_opaque_callback_data` twice.
    pub duplicate_callback_data: u64,
    /// A business-scoped user id in `to`.
    pub bsuid_in_to: u64,
    /// A token went where it does not belong.
    pub token_to_foreign_path: u64,
    /// Management calls beyond the hour's limit.
    pub management_exceeded: u64,
}

/// Everything.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) base: String,
    pub(crate) fast: bool,
    pub(crate) clock: Clock,
    pub(crate) knobs: Knobs,
    pub(crate) faults: Faults,
    pub(crate) journal: Journal,
    pub(crate) violations: Violations,
    pub(crate) outbox: Outbox,
    pub(crate) apps: BTreeMap<String, App>,
    pub(crate) tokens: HashMap<String, Token>,
    pub(crate) portfolios: BTreeMap<String, Portfolio>,
    pub(crate) wabas: BTreeMap<String, Waba>,
    pub(crate) numbers: Vec<Number>,
    pub(crate) number_index: HashMap<String, usize>,
    pub(crate) users: Vec<User>,
    pub(crate) user_index: HashMap<String, usize>,
    pub(crate) templates: BTreeMap<u64, Template>,
    pub(crate) template_index: HashMap<(String, String, String), u64>,
    /// Names of deleted templates, and until when they are locked.
    pub(crate) locked_names: HashMap<(String, String), i64>,
    /// Templates that will be approved.
    pub(crate) reviews: Vec<(i64, u64)>,
    pub(crate) media: HashMap<String, Media>,
    /// Uploads of samples that were begun.
    pub(crate) uploads: HashMap<String, SampleUpload>,
    /// The handles that uploads gave, with the types of their files.
    pub(crate) handles: HashMap<String, String>,
    pub(crate) sent: BTreeMap<u64, Sent>,
    pub(crate) sent_index: HashMap<String, u64>,
    pub(crate) said: BTreeMap<u64, Said>,
    pub(crate) said_index: HashMap<String, u64>,
    pub(crate) blocked_by_business: HashSet<(usize, usize)>,
    /// When a person last wrote to a number.
    pub(crate) windows: HashMap<(usize, usize), i64>,
    /// When a person came from an advertisement, and until when the free window lasts, once the business answered.
    pub(crate) entries: HashMap<(usize, usize), (i64, Option<i64>)>,
    pub(crate) throughput: HashMap<usize, Bucket>,
    pub(crate) pairs: HashMap<(usize, usize), Bucket>,
    pub(crate) tiers: HashMap<String, Distinct>,
    pub(crate) management: HashMap<(String, String), Recent>,
    pub(crate) creations: HashMap<String, Recent>,
    pub(crate) marketing: HashMap<usize, VecDeque<i64>>,
    pub(crate) callback_data: HashSet<(usize, String)>,
    pub(crate) accepted: u64,
    pub(crate) counter: u64,
}

impl World {
    /// Milliseconds of the driven clock.
    pub(crate) fn now(&self) -> i64 {
        self.clock.frozen.unwrap_or_else(wall) + self.clock.ahead
    }

    /// Seconds of the driven clock.
    pub(crate) fn seconds(&self) -> i64 {
        self.now() / 1000
    }

    /// A number that was not given before; over several starts too, as the first one is the time of the start.
    pub(crate) fn next(&mut self) -> u64 {
        if self.counter == 0 {
            self.counter = u64::try_from(wall()).unwrap_or(1) * 1000;
        }
        self.counter += 1;
        self.counter
    }

    /// A new message id: opaque, and not always of the same length.
    pub(crate) fn wamid(&mut self, phone: &str) -> String {
        let next = self.next();
        format!(
            "wamid.{}",
            STANDARD.encode(format!(
                "\u{1d}\u{18}{phone}\u{15}\u{2}\0\u{11}\u{18}{next:X}{}",
                "\0".repeat(usize::try_from(next % 3).unwrap_or(0))
            ))
        )
    }

    /// The trace id of an answer.
    pub(crate) fn trace(&mut self) -> String {
        let next = self.next();
        format!("A{}", STANDARD.encode(next.to_be_bytes()).trim_end_matches('=').replace(['+', '/'], "_"))
    }

    /// The place of a number.
    pub(crate) fn number(&self, id: &str) -> Option<usize> {
        self.number_index.get(id).copied()
    }

    /// Adds a person, and tells the place. One who exists is replaced.
    pub(crate) fn put_user(&mut self, mut user: User) -> usize {
        user.phone = user.phone.as_deref().map(digits);
        user.wa_id = user.wa_id.as_deref().map(digits);
        if user.id.is_empty() {
            user.id =
                user.phone.clone().or_else(|| user.wa_id.clone()).or_else(|| user.user_id.clone()).unwrap_or_default();
        }
        let place = self.user_index.get(&user.id).copied().unwrap_or(self.users.len());
        for key in
            [Some(&user.id), user.phone.as_ref(), user.wa_id.as_ref(), user.user_id.as_ref()].into_iter().flatten()
        {
            self.user_index.insert(key.clone(), place);
        }
        match self.users.get_mut(place) {
            Some(old) => *old = user,
            None => self.users.push(user),
        }
        place
    }

    /// The person of this id, phone, `wa_id` or business-scoped user id.
    pub(crate) fn user(&self, key: &str) -> Option<usize> {
        self.user_index.get(key).copied().or_else(|| self.user_index.get(&digits(key)).copied())
    }

    /// The person of a number; made on the way if the knob says so.
    pub(crate) fn recipient(&mut self, phone: &str) -> usize {
        if let Some(place) = self.user_index.get(phone) {
            return *place;
        }
        let has_whatsapp = self.knobs.unknown_users == Taken::Accept;
        let user = User {
            id: phone.to_owned(),
            phone: Some(phone.to_owned()),
            wa_id: None,
            user_id: None,
            username: None,
            name: String::new(),
            has_whatsapp,
            blocked: false,
            old_client: false,
            opted_out: false,
            receipts_on: true,
            country: None,
            hides_phone: false,
        };
        self.put_user(user)
    }

    /// The portfolio that a number is of.
    pub(crate) fn portfolio_of(&self, number: usize) -> Option<&Portfolio> {
        let waba = self.wabas.get(&self.numbers.get(number)?.waba)?;
        self.portfolios.get(&waba.portfolio)
    }

    /// Whether the customer service window is open.
    pub(crate) fn window_open(&self, number: usize, user: usize) -> bool {
        self.windows.get(&(number, user)).is_some_and(|last| self.now() - last < crate::limits::DAY)
    }

    /// Remembers a message of the business.
    pub(crate) fn keep_sent(&mut self, sent: Sent) {
        let place = self.next();
        self.sent_index.insert(sent.id.clone(), place);
        self.sent.insert(place, sent);
        if self.sent.len() > MOST_MESSAGES
            && let Some((_, old)) = self.sent.pop_first()
        {
            self.sent_index.remove(&old.id);
        }
    }

    /// Remembers a message of a person.
    pub(crate) fn keep_said(&mut self, said: Said) {
        let place = self.next();
        self.said_index.insert(said.id.clone(), place);
        self.said.insert(place, said);
        if self.said.len() > MOST_MESSAGES
            && let Some((_, old)) = self.said.pop_first()
        {
            self.said_index.remove(&old.id);
        }
    }
}

/// Milliseconds since 1970.
pub(crate) fn wall() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

/// The digits of a number as people write it.
pub(crate) fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}
