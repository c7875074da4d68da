//! A client of another maker, unmodified: what the simulator and the connector say is understood by those who read it otherwise
//! than the library that both are built on.

mod driver;
mod with_connector;
mod with_peer;

pub(crate) use driver::Baileys;

/// A person's chat, by number.
fn chat(phone: &str) -> String {
    format!("{phone}@s.whatsapp.net")
}
