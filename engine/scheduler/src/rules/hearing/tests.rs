//! Hearing as a model of a number's days: what is learnt, which faults are named and when, and that quiet nights are quiet.

use std::sync::LazyLock;

use super::*;

const MINUTE_MS: i64 = 60_000;
/// Monday, 29 April 2024, 00:00 UTC.
const MONDAY: Timestamp = Timestamp(1_714_348_800_000);
const CURES: Cures = Cures { restarts: true, heartbeat_ms: None };

/// A connector's line to its channel, looked at as the task does it.
#[derive(Clone)]
struct Line {
    hearing: Hearing,
    now: Timestamp,
    people: u64,
    look_at: Option<Timestamp>,
    /// How often it was looked at.
    looks: usize,
    /// When it was first taken to be deaf.
    deaf_at: Option<Timestamp>,
}

impl Line {
    fn new(at: Timestamp) -> Self {
        let mut hearing = Hearing::default();
        hearing.session(true, at);
        Self { hearing, now: at, people: 0, look_at: Some(at), looks: 0, deaf_at: None }
    }

    /// One that was used for four weeks: from 8 to 20 o'clock, a message a minute, and as many answers.
    fn learned(answers_a_minute: i64) -> Self {
        static ONE: LazyLock<Line> = LazyLock::new(|| Line::learn(1));
        if answers_a_minute == 1 { ONE.clone() } else { Self::learn(answers_a_minute) }
    }

    fn learn(answers_a_minute: i64) -> Self {
        let mut line = Self::new(MONDAY);
        line.days(28, |line, _, hour| {
            if (8..20).contains(&hour) {
                line.send(Some(2_000));
                let minute = line.now;
                for answer in 0..answers_a_minute {
                    line.now = minute.plus_ms(answer * MINUTE_MS / answers_a_minute);
                    line.receives(1);
                }
                line.now = minute;
            }
        });
        assert_eq!(line.deaf_at, None);
        line
    }

    fn wake(&mut self, wake: bool) {
        if wake {
            self.look_at = Some(self.now);
        }
    }

    /// Sends to somebody new; the receipt comes so many milliseconds later, or never.
    fn send(&mut self, receipt_after: Option<i64>) {
        self.people += 1;
        let wake = self.hearing.handed_over(self.people, true, self.now);
        self.wake(wake);
        if let Some(after) = receipt_after {
            let at = self.now.plus_ms(after);
            self.hearing.delivered(self.now, at, at);
            let wake = self.hearing.heard(Heard::Receipt, at);
            self.wake(wake);
        }
    }

    fn receives(&mut self, times: usize) {
        for _ in 0..times {
            let wake = self.hearing.heard(Heard::Other, self.now);
            self.wake(wake);
        }
    }

    /// Looks, if that is due.
    fn look(&mut self) {
        if self.look_at.is_none_or(|at| at > self.now) {
            return;
        }
        self.looks += 1;
        self.hearing.judge(self.now);
        if self.hearing.deaf.is_some() {
            self.deaf_at.get_or_insert(self.now);
        }
        self.look_at = self.hearing.next_look(CURES, self.now);
        assert!(self.look_at.is_none_or(|at| at > self.now), "it would never sleep");
    }

    /// Lets days pass, minute by minute, from midnight on: the day and the hour of each.
    fn days(&mut self, days: i64, mut each: impl FnMut(&mut Self, i64, i64)) {
        for minute in 0..days * 24 * 60 {
            each(self, minute / (24 * 60), minute / 60 % 24);
            self.look();
            self.now = self.now.plus_ms(MINUTE_MS);
        }
    }

    /// Lets minutes pass as usual, and looks.
    fn until(&mut self, hour: i64) {
        while self.now.0.rem_euclid(DAY_MS) / HOUR_MS != hour {
            if (8..20).contains(&(self.now.0.rem_euclid(DAY_MS) / HOUR_MS)) {
                self.send(Some(2_000));
                self.receives(1);
            }
            self.look();
            self.now = self.now.plus_ms(MINUTE_MS);
        }
    }

