//! What Meta's error codes mean. The one place that knows them; whatever else decides, decides by [`Meaning`].
//!
//! The same codes come in the answer of a call, in a status of a message, and with an account's webhooks.

/// What a code means for a message and for the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The token is not valid any more: nothing can be sent until somebody gives another one.
    Token,
    /// Nothing can be sent until somebody acts: payment, rights, the number's registration, a blocked account.
    Stop,
    /// Too much for the whole number: nothing for so long, in milliseconds.
    Slow(u64),
    /// Too much for this one recipient.
    Pair,
    /// This message alone may be sent after so long, in milliseconds.
    Later(u64),
    /// A fault of Meta's: it may be tried again soon.
    Again,
    /// The same, but only a few times: what keeps failing so will not succeed.
    Few,
    /// The recipient cannot be reached, or must not be.
    Recipient,
    /// The recipient does not want marketing from this business.
    OptOut,
    /// More than 24 hours after the person's last message: only a template may be sent.
    Window,
    /// The message or its template must be changed.
    Content,
    /// It was not delivered and will not be, for a reason that says nothing of the recipient or the content.
    Lost,
    /// There is no such object.
    Missing,
}

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;

/// How often a fault of the kind [`Meaning::Few`] is tried.
pub(crate) const FEW: u32 = 3;

/// What a code means; `None` for one that is not known.
pub(crate) fn meaning(code: i64, subcode: Option<i64>) -> Option<Meaning> {
    use Meaning::{Again, Content, Few, Later, Lost, Missing, OptOut, Pair, Recipient, Slow, Stop, Token, Window};
    Some(match code {
        // The Graph API itself.
        0 | 190 => Token,
        1 => Few,
        2 => Again,
        3 | 10 | 33 | 200..=299 | 368 => Stop,
        4 | 17 | 613 | 80007 => Slow(MINUTE),
        80008 => Slow(5 * MINUTE),
        100 if subcode == Some(33) => Stop,
        100 => Content,
        803 => Missing,
        // Sending.
        130429 => Slow(SECOND),
        130403 | 130497 | 131021 | 131026 | 131030 => Recipient,
        130472 | 131043 => Lost,
        131000 => Few,
        131005 | 131031 | 131037 | 131042 | 131044 | 131045 | 131064 => Stop,
        131008 | 131009 | 131051 | 131052 | 131053 | 131055 | 131059 | 131060 | 131062 | 131063 => Content,
        131016 => Again,
        131020 | 131041 | 131200..=131299 => Content,
        131047 => Window,
        131048 => Slow(15 * MINUTE),
        131049 => Later(DAY),
        131050 => OptOut,
        131056 => Pair,
        // The number is being moved to a higher throughput, which takes at most a minute.
        131057 => Slow(20 * SECOND),
        // Templates and flows.
        132000 | 132001 | 132005 | 132007 | 132008 | 132012 | 132015 | 132016 | 132018 | 132068 => Content,
        132069 => Later(10 * MINUTE),
        // The number's registration.
        133000 | 133004 => Again,
        133005 | 133006 | 133008 | 133009 | 133010 | 133016 => Stop,
        133015 => Slow(5 * MINUTE),
        // Payments, the marketing API, calls, flows, usernames.
        134011 => Stop,
        134100 => Content,
        134101 => Later(10 * MINUTE),
        134102 => Again,
        135000 => Content,
        137000 => Recipient,
        138000..=139999 | 147001..=147005 => Content,
        // Management.
        1_752_041 | 2_388_000..=2_388_999 | 2_494_100 => Content,
        _ => return None,
    })
}

/// Meta's name of the only category that people may refuse so far.
pub(crate) const REFUSABLE: &str = "marketing_messages";

impl Meaning {
    /// The effect of a message's late failure, in the engine's words; `None` where it has none.
    pub(crate) fn effect(self) -> Option<&'static str> {
        match self {
            Self::Token | Self::Stop => Some("stop"),
            Self::Later(_) => Some("later"),
            Self::Recipient => Some("recipient"),
            Self::OptOut => Some("opt-out"),
            Self::Window => Some("window"),
            Self::Content | Self::Missing => Some("content"),
            Self::Slow(_) | Self::Pair | Self::Again | Self::Few | Self::Lost => None,
        }
    }
}

