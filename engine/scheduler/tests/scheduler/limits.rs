//! Random uses of what a channel allows: never more than the limit in any period.

use pombo_domain::Timestamp;
use pombo_domain::model::rules::Bucket;
use pombo_scheduler::rules::audience::Audience;
use pombo_scheduler::rules::limits::{Rate, Recipients};
use proptest::prelude::*;

const WINDOW_MS: i64 = 3_600_000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_audience_never_exceeds_its_limit_in_any_window(
        limit in 1u32..5,
        uses in proptest::collection::vec((0u8..9, 0i64..1_500_000, any::<bool>(), any::<bool>()), 1..80),
    ) {
        let mut audience = Audience::default();
        let mut stored = std::collections::BTreeMap::new();
        let mut sent: Vec<(i64, u8)> = Vec::new();
        let mut now = 0;
        for (who, pause, is_stored, crashes) in uses {
            now += pause;
            if crashes {
                // What was stored is all that is left.
                audience = Audience::of(stored.clone());
            }
            let Ok(counted) = audience.count([who; 16], Some(limit), WINDOW_MS, Timestamp(now)) else { continue };
            for (person, upto) in audience.take_gone(8) {
                if stored.get(&person).is_some_and(|at| *at <= upto) {
                    stored.remove(&person);
                }
            }
            if !is_stored {
                audience.give_back(&counted);
                continue;
            }
            if counted.noted {
                stored.insert([who; 16], Timestamp(now));
            }
            sent.push((now, who));
        }
        for (end, _) in &sent {
            let within = sent.iter().filter(|(at, _)| *at <= *end && end - at < WINDOW_MS);
            let people: std::collections::BTreeSet<u8> = within.map(|(_, who)| *who).collect();
            prop_assert!(people.len() <= limit as usize, "{} of {limit} up to {end}", people.len());
        }
    }

    #[test]
    fn a_bucket_never_gives_more_than_its_burst_and_what_it_refills(
        burst in 1u32..5,
        refill_ms in 1i64..10_000,
        uses in proptest::collection::vec((0i64..5_000, any::<bool>()), 1..120),
    ) {
        let bucket = Bucket { burst, refill_ms };
        let mut recipients = Recipients::default();
        let (mut now, mut taken) = (0, Vec::new());
        for (pause, waited) in uses {
            now += pause;
            match recipients.ask(1, Some(&bucket), waited, Timestamp(now)) {
                Ok(()) => taken.push(now),
                Err(until) => prop_assert!(until > Timestamp(now), "it must not be asked again at once"),
            }
        }
        for (first, from) in taken.iter().enumerate() {
            for (last, to) in taken.iter().enumerate().skip(first) {
                let most = i64::from(burst) + (to - from) / refill_ms;
                prop_assert!((last - first + 1) as i64 <= most, "{} from {from} to {to}", last - first + 1);
            }
        }
    }

    #[test]
    fn a_rate_never_gives_more_in_any_second(
        per_second in 1u32..6,
        uses in proptest::collection::vec((0i64..700, 1u32..4), 1..120),
    ) {
        let mut rate = Rate::default();
        let (mut now, mut sent) = (0, Vec::new());
        for (pause, wanted) in uses {
            now += pause;
            match rate.room(per_second, Timestamp(now)) {
                Ok(room) => {
                    let count = room.min(wanted);
                    rate.count(count, Timestamp(now));
                    sent.extend((0..count).map(|_| now));
                }
                Err(until) => prop_assert!(until > Timestamp(now), "it must not be asked again at once"),
            }
        }
        let within = |end: i64| sent.iter().filter(|at| **at <= end && end - **at < 1_000).count();
        prop_assert!(sent.iter().all(|end| within(*end) <= per_second as usize));
    }
}
