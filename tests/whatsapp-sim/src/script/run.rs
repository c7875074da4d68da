//! A script runs: its steps one after the other, in the task of the caller. It waits for what happens, and looks again at each thing that
//! does.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::condition::{Condition, Look};
use super::reference::{Answers, fill};
use super::step::Step;
use super::{Case, Outcome, Report, Script};
use crate::admin;
use crate::world::World;

/// Runs a script in this world until its last step, or until `stop`, which leaves the rest undone.
pub async fn run(world: &Arc<World>, script: &Script, stop: impl Future<Output = ()>) -> Report {
    world.journal.count();
    let began = Instant::now();
    let mut running = Running {
        world: world.clone(),
        start: world.clock.now(),
        answers: Answers::default(),
        cases: Vec::new(),
        done: 0,
    };
    let ended = tokio::select! {
        ended = running.steps(script) => Some(ended),
        () = stop => None,
    };
    // A script that was stopped has not passed, whatever was left of it.
    let ended = ended.unwrap_or_else(|| Err(running.broken("the end".into(), began, "it was stopped".into())));
    let Running { mut cases, done, .. } = running;
    if let Err(why) = ended {
        let left = script.steps.iter().skip(done).filter(|step| step.expect.is_some());
        cases.extend(left.map(|step| Case {
            name: step.title(),
            took: Duration::ZERO,
            outcome: Outcome::Skipped(why.clone()),
        }));
    }
    Report { name: script.name.clone(), cases, took: began.elapsed() }
}

struct Running {
    world: Arc<World>,
    /// The server's clock when the script began.
    start: Duration,
    answers: Answers,
    cases: Vec<Case>,
    /// How many steps need no case any more.
    done: usize,
}

impl Running {
    /// Does all steps. The error: why those that are left are not done.
    async fn steps(&mut self, script: &Script) -> Result<(), String> {
        if script.held {
            self.world.clock.hold(true);
            self.start = self.world.clock.now();
        }
        for (index, account) in script.accounts.iter().enumerate() {
            let began = Instant::now();
            if let Err(why) = self.act(&["accounts".to_owned()], account.clone()).await {
                return Err(self.broken(format!("account {}", index + 1), began, why));
            }
        }
        for step in &script.steps {
            let began = Instant::now();
            let answer = match self.until_expected(script, step).await {
                Ok(answer) => answer,
                Err(why) => {
                    // The step's own case is this one.
                    self.done += 1;
                    return Err(self.broken(step.title(), began, why));
                }
            };
            let answer = match &step.expect {
                None => answer,
                Some(expect) => {
                    let (outcome, found) = match self.expect(expect, step).await {
                        Ok(found) => (Outcome::Passed, found),
                        Err(why) => (Outcome::Failed(why), Value::Null),
                    };
                    self.cases.push(Case { name: step.title(), took: began.elapsed(), outcome });
                    if step.action.is_some() { answer } else { found }
                }
            };
            if let Some(named) = &step.named {
                self.answers.named.insert(named.clone(), answer);
            }
            self.done += 1;
        }
        Ok(())
    }

    fn broken(&mut self, name: String, began: Instant, why: String) -> String {
        let skipped = format!("the script ended at {name}");
        self.cases.push(Case { name, took: began.elapsed(), outcome: Outcome::Broken(why) });
        skipped
    }

    /// Everything of a step but its expectation: what it answers, or what its `when` found.
    async fn until_expected(&mut self, script: &Script, step: &Step) -> Result<Value, String> {
        self.answers.named.remove("found");
        if let Some(at) = step.at {
            self.reach(script, self.start.saturating_add(at)).await?;
        }
        let mut answer = Value::Null;
        if let Some(when) = &step.when {
            let condition = self.condition(when)?;
            answer =
                self.wait(&condition, step.within).await.map_err(|seen| format!("it did not come to this: {seen}"))?;
            self.answers.named.insert("found".into(), answer.clone());
        }
        if let Some(after) = step.after {
            let reading = self.world.clock.now().saturating_add(after);
            self.reach(script, reading).await?;
        }
        if let Some((path, body)) = &step.action {
            self.answers.now = self.world.now();
            let body = fill(body, &self.answers)?;
            answer = self.act(path, body).await?;
        }
        Ok(answer)
    }

    async fn act(&self, path: &[String], body: Value) -> Result<Value, String> {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let action = admin::action(&path, body).map_err(|refused| refused.reason)?;
        action(self.world.clone()).await.map_err(|refused| refused.reason)
    }

    /// Waits until the server's clock reads this; a clock that is driven is put there.
    async fn reach(&self, script: &Script, reading: Duration) -> Result<(), String> {
        let clock = &self.world.clock;
        if script.held {
            let by = reading.saturating_sub(clock.now());
            return clock.advance(by).map_err(|e| e.to_string());
        }
        clock.reaches(reading).await;
        Ok(())
    }

    fn condition(&mut self, written: &Value) -> Result<Condition, String> {
        self.answers.now = self.world.now();
        Condition::read(fill(written, &self.answers)?)
    }

    /// Waits until an expectation is met, and sees that it stays so. The error says how it was.
    async fn expect(&mut self, written: &Value, step: &Step) -> Result<Value, String> {
        let condition = self.condition(written)?;
        let found = self.wait(&condition, step.within).await?;
        self.stays(&condition, step.stays).await?;
        Ok(found)
    }

    /// Waits until a condition is true; what it found then.
    async fn wait(&self, condition: &Condition, within: Duration) -> Result<Value, String> {
        let holds = |look: Look| match (look.holds, look.lost) {
            (true, _) => Some(Ok(look.found)),
            (false, true) => Some(Err(look.seen)),
            (false, false) => None,
        };
        match tokio::time::timeout(within, self.watch(condition, holds)).await {
            Ok(outcome) => outcome?,
            Err(_) => Err(format!("after {within:?}: {}", condition.look(&self.world)?.seen)),
        }
    }

    /// Sees that a condition stays true for so long.
    async fn stays(&self, condition: &Condition, long: Duration) -> Result<(), String> {
        let breaks = |look: Look| (!look.holds).then_some(look.seen);
        match tokio::time::timeout(long, self.watch(condition, breaks)).await {
            Ok(broken) => Err(format!("it did not stay so: {}", broken?)),
            Err(_) => Ok(()),
        }
    }

    /// Looks at a condition at everything that happens, until `wanted` finds something. The error is final.
    async fn watch<T>(&self, condition: &Condition, mut wanted: impl FnMut(Look) -> Option<T>) -> Result<T, String> {
        let mut happened = self.world.journal.watch();
        loop {
            happened.mark_unchanged();
            if let Some(found) = wanted(condition.look(&self.world)?) {
                return Ok(found);
            }
            if happened.changed().await.is_err() {
                return Err("the simulator ended".to_owned());
            }
        }
    }
}
