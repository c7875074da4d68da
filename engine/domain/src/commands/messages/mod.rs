//! Messages: taken in, sent at once, listed, shown, explained, decided on, and acted upon once they are sent; and the files that bring many at
//! once.

pub mod actions;
pub mod equal_texts;
pub mod imports;
pub mod list;
pub mod now;
pub mod preview;
pub mod send;
pub mod stats;
pub mod transitions;
pub mod why;
