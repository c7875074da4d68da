//! pombo-store
