//! What the SMTP server's answer means for the message.

use pombo_plugin::connector::smtp::{Error, Reply, Stage};
use pombo_plugin::connector::{Outcome, Throttle};

/// How long to leave a server alone that asked for it without saying how long.
const PAUSE_MILLIS: u64 = 60_000;

/// The outcome of a submission.
#[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only a guest submits"))]
pub(crate) fn of(result: Result<Reply, Error>, message_id: String) -> Outcome {
    match result {
        Ok(_) => Outcome::accepted(Some(message_id)),
        Err(Error::Rejected(reply)) => refusal(&reply),
        Err(Error::NotSent(f)) => match f.stage {
            Stage::Connect | Stage::Tls | Stage::Login => Outcome::Disconnected(f.reason),
            _ => Outcome::Temporary(f.reason),
        },
        Err(Error::Unknown(f)) => Outcome::Unknown(f.reason),
        // Not the message's fault: the operator or the configuration must change.
        Err(Error::Refused(reason)) => Outcome::Disconnected(reason),
        Err(Error::Invalid(reason)) => Outcome::rejected(reason),
    }
}

fn refusal(reply: &Reply) -> Outcome {
    let said = match &reply.enhanced {
        Some(enhanced) => format!("{} {enhanced} {}", reply.code, reply.text),
        None => format!("{} {}", reply.code, reply.text),
    };
    let enhanced = reply.enhanced.as_deref().unwrap_or_default();
    match (reply.stage, reply.code) {
        // A wrong password or a relay that wants one concerns every message of this connector.
        (Stage::Login, _) | (_, 530 | 534 | 535 | 538) => Outcome::Disconnected(format!("login refused: {said}")),
        (_, 421 | 450 | 452) => Outcome::Throttled(Throttle::of_connector(PAUSE_MILLIS, said)),
        (Stage::Connect | Stage::Tls, _) => Outcome::Disconnected(said),
        (_, 400..=499) => Outcome::Temporary(said),
        (Stage::Recipient | Stage::Data | Stage::Content, code) => {
            let by_code = matches!(code, 550 | 551 | 553);
            let about_address = enhanced.starts_with("5.1.") || enhanced == "5.2.1";
            // 550 with 5.7.1 is a refusal by a policy, independent of the recipient.
            if about_address || (by_code && enhanced.is_empty()) {
                Outcome::invalid_recipient(said)
            } else {
                Outcome::rejected(said)
            }
        }
        _ => Outcome::rejected(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pombo_plugin::connector::smtp::Failure;

    fn reply(stage: Stage, code: u16, enhanced: &str) -> Outcome {
        let enhanced = (!enhanced.is_empty()).then(|| enhanced.to_owned());
        of(Err(Error::Rejected(Reply { stage, code, enhanced, text: "words".into() })), "id".into())
    }

    #[test]
    fn replies_map_to_outcomes() {
        use Stage::{Connect, Content, Data, Login, Recipient, Sender};
        let kind = |o: &Outcome| match o {
            Outcome::Accepted(_) => "accepted",
            Outcome::InvalidRecipient(_) => "invalid-recipient",
            Outcome::Rejected(_) => "rejected",
            Outcome::Throttled(_) => "throttled",
            Outcome::Temporary(_) => "temporary",
            Outcome::Disconnected(_) => "disconnected",
            Outcome::Unknown(_) => "unknown",
        };
        for (stage, code, enhanced, want) in [
            (Connect, 421, "", "throttled"),
            (Connect, 554, "", "disconnected"),
            (Login, 535, "5.7.8", "disconnected"),
            (Login, 454, "4.7.0", "disconnected"),
            (Sender, 530, "5.7.0", "disconnected"),
            (Sender, 550, "5.7.1", "rejected"),
            (Sender, 553, "", "rejected"),
            (Sender, 451, "", "temporary"),
            (Recipient, 450, "4.2.0", "throttled"),
            (Recipient, 451, "4.3.0", "temporary"),
            (Recipient, 452, "4.5.3", "throttled"),
            (Recipient, 550, "", "invalid-recipient"),
            (Recipient, 550, "5.1.1", "invalid-recipient"),
            (Recipient, 550, "5.2.1", "invalid-recipient"),
            (Recipient, 551, "", "invalid-recipient"),
            (Recipient, 553, "5.1.3", "invalid-recipient"),
            (Recipient, 554, "5.1.1", "invalid-recipient"),
            (Recipient, 550, "5.7.1", "rejected"),
            (Recipient, 552, "5.2.2", "rejected"),
            (Recipient, 554, "5.7.1", "rejected"),
            (Data, 554, "", "rejected"),
            (Content, 451, "", "temporary"),
            (Content, 550, "", "invalid-recipient"),
            (Content, 552, "", "rejected"),
            (Content, 554, "5.6.0", "rejected"),
        ] {
            assert_eq!(kind(&reply(stage, code, enhanced)), want, "{stage:?} {code} {enhanced}");
        }
        let failure = |stage| Failure { stage, reason: "broke".into() };
        assert_eq!(kind(&of(Err(Error::NotSent(failure(Connect))), String::new())), "disconnected");
        assert_eq!(kind(&of(Err(Error::NotSent(failure(Content))), String::new())), "temporary");
        assert_eq!(kind(&of(Err(Error::Unknown(failure(Content))), String::new())), "unknown");
        assert_eq!(kind(&of(Err(Error::Refused("no".into())), String::new())), "disconnected");
        assert_eq!(kind(&of(Err(Error::Invalid("no".into())), String::new())), "rejected");
        let accepted = Reply { stage: Content, code: 250, enhanced: None, text: String::new() };
        assert_eq!(of(Ok(accepted), "id".into()), Outcome::accepted(Some("id".into())));
    }
}
