//! Messages and outcomes, and a plugin's description of itself.

use pombo_domain::model::connector::{HealthRules, Pace, WarmUp};
use pombo_domain::model::message::{MessageAction, Target};
use pombo_domain::ports::{Outgoing, PluginDescription, SendOutcome};

use crate::bindings::types as wit;
use crate::grants::Capability;
use crate::limits::{REASON_BYTES, cut};

impl From<wit::Capability> for Capability {
    fn from(wanted: wit::Capability) -> Self {
        match wanted {
            wit::Capability::Kv => Self::Kv,
            wit::Capability::Http => Self::Http,
            wit::Capability::Websocket => Self::Websocket,
            wit::Capability::Smtp => Self::Smtp,
            wit::Capability::MediaRead => Self::MediaRead,
            wit::Capability::MediaWrite => Self::MediaWrite,
            wit::Capability::Events => Self::Events,
        }
    }
}

/// Bytes of the longest id that a provider gives.
const PROVIDER_ID_BYTES: usize = 256;

/// Key of the metadata of a message whose outcome somebody waits for; its value is `1`.
const DIRECT: &str = "direct";
/// Key of the metadata of a message whose files are shown as what its value says.
const MEDIA_KIND: &str = "media-kind";

/// What a message asks for that only some plugins know.
fn metadata(message: &Outgoing) -> Vec<(String, String)> {
    let mut metadata = Vec::new();
    if message.awaited {
        metadata.push((DIRECT.to_owned(), "1".to_owned()));
    }
    if let Some(kind) = message.file_kind {
        metadata.push((MEDIA_KIND.to_owned(), kind.as_str().to_owned()));
    }
    metadata
}

/// A message as the plugin gets it.
pub(crate) fn outgoing(message: Outgoing) -> wit::Outgoing {
    let metadata = metadata(&message);
    let attachments = message.attachments.into_iter().map(|file| wit::Attachment {
        media: file.id.to_string(),
        filename: file.file_name,
        content_type: file.content_type,
        size: file.size,
    });
    let content = match message.action {
        MessageAction::Say => wit::Content::Text(wit::TextContent {
            text: message.text,
            subject: message.subject,
            attachments: attachments.collect(),
        }),
        MessageAction::React(to) => wit::Content::Reaction(wit::Reaction { to: target(to), emoji: message.text }),
        MessageAction::Edit(of) => wit::Content::Edit(wit::Edit { of: target(of), text: message.text }),
        MessageAction::Revoke(of) => wit::Content::Revoke(target(of)),
    };
    wit::Outgoing {
        client_id: message.client_id.to_string(),
        to: message.to,
        contact_name: message.contact_name,
        content,
        reply_to: message.reply_to.map(target),
        mentions: message.mentions,
        voice_note: message.voice_note,
        attempt: u32::from(message.attempt),
        metadata,
    }
}

/// A message of a conversation that another one is about.
pub(super) fn target(target: Target) -> wit::Target {
    wit::Target { provider_id: target.provider_id, sender: target.sender, text: target.text }
}

/// The outcome that the plugin gave, with its texts cut to their bounds.
pub(crate) fn outcome(outcome: wit::Outcome) -> SendOutcome {
    let reason = |text: String| cut(&text, REASON_BYTES);
    match outcome {
        wit::Outcome::Accepted(id) => {
            SendOutcome::Accepted { provider_id: id.map(|id| cut(&id, PROVIDER_ID_BYTES)).filter(|id| !id.is_empty()) }
        }
        wit::Outcome::InvalidRecipient(why) => SendOutcome::InvalidRecipient(reason(why)),
        wit::Outcome::Rejected(why) => SendOutcome::Rejected(reason(why)),
        wit::Outcome::Throttled(throttle) => SendOutcome::Throttled {
            retry_after_ms: Some(throttle.retry_after_millis).filter(|ms| *ms > 0),
            reason: reason(throttle.reason),
        },
        wit::Outcome::Temporary(why) => SendOutcome::Temporary(reason(why)),
        wit::Outcome::Disconnected(why) => SendOutcome::Disconnected(reason(why)),
        wit::Outcome::Unknown(why) => SendOutcome::Unknown(reason(why)),
    }
}

