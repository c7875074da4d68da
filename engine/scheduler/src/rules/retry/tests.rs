//! The retry rules as tables.

use pombo_domain::ports::ThrottleScope;

use super::*;

const NOW: Timestamp = Timestamp(1_000_000_000);

fn attempt(attempts: u16, idempotent: bool) -> Attempt {
    Attempt { attempts, idempotent, due_at: NOW.plus_ms(-5_000), first_due: NOW.plus_ms(-10_000), expires_at: None }
}

fn throttled(retry_after_ms: Option<u64>, reason: String) -> SendOutcome {
    SendOutcome::Throttled { retry_after_ms, reason, scope: ThrottleScope::Connector, code: None }
}

fn outcome(kind: &str) -> Ending {
    let why = "250 words".to_owned();
    Ending::Outcome(match kind {
        "accepted" => SendOutcome::accepted(Some("p1".to_owned())),
        "invalid" => SendOutcome::InvalidRecipient(why.into()),
        "rejected" => SendOutcome::Rejected(why.into()),
        "throttled" => throttled(None, why),
        "throttled_30s" => throttled(Some(30_000), why),
        "temporary" => SendOutcome::Temporary(why),
        "disconnected" => SendOutcome::Disconnected(why),
        "unknown" => SendOutcome::Unknown(why),
        "render" => return Ending::RenderUnavailable(why),
        "attachment" => return Ending::AttachmentUnreachable(why),
        "not_called" => return Ending::NotCalled("paused"),
        "crash" => return Ending::Crash,
        "expired" => return Ending::Expired,
        other => panic!("no such ending: {other}"),
    })
}

/// `sent`, `failed CODE`, `unknown CODE`, or `again CODE FROM..TO [free]` with the pause's bounds in ms over all seeds.
fn told(kind: &str, attempts: u16, idempotent: bool) -> String {
    let policy = RetryPolicy::default();
    let verdicts: Vec<Verdict> = [0, u64::MAX]
        .into_iter()
        .map(|seed| verdict(&policy, outcome(kind), attempt(attempts, idempotent), NOW, seed))
        .collect();
    match (&verdicts[0], &verdicts[1]) {
        (Verdict::Sent(id), _) => format!("sent {}", id.as_deref().unwrap_or("")),
        (Verdict::Failed(reason), _) => format!("failed {}", reason.code),
        (Verdict::Unknown(reason), _) => format!("unknown {}", reason.code),
        (Verdict::Again { reason, due_at: from, free }, Verdict::Again { due_at: to, .. }) => {
            let free = if *free { " free" } else { "" };
            format!("again {} {}..{}{free}", reason.code, from.since(NOW), to.since(NOW))
        }
        _ => panic!("the seed changed the kind of verdict"),
    }
}

#[test]
fn each_ending_has_its_rule() {
    for (kind, attempts, idempotent, expected) in [
        ("accepted", 1, false, "sent p1"),
        ("invalid", 1, true, "failed invalid_recipient"),
        ("rejected", 1, true, "failed rejected"),
        ("temporary", 1, false, "again temporary 2500..5000"),
        ("temporary", 2, false, "again temporary 5000..10000"),
        ("temporary", 4, false, "again temporary 20000..40000"),
        ("temporary", 5, false, "failed temporary"),
        ("render", 1, true, "again render 1..1000"),
        ("render", 5, true, "failed render"),
        ("attachment", 3, true, "again attachment 10000..20000"),
        ("attachment", 5, true, "failed attachment"),
        ("throttled", 1, true, "again throttled 2500..2750 free"),
        ("throttled", 60_000, true, "again throttled 2500..2750 free"),
        ("throttled_30s", 1, true, "again throttled 30000..33000 free"),
        ("disconnected", 1, false, "again disconnected -5000..-5000 free"),
        ("disconnected", 60_000, false, "again disconnected -5000..-5000 free"),
        ("not_called", 5, false, "again not_called -5000..-5000 free"),
        ("unknown", 1, true, "again unknown_outcome 2500..5000"),
        ("unknown", 1, false, "unknown unknown_outcome"),
        ("unknown", 5, true, "unknown unknown_outcome"),
        ("crash", 1, true, "again crash -5000..-5000"),
        ("crash", 5, true, "again crash -5000..-5000"),
        ("crash", 49, true, "again crash -5000..-5000"),
        ("crash", 50, true, "unknown crash"),
        ("crash", 1, false, "unknown crash"),
        ("expired", 1, true, "failed expired"),
        ("expired", 2, false, "failed expired"),
        ("expired", 2, true, "unknown expired"),
    ] {
        assert_eq!(told(kind, attempts, idempotent), expected, "{kind}, attempt {attempts}, idempotent {idempotent}");
    }
}

#[test]
fn throttling_is_free_for_a_day_and_then_counts() {
    let policy = RetryPolicy::default();
    let old = Attempt { first_due: NOW.plus_ms(-86_400_000), ..attempt(4, true) };
    assert!(matches!(verdict(&policy, outcome("throttled"), old, NOW, 0), Verdict::Again { free: false, .. }));
    let last = Attempt { attempts: 5, ..old };
    let given_up = verdict(&policy, outcome("throttled"), last, NOW, 0);
    assert!(matches!(given_up, Verdict::Failed(reason) if reason.code == ReasonCode::Throttled));
}

#[test]
fn what_would_be_tried_again_too_late_is_given_up_unless_it_may_have_been_sent() {
    let policy = RetryPolicy::default();
    let told = |kind: &str, attempts: u16, idempotent: bool, left_ms: i64| {
        let attempt = Attempt { expires_at: Some(NOW.plus_ms(left_ms)), ..attempt(attempts, idempotent) };
        match verdict(&policy, outcome(kind), attempt, NOW, 0) {
            Verdict::Again { .. } => "again".to_owned(),
            Verdict::Failed(reason) => format!("failed {}", reason.code),
            Verdict::Unknown(reason) => format!("unknown {}", reason.code),
            Verdict::Sent(_) => "sent".to_owned(),
        }
    };
    for (kind, left_ms, expected) in [
        ("temporary", 2_500, "again"),
        ("temporary", 2_499, "failed expired"),
        ("throttled_30s", 29_999, "failed expired"),
        ("render", 0, "failed expired"),
        ("not_called", 0, "again"),
        ("not_called", -1, "failed expired"),
        ("disconnected", -1, "failed expired"),
        ("unknown", 2_500, "again"),
        ("unknown", 2_499, "unknown unknown_outcome"),
        ("crash", 0, "again"),
        ("crash", -1, "unknown crash"),
        ("accepted", -1, "sent"),
        ("rejected", -1, "failed rejected"),
    ] {
        assert_eq!(told(kind, 1, true, left_ms), expected, "{kind}, {left_ms} ms before its end");
    }
    // An earlier attempt may have reached the channel, where it may be given the same message again.
    for (kind, left_ms) in [("temporary", 4_999), ("throttled_30s", 29_999), ("disconnected", -1)] {
        assert_eq!(told(kind, 2, true, left_ms), "unknown expired", "{kind}");
        assert_eq!(told(kind, 2, false, left_ms), "failed expired", "{kind}");
    }
    assert_eq!(told("temporary", 2, true, 5_000), "again");
    assert_eq!(told("unknown", 2, true, 0), "unknown unknown_outcome");
}
