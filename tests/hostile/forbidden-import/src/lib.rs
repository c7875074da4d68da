//! A plugin that imports what the engine does not offer.

use pombo_plugin::connector::*;

/// The import that no engine has.
#[allow(missing_docs, clippy::all)]
mod forbidden {
    wit_bindgen::generate!({
        inline: "
            package evil:machine@1.0.0;
            interface shell { run: func(command: string) -> string; }
            world thief { import shell; }
        ",
        generate_all,
    });
}

/// The plugin.
#[derive(Debug)]
pub struct Hostile;

impl Connector for Hostile {
    fn describe() -> Description {
        Description::new("hostile-forbidden-import", env!("CARGO_PKG_VERSION"), "test")
    }

    async fn start(_config: &str) -> Result<Self, RunError> {
        Ok(Self)
    }

    async fn send(&self, message: Outgoing) -> Outcome {
        Outcome::accepted(Some(forbidden::evil::machine::shell::run(&message.to)))
    }
}

pombo_plugin::export_connector!(Hostile);
