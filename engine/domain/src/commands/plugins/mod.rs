//! Uploaded plugins: what is uploaded and by whom it is signed, its versions, what it was granted, what was done to it, what it
//! used, and how another version would have answered.

pub mod grants;
pub mod packages;
pub mod records;
pub mod replays;
pub mod signatures;
pub mod trust_roots;
pub mod uploads;
pub mod versions;
