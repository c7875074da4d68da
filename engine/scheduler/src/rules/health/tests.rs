//! The health score as tables and properties.

use proptest::prelude::*;

use super::*;

fn judge() -> Judge {
    Judge { rules: Some(HealthRules::default()), two_way: true }
}

/// sent, settled, delivered, failed, replies, blocks, restrictions.
fn of([sent, settled, delivered, failed, replies, blocks, restrictions]: [u32; 7]) -> Counts {
    Counts { sent, settled, delivered, failed, replies, blocks, restrictions }
}

#[test]
fn the_documented_formula() {
    for (what, counts, expected, follows) in [
        ("nothing yet", [0, 0, 0, 0, 0, 0, 0], 100, HealthLevel::Good),
        ("a healthy account", [1_000, 990, 950, 20, 150, 2, 0], 98, HealthLevel::Good),
        ("few messages, none delivered", [29, 29, 0, 0, 0, 0, 0], 100, HealthLevel::Good),
        ("nobody answers", [100, 100, 95, 0, 0, 0, 0], 80, HealthLevel::Good),
        ("a twentieth answers", [100, 100, 95, 0, 5, 0, 0], 90, HealthLevel::Good),
        ("half is delivered", [100, 100, 50, 0, 10, 0, 0], 70, HealthLevel::Good),
        ("half is delivered and nobody answers", [100, 100, 50, 0, 0, 0, 0], 50, HealthLevel::Slowed),
        ("nothing is delivered", [100, 100, 0, 0, 0, 0, 0], 0, HealthLevel::Paused),
        ("sent just now, nothing delivered yet", [100, 0, 0, 0, 10, 0, 0], 100, HealthLevel::Good),
        ("one block in a new account", [5, 5, 5, 0, 1, 1, 0], 66, HealthLevel::Slowed),
        ("two blocks in a new account", [5, 5, 5, 0, 1, 2, 0], 33, HealthLevel::Paused),
        ("two percent of blocks", [1_000, 990, 950, 0, 150, 20, 0], 80, HealthLevel::Good),
        ("seven percent of blocks", [1_000, 990, 950, 0, 150, 70, 0], 30, HealthLevel::Paused),
        ("a restriction", [0, 0, 0, 0, 0, 0, 1], 60, HealthLevel::Slowed),
        ("two restrictions", [0, 0, 0, 0, 0, 0, 2], 20, HealthLevel::Paused),
        ("a twentieth refused", [95, 95, 95, 5, 10, 0, 0], 100, HealthLevel::Good),
        ("a third refused", [60, 60, 60, 30, 10, 0, 0], 57, HealthLevel::Slowed),
        ("all refused", [0, 0, 0, 30, 0, 0, 0], 0, HealthLevel::Paused),
        ("more delivered than sent in the window", [100, 100, 300, 0, 10, 0, 0], 100, HealthLevel::Good),
    ] {
        let score = score(&of(counts), &judge());
        assert_eq!((score, level(score, &judge())), (expected, follows), "{what}");
    }
}

#[test]
fn without_rules_or_without_reports_silence_says_nothing() {
    let silent = of([100, 100, 0, 0, 0, 0, 0]);
    let one_way = Judge { two_way: false, ..judge() };
    assert_eq!(score(&silent, &one_way), 100);
    let off = Judge { rules: None, two_way: true };
    let worst = of([100, 100, 0, 100, 0, 100, 100]);
    assert_eq!((score(&worst, &off), level(0, &off), slowed_to(0, &off)), (100, HealthLevel::Good, None));
    assert_eq!(score(&worst, &judge()), 0);
}

#[test]
fn hours_leave_the_window_and_a_resume_begins_anew() {
    let rules = HealthRules { window_hours: 24, ..HealthRules::default() };
    let mut state = HealthState::default();
    let start = Timestamp(1_714_564_800_000);
    for hour in 0..100 {
        record(&mut state, &rules, HealthSignal::Sent, start.plus_ms(hour * HOUR_MS));
        record(&mut state, &rules, HealthSignal::Blocked, start.plus_ms(hour * HOUR_MS));
        assert!(state.hours.len() <= 24 && state.hours.is_sorted_by_key(|hour| hour.hour));
    }
    let now = start.plus_ms(99 * HOUR_MS);
    let sum = counts(&state, &rules, now);
    assert_eq!((sum.sent, sum.blocks, sum.settled), (24, 24, 22));
    assert_eq!(counts(&state, &rules, now.plus_ms(23 * HOUR_MS)).sent, 1, "also without a new signal");
    assert_eq!(counts(&state, &rules, now.plus_ms(24 * HOUR_MS)), Counts::default());
    // The clock steps back: nothing is lost, nothing out of order.
    record(&mut state, &rules, HealthSignal::Reply, now.plus_ms(-HOUR_MS));
    assert!(state.hours.is_sorted_by_key(|hour| hour.hour));
    assert_eq!(counts(&state, &rules, now).replies, 1);
    restart(&mut state, now);
    assert_eq!((counts(&state, &rules, now), state.since), (Counts::default(), now));
}

#[test]
fn a_low_score_slows_in_proportion() {
    let judge = judge();
    assert_eq!(slowed_to(70, &judge), None);
    assert_eq!(slowed_to(35, &judge), Some((35, 70)));
    assert_eq!(slowed_to(0, &judge), Some((1, 70)), "never to nothing: that is what pausing is for");
}

fn any_counts() -> impl Strategy<Value = Counts> {
    let all = |most: u32| proptest::array::uniform7(0..=most);
    prop_oneof![all(50), all(5_000), all(u32::MAX)].prop_map(|mut counts| {
        counts[1] = counts[1].min(counts[0]);
        of(counts)
    })
}

fn any_judge() -> impl Strategy<Value = Judge> {
    (1u16..1_000, 0u8..=100, 0u8..=100, 0u32..200, any::<bool>()).prop_map(
        |(window_hours, slow_below, pause_below, min_sent, two_way)| Judge {
            rules: Some(HealthRules { window_hours, slow_below, pause_below, min_sent }),
            two_way,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_sign_moves_the_score_its_way(counts in any_counts(), judge in any_judge(), more in 1u32..100) {
        let before = score(&counts, &judge);
        prop_assert!(before <= 100);
        type Sign = fn(&mut Counts) -> &mut u32;
        let bad: [Sign; 3] = [|c| &mut c.failed, |c| &mut c.blocks, |c| &mut c.restrictions];
        let good: [Sign; 2] = [|c| &mut c.delivered, |c| &mut c.replies];
        for (signs, worse) in [(&bad[..], true), (&good[..], false)] {
            for sign in signs {
                let mut changed = counts;
                let count = sign(&mut changed);
                *count = count.saturating_add(more);
                let after = score(&changed, &judge);
                prop_assert!(if worse { after <= before } else { after >= before }, "{before} then {after}: {changed:?}");
            }
        }
    }

    #[test]
    fn a_lower_score_never_means_more(counts in any_counts(), judge in any_judge(), less in 1u8..100) {
        let high = score(&counts, &judge);
        let low = high.saturating_sub(less);
        prop_assert!(level(low, &judge) >= level(high, &judge));
        let ratio = |score| slowed_to(score, &judge).map_or(1.0, |(part, whole)| f64::from(part) / f64::from(whole));
        prop_assert!(ratio(low) <= ratio(high) && ratio(low) > 0.0);
    }
}
