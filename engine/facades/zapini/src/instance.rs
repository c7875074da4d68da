//! An instance as it is shown: its documented status, its number, what it may still send today.

use poem_openapi::{Enum, Object};
use pombo_api::error::Failure;
use pombo_domain::commands::connectors::overview::ConnectorOverview;
use pombo_domain::model::pace::PaceView;
use pombo_domain::model::{ConnectorStatus, HealthLevel};
use pombo_domain::ports::{PaceViews, SessionState};
use serde::Serialize;
use uuid::Uuid;

use crate::refs::number_or_jid;
use crate::times::seconds;

/// Whether an instance is connected to WhatsApp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Enum)]
#[serde(rename_all = "snake_case")]
#[oai(rename_all = "snake_case")]
pub(crate) enum InstanceStatus {
    /// It is connected and can send.
    Connected,
    /// It is not connected.
    Disconnected,
    /// It waits for somebody to scan a QR code.
    QrReady,
    /// It is being connected, or waits for somebody to type a code.
    Pending,
}

impl InstanceStatus {
    const ALL: [(&'static str, Self); 4] = [
        ("connected", Self::Connected),
        ("disconnected", Self::Disconnected),
        ("qr_ready", Self::QrReady),
        ("pending", Self::Pending),
    ];

    /// The documented words.
    pub(crate) fn words() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(|(word, _)| word)
    }

    /// The status of a documented word.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(word, _)| *word == text.trim()).map(|(_, status)| status)
    }

    pub(crate) fn of(state: &SessionState) -> Self {
        match state {
            SessionState::Connected => Self::Connected,
            SessionState::QrCode(_) => Self::QrReady,
            SessionState::Connecting | SessionState::PairingCode(_) => Self::Pending,
            SessionState::Stopped
            | SessionState::Disconnected(_)
            | SessionState::Unpaired(_)
            | SessionState::LoggedOut(_)
            | SessionState::Failing(_) => Self::Disconnected,
        }
    }
}

/// A WhatsApp account.
#[derive(Debug, Serialize, Object)]
#[oai(rename = "Instance")]
pub(crate) struct InstanceBody {
    /// Id of the instance.
    pub uuid: Uuid,
    /// Its number, which is accepted wherever an instance is named.
    pub id: u32,
    /// Its display name.
    pub name: String,
    /// The account's phone number, digits with country code; the last one known while it is not connected.
    #[oai(nullable)]
    pub phone_number: Option<String>,
    /// Whether it is connected.
    pub status: InstanceStatus,
    /// Whether `status` is `connected`.
    pub connected: bool,
    /// Messages that were begun to be sent today, in the instance's time zone.
    pub messages_sent_today: u32,
    /// Messages that may still be sent today; null for no limit.
    #[oai(nullable)]
    pub remaining_quota: Option<u32>,
    /// Whether a message would be sent now: it is connected and not paused, and the day's limit is not reached.
    pub can_send_messages: bool,
    /// When it last sent or received a message; of what is not in a conversation, the hour. If it connected since, when it did. Null where
    /// nothing is known.
    #[oai(nullable)]
    pub last_activity_at: Option<String>,
}

impl InstanceBody {
    pub(crate) fn of(view: &ConnectorOverview, paces: &dyn PaceViews) -> Result<Self, Failure> {
        let connector = view.connector.as_ref();
        let pace = pace_of(view, paces)?;
        let status = InstanceStatus::of(&view.session);
        let connected = status == InstanceStatus::Connected;
        let remaining_quota = remaining_quota(&pace);
        let is_healthy = pace.health.is_none_or(|health| health.level != HealthLevel::Paused);
        let is_active = connector.status == ConnectorStatus::Active;
        Ok(Self {
            uuid: connector.id,
            id: connector.index.0,
            name: connector.name.clone(),
            phone_number: phone_number(view),
            status,
            connected,
            messages_sent_today: pace.sent_today,
            remaining_quota,
            can_send_messages: is_active && connected && is_healthy && remaining_quota != Some(0),
            last_activity_at: view.last_active_at.map(seconds),
        })
    }
}

/// The account's number: digits, the last one known while it is not connected.
pub(crate) fn phone_number(view: &ConnectorOverview) -> Option<String> {
    view.last_account.as_deref().map(|address| number_or_jid(address).to_owned())
}

/// What may still be sent today; `None` for no limit.
pub(crate) fn remaining_quota(pace: &PaceView) -> Option<u32> {
    pace.cap_today.map(|cap| cap.saturating_sub(pace.sent_today))
}

/// The pace of an instance now.
pub(crate) fn pace_of(view: &ConnectorOverview, paces: &dyn PaceViews) -> Result<PaceView, Failure> {
    let found = paces.pace(view.connector.index).map_err(pombo_domain::Error::from)?;
    // It was deleted since it was looked up.
    found.ok_or_else(|| Failure::not_found("Instance"))
}
