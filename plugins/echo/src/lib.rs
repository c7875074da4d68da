//! An automation that answers each message with its text and counts them in its state. The engine does not embed it: tests and
//! benchmarks upload it.
//!
//! [`VARIANT`] says how this version behaves. Tests overwrite it in the built component, and so get many versions from one build.

use pombo_plugin::automation::*;
use serde::{Deserialize, Serialize};

/// The automation, which keeps nothing outside its state.
#[derive(Debug)]
pub struct Echo;

/// The word after the colon (padded with spaces) makes one version differ from another. One of:
///
/// - `good`, `count` (the count is part of the answer), `trap`, `fail`, `spin` (forever), `slow` (some milliseconds of work);
/// - `greedy`: good, and asks for a server and a store;
/// - `watch`: an observer, which tells of each message in its log and in the event log; `meddle`: an observer that answers all
///   the same.
static VARIANT: [u8; 40] = *b"echo-variant:good 0                     ";

fn variant() -> &'static str {
    // Not known to the compiler: it is overwritten later.
    let bytes: &'static [u8; 40] = std::hint::black_box(&VARIANT);
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    text.split(':').nth(1).unwrap_or_default().split(' ').next().unwrap_or_default()
}

/// Keeps the processor busy.
fn work(rounds: u64) {
    for round in 0..rounds {
        std::hint::black_box(round);
    }
}

/// The state that it keeps per conversation.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// How many messages it has answered.
    pub count: u64,
}

impl Automation for Echo {
    type Config = NoConfig;
    type State = Count;

    fn describe() -> Description {
        let variant = variant();
        let wants = match variant {
            "greedy" => Wants { hosts: vec!["=api.example.com".to_owned()], kv_bytes: 1 << 20, ..Wants::default() },
            _ => Wants::default(),
        };
        Description {
            display_name: "Echo (tests)".to_owned(),
            events: vec![EventKind::MessageReceived],
            observer: matches!(variant, "watch" | "meddle"),
            wants,
            ..Description::new("echo", env!("CARGO_PKG_VERSION"))
        }
    }

    fn on_message(turn: &mut Turn<'_, Self>, message: &Message) -> Result<(), Error> {
        turn.state.count += 1;
        match variant() {
            "trap" => panic!("this version traps"),
            "fail" => return Err(Error::new("this version fails")),
            "spin" => work(u64::MAX),
            "slow" => work(20_000_000),
            "watch" => {
                let count = turn.state.count;
                turn.log(Level::Info, &format!("message {count}"));
                return turn.emit("seen", &count);
            }
            "count" => {
                let answer = format!("{} #{}", message.text, turn.state.count);
                turn.reply(answer);
                return Ok(());
            }
            _ => {}
        }
        // An empty text cannot be sent: what has none is counted only.
        if !message.text.is_empty() {
            turn.reply(&message.text);
        }
        Ok(())
    }
}

pombo_plugin::export_automation!(Echo);

#[cfg(test)]
mod tests {
    use super::*;
    use pombo_plugin::test::Script;

    #[test]
    fn it_answers_with_the_same_text_and_counts() {
        let mut script = Script::<Echo>::new();
        assert_eq!(script.says("oi").texts(), ["oi"]);
        assert!(script.sends_file("image", None).texts().is_empty());
        assert_eq!(script.state(), Count { count: 2 });
    }
}
