//! The pace's rules as tables.

use pombo_domain::model::connector::QuietHours;

use super::*;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a valid time")
}

fn quiet(zone: &str, from: u16, to: u16) -> PaceRules {
    let quiet_hours = Some(QuietHours { from_minute: from, to_minute: to });
    PaceRules::new(Pace { quiet_hours, time_zone: zone.to_owned(), ..Pace::default() })
}

#[test]
fn the_documented_warm_up() {
    let curve = WarmUp::default();
    let caps: Vec<_> = (1..=15).map(|day| warm_up_cap(&curve, day)).collect();
    let expected = [50, 100, 200, 280, 392, 548, 767, 1073, 1502, 2102, 2942, 4118, 5765, 8071];
    assert_eq!(caps[..14], expected.map(Some));
    assert_eq!(caps[14], None, "11299 is past 10000: warm");
    assert_eq!(warm_up_cap(&curve, u32::MAX), None);
}

#[test]
fn odd_warm_up_curves() {
    let curve = |days: &[u32], growth_percent, until| WarmUp { days: days.to_vec(), growth_percent, until };
    for (curve, day, cap) in [
        (curve(&[], 30, 100), 1, None),
        (curve(&[10], 0, 100), 4_000_000_000, Some(10)),
        (curve(&[1], 30, 4), 3, Some(3)),
        (curve(&[1], 30, 4), 4, None),
        (curve(&[10, 200, 20], 0, 100), 3, None),
        (curve(&[0, 5], 50, 100), 0, Some(0)),
        (curve(&[4_000_000_000], u32::MAX, u32::MAX), 2, None),
    ] {
        assert_eq!(warm_up_cap(&curve, day), cap, "{curve:?} on day {day}");
    }
}

#[test]
fn quiet_hours_end_when_the_wall_clock_says_so() {
    for (name, zone, from, to, now, end) in [
        ("plain", "UTC", 540, 600, "2024-05-01T09:30:00Z", Some("2024-05-01T10:00:00Z")),
        ("before", "UTC", 540, 600, "2024-05-01T08:59:59Z", None),
        ("the end is not quiet", "UTC", 540, 600, "2024-05-01T10:00:00Z", None),
        ("over midnight, evening", "UTC", 1320, 480, "2024-05-01T22:00:00Z", Some("2024-05-02T08:00:00Z")),
        ("over midnight, morning", "UTC", 1320, 480, "2024-05-02T07:59:59Z", Some("2024-05-02T08:00:00Z")),
        ("zone", "America/Sao_Paulo", 1320, 480, "2024-05-02T02:00:00Z", Some("2024-05-02T11:00:00Z")),
        ("none", "UTC", 600, 600, "2024-05-01T10:00:00Z", None),
        // New York, 10 March 2024: 02:00 becomes 03:00 at 07:00 UTC.
        (
            "the night is an hour shorter",
            "America/New_York",
            1320,
            480,
            "2024-03-10T03:00:00Z",
            Some("2024-03-10T12:00:00Z"),
        ),
        ("the end does not exist", "America/New_York", 60, 150, "2024-03-10T06:30:00Z", Some("2024-03-10T07:00:00Z")),
        (
            "all that is not quiet does not exist",
            "America/New_York",
            149,
            120,
            "2024-03-09T07:45:00Z",
            Some("2024-03-11T06:00:00Z"),
        ),
        // 3 November 2024: 02:00 becomes 01:00 at 06:00 UTC.
        (
            "the night is an hour longer",
            "America/New_York",
            1320,
            480,
            "2024-11-03T02:00:00Z",
            Some("2024-11-03T13:00:00Z"),
        ),
        ("first of two ends", "America/New_York", 1320, 90, "2024-11-03T05:00:00Z", Some("2024-11-03T05:30:00Z")),
        ("second of two ends", "America/New_York", 1320, 90, "2024-11-03T06:10:00Z", Some("2024-11-03T06:30:00Z")),
        (
            "the clock steps out of it",
            "America/New_York",
            90,
            180,
            "2024-11-03T05:40:00Z",
            Some("2024-11-03T06:00:00Z"),
        ),
        // São Paulo, 4 November 2018: midnight became 01:00.
        ("no midnight", "America/Sao_Paulo", 1380, 30, "2018-11-04T02:30:00Z", Some("2018-11-04T03:00:00Z")),
    ] {
        let rules = quiet(zone, from, to);
        assert_eq!(rules.quiet_until(at(now)).map(Timestamp::to_iso), end.map(|end| at(end).to_iso()), "{name}");
    }
}

