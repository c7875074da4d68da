//! How far the passkey step is, and what follows from what happens. Each wait has an end, and what is said at that end names the part that
//! did not come: nobody should have to guess where linking stands.

use std::time::Duration;

use serde_json::{Value, json};

use super::challenge::{Assertion, Challenge};
use crate::redact;

/// How long WhatsApp may take for each part that does not wait for a person.
const PATIENCE: Duration = Duration::from_secs(12);
/// The least that a person gets.
const LEAST: Duration = Duration::from_secs(3);

/// The refusal of an answer that no step waits for.
pub(crate) const NOTHING_WAITS: &str =
    "no step of linking with this id waits: look at the session for the one that does";

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum News {
    /// WhatsApp demands a passkey and has to be asked which.
    AskedWithoutOptions,
    /// WhatsApp demands a passkey.
    Asked {
        /// The request options of WebAuthn.
        options: String,
        /// How long the connection stands for a person.
        left: Duration,
    },
    /// The answer was sent; `Err` says what went wrong.
    Given(Result<(), String>),
    /// The phone goes on: a person compares the code.
    Compare {
        /// The code that the phone shows too.
        code: String,
        /// Whether the device was linked before, so that nobody needs to compare.
        known: bool,
        /// How long the connection stands for a person.
        left: Duration,
    },
    /// The confirmation was sent; `Err` says what went wrong.
    Confirmed(Result<(), String>),
    /// The protocol's library gave up.
    Failed(String),
    /// The time of the present part is over.
    TooLong,
    /// The connection ended.
    Lost,
}

/// What follows.
#[derive(Debug, PartialEq)]
pub(crate) enum Then {
    /// Nothing.
    Stays,
    /// Something is waited for.
    Waits(Wait),
    /// Linking came to nothing, for this reason.
    Ends(String),
}

/// What is waited for.
#[derive(Debug, PartialEq)]
pub(crate) struct Wait {
    /// The same in words.
    pub(crate) reason: String,
    /// What a person is asked: the JSON of the event `link-step`.
    pub(crate) step: Option<Value>,
    /// How long.
    pub(crate) time: Duration,
    /// What is sent first.
    pub(crate) act: Option<Act>,
}

/// What is sent to WhatsApp.
#[derive(Debug, PartialEq)]
pub(crate) enum Act {
    /// The answer of the passkey.
    Give(Assertion),
    /// That the codes are the same.
    Confirm,
}

/// How far the step is.
#[derive(Debug, Default)]
pub(crate) enum Stage {
    /// WhatsApp demanded no passkey.
    #[default]
    Idle,
    /// It demanded one; its options were asked for.
    Fetching,
    /// A person is asked for the answer.
    Asked { id: String, challenge: Challenge },
    /// The answer is being sent.
    Giving,
    /// WhatsApp took it.
    Given,
    /// A person compares the codes.
    Comparing { id: String },
    /// The confirmation is being sent.
    Confirming,
    /// WhatsApp took it: the phone signs now.
    Confirmed,
}

fn waits(reason: impl Into<String>, act: Option<Act>) -> Then {
    Then::Waits(Wait { reason: reason.into(), step: None, time: PATIENCE, act })
}

