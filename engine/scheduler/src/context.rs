//! What all tasks of one scheduler share.

use std::sync::Arc;

use crate::account::Standings;
use crate::automations::runner::Floor;
use crate::metrics::Metrics;
use crate::observer::Notes;
use crate::options::{Options, Ports};
use crate::rules::gate::Gate;

pub(crate) struct Context {
    pub(crate) ports: Ports,
    pub(crate) options: Options,
    pub(crate) notes: Arc<Notes>,
    pub(crate) standings: Standings,
    pub(crate) gate: Gate,
    pub(crate) metrics: Metrics,
    pub(crate) automations: Floor,
}
