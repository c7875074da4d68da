//! An automation that traps when it is asked who it is.

use pombo_plugin::automation::*;

/// The plugin.
#[derive(Debug)]
pub struct Hostile;

impl Automation for Hostile {
    type Config = NoConfig;
    type State = ();

    fn describe() -> Description {
        let nothing: Vec<&str> = Vec::new();
        Description::new(nothing[std::hint::black_box(3)], "1.0.0")
    }
}

pombo_plugin::export_automation!(Hostile);