/// All codes of Meta's documentation and what they mean, for tests.
#[cfg(test)]
pub(crate) const ALL: &[(i64, Option<i64>, Meaning)] = {
    use Meaning::{Again, Content, Few, Later, Lost, OptOut, Pair, Recipient, Slow, Stop, Token, Window};
    &[
        (0, None, Token),
        (1, None, Few),
        (2, None, Again),
        (3, None, Stop),
        (4, None, Slow(MINUTE)),
        (10, None, Stop),
        (33, None, Stop),
        (100, Some(33), Stop),
        (100, None, Content),
        (100, Some(2_494_010), Content),
        (190, Some(463), Token),
        (190, Some(467), Token),
        (200, None, Stop),
        (299, None, Stop),
        (368, None, Stop),
        (613, None, Slow(MINUTE)),
        (80007, None, Slow(MINUTE)),
        (80008, None, Slow(5 * MINUTE)),
        (130403, None, Recipient),
        (130429, None, Slow(SECOND)),
        (130472, None, Lost),
        (130497, None, Recipient),
        (131000, None, Few),
        (131005, None, Stop),
        (131008, None, Content),
        (131009, None, Content),
        (131016, None, Again),
        (131020, None, Content),
        (131041, None, Content),
        (131215, None, Content),
        (131021, None, Recipient),
        (131026, None, Recipient),
        (131030, None, Recipient),
        (131031, None, Stop),
        (131037, None, Stop),
        (131042, None, Stop),
        (131043, None, Lost),
        (131044, None, Stop),
        (131045, None, Stop),
        (131047, None, Window),
        (131048, None, Slow(15 * MINUTE)),
        (131049, None, Later(DAY)),
        (131050, None, OptOut),
        (131051, None, Content),
        (131052, None, Content),
        (131053, None, Content),
        (131055, None, Content),
        (131056, None, Pair),
        (131057, None, Slow(20 * SECOND)),
        (131059, None, Content),
        (131060, None, Content),
        (131062, None, Content),
        (131063, None, Content),
        (131064, None, Stop),
        (132000, None, Content),
        (132001, None, Content),
        (132005, None, Content),
        (132007, None, Content),
        (132008, None, Content),
        (132012, None, Content),
        (132015, None, Content),
        (132016, None, Content),
        (132018, None, Content),
        (132068, None, Content),
        (132069, None, Later(10 * MINUTE)),
        (133000, None, Again),
        (133004, None, Again),
        (133005, None, Stop),
        (133006, None, Stop),
        (133008, None, Stop),
        (133009, None, Stop),
        (133010, None, Stop),
        (133015, None, Slow(5 * MINUTE)),
        (133016, None, Stop),
        (134011, None, Stop),
        (134100, None, Content),
        (134101, None, Later(10 * MINUTE)),
        (134102, None, Again),
        (135000, None, Content),
        (137000, None, Recipient),
        (138000, None, Content),
        (139000, None, Content),
        (147001, None, Content),
        (1_752_041, None, Content),
        (2_388_019, None, Content),
        (2_494_100, None, Content),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_code_has_its_meaning() {
        for (code, subcode, want) in ALL {
            assert_eq!(meaning(*code, *subcode), Some(*want), "{code} {subcode:?}");
        }
        assert_eq!(meaning(999_999, None), None);
        assert_eq!(meaning(-1, None), None);
    }

    #[test]
    fn what_can_be_done_about_a_late_failure() {
        for (code, effect) in [
            (131026, Some("recipient")),
            (131047, Some("window")),
            (131049, Some("later")),
            (131050, Some("opt-out")),
            (131053, Some("content")),
            (131042, Some("stop")),
            (190, Some("stop")),
            (130472, None),
            (131000, None),
        ] {
            assert_eq!(meaning(code, None).and_then(Meaning::effect), effect, "{code}");
        }
    }
}
