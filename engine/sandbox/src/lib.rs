//! pombo-sandbox