impl Stage {
    /// Whether WhatsApp demanded no passkey so far.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    /// Whether WhatsApp has everything that it demanded.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Confirming | Self::Confirmed)
    }

    /// What follows from the news. `draw` is random: it names a step. `now_millis` is the time since 1970.
    pub(crate) fn hear(&mut self, news: News, draw: u64, now_millis: u64) -> Then {
        match news {
            News::AskedWithoutOptions if self.awaits_the_answer() => {
                *self = Self::Fetching;
                waits("WhatsApp asks for a passkey; the connector asks which one", None)
            }
            News::Asked { options, left } if self.awaits_the_answer() => self.ask(&options, left, draw, now_millis),
            News::AskedWithoutOptions | News::Asked { .. } => Then::Ends(
                "WhatsApp asked for a passkey again after one had been given: link the account anew".to_owned(),
            ),
            News::Given(Ok(())) if matches!(self, Self::Giving) => {
                *self = Self::Given;
                waits("WhatsApp took the passkey and is asking the phone", None)
            }
            News::Given(Err(why)) if matches!(self, Self::Giving) => Then::Ends(self.failed(&why)),
            News::Compare { code, known, left } if matches!(self, Self::Giving | Self::Given) => {
                if known {
                    *self = Self::Confirming;
                    return waits("the phone knows this device; the link is being confirmed", Some(Act::Confirm));
                }
                self.compare(&code, left, draw, now_millis)
            }
            News::Confirmed(Ok(())) if matches!(self, Self::Confirming) => {
                *self = Self::Confirmed;
                waits("the codes were confirmed; WhatsApp is linking the account", None)
            }
            News::Confirmed(Err(why)) if matches!(self, Self::Confirming) => Then::Ends(self.failed(&why)),
            News::Failed(why) => Then::Ends(self.failed(&why)),
            News::TooLong => self.too_long(),
            News::Lost if !self.is_idle() => Then::Ends(self.lost()),
            // What comes late, or twice.
            News::Lost | News::Given(_) | News::Compare { .. } | News::Confirmed(_) => Then::Stays,
        }
    }

    /// What follows from a person's answer; `Err` refuses it, and the step still waits.
    pub(crate) fn answered(&mut self, to: &str, answer: &Value) -> Result<Then, String> {
        match (&*self, answer) {
            (Self::Asked { id, .. }, Value::Bool(false)) if id == to => {
                Ok(Then::Ends("the passkey was refused by the person who was asked".to_owned()))
            }
            (Self::Asked { id, challenge }, answer) if id == to => {
                let assertion = challenge.check(answer)?;
                *self = Self::Giving;
                Ok(waits("the passkey was given; waiting for WhatsApp to take it", Some(Act::Give(assertion))))
            }
            (Self::Comparing { id }, Value::Bool(true)) if id == to => {
                *self = Self::Confirming;
                Ok(waits("the codes were compared; waiting for WhatsApp to take that", Some(Act::Confirm)))
            }
            (Self::Comparing { id }, Value::Bool(false)) if id == to => {
                Ok(Then::Ends("the phone showed another code: linking was stopped".to_owned()))
            }
            (Self::Comparing { id }, _) if id == to => {
                Err("answer whether the phone shows the same code: true or false".to_owned())
            }
            _ => Err(NOTHING_WAITS.to_owned()),
        }
    }

    fn awaits_the_answer(&self) -> bool {
        matches!(self, Self::Idle | Self::Fetching | Self::Asked { .. })
    }

    fn ask(&mut self, options: &str, left: Duration, draw: u64, now_millis: u64) -> Then {
        let challenge = match Challenge::read(options) {
            Ok(challenge) => challenge,
            Err(why) => return Then::Ends(format!("WhatsApp's question for a passkey cannot be used: {why}")),
        };
        let (id, time) = (format!("{draw:016x}"), left.max(LEAST));
        let step = json!({
            "id": id,
            "kind": "passkey",
            "text": "WhatsApp asks for a passkey of this account: ask for it on web.whatsapp.com with these options, and give the answer here.",
            "options": challenge.options(),
            "schema": {"type": ["object", "boolean"]},
            "expiresAtMillis": until(now_millis, time),
        });
        *self = Self::Asked { id, challenge };
        let reason = "WhatsApp asks for a passkey of this account: answer the link step `passkey`".to_owned();
        Then::Waits(Wait { reason, step: Some(step), time, act: None })
    }

    fn compare(&mut self, code: &str, left: Duration, draw: u64, now_millis: u64) -> Then {
        let (id, time) = (format!("{draw:016x}"), left.max(LEAST));
        let step = json!({
            "id": id,
            "kind": "passkey-confirm",
            "text": format!("Compare this code with the one that the phone shows: {code}. Confirm only if they are the same."),
            "options": {"code": code},
            "schema": {"type": "boolean"},
            "expiresAtMillis": until(now_millis, time),
        });
        *self = Self::Comparing { id };
        let reason = "the phone shows a code: compare it and answer the link step `passkey-confirm`".to_owned();
        Then::Waits(Wait { reason, step: Some(step), time, act: None })
    }

    /// The library's error in words. A request that failed without a code of WhatsApp's was not answered.
    fn failed(&self, error: &str) -> String {
        match (error.contains(" iq failed"), code(error)) {
            (true, None) => self.lost(),
            (_, code) => refusal(error, code),
        }
    }

    fn lost(&self) -> String {
        format!("the connection to WhatsApp broke while {}: link the account anew", self.words())
    }

    fn too_long(&self) -> Then {
        let ends = |why: &str| Then::Ends(why.to_owned());
        match self {
            Self::Idle => Then::Stays,
            Self::Fetching => ends("WhatsApp asked for a passkey and did not say which one: its question never came"),
            Self::Asked { .. } => ends("the passkey was not given in time: the step has expired"),
            Self::Giving => ends("WhatsApp did not answer the passkey"),
            Self::Given => ends(
                "WhatsApp took the passkey and never went on: open WhatsApp on the phone and link the account anew",
            ),
            Self::Comparing { .. } => ends("nobody confirmed the code in time: the step has expired"),
            Self::Confirming => ends("WhatsApp did not answer the confirmation of the code"),
            Self::Confirmed => ends("the code was confirmed, and WhatsApp never finished linking"),
        }
    }

    /// What was going on.
    fn words(&self) -> &'static str {
        match self {
            Self::Idle => "nothing was asked",
            Self::Fetching => "it was asked for its question",
            Self::Asked { .. } => "a passkey was waited for",
            Self::Giving => "the passkey was being given",
            Self::Given => "the phone was waited for after the passkey",
            Self::Comparing { .. } => "the code was being compared",
            Self::Confirming => "the code was being confirmed",
            Self::Confirmed => "the account was being linked",
        }
    }
}