    /// Lets seconds pass with a fault; after how many it was noticed.
    fn faulty(&mut self, seconds: i64, mut each: impl FnMut(&mut Self, i64)) -> Option<(DeafReason, i64)> {
        let begin = self.now;
        for second in 0..=seconds {
            self.now = begin.plus_ms(second * 1_000);
            each(self, second);
            self.look();
            if let Some(deaf) = &self.hearing.deaf {
                return Some((deaf.reason, second));
            }
        }
        None
    }
}

#[test]
fn faults_are_named_within_two_minutes() {
    type Fault = fn(&mut Line, i64);
    let faults: [(&str, i64, DeafReason, Fault); 5] = [
        ("nothing comes in any more, and messages are sent", 1, DeafReason::NothingHeard, |line, second| {
            if second % 10 == 0 {
                line.send(None);
            }
        }),
        ("receipts are swallowed, and people go on writing", 1, DeafReason::NoReceipts, |line, second| {
            if second % 10 == 0 {
                line.send(None);
            }
            if second % 7 == 3 {
                line.receives(1);
            }
        }),
        ("the channel's own answers are swallowed", 1, DeafReason::NothingHeard, |line, second| {
            if second % 10 == 0 {
                line.people += 1;
                let wake = line.hearing.handed_over(line.people, false, line.now);
                line.wake(wake);
            }
        }),
        ("nothing comes in on a busy number that sends nothing", 12, DeafReason::Silence, |_, _| ()),
        ("the account gives no sign of life", 1, DeafReason::Heartbeat, |line, second| {
            if second == 60 {
                line.hearing.missed_beat(line.now);
                line.wake(true);
            }
        }),
    ];
    for (what, answers, reason, fault) in faults {
        let mut line = Line::learned(answers);
        line.until(10);
        let noticed = line.faulty(120, fault);
        assert!(noticed.is_some_and(|(named, _)| named == reason), "{what}: {noticed:?}");
        let deaf = line.hearing.view(line.now).deaf.expect("it is shown");
        assert_eq!((deaf.reason, deaf.noticed_at), (reason, line.now), "{what}");
    }
}

/// By day as always. By night three people are written to whose phones are off until the morning, and now and then somebody writes.
#[test]
fn thirty_quiet_nights_raise_no_alarm() {
    let mut line = Line::learned(1);
    let looks = line.looks;
    line.days(30, |line, day, hour| {
        let minute = line.now.0.rem_euclid(HOUR_MS) / MINUTE_MS;
        match hour {
            8..20 => {
                line.send(Some(if line.people.is_multiple_of(9) { 400_000 } else { 3_000 }));
                line.receives(1);
            }
            2 if minute < 3 => line.send(None),
            3 if minute == 30 && day % 3 == 0 => line.receives(1),
            _ => {}
        }
    });
    assert_eq!(line.deaf_at, None);
    let by_night = 30 * 12 * 8;
    assert!(line.looks - looks < 30 * 12 * 60 * 2 + by_night, "{}", line.looks - looks);
}

#[test]
fn a_holiday_on_which_nothing_is_sent_raises_no_alarm() {
    let mut line = Line::learned(1);
    // The first hours after the last busy day still count what was sent then: somebody writes now and then.
    line.days(1, |line, _, hour| {
        let minute = line.now.0.rem_euclid(HOUR_MS) / MINUTE_MS;
        if (8..20).contains(&hour) && minute % 9 == 0 {
            line.receives(1);
        }
    });
    line.days(2, |_, _, _| ());
    assert_eq!(line.deaf_at, None);
}

#[test]
fn who_never_writes_at_night_learns_nothing_from_silence_then() {
    let mut line = Line::learned(1);
    line.until(3);
    assert_eq!(
        line.faulty(3_600, |line, second| if second % 60 == 0 {
            line.send(None)
        }),
        None
    );
    assert_eq!(line.hearing.view(line.now).unanswered, 61);
}

