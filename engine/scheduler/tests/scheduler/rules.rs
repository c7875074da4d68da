//! Properties of the pure rules.

use std::collections::{BTreeSet, VecDeque};

use pombo_domain::model::connector::{Pace, PaceState, QuietHours, WarmUp};
use pombo_domain::model::message::ReadyOrder;
use pombo_domain::ports::ReadyEntry;
use pombo_domain::{MessageKey, TenantIndex, Timestamp};
use pombo_scheduler::rules::pace::{Decision, PaceRules, warm_up_cap};
use pombo_scheduler::rules::window::Window;
use proptest::prelude::*;

const ZONES: [&str; 6] =
    ["UTC", "America/Sao_Paulo", "America/New_York", "Europe/Lisbon", "Australia/Lord_Howe", "Asia/Kathmandu"];

fn zone() -> impl Strategy<Value = String> {
    (0..ZONES.len()).prop_map(|n| ZONES[n].to_owned())
}

/// Around the changes of the clock of 2018 and 2024, and anywhere.
fn instant() -> impl Strategy<Value = Timestamp> {
    let near = |at: i64| (at - 90_000_000..at + 90_000_000).prop_map(Timestamp);
    prop_oneof![
        near(1_710_054_000_000),
        near(1_730_613_600_000),
        near(1_541_300_400_000),
        near(1_712_415_600_000),
        (1_500_000_000_000i64..1_900_000_000_000).prop_map(Timestamp),
    ]
}