#[test]
fn the_longest_part_names_the_wait() {
    let state = |f: fn(&mut PaceState)| {
        let mut state = PaceState::default();
        f(&mut state);
        state
    };
    let rules = PaceRules::new(Pace {
        delay_min_ms: 5_000,
        delay_max_ms: 5_000,
        daily_cap: Some(2),
        quiet_hours: Some(QuietHours { from_minute: 1320, to_minute: 480 }),
        time_zone: "UTC".to_owned(),
        ..Pace::default()
    });
    let noon = at("2024-05-01T12:00:00Z");
    let counted = |state: PaceState, times| (0..times).fold(state, |state, _| rules.record(&state, noon, 1, 0, 7));
    let until = at;
    for (name, state, now, wait) in [
        ("nothing", PaceState::default(), noon, None),
        ("a pause", counted(PaceState::default(), 1), noon, Some((noon.plus_ms(5_000), Hold::Delay))),
        ("after it", counted(PaceState::default(), 1), noon.plus_ms(5_000), None),
        (
            "the cap ends at midnight, which is quiet until eight",
            counted(PaceState::default(), 2),
            noon.plus_ms(60_000),
            Some((until("2024-05-02T08:00:00Z"), Hold::DailyCap)),
        ),
        (
            "quiet hours",
            PaceState::default(),
            until("2024-05-01T23:00:00Z"),
            Some((until("2024-05-02T08:00:00Z"), Hold::QuietHours)),
        ),
        (
            "throttled",
            state(|s| s.throttled_until = Timestamp(1_714_564_860_000)),
            noon,
            Some((until("2024-05-01T12:01:00Z"), Hold::Throttled)),
        ),
        (
            "the breaker",
            state(|s| {
                s.failures = 3;
                s.open_until = Timestamp(1_714_564_860_000);
                s.throttled_until = Timestamp(1_714_564_801_000);
            }),
            noon,
            Some((until("2024-05-01T12:01:00Z"), Hold::Disconnected)),
        ),
    ] {
        let decision = rules.decide(&state, now);
        match wait {
            Some((until, hold)) => assert_eq!(decision, Decision::Wait { until, hold }, "{name}"),
            None => assert_eq!(decision, Decision::Go { room: 1, probe: false }, "{name}"),
        }
    }
}

#[test]
fn direct_messages_pass_the_pace_but_not_the_connection() {
    let rules = PaceRules::new(Pace {
        delay_min_ms: 60_000,
        delay_max_ms: 60_000,
        daily_cap: Some(1),
        quiet_hours: Some(QuietHours { from_minute: 0, to_minute: 1439 }),
        time_zone: "UTC".to_owned(),
        ..Pace::default()
    });
    let now = at("2024-05-01T12:00:00Z");
    let mut state = rules.record(&PaceState::default(), now, 1, 3, 1);
    assert_eq!(state.sent_today, 4, "direct ones count for the day");
    assert!(matches!(rules.decide(&state, now), Decision::Wait { .. }));
    assert_eq!(rules.decide_direct(&state, now), Decision::Go { room: u32::MAX, probe: false });
    state.throttled_until = now.plus_ms(10);
    assert_eq!(rules.decide_direct(&state, now), Decision::Wait { until: now.plus_ms(10), hold: Hold::Throttled });
    state.throttled_until = Timestamp(0);
    state.failures = 1;
    assert_eq!(rules.decide_direct(&state, now), Decision::Go { room: 1, probe: true }, "half open: one probes");
}

#[test]
fn a_direct_message_draws_no_pause() {
    let rules = PaceRules::new(Pace { delay_min_ms: 1_000, delay_max_ms: 9_000, ..Pace::default() });
    let now = at("2024-05-01T12:00:00Z");
    assert_eq!(rules.record(&PaceState::default(), now, 0, 1, 1).next_at, Timestamp(0));
    for seed in [0, 1 << 40, u64::MAX / 2, u64::MAX] {
        let pause = rules.record(&PaceState::default(), now, 1, 0, seed).next_at.since(now);
        assert!((1_000..=9_000).contains(&pause), "{pause}");
    }
}

#[test]
fn a_clock_that_stood_wrong_parks_nobody() {
    let rules = PaceRules::new(Pace { delay_min_ms: 1_000, delay_max_ms: 2_000, ..Pace::default() });
    let now = at("2024-05-01T12:00:00Z");
    let future = at("2031-01-01T00:00:00Z");
    let state =
        PaceState { next_at: future, throttled_until: future, day: 30_000, sent_today: 5, ..PaceState::default() };
    let Decision::Wait { until, .. } = rules.decide(&state, now) else { panic!("it is throttled") };
    assert!(until.since(now) <= LONGEST_STORED_WAIT_MS);
    assert_eq!(rules.today(&state, now).sent, 0);
    assert_eq!(rules.record(&state, now, 1, 0, 0).day, 19_844, "counting starts again");
}

#[test]
fn the_day_turns_in_the_connectors_zone_and_warm_up_counts_from_the_first_message() {
    let rules = PaceRules::new(Pace { warm_up: Some(WarmUp::default()), ..Pace::default() });
    let first = at("2024-05-02T01:00:00Z"); // still the first of May in São Paulo
    let state = rules.record(&PaceState::default(), first, 50, 0, 0);
    let today = rules.today(&state, first);
    assert_eq!((today.sent, today.cap, today.warm_up_day), (50, Some(50), Some(1)));
    assert_eq!(
        rules.decide(&state, first),
        Decision::Wait { until: at("2024-05-02T03:00:00Z"), hold: Hold::DailyCap },
        "midnight in São Paulo"
    );
    let next = at("2024-05-02T03:00:00Z");
    let today = rules.today(&state, next);
    assert_eq!((today.sent, today.cap, today.warm_up_day), (0, Some(100), Some(2)));
    assert_eq!(rules.decide(&state, next), Decision::Go { room: 100, probe: false });
    // A number that has been in use for two weeks is warm; one that is new here counts from its first message all the same.
    let used = |since| PaceRules::new(Pace { in_use_since: Some(since), ..rules.pace().clone() });
    let old = used(at("2024-04-17T12:00:00Z"));
    assert_eq!(old.today(&PaceState::default(), first).warm_up_day, None);
    assert_eq!(used(at("2024-05-01T12:00:00Z")).today(&PaceState::default(), next).warm_up_day, Some(2));
    assert_eq!(used(at("2024-05-09T12:00:00Z")).today(&state, next).warm_up_day, Some(2));
    // The clock steps back over midnight: still the same count.
    let state = rules.record(&state, next, 10, 0, 0);
    assert_eq!(rules.today(&state, first).sent, 10);
}