#[test]
fn without_a_past_nothing_is_expected() {
    let mut line = Line::new(MONDAY);
    assert_eq!(
        line.faulty(7_200, |line, second| if second % 20 == 0 {
            line.send(None)
        }),
        None
    );
    assert_eq!(line.hearing.usual_share(line.now), None);
    // Nor from a channel on which receipts seldom come.
    let mut line = Line::new(MONDAY);
    line.days(20, |line, _, _| line.send(line.people.is_multiple_of(3).then_some(1_000)));
    assert_eq!(line.hearing.usual_share(line.now), None);
    assert_eq!(line.deaf_at, None);
}

/// One person whose phone is off is no evidence, however often that person is written to.
#[test]
fn people_count_and_not_messages() {
    let mut line = Line::learned(1);
    line.until(10);
    let noticed = line.faulty(480, |line, _| {
        let wake = line.hearing.handed_over(7, true, line.now);
        line.wake(wake);
    });
    assert_eq!(noticed, None);
    assert_eq!(line.hearing.people.len(), 1);
    let many = (0..10_000).filter(|person| line.hearing.handed_over(*person, true, line.now)).count();
    assert_eq!((line.hearing.people.len(), many), (PEOPLE, 1), "bounded, and one look is enough");
}

#[test]
fn a_receipt_ends_it_and_both_are_told_once() {
    let mut line = Line::learned(1);
    line.until(10);
    let swallowed = |line: &mut Line, second: i64| {
        if second % 10 == 0 {
            line.send(None);
        }
        if second % 7 == 3 {
            line.receives(1);
        }
    };
    assert_eq!(line.faulty(120, swallowed).map(|(reason, _)| reason), Some(DeafReason::NoReceipts));
    let told = line.hearing.to_tell().expect("it is news").expect("it is deaf");
    assert_eq!(told.reason, DeafReason::NoReceipts);
    line.hearing.was_told(true);
    assert_eq!(line.hearing.to_tell(), None);
    line.receives(3);
    assert_eq!(line.hearing.to_tell(), None, "other things were heard all the time");
    assert!(line.hearing.heard(Heard::Receipt, line.now));
    assert_eq!(line.hearing.to_tell(), Some(None));
    line.hearing.was_told(false);
    assert_eq!((line.hearing.to_tell(), line.hearing.view(line.now).unanswered), (None, 0));
}

#[test]
fn it_is_shown_beside_a_connected_session_alone() {
    let mut line = Line::learned(1);
    line.until(10);
    line.faulty(120, |line, second| {
        if second % 10 == 0 {
            line.send(None)
        }
    })
    .expect("it is noticed");
    line.hearing.session(false, line.now);
    assert_eq!(line.hearing.view(line.now).deaf, None);
    line.hearing.session(true, line.now);
    assert!(line.hearing.view(line.now).deaf.is_some(), "nothing was heard since");
    assert_eq!(line.hearing.evidence(line.now), None, "what was missed may come now");
    line.hearing.ended(line.now);
    assert_eq!(line.hearing.to_tell(), None);
}

/// However long it stays deaf: once in a quarter of an hour, and four times in a day.
#[test]
fn instances_are_restarted_seldom() {
    let mut line = Line::learned(1);
    line.until(10);
    line.faulty(120, |line, second| {
        if second % 10 == 0 {
            line.send(None)
        }
    })
    .expect("it is noticed");
    let begin = line.now;
    let mut restarts = Vec::new();
    for minute in 0..3 * 24 * 60 {
        line.now = begin.plus_ms(minute * MINUTE_MS);
        // Nothing is learnt meanwhile: it stays as sure as it was.
        line.hearing.beat_failed_at = Some(begin);
        assert!(!line.hearing.take_restart(Cures { restarts: false, ..CURES }, line.now), "it is switched off");
        if line.hearing.take_restart(CURES, line.now) {
            restarts.push(minute);
        }
    }
    let day = 24 * 60;
    assert_eq!(restarts[..5], [0, 15, 30, 45, day]);
    assert_eq!(restarts.len(), 12);
    line.hearing.session(false, line.now);
    line.hearing.session(true, line.now);
    assert!(
        !line.hearing.take_restart(CURES, line.now.plus_ms(DAY_MS)),
        "only where it is deaf after the restart, too"
    );
}

