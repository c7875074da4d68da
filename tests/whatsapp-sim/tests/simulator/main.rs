//! The simulator as clients see it: native `whatsapp-rust` clients pair with it and exchange messages through it, and every
//! test asserts what the receiver decrypted. One simulator a test; nothing leaves this machine.

mod admin;
mod announce;
mod appstate;
mod clock;
mod crowd;
mod devices;
mod exchange;
mod faults;
mod groups;
mod history;
mod media;
mod passkey;
mod policy;
mod presence;
mod retries;
mod scripts;
mod stage;
mod web_version;
