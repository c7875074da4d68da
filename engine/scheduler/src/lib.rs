//! pombo-scheduler
