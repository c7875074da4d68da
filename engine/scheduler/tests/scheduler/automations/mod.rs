//! Automations and rollouts over the real store, on a manual clock, with plugins that do as the test says.

#![expect(unreachable_pub, reason = "the crate is one test binary")]

mod answers;
mod faults;
mod lanes;
mod office;
mod phone;
mod rollouts;
