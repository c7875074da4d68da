//! The rules of sending: when a message may go, and what becomes of it. Pure functions of (state, now, seed), and the
//! structures in memory that they order or count with ([`window`], [`gate`], [`limits`], [`audience`], [`outreach`], [`hearing`]). They
//! must not know the store, the ports or a task; their caller
//! owns the state.

pub mod audience;
pub mod breaker;
pub mod draw;
pub mod gate;
pub mod health;
pub mod hearing;
pub mod late;
pub mod limits;
pub mod outreach;
pub mod pace;
pub mod retry;
pub mod session;
pub mod window;
