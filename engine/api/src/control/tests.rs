//! The control API over the real commands and ports in memory, asked as a caller would.

mod fakes;
mod imports;
mod operations;
mod support;