fn pace() -> impl Strategy<Value = Pace> {
    let quiet = proptest::option::of((0u16..1440, 0u16..1440));
    let warm = proptest::option::of((proptest::collection::vec(0u32..40, 0..4), 0u32..60, 1u32..200));
    (0u64..20_000, 0u64..20_000, proptest::option::of(0u32..30), warm, quiet, zone()).prop_map(
        |(delay, more, daily_cap, warm, quiet, time_zone)| Pace {
            delay_min_ms: delay,
            delay_max_ms: delay + more,
            daily_cap,
            warm_up: warm.map(|(days, growth_percent, until)| WarmUp { days, growth_percent, until }),
            quiet_hours: quiet.map(|(from_minute, to_minute)| QuietHours { from_minute, to_minute }),
            time_zone,
            max_in_flight: 50,
            health: None,
            category_order: true,
            in_use_since: None,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn quiet_hours_end_at_the_first_instant_that_is_not_quiet(pace in pace(), now in instant()) {
        let quiet = pace.quiet_hours.clone();
        let rules = PaceRules::new(pace);
        let Some(end) = rules.quiet_until(now) else {
            prop_assert!(!rules.is_quiet(now));
            return Ok(());
        };
        prop_assert!(end > now && !rules.is_quiet(end));
        // Where less than an hour of the day is not quiet, clocks that are put forward may jump over all of it.
        let awake = quiet.map_or(1440, |quiet| {
            (1440 + i64::from(quiet.from_minute) - i64::from(quiet.to_minute)) % 1440
        });
        let days = if awake < 60 { 2 } else { 1 };
        prop_assert!(end.since(now) <= (24 * days + 1) * 3_600_000, "{}", end.since(now));
        let mut at = now;
        while at < end {
            prop_assert!(rules.is_quiet(at), "{} is not quiet", at.to_iso());
            at = at.plus_ms(60_000);
        }
        prop_assert!(rules.is_quiet(end.plus_ms(-1)));
    }

    #[test]
    fn a_wait_ends_in_a_go_and_a_go_never_breaks_a_limit(
        pace in pace(), now in instant(), seeds in proptest::collection::vec(any::<u64>(), 1..60),
    ) {
        let rules = PaceRules::new(pace.clone());
        let mut state = PaceState::default();
        let mut at = now;
        let mut last: Option<Timestamp> = None;
        for seed in seeds {
            match rules.decide(&state, at) {
                Decision::Wait { until, .. } => {
                    prop_assert!(until > at, "a wait leads on");
                    let capless = rules.today(&state, until).cap == Some(0);
                    let go = matches!(rules.decide(&state, until), Decision::Go { .. });
                    prop_assert!(go || capless, "nothing holds it at {}", until.to_iso());
                    at = until;
                }
                Decision::Go { room, probe } => {
                    prop_assert!(room >= 1 && !probe && !rules.is_quiet(at));
                    let today = rules.today(&state, at);
                    prop_assert!(today.cap.is_none_or(|cap| today.sent.saturating_add(room.min(1)) <= cap));
                    if let Some(last) = last {
                        prop_assert!(at.since(last) >= i64::try_from(pace.delay_min_ms).unwrap_or(0));
                    }
                    state = rules.record(&state, at, 1, 0, seed);
                    prop_assert_eq!(rules.today(&state, at).sent, today.sent + 1);
                    last = Some(at);
                    at = at.plus_ms(1);
                }
            }
        }
    }

    #[test]
    fn warming_up_never_falls_back(day in 1u32..500, growth_percent in 0u32..100, first in 1u32..100, until in 1u32..5_000) {
        let curve = WarmUp { days: vec![first, first * 2], growth_percent, until };
        let (today, tomorrow) = (warm_up_cap(&curve, day), warm_up_cap(&curve, day + 1));
        match (today, tomorrow) {
            (Some(today), Some(tomorrow)) => prop_assert!(today <= tomorrow && tomorrow < until),
            (None, tomorrow) => prop_assert_eq!(tomorrow, None),
            (Some(_), None) => {}
        }
    }
}

/// What happens to a queue.
#[derive(Debug, Clone)]
enum Step {
    Join(u8, i64),
    /// Cancels the nth entry.
    Cancel(usize),
    /// The lane takes that many and claims them.
    Take(usize),
    /// The lane takes that many, but the store refuses the claims.
    TakeInVain(usize),
    BeginRefill,
    FinishRefill,
    /// The observer catches up with that many commits.
    Notice(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0u8..4, 0i64..20).prop_map(|(rank, due)| Step::Join(rank, due)),
        1 => (0usize..40).prop_map(Step::Cancel),
        2 => (1usize..6).prop_map(Step::Take),
        1 => (1usize..4).prop_map(Step::TakeInVain),
        2 => Just(Step::BeginRefill),
        2 => Just(Step::FinishRefill),
        4 => (1usize..8).prop_map(Step::Notice),
    ];
    proptest::collection::vec(step, 1..250)
}

enum Note {
    Joined(ReadyEntry),
    Left(ReadyEntry),
}

/// The queue on disk, and the window with its notes on their way.
struct Model {
    window: Window,
    capacity: usize,
    disk: BTreeSet<ReadyEntry>,
    on_the_way: VecDeque<Note>,
    reading: Option<(Vec<ReadyEntry>, usize)>,
    taken: Vec<ReadyEntry>,
    serial: u64,
}

impl Model {
    fn new(capacity: usize) -> Self {
        Self {
            window: Window::new(capacity),
            capacity,
            disk: BTreeSet::new(),
            on_the_way: VecDeque::new(),
            reading: None,
            taken: Vec::new(),
            serial: 0,
        }
    }

    fn join(&mut self, rank: u8, due: i64) {
        let order = ReadyOrder { rank, due_at: Timestamp(due), serial: self.serial };
        let entry = ReadyEntry { order, key: MessageKey { tenant: TenantIndex(1), serial: self.serial } };
        self.serial += 1;
        self.disk.insert(entry);
        self.on_the_way.push_back(Note::Joined(entry));
    }

    fn notice(&mut self, count: usize) {
        for _ in 0..count {
            match self.on_the_way.pop_front() {
                Some(Note::Joined(entry)) => self.window.note(entry),
                Some(Note::Left(entry)) => self.window.forget(&entry),
                None => return,
            }
        }
    }

    fn begin(&mut self, want: usize) {
        if self.reading.is_none()
            && let Some(request) = self.window.begin_refill(want)
        {
            let after = request.after;
            let past = self.disk.iter().filter(|entry| after.is_none_or(|after| entry.order > after));
            self.reading = Some((past.take(request.limit).copied().collect(), request.limit));
        }
    }

    fn finish(&mut self) {
        if let Some((found, _)) = self.reading.take() {
            self.window.finish_refill(found);
        }
    }

    /// Takes as a lane does: refills first when low, leaves out what is gone.
    fn take(&mut self, count: usize) -> Vec<ReadyEntry> {
        if self.reading.is_none() {
            self.begin(count);
            self.finish();
        }
        let disk = &self.disk;
        let mut entries = self.window.take(count, 0);
        entries.extend(self.window.take(0, count.saturating_sub(entries.len())));
        entries.retain(|entry| disk.contains(entry));
        entries
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Join(rank, due) => self.join(rank, due),
            Step::Cancel(nth) => {
                if let Some(entry) = self.disk.iter().nth(nth).copied() {
                    self.disk.remove(&entry);
                    self.on_the_way.push_back(Note::Left(entry));
                }
            }
            Step::Take(count) => {
                for entry in self.take(count) {
                    assert!(self.disk.remove(&entry));
                    self.taken.push(entry);
                }
            }
            Step::TakeInVain(count) => {
                for entry in self.take(count) {
                    self.window.note(entry);
                }
            }
            Step::BeginRefill => self.begin(self.capacity),
            Step::FinishRefill => self.finish(),
            Step::Notice(count) => self.notice(count),
        }
        assert!(self.window.len() <= self.capacity, "memory is bounded");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Against a naive queue: nothing is lost, nothing is taken twice, and once the notes are in, the order is the queue's.
    #[test]
    fn a_window_loses_nothing_and_keeps_the_order(steps in steps(), capacity in 1usize..9) {
        let mut model = Model::new(capacity);
        for step in &steps {
            model.run(step);
        }
        model.finish();
        model.notice(usize::MAX);
        let expected: Vec<ReadyEntry> = model.disk.iter().copied().collect();
        let before = model.taken.len();
        for _ in 0..steps.len() * 2 + 2 {
            model.run(&Step::Take(3));
        }
        prop_assert_eq!(&model.taken[before..], &expected[..], "all of the queue, in its order");
        let all: BTreeSet<_> = model.taken.iter().collect();
        prop_assert_eq!(all.len(), model.taken.len(), "none twice");
    }
}

#[test]
fn a_million_entries_pass_through_a_window_of_512() {
    let mut model = Model::new(512);
    for n in 0..1_000_000u64 {
        model.join(u8::try_from(n % 11).expect("small"), 0);
        model.notice(1);
        assert!(model.window.len() <= 512);
    }
    let expected = model.disk.clone();
    let mut after = None;
    let mut taken = 0;
    let mut wanted = expected.iter();
    while taken < 1_000_000 {
        if let Some(request) = model.window.begin_refill(256) {
            assert!(request.after >= after, "reading goes on, it never begins again");
            after = request.after;
            let from = request.after.map_or(std::ops::Bound::Unbounded, |order| {
                std::ops::Bound::Excluded(ReadyEntry { order, key: MessageKey { tenant: TenantIndex(9), serial: 0 } })
            });
            let found = model.disk.range((from, std::ops::Bound::Unbounded)).take(request.limit).copied().collect();
            model.window.finish_refill(found);
        }
        let mut entries = model.window.take(256, 0);
        entries.extend(model.window.take(0, 256));
        assert!(!entries.is_empty());
        for entry in entries {
            assert_eq!(Some(&entry), wanted.next());
            taken += 1;
        }
    }
}
