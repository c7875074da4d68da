//! Kills the engine POMBO_KILLS (300) times while messages come and go, and compares what is there afterwards with a model: see
//! `pombo_tests::kills`. The test of the same name kills it a dozen times.

fn main() -> anyhow::Result<()> {
    pombo_tests::kills::run(pombo_tests::kills::kills(300)?)
}
