//! Checks of uploaded components, from the cheapest to the dearest, each bounded: what it is made of (`walk`), for which world it was
//! built (`world`), that it compiles (`compile`), and what it says of itself (`schema` for the hardest part of that).
//!
//! Nothing here knows who uploads or what is done with the component. Each refusal says what to change.

pub(crate) mod compile;
pub(crate) mod schema;
pub(crate) mod walk;
pub(crate) mod world;