fn until(now_millis: u64, time: Duration) -> u64 {
    now_millis.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// The code with which WhatsApp refused a request; the library tells it only within a text.
fn code(error: &str) -> Option<u16> {
    let (_, rest) = error.split_once("code=")?;
    rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok()
}

/// Which part WhatsApp refused, and with which code.
fn refusal(error: &str, code: Option<u16>) -> String {
    let named = |what: &str| match code {
        Some(code) => format!("{what} (code {code})"),
        None => what.to_owned(),
    };
    let about = |part: &str| error.contains(part);
    if about("passkey_request_options") {
        return named("WhatsApp asked for a passkey and did not say which one");
    }
    if about("ref iq") || about("missing ref") {
        return named("WhatsApp gave no reference for linking with a passkey");
    }
    if about("passkey_prologue") {
        return match code {
            Some(401 | 403) => named("WhatsApp refused the passkey: it is not one of this account"),
            Some(404 | 408 | 410) => named("WhatsApp refused the passkey: its question had expired"),
            _ => named("WhatsApp refused the passkey"),
        };
    }
    if about("encrypted_pairing_request") {
        return named("WhatsApp refused the confirmation of the code");
    }
    if about("companion_nonce") || about("primary") || about("continuation") {
        return named("WhatsApp took the passkey, and what it sent next cannot be used");
    }
    match code {
        Some(_) => named("WhatsApp refused the passkey step"),
        None => format!("the passkey step failed: {}", redact::line(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::challenge::samples::{answer, question};
    use super::*;

    const LEFT: Duration = Duration::from_secs(90);
    const NOW: u64 = 1_700_000_000_000;

    fn hear(stage: &mut Stage, news: News) -> Then {
        stage.hear(news, 7, NOW)
    }

    fn waited(then: Then) -> Wait {
        match then {
            Then::Waits(wait) => wait,
            other => panic!("{other:?}"),
        }
    }

    fn ended(then: Then) -> String {
        match then {
            Then::Ends(why) => why,
            other => panic!("{other:?}"),
        }
    }

    const ID: &str = "0000000000000007";

    fn asked() -> Stage {
        let mut stage = Stage::default();
        waited(hear(&mut stage, News::Asked { options: question(), left: LEFT }));
        stage
    }

    fn giving() -> Stage {
        let mut stage = asked();
        waited(stage.answered(ID, &answer()).expect("its answer"));
        stage
    }

    fn given() -> Stage {
        let mut stage = giving();
        waited(hear(&mut stage, News::Given(Ok(()))));
        stage
    }

    fn comparing() -> Stage {
        let mut stage = given();
        waited(hear(&mut stage, News::Compare { code: "ABCD-1234".to_owned(), known: false, left: LEFT }));
        stage
    }

    fn confirming() -> Stage {
        let mut stage = comparing();
        waited(stage.answered(ID, &json!(true)).expect("its answer"));
        stage
    }

    #[test]
    fn the_step_goes_from_the_question_to_the_link() {
        let mut stage = Stage::default();
        let question = News::Asked { options: question(), left: LEFT };
        let asked = waited(hear(&mut stage, question));
        let step = asked.step.expect("a person is asked");
        assert_eq!((&step["id"], &step["kind"]), (&json!(ID), &json!("passkey")));
        assert_eq!(step["options"]["rpId"], "whatsapp.com");
        assert_eq!((&step["expiresAtMillis"], asked.time), (&json!(NOW + 90_000), LEFT));
        let given = waited(stage.answered(ID, &answer()).expect("its answer"));
        assert!(matches!(given.act, Some(Act::Give(_))) && given.step.is_none());
        assert_eq!(waited(hear(&mut stage, News::Given(Ok(())))).time, PATIENCE);
        let compare =
            waited(hear(&mut stage, News::Compare { code: "ABCD-1234".to_owned(), known: false, left: LEFT }));
        let step = compare.step.expect("a person is asked");
        assert_eq!((&step["kind"], &step["options"]["code"]), (&json!("passkey-confirm"), &json!("ABCD-1234")));
        assert_eq!(waited(stage.answered(ID, &json!(true)).expect("its answer")).act, Some(Act::Confirm));
        waited(hear(&mut stage, News::Confirmed(Ok(()))));
        assert!(stage.is_done());
    }

    #[test]
    fn a_device_that_the_phone_knows_is_confirmed_without_a_person() {
        let mut stage = giving();
        // The phone may be faster than the report that the answer was sent.
        let known = waited(hear(&mut stage, News::Compare { code: "ABCD-1234".to_owned(), known: true, left: LEFT }));
        assert_eq!((known.act, known.step), (Some(Act::Confirm), None));
        assert_eq!(hear(&mut stage, News::Given(Ok(()))), Then::Stays);
    }

    #[test]
    fn each_part_that_does_not_come_has_its_name() {
        let fetching = || {
            let mut stage = Stage::default();
            waited(hear(&mut stage, News::AskedWithoutOptions));
            stage
        };
        let confirmed = || {
            let mut stage = confirming();
            waited(hear(&mut stage, News::Confirmed(Ok(()))));
            stage
        };
        let stages: [(Stage, &str, &str); 7] = [
            (fetching(), "never came", "its question"),
            (asked(), "not given in time", "a passkey was waited for"),
            (giving(), "did not answer the passkey", "being given"),
            (given(), "never went on", "after the passkey"),
            (comparing(), "nobody confirmed", "being compared"),
            (confirming(), "did not answer the confirmation", "being confirmed"),
            (confirmed(), "never finished", "being linked"),
        ];
        for (mut stage, late, lost) in stages {
            assert!(ended(hear(&mut stage, News::TooLong)).contains(late), "{late}");
            assert!(ended(hear(&mut stage, News::Lost)).contains(lost), "{lost}");
        }
        assert!(PATIENCE < Duration::from_secs(15));
        assert_eq!(
            hear(&mut Stage::default(), News::Lost),
            Then::Stays,
            "without a passkey, pairing goes on by itself"
        );
        assert_eq!(hear(&mut Stage::default(), News::TooLong), Then::Stays);
    }

    #[test]
    fn each_refusal_has_its_name() {
        let iq = |part: &str, code: u16| {
            format!(
                "passkey linking flow error: {part} iq failed: passkey linking flow error: received a server error response: \
                 code={code}, text='no'"
            )
        };
        for (error, words) in [
            (iq("passkey_prologue", 403), "not one of this account (code 403)"),
            (iq("passkey_prologue", 410), "had expired (code 410)"),
            (iq("passkey_prologue", 500), "refused the passkey (code 500)"),
            (iq("ref", 503), "no reference for linking with a passkey (code 503)"),
        ] {
            let why = ended(hear(&mut giving(), News::Given(Err(error))));
            assert!(why.contains(words), "{why}");
        }
        let why = ended(hear(&mut confirming(), News::Confirmed(Err(iq("encrypted_pairing_request", 400)))));
        assert!(why.contains("refused the confirmation of the code (code 400)"), "{why}");
        for (error, words) in [
            (iq("passkey_request_options", 404), "did not say which one (code 404)"),
            ("missing primary_ephemeral_identity".to_owned(), "cannot be used"),
            (iq("companion_nonce", 400), "cannot be used (code 400)"),
            ("no luck with 5511987654321".to_owned(), "failed: no luck with #"),
        ] {
            let why = ended(hear(&mut given(), News::Failed(error)));
            assert!(why.contains(words), "{why}");
        }
        let cut = "passkey linking flow error: passkey_prologue iq failed: passkey linking flow error: client is not connected";
        let why = ended(hear(&mut giving(), News::Given(Err(cut.to_owned()))));
        assert!(why.contains("broke while the passkey was being given"), "{why}");
        let broken = News::Asked { options: "{}".to_owned(), left: LEFT };
        assert!(ended(hear(&mut Stage::default(), broken)).contains("no challenge"));
        let again = News::Asked { options: question(), left: LEFT };
        assert!(ended(hear(&mut given(), again)).contains("again"));
    }

    #[test]
    fn a_wrong_answer_is_refused_and_the_step_still_waits() {
        let mut stage = asked();
        assert_eq!(stage.answered("another", &answer()).expect_err("another step"), NOTHING_WAITS);
        assert!(stage.answered(ID, &json!({})).is_err());
        assert!(stage.answered(ID, &json!(true)).is_err());
        assert!(stage.answered(ID, &answer()).is_ok());
        assert_eq!(stage.answered(ID, &answer()).expect_err("it was given"), NOTHING_WAITS);
        assert!(comparing().answered(ID, &json!("yes")).is_err());
    }

    #[test]
    fn a_person_may_refuse() {
        assert!(ended(asked().answered(ID, &json!(false)).expect("an answer")).contains("refused by the person"));
        assert!(ended(comparing().answered(ID, &json!(false)).expect("an answer")).contains("another code"));
    }

    #[test]
    fn a_question_that_is_asked_anew_replaces_the_one_before() {
        let mut stage = asked();
        let anew = stage.hear(News::Asked { options: question(), left: Duration::ZERO }, 8, NOW);
        assert_eq!(waited(anew).time, LEAST);
        assert_eq!(stage.answered(ID, &answer()).expect_err("the step before"), NOTHING_WAITS);
        assert!(stage.answered("0000000000000008", &answer()).is_ok());
    }
}
