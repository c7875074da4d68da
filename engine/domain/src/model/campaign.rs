//! A campaign: one template for many recipients, frozen into one row for each of them when it starts.
//!
//! ```text
//!          start                 due               all rows ended
//! DRAFT ─────────► SCHEDULED ─────────► RUNNING ──────────────────► FINISHED
//!   └───────────────── start ──────────► │  ▲
//!                          pause, a rule │  │ resume          stop, from each of these four: STOPPED
//!                                        ▼  │
//!                                       PAUSED
//! ```
//!
//! A row stands where its message stands: [`RowOutcome::of`] is the only rule for that, and the store keeps the counts of a campaign equal
//! to its rows, in the batch that changes a row.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Template;
use super::campaign_header::CampaignHeader;
use super::campaign_row::{CampaignCounts, OTHER_CODES};
use super::campaign_text::FixedText;
use crate::words::words;
use crate::{ConnectorIndex, TenantIndex, Timestamp};

/// Maximum number of campaigns that one tenant ever makes; a further one is refused.
pub const MAX_CAMPAIGNS: u64 = 100_000;
/// Maximum number of rows that a campaign is frozen into.
pub const MAX_ROWS: u32 = 100_000;
/// Maximum number of rules of [`StopRules::codes`].
pub const MAX_STOP_CODES: usize = 50;
/// Maximum number of variables that a campaign binds.
pub const MAX_BINDINGS: usize = 100;

words! {
    /// What a campaign is doing.
    #[derive(Serialize, Deserialize)]
    pub enum CampaignStatus {
        /// It is being prepared: nothing of it is fixed, and nothing is sent.
        Draft = "draft",
        /// Its rows are fixed; it starts at its time.
        Scheduled = "scheduled",
        /// Its rows become messages.
        Running = "running",
        /// A person or a rule stopped it for now. What no attempt was made of goes on when it is resumed.
        Paused = "paused",
        /// A person ended it. What no attempt was made of is canceled.
        Stopped = "stopped",
        /// Every row has ended.
        Finished = "finished",
    }
}

words! {
    /// Why a campaign was paused or stopped.
    #[derive(Serialize, Deserialize)]
    pub enum CampaignReason {
        /// A person did it.
        Person = "person",
        /// Too many of its messages failed.
        FailedPercent = "failed_percent",
        /// Messages failed, or were refused for now, with a code that the campaign stops at.
        StopCode = "stop_code",
        /// Its template may not be sent now.
        TemplateNotApproved = "template_not_approved",
        /// Its connector was paused as often as the campaign allows.
        ConnectorPaused = "connector_paused",
        /// Its connector was deleted.
        ConnectorDeleted = "connector_deleted",
        /// Its channel takes nothing more until somebody acts: the account was logged out, locked, or has not paid.
        ChannelStopped = "channel_stopped",
    }
}

words! {
    /// A part of a contact that a variable may be filled with.
    #[derive(Serialize, Deserialize)]
    pub enum ContactPart {
        /// The name to show.
        Name = "name",
        /// The first word of that name.
        FirstName = "first_name",
        /// The e-mail address that is noted with it.
        Email = "email",
        /// Its company.
        Company = "company",
        /// The address that it is known by.
        Identifier = "identifier",
    }
}

/// Who gets a campaign.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Audience {
    /// Nobody of its own: its rows are what is sent in its name, one by one, until somebody stops it.
    #[default]
    Direct,
    /// The contacts that the connector can reach.
    Contacts(ContactChoice),
    /// A list that was handed in, see [`ListedRow`].
    Listed {
        /// Which of the lists that were handed in it is.
        generation: u32,
        /// Number of its rows.
        rows: u32,
        /// Name of the file that it came in.
        file_name: Option<String>,
    },
}

/// Which contacts. What is given combines by AND.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ContactChoice {
    /// Only contacts that contain every word.
    pub search: Option<String>,
    /// Only contacts that are known on the campaign's connector.
    pub known_there: bool,
    /// Only contacts whose conversation on the campaign's connector has this tag, by its public id.
    pub tag: Option<Uuid>,
}

/// A row of a list that was handed in. It names a recipient by address or by contact.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedRow {
    /// Its number in the list, from 1.
    pub number: u32,
    /// The line that it stands on in its file.
    pub line: Option<u32>,
    /// The address as it was written.
    pub to: Option<String>,
    /// Public id of a contact.
    pub contact: Option<Uuid>,
    /// The recipient's name.
    pub name: Option<String>,
    /// Values by the name of their column.
    pub values: BTreeMap<String, String>,
}