#[test]
fn a_heartbeat_is_asked_for_after_silence_and_at_a_suspicion() {
    let cures = Cures { restarts: true, heartbeat_ms: Some(6 * HOUR_MS) };
    let mut line = Line::learned(1);
    line.until(20);
    let quiet = line.now;
    assert!(!line.hearing.take_beat(CURES, quiet.plus_ms(DAY_MS)), "the plugin has none");
    assert!(!line.hearing.take_beat(cures, quiet.plus_ms(5 * HOUR_MS)));
    assert_eq!(line.hearing.next_look(cures, quiet), Some(quiet.plus_ms(HOUR_MS)));
    let at = quiet.plus_ms(6 * HOUR_MS);
    assert!(line.hearing.take_beat(cures, at));
    assert!(!line.hearing.take_beat(cures, at.plus_ms(HOUR_MS - 1)), "whatever becomes of it");
    assert!(line.hearing.take_beat(cures, at.plus_ms(HOUR_MS)));
    assert!(!line.hearing.beat(at.plus_ms(HOUR_MS)));
    assert!(!line.hearing.take_beat(cures, at.plus_ms(3 * HOUR_MS)), "it was answered");

    let mut line = Line::learned(1);
    line.until(10);
    line.now = line.now.plus_ms(4 * MINUTE_MS);
    assert!(line.hearing.take_beat(cures, line.now), "five things or more are missed");
    line.hearing.missed_beat(line.now);
    line.hearing.judge(line.now);
    assert_eq!(line.hearing.deaf.as_ref().map(|deaf| deaf.reason), Some(DeafReason::Heartbeat));
    assert!(line.hearing.beat(line.now), "a later answer ends it");
    assert_eq!(line.hearing.deaf, None);
}

/// What the store counted of the weeks before the engine started.
#[test]
fn the_past_may_come_from_elsewhere() {
    let start = MONDAY.plus_ms(28 * DAY_MS + 10 * HOUR_MS);
    let mut line = Line::new(start);
    let now = hour_of(start);
    for hour in now - 4 * WEEK..now {
        let busy = (8..20).contains(&(hour.rem_euclid(24)));
        let (sent, heard) = if busy { (60, 900) } else { (0, 0) };
        line.hearing.seed(hour, sent, heard, start);
    }
    assert_eq!(line.hearing.usual_share(start), None, "how promptly, nobody knows");
    // How the things that were heard were spread over those hours, nobody knows either.
    let noticed = line.faulty(4 * 3_600, |_, _| ());
    assert_eq!(noticed, Some((DeafReason::Silence, 3 * 3_600)));
    line.hearing.restart();
    assert_eq!(line.hearing.view(line.now), HearingView::default(), "another account has another past");
}

/// A start of the engine loses the share, until enough messages were sent.
#[test]
fn the_share_is_known_again_a_day_after_a_start() {
    let start = MONDAY.plus_ms(28 * DAY_MS);
    let mut line = Line::new(start);
    let now = hour_of(start);
    for hour in now - 4 * WEEK..now {
        let (sent, heard) = if (8..20).contains(&(hour.rem_euclid(24))) { (60, 120) } else { (0, 0) };
        line.hearing.seed(hour, sent, heard, start);
    }
    line.until(9);
    assert!(line.hearing.usual_share(line.now).is_some(), "an hour with a message a minute is enough");
    line.until(20);
    line.until(10);
    assert_eq!(line.deaf_at, None);
    let noticed = line.faulty(120, |line, second| {
        if second % 10 == 0 {
            line.send(None);
        }
    });
    assert_eq!(noticed.map(|(reason, _)| reason), Some(DeafReason::NothingHeard));
}

#[test]
fn times_are_those_of_what_was_delivered() {
    let mut line = Line::new(MONDAY);
    for n in 0..200 {
        line.now = MONDAY.plus_ms(n * 1_000);
        line.send(Some(if n % 50 == 0 { 3_600_000 } else { 1_000 }));
    }
    let times = line.hearing.view(line.now).delivery.expect("there were deliveries");
    assert_eq!((times.samples, times.p50_ms), (200, 1_250));
    assert!(times.p99_ms >= 3_600_000, "{times:?}");
}
