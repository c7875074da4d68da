//! The passkey step of linking: WhatsApp demands of some accounts, after the phone used the code, an answer of a passkey of the account
//! (WebAuthn), and then that a person compares a code. Pure: [`challenge`] reads the question and checks the answer, [`stage`] says how far
//! the step is and what follows from what happens. It must not know clients or the engine.
//!
//! Invariant: the private key of a passkey never comes here, and nothing of an answer is kept longer than it takes to send it.

mod challenge;
mod stage;

#[cfg(target_arch = "wasm32")]
pub(crate) use challenge::Assertion;
#[cfg(target_arch = "wasm32")]
pub(crate) use stage::{Act, NOTHING_WAITS, News, Stage, Then};

/// The kind of the event that tells a step, and of the operation that answers it.
pub(crate) const LINK_STEP: &str = "link-step";

/// The form of an answer: which step, and the answer in the form that the step's own schema says.
pub(crate) const LINK_STEP_SCHEMA: &str = r#"{
  "type": "object",
  "required": ["id", "answer"],
  "additionalProperties": false,
  "properties": {
    "id": { "type": "string", "minLength": 1, "maxLength": 64 },
    "answer": {
      "description": "Of the step `passkey`: what navigator.credentials.get gave, as JSON; false if nobody will give it. Of the step `passkey-confirm`: whether the phone shows the same code.",
      "type": ["object", "boolean"]
    }
  }
}"#;

#[cfg(test)]
mod tests {
    #[test]
    fn the_form_of_an_answer_is_json() {
        let schema: serde_json::Value = serde_json::from_str(super::LINK_STEP_SCHEMA).expect("JSON");
        assert_eq!(schema["required"], serde_json::json!(["id", "answer"]));
    }
}