/// What a variable of the template is filled with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Binding {
    /// Where its value comes from.
    pub source: Source,
    /// What stands where the source has nothing.
    pub default: Option<String>,
}

/// Where the value of a variable comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The same text for everybody.
    Text(String),
    /// A column of the list.
    Column(String),
    /// A part of the contact.
    Contact(ContactPart),
}

/// When a running campaign is paused by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StopRules {
    /// More than this many percent of the messages with an outcome failed.
    pub failed_percent: Option<u8>,
    /// The percentage counts from this many messages with an outcome on.
    pub min_sent: u32,
    /// A message failed with one of these codes (the channel's own, or a reason's word), or the channel refused it for now with one.
    pub codes: Vec<String>,
    /// Failures and refusals with such a code after which it is paused.
    pub code_times: u32,
    /// The connector was paused this often while the campaign ran.
    pub connector_pauses: Option<u32>,
}

/// The counts by which the rules judge what happened since: those at the start or at the last resumption.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct WatchedFrom {
    /// Messages with an outcome.
    pub ended: u64,
    /// Messages that failed.
    pub failed: u64,
    /// Messages that failed, by code.
    pub failed_by: BTreeMap<String, u64>,
    /// How often messages were refused for now, by code.
    pub put_back_by: BTreeMap<String, u64>,
}

/// Why it was paused or stopped, for a program and for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pausing {
    /// The reason.
    pub reason: CampaignReason,
    /// The same for a person.
    pub detail: String,
    /// When.
    pub at: Timestamp,
}

/// A campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    /// The tenant's number for it: from 1, never given twice. The store gives it; 0 until then.
    pub number: u32,
    /// Public id.
    pub id: Uuid,
    /// The tenant that owns it.
    pub tenant: TenantIndex,
    /// Its name.
    pub name: String,
    /// Number of the template that it sends.
    pub template: u32,
    /// The connector that sends it.
    pub connector: ConnectorIndex,
    /// What it is doing.
    pub status: CampaignStatus,
    /// Who gets it.
    pub audience: Audience,
    /// What the variables are filled with. One that is not here is filled from the column of its name.
    pub bindings: BTreeMap<String, Binding>,
    /// What the header of its template shows to everybody, where that is not a text. `None`: nothing, or what the variables say.
    pub header: Option<CampaignHeader>,
    /// Priority of its messages, 1 to 10.
    pub priority: u8,
    /// When it is paused by itself.
    pub stop: StopRules,
    /// When it starts, if it does not start at once.
    pub scheduled_at: Option<Timestamp>,
    /// Why it was paused or stopped.
    pub pausing: Option<Pausing>,
    /// What the rules count from.
    pub watched_from: WatchedFrom,
    /// Whether its connector was paused when it was last looked at.
    pub connector_down: bool,
    /// How often its connector was paused since the start or the last resumption.
    pub connector_downs: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When its rows were fixed.
    pub frozen_at: Option<Timestamp>,
    /// When its first message was due.
    pub started_at: Option<Timestamp>,
    /// When it had nothing more to do.
    pub ended_at: Option<Timestamp>,
    /// Number of changes so far; a change names the one that it saw.
    pub revision: u32,
    /// What its rows say, if that was fixed with them.
    pub text: Option<FixedText>,
}

/// A step that the campaign's status does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a campaign that is {from} cannot be {step}")]
pub struct CampaignNotAllowed {
    /// What it is doing.
    pub from: CampaignStatus,
    /// The step, as a participle: `started`, `paused` …
    pub step: &'static str,
}

impl Campaign {
    /// Whether the scheduler still has something to do for it.
    pub fn is_open(&self) -> bool {
        self.status != CampaignStatus::Draft && self.ended_at.is_none()
    }

    /// Whether something may be sent in its name, one by one.
    pub fn takes_direct(&self) -> bool {
        !matches!(self.status, CampaignStatus::Draft | CampaignStatus::Stopped)
    }

    /// Its next version, with another status.
    fn next(&self, status: CampaignStatus, now: Timestamp) -> Self {
        Self { status, revision: self.revision + 1, updated_at: now, ..self.clone() }
    }

