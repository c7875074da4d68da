//! pombo-api
