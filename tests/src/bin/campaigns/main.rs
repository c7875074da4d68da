//! Sends a campaign to POMBO_CAMPAIGN_ROWS (20000) people through the simulator of Meta's Graph API and disturbs it: see
//! `pombo_tests::campaigns`. Fails if the rate that it reached while nothing disturbed is below 95 % of what the limits allow. The test
//! of the same name does the same with fewer people and without the rate.

use anyhow::{Result, ensure};
use pombo_tests::campaigns::{rows, run};

/// Messages a second: with 20,000 people the campaign takes about a minute.
const PER_SECOND: u32 = 400;

fn main() -> Result<()> {
    let figures = run(rows(20_000)?, PER_SECOND)?;
    let share = figures.reached / figures.allowed;
    println!("{} rows, {:.0} a second of {:.0} that the limits allow", figures.rows, figures.reached, figures.allowed);
    ensure!(share >= 0.95, "only {:.1} % of what the limits allow", share * 100.0);
    Ok(())
}
