//! Uploaded plugins: uploads and their signatures, versions, grants, the audit trail, usage, and replays on another version.

pub mod catalog;
pub mod grants;
pub mod records;
pub mod replays;
pub mod signatures;
pub mod trust_roots;
pub mod uploads;
pub mod versions;
