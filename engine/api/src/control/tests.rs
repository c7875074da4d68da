//! The control API over the real commands and ports in memory, asked as a caller would.

mod chats;
mod events;
mod fakes;
mod imports;
mod operations;
mod sending;
mod sessions;
mod support;