    /// Its next version, with the same status.
    pub fn changed(&self, now: Timestamp) -> Self {
        self.next(self.status, now)
    }

    fn allow(&self, from: &[CampaignStatus], step: &'static str) -> Result<(), CampaignNotAllowed> {
        if from.contains(&self.status) { Ok(()) } else { Err(CampaignNotAllowed { from: self.status, step }) }
    }

    /// Whether it may still be changed as a draft.
    pub fn editable(&self, step: &'static str) -> Result<(), CampaignNotAllowed> {
        self.allow(&[CampaignStatus::Draft], step)
    }

    /// Its rows are fixed. It runs at once, or from `at` on.
    pub fn frozen(&self, at: Option<Timestamp>, now: Timestamp) -> Result<Self, CampaignNotAllowed> {
        self.allow(&[CampaignStatus::Draft], "started")?;
        let at = at.filter(|at| *at > now);
        let status = if at.is_some() { CampaignStatus::Scheduled } else { CampaignStatus::Running };
        let started_at = at.is_none().then_some(now);
        Ok(Self { scheduled_at: at, frozen_at: Some(now), started_at, ..self.next(status, now) })
    }

    /// The same with the text of its template fixed, where it can be.
    #[must_use]
    pub fn with_text_of(self, template: &Template) -> Self {
        Self { text: FixedText::of(template), ..self }
    }

    /// Its time has come.
    pub fn due(&self, now: Timestamp) -> Result<Self, CampaignNotAllowed> {
        self.allow(&[CampaignStatus::Scheduled], "started")?;
        Ok(Self { started_at: Some(now), ..self.next(CampaignStatus::Running, now) })
    }

    /// A person or a rule pauses it.
    pub fn paused(
        &self,
        reason: CampaignReason,
        detail: impl Into<String>,
        now: Timestamp,
    ) -> Result<Self, CampaignNotAllowed> {
        self.allow(&[CampaignStatus::Running, CampaignStatus::Scheduled], "paused")?;
        let pausing = Some(Pausing { reason, detail: detail.into(), at: now });
        Ok(Self { pausing, ..self.next(CampaignStatus::Paused, now) })
    }

    /// A person resumes it. The rules count from here on; one whose time has not come waits for it.
    pub fn resumed(&self, counts: &CampaignCounts, now: Timestamp) -> Result<Self, CampaignNotAllowed> {
        self.allow(&[CampaignStatus::Paused], "resumed")?;
        let early = self.scheduled_at.is_some_and(|at| at > now);
        let status = if early { CampaignStatus::Scheduled } else { CampaignStatus::Running };
        let started_at = self.started_at.or((!early).then_some(now));
        let watched_from = WatchedFrom::of(counts);
        let next = self.next(status, now);
        Ok(Self { pausing: None, started_at, watched_from, connector_down: false, connector_downs: 0, ..next })
    }

    /// A person ends it. Of a finished one there may be messages that were sent in its name one by one and have not ended.
    pub fn stopped(&self, detail: impl Into<String>, now: Timestamp) -> Result<Self, CampaignNotAllowed> {
        use CampaignStatus::{Finished, Paused, Running, Scheduled};
        self.allow(&[Scheduled, Running, Paused, Finished], "stopped")?;
        let pausing = Some(Pausing { reason: CampaignReason::Person, detail: detail.into(), at: now });
        Ok(Self { pausing, ended_at: None, ..self.next(CampaignStatus::Stopped, now) })
    }

    /// Every row has ended: a running one is finished, a stopped one needs nothing more.
    pub fn ended(&self, now: Timestamp) -> Result<Self, CampaignNotAllowed> {
        self.allow(&[CampaignStatus::Running, CampaignStatus::Stopped], "finished")?;
        let status =
            if self.status == CampaignStatus::Running { CampaignStatus::Finished } else { CampaignStatus::Stopped };
        Ok(Self { ended_at: Some(now), ..self.next(status, now) })
    }

    /// The version after its connector was found paused, or not.
    pub fn connector_seen(&self, down: bool, now: Timestamp) -> Self {
        let downs = self.connector_downs + u32::from(down && !self.connector_down);
        Self { connector_down: down, connector_downs: downs, ..self.changed(now) }
    }

