//! The rules of sending: when a message may go, and what becomes of it. Pure functions of (state, now, seed), and the two
//! structures in memory that they order ([`window`], [`gate`]). They must not know the store, the ports or a task; their caller
//! owns the state.

pub mod breaker;
pub mod draw;
pub mod gate;
pub mod health;
pub mod pace;
pub mod retry;
pub mod session;
pub mod window;
