//! Between the domain's types and the plugins': one file per world. Nothing else in this crate converts.

pub(crate) mod connector;
pub(crate) mod renderer;