    /// What pauses it now, if a rule does.
    pub fn broken_rule(&self, counts: &CampaignCounts) -> Option<(CampaignReason, String)> {
        let ended = counts.ended().saturating_sub(self.watched_from.ended);
        let failed = counts.failed.saturating_sub(self.watched_from.failed);
        let rules = &self.stop;
        for code in rules.codes.iter().filter(|code| *code != OTHER_CODES) {
            let since = |now: &BTreeMap<String, u64>, before: &BTreeMap<String, u64>| {
                let of = |by: &BTreeMap<String, u64>| by.get(code).copied().unwrap_or(0);
                of(now).saturating_sub(of(before))
            };
            let failed = since(&counts.failed_by, &self.watched_from.failed_by);
            let put_back = since(&counts.put_back_by, &self.watched_from.put_back_by);
            if failed + put_back >= u64::from(rules.code_times.max(1)) {
                let detail = match (failed, put_back) {
                    (_, 0) => format!("{failed} failed with the code {code}"),
                    (0, _) => format!("the channel refused {put_back} for now with the code {code}"),
                    _ => format!("{failed} failed with the code {code}, and {put_back} were refused for now with it"),
                };
                return Some((CampaignReason::StopCode, detail));
            }
        }
        if let Some(percent) = rules.failed_percent
            && ended >= u64::from(rules.min_sent.max(1))
            && failed * 100 > ended * u64::from(percent)
        {
            let detail = format!("{failed} of {ended} failed, more than {percent} %");
            return Some((CampaignReason::FailedPercent, detail));
        }
        if let Some(most) = rules.connector_pauses
            && most > 0
            && self.connector_downs >= most
        {
            let detail = format!("the connector was paused {} times", self.connector_downs);
            return Some((CampaignReason::ConnectorPaused, detail));
        }
        None
    }
}

impl WatchedFrom {
    /// What is counted so far.
    pub fn of(counts: &CampaignCounts) -> Self {
        Self {
            ended: counts.ended(),
            failed: counts.failed,
            failed_by: counts.failed_by.clone(),
            put_back_by: counts.put_back_by.clone(),
        }
    }
}

/// The reference of the message that a row becomes: by it, a row that was handed over is never handed over again.
pub fn reference(campaign: u32, row: u32) -> String {
    format!("campaign-{campaign}-{row}")
}

