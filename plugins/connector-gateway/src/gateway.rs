//! One connector: its configuration, and what it keeps in memory.

use crate::config::Config;
use crate::files::Files;
use crate::ledger::Ledger;
use crate::sending::Flights;
use crate::states::States;

/// See the module.
#[derive(Debug)]
pub(crate) struct Gateway<O> {
    pub(crate) outside: O,
    pub(crate) config: Config,
    pub(crate) ledger: Ledger,
    pub(crate) states: States,
    pub(crate) files: Files,
    pub(crate) flights: Flights,
}

impl<O> Gateway<O> {
    pub(crate) fn new(outside: O, config: Config) -> Self {
        Self {
            outside,
            config,
            ledger: Ledger::default(),
            states: States::default(),
            files: Files::default(),
            flights: Flights::default(),
        }
    }
}