fn feature(feature: wit::Feature) -> &'static str {
    match feature {
        wit::Feature::Attachments => "attachments",
        wit::Feature::Subject => "subject",
        wit::Feature::Groups => "groups",
        wit::Feature::Reactions => "reactions",
        wit::Feature::Edit => "edit",
        wit::Feature::Revoke => "revoke",
        wit::Feature::Reply => "reply",
        wit::Feature::Mentions => "mentions",
        wit::Feature::VoiceNotes => "voice-notes",
        wit::Feature::Typing => "typing",
        wit::Feature::ReadReceipts => "read-receipts",
        wit::Feature::Inbound => "inbound",
        wit::Feature::Sessions => "sessions",
        wit::Feature::PairingCode => "pairing-code",
        wit::Feature::Lookup => "lookup",
    }
}

/// The pace that a plugin wants for its new connectors. `Err` says what is wrong with it.
fn pace(said: wit::Pace, max_in_flight: u16) -> Result<Pace, String> {
    const LONGEST_DELAY_MS: u64 = 24 * 3_600_000;
    if said.delay_min_millis > said.delay_max_millis || said.delay_max_millis > LONGEST_DELAY_MS {
        return Err("its pace's shortest delay must be at most its longest one, which must be at most a day".to_owned());
    }
    if said.warm_up_days.len() > 365 || said.warm_up_growth > 1000 {
        return Err("its pace's warm-up must have at most 365 days and grow by at most 1000 % per day".to_owned());
    }
    let warm_up = (!said.warm_up_days.is_empty()).then_some(WarmUp {
        days: said.warm_up_days,
        growth_percent: said.warm_up_growth,
        until: said.warm_up_until,
    });
    Ok(Pace {
        delay_min_ms: said.delay_min_millis,
        delay_max_ms: said.delay_max_millis,
        daily_cap: said.daily_cap,
        warm_up,
        max_in_flight,
        health: said.health.then(HealthRules::default),
        ..Pace::default()
    })
}

/// Checks a connector's description. `Err` says what is wrong with it.
pub(crate) fn description(said: wit::Description, digest: &str) -> Result<PluginDescription, String> {
    let is_name = |n: &str| {
        (1..=64).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if !is_name(&said.name) {
        return Err("its name must be 1 to 64 lower-case letters, digits and dashes".to_owned());
    }
    if !is_name(&said.channel) {
        return Err("its channel must be 1 to 64 lower-case letters, digits and dashes".to_owned());
    }
    let config_schema = serde_json::from_str(&said.config_schema)
        .map_err(|e| format!("its configuration's schema is not JSON: {e}"))?;
    let max_in_flight = said.max_in_flight.clamp(1, 4096) as u16;
    let pace = said.pace.map(|said| pace(said, max_in_flight)).transpose()?;
    Ok(PluginDescription {
        name: said.name,
        version: cut(&said.version, 64),
        digest: digest.to_owned(),
        channel: said.channel,
        display_name: cut(&said.display_name, 128),
        config_schema,
        secret_fields: said.secret_fields,
        capabilities: said.capabilities.iter().map(|c| Capability::from(*c).name().to_owned()).collect(),
        features: said.features.iter().map(|f| feature(*f).to_owned()).collect(),
        idempotent_resend: said.idempotent_resend,
        max_in_flight,
        needs_session: said.needs_session,
        pace,
    })
}

#[cfg(test)]
mod tests {
    use pombo_domain::model::FileKind;
    use pombo_testkit::samples;

    use super::*;

    #[test]
    fn what_only_some_plugins_know_is_in_the_metadata() {
        let plain = samples::outgoing("ana", "Oi");
        assert!(outgoing(plain.clone()).metadata.is_empty());
        let of = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let asking = Outgoing { awaited: true, file_kind: Some(FileKind::Document), ..plain };
        assert_eq!(outgoing(asking).metadata, [of("direct", "1"), of("media-kind", "document")]);
    }
}