/// The row that a reference of this campaign names; `None` for any other text.
pub fn row_of(reference: &str, campaign: u32) -> Option<u32> {
    let (number, row) = reference.strip_prefix("campaign-")?.split_once('-')?;
    let plain = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0 && number.to_string() == *text);
    (plain(number)? == campaign).then_some(())?;
    plain(row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::campaign_row::RowOutcome;

    fn campaign() -> Campaign {
        Campaign {
            number: 3,
            id: Uuid::from_u128(1),
            tenant: TenantIndex(1),
            name: "Natal".to_owned(),
            template: 7,
            connector: ConnectorIndex(1),
            status: CampaignStatus::Draft,
            audience: Audience::Direct,
            bindings: BTreeMap::new(),
            header: None,
            priority: 5,
            stop: StopRules::default(),
            scheduled_at: None,
            pausing: None,
            watched_from: WatchedFrom::default(),
            connector_down: false,
            connector_downs: 0,
            created_at: Timestamp(1),
            updated_at: Timestamp(1),
            frozen_at: None,
            started_at: None,
            ended_at: None,
            revision: 0,
            text: None,
        }
    }

    #[test]
    fn a_campaign_goes_its_way_and_no_other() {
        let draft = campaign();
        assert!(!draft.is_open() && !draft.takes_direct());
        assert!(draft.paused(CampaignReason::Person, "", Timestamp(2)).is_err());
        let later = draft.frozen(Some(Timestamp(50)), Timestamp(2)).expect("a draft starts");
        assert_eq!((later.status, later.revision, later.started_at), (CampaignStatus::Scheduled, 1, None));
        assert!(later.frozen(None, Timestamp(3)).is_err(), "its rows are fixed once");
        let held = later.paused(CampaignReason::Person, "x", Timestamp(3)).expect("it may be paused before its time");
        let counts = CampaignCounts::default();
        assert_eq!(held.resumed(&counts, Timestamp(4)).map(|c| c.status), Ok(CampaignStatus::Scheduled));
        assert_eq!(held.resumed(&counts, Timestamp(60)).map(|c| c.status), Ok(CampaignStatus::Running));
        let running = later.due(Timestamp(50)).expect("its time came");
        let done = running.ended(Timestamp(70)).expect("its rows ended");
        assert_eq!((done.status, done.is_open(), done.takes_direct()), (CampaignStatus::Finished, false, true));
        let stopped = running.stopped("enough", Timestamp(60)).expect("a person stops it");
        assert!(stopped.is_open() && !stopped.takes_direct());
        assert!(done.stopped("enough", Timestamp(71)).is_ok_and(|stopped| stopped.is_open()), "some may be queued");
        let refused = stopped.resumed(&counts, Timestamp(61)).expect_err("what was stopped stays so");
        assert_eq!(refused.to_string(), "a campaign that is stopped cannot be resumed");
        assert!(!stopped.ended(Timestamp(62)).expect("nothing is left").is_open());
    }

    #[test]
    fn rules_count_from_the_last_resumption() {
        let mut running = campaign().frozen(None, Timestamp(2)).expect("it starts");
        running.stop = StopRules {
            failed_percent: Some(20),
            min_sent: 10,
            codes: vec!["4711".to_owned()],
            code_times: 2,
            connector_pauses: Some(2),
        };
        let mut counts = CampaignCounts::default();
        (0..7).for_each(|_| counts.add(&RowOutcome::Accepted));
        (0..2).for_each(|_| counts.add(&RowOutcome::Failed("x".to_owned())));
        assert_eq!(running.broken_rule(&counts), None, "9 are too few to tell");
        counts.add(&RowOutcome::Failed("x".to_owned()));
        assert_eq!(running.broken_rule(&counts).map(|(reason, _)| reason), Some(CampaignReason::FailedPercent));
        let paused = running.paused(CampaignReason::FailedPercent, "", Timestamp(3)).expect("it runs");
        let again = paused.resumed(&counts, Timestamp(4)).expect("it is paused");
        assert_eq!(again.broken_rule(&counts), None, "a person knew of these");
        counts.add(&RowOutcome::Failed("4711".to_owned()));
        assert_eq!(again.broken_rule(&counts), None);
        counts.add(&RowOutcome::Failed("4711".to_owned()));
        assert_eq!(again.broken_rule(&counts).map(|(reason, _)| reason), Some(CampaignReason::StopCode));

        let down = again.connector_seen(true, Timestamp(5)).connector_seen(true, Timestamp(6));
        assert_eq!(down.connector_downs, 1, "it is the same pause");
        let twice = down.connector_seen(false, Timestamp(7)).connector_seen(true, Timestamp(8));
        let calm = CampaignCounts::default();
        assert_eq!(twice.broken_rule(&calm).map(|(reason, _)| reason), Some(CampaignReason::ConnectorPaused));
    }

    #[test]
    fn refusals_for_now_count_for_the_codes_that_it_stops_at() {
        let mut running = campaign().frozen(None, Timestamp(2)).expect("it starts");
        running.stop = StopRules { codes: vec!["4711".to_owned()], code_times: 2, ..StopRules::default() };
        let mut counts = CampaignCounts::default();
        ["4711", "4712", "4712"].into_iter().for_each(|code| counts.put_back(code));
        assert_eq!(running.broken_rule(&counts), None, "one is too few, and the others are of another code");
        counts.put_back("4711");
        let (reason, detail) = running.broken_rule(&counts).expect("there are two");
        assert_eq!(reason, CampaignReason::StopCode);
        assert_eq!(detail, "the channel refused 2 for now with the code 4711");
        let paused = running.paused(reason, detail, Timestamp(3)).expect("it runs");
        let again = paused.resumed(&counts, Timestamp(4)).expect("it is paused");
        assert_eq!(again.broken_rule(&counts), None, "a person knew of these");
        counts.put_back("4711");
        counts.add(&RowOutcome::Failed("4711".to_owned()));
        assert!(again.broken_rule(&counts).is_some_and(|(reason, _)| reason == CampaignReason::StopCode));
    }

    #[test]
    fn a_reference_names_a_row_of_its_own_campaign() {
        assert_eq!(row_of(&reference(3, 12), 3), Some(12));
        for other in ["campaign-3-12x", "campaign-3-012", "campaign-03-12", "campaign-3-0", "campaign-3", "x", ""] {
            assert_eq!(row_of(other, 3), None, "{other}");
        }
        assert_eq!(row_of(&reference(4, 12), 3), None);
    }
}
