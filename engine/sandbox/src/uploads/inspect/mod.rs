//! Checks of uploaded components, from the cheapest to the most expensive, each bounded: what it is made of (`walk`), for which world
//! it was built (`world`), that it compiles (`compile`), and what it says of itself (`schema` for the hardest part of that).
//!
//! Must not know who uploads a component or what is done with it. Each refusal says what to change.

pub(crate) mod compile;
pub(crate) mod schema;
pub(crate) mod walk;
pub(crate) mod world;
