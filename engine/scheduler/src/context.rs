//! What all tasks of one scheduler share. It must not know any of them.

use std::sync::Arc;

use crate::account::Accounts;
use crate::audiences::Audiences;
use crate::automations::dispatcher::Dispatcher;
use crate::hearing::counts::Hearings;
use crate::metrics::Metrics;
use crate::observer::WorkSignals;
use crate::options::{Options, Ports};
use crate::rules::gate::Gate;

pub(crate) struct Context {
    pub(crate) ports: Ports,
    pub(crate) options: Options,
    pub(crate) signals: Arc<WorkSignals>,
    pub(crate) accounts: Accounts,
    pub(crate) audiences: Audiences,
    pub(crate) hearings: Hearings,
    pub(crate) gate: Gate,
    pub(crate) metrics: Metrics,
    pub(crate) automations: Dispatcher,
}
