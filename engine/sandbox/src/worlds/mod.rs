//! Between the domain's types and the plugins': one file per subject. Nothing else in this crate converts.

pub(crate) mod accepted;
pub(crate) mod automation;
pub(crate) mod connector;
pub(crate) mod connector_0_1;
pub(crate) mod connector_guest;
mod demands;
pub(crate) mod event;
mod names;
pub(crate) mod operation;
pub(crate) mod receiving;
pub(crate) mod renderer;
