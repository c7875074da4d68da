//! kill -9, again and again, while messages come and go in two hundred conversations, some of them are read, tagged and archived, and a
//! webhook is told of all of it. Whoever was not answered asks again, as callers and channels do. Afterwards timelines, unread counts,
//! last messages, lists, counts, events and posts must be those of a model that knows nothing of the kills.
//!
//! `model` is what was asked for, `driver` those who ask until they are answered, `check` the comparison.

mod check;
mod driver;
mod model;

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::json;

use crate::files::noise;
use crate::kills::driver::{Job, Lives, Order, Worker};
use crate::kills::model::{Chat, Model};
use crate::pipe::{Pipe, folder_of};
use crate::server::{Options, Server};
use crate::tenant::Tenant;
use crate::wait::until;
use crate::webhook::Receiver;

/// Conversations, and those who write into them.
const CHATS: usize = 200;
const WORKERS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(180);
/// The environment variable with the number of kills.
const KILLS: &str = "POMBO_KILLS";
/// The path of the webhook, and its secret.
const PATH: &str = "/kills";
const SECRET: &str = "a secret of the drill";
/// How many messages before those that were not acknowledged the channel hands out again after each kill.
const REPEATED: usize = 20;

/// The number of kills that the environment asks for, or `default`.
pub fn kills(default: usize) -> Result<usize> {
    match std::env::var(KILLS) {
        Ok(text) => text.parse().with_context(|| format!("{KILLS} is not a number: {text}")),
        Err(_) => Ok(default),
    }
}

fn options() -> Result<Options> {
    let folder = folder_of(&["pipe"])?;
    // A machine that is busy with restarts must not make a post fail for good.
    let own = format!(
        "[sandbox]\nplugin_dir = {:?}\nevents_per_second = 20000\nevent_kb_per_second = 20000\n\
         [webhooks]\ntimeout_seconds = 10\nretry_seconds = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n",
        folder.display().to_string()
    );
    Ok(Options { demo: false, ..Options::with(&own) })
}

/// An engine that is killed, and all that surrounds it.
struct Drill {
    server: Server,
    tenant: Tenant,
    pipe: Pipe,
    receiver: Receiver,
    connector: String,
    lives: Lives,
}

/// What the webhook was told, each thing once: a post may come again after a kill.
#[derive(Default)]
struct Told {
    posts: usize,
    /// By event and message.
    told: BTreeSet<(String, String)>,
}

impl Told {
    /// How much it was told by now.
    fn count(&mut self, receiver: &Receiver) -> usize {
        let new = receiver.received_after(PATH, self.posts);
        self.posts += new.len();
        self.told.extend(new.iter().map(|post| {
            let body = post.json();
            (body["event"].to_string(), body["data"]["message_id"].to_string())
        }));
        self.told.len()
    }
}

/// What one round between two kills adds: messages that come and messages that go, by number.
struct Round {
    came: Range<usize>,
    goes: Range<usize>,
}

/// Kills the engine so many times, spread over 100 messages for each kill, from 1000 to 5000; half of them come, half of them go.
pub fn run(kills: usize) -> Result<()> {
    ensure!(kills > 0, "a drill without kills");
    let each_way = (kills * 50).clamp(500, 2_500);
    let mut drill = Drill::start()?;
    let (mut model, started) = (Model::new(CHATS), Instant::now());
    let busy = drill.kill_again_and_again(kills, each_way, &mut model)?;
    drill.settle(each_way)?;
    drill.archive_and_kill(&mut model)?;
    drill.wait_for_posts()?;
    let client = &drill.tenant.client;
    let entries = check::conversations(client, &drill.connector, &model)?;
    check::channel(&drill.pipe.sent(), &model)?;
    check::events(client, &entries)?;
    check::search(client, &entries)?;
    check::posts(&drill.receiver.received(PATH), SECRET, &entries)?;
    drill.replay(each_way)?;
    check::posts(&drill.receiver.received(PATH), SECRET, &entries).context("after replays")?;
    drill.server.terminate(Duration::from_secs(60))?;
    drill.server.inspect()?;
    let (written, _) = drill.pipe.intake();
    let posts = drill.receiver.count();
    eprintln!(
        "{kills} kills, {busy} of them at work; {each_way} messages each way, {} handed out again, {} posts for {}; {:?}",
        written - each_way,
        posts,
        3 * each_way,
        started.elapsed()
    );
    ensure!(busy * 3 >= kills, "only {busy} of {kills} kills met an engine with work");
    Ok(())
}

impl Drill {
    fn start() -> Result<Self> {
        let server = Server::start(options()?)?;
        let (tenant, pipe, receiver) = (Tenant::create(&server)?, Pipe::start()?, Receiver::start()?);
        let connector = tenant.connector("pipe", &pipe.config())?;
        tenant.pace(&connector, &json!({}))?;
        let webhook = json!({
            "webhookUrl": receiver.url(PATH), "secret": SECRET,
            "events": ["message.received", "message.sent", "message.status"],
        });
        tenant.client.put(&format!("/v1/connectors/{connector}/webhook"), &webhook)?.expect(200)?;
        Ok(Self { server, tenant, pipe, receiver, connector, lives: Lives::default() })
    }

    /// Returns how many kills met an engine that had something to do.
    fn kill_again_and_again(&mut self, kills: usize, each_way: usize, model: &mut Model) -> Result<usize> {
        let Self { server, tenant, pipe, receiver, connector, lives } = self;
        let lives = &*lives;
        std::thread::scope(|scope| {
            let mut queues = Vec::new();
            let mut threads = Vec::new();
            for _ in 0..WORKERS {
                let (queue, jobs) = channel();
                let worker = Worker::new(tenant.client.clone(), connector, lives);
                threads.push(scope.spawn(move || worker.run(jobs)));
                queues.push(queue);
            }
            let mut told = Told::default();
            let killed = (0..kills).try_fold(0, |busy, kill| {
                let upto = |kill: usize| each_way * kill / kills;
                let round = Round { came: upto(kill)..upto(kill + 1), goes: upto(kill)..upto(kill + 1) };
                let around = (&mut *server, &*pipe, &*receiver, &mut told);
                let at_work = one_kill(kill, &round, around, model, |job: Job| {
                    // A worker that failed says why when it is joined.
                    drop(queues[job.chat % WORKERS].send(job));
                });
                let at_work = at_work.with_context(|| format!("kill {kill}"))?;
                lives.begin();
                Ok::<usize, anyhow::Error>(busy + usize::from(at_work))
            });
            drop(queues);
            if killed.is_err() {
                lives.end();
            }
            let mut failed = Vec::new();
            for thread in threads {
                match thread.join().map_err(|_| anyhow!("a worker panicked"))? {
                    Ok(done) => model.take(done)?,
                    Err(error) => failed.push(format!("{error:#}")),
                }
            }
            match killed {
                Ok(busy) if failed.is_empty() => Ok(busy),
                Ok(_) => bail!("{}", failed.join("; ")),
                Err(error) => Err(error.context(format!("the workers: {failed:?}"))),
            }
        })
    }

    /// Waits until all that was asked for is done.
    fn settle(&self, each_way: usize) -> Result<()> {
        self.pipe.wait("every message to be sent", PATIENCE, |sent| sent.len() >= each_way)?;
        self.pipe.wait_stored(self.pipe.intake().0, PATIENCE)?;
        self.tenant.wait_total(&[("status", "SENT")], each_way as u64, PATIENCE)?;
        self.tenant
            .wait_total(&[], each_way as u64, PATIENCE)
            .context("a request that was repeated made another message")
    }

    /// The last kill comes right behind the answers to what no later message undoes.
    fn archive_and_kill(&mut self, model: &mut Model) -> Result<()> {
        for (number, chat) in model.chats.iter_mut().enumerate().filter(|(number, _)| number.is_multiple_of(7)) {
            let id = chat.id.as_ref().with_context(|| format!("conversation {number} was never opened"))?;
            self.tenant.client.post(&format!("/v1/conversations/{id}/archive"), &json!({}))?.expect(200)?;
            chat.is_archived = true;
        }
        self.server.kill()?;
        self.server.launch()
    }

    /// Deliveries that are still to be made.
    fn pending(&self) -> Result<usize> {
        Ok(check::deliveries(&self.tenant.client, &self.connector, "PENDING")?.len())
    }

    fn wait_for_posts(&self) -> Result<()> {
        until("every post", PATIENCE, || Ok((self.pending()? == 0).then_some(())))?;
        let given_up = check::deliveries(&self.tenant.client, &self.connector, "ABANDONED")?;
        ensure!(given_up.is_empty(), "{} posts were given up, the first: {}", given_up.len(), given_up[0]);
        Ok(())
    }

    /// Each change has one delivery; some of them are posted again.
    fn replay(&self, each_way: usize) -> Result<()> {
        let all = check::deliveries(&self.tenant.client, &self.connector, "DELIVERED")?;
        check::one_of_each(&all, each_way)?;
        let (before, some) = (self.receiver.count(), all.iter().step_by(all.len() / 10 + 1));
        let mut replayed = 0;
        for delivery in some {
            let id = crate::tenant::text_of(delivery, "id")?;
            let path = format!("/v1/connectors/{}/webhook/deliveries/{id}/replay", self.connector);
            self.tenant.client.post(&path, &json!({}))?.expect(200)?;
            replayed += 1;
        }
        let goal = before + replayed;
        until("the replays", PATIENCE, || Ok((self.receiver.count() >= goal && self.pending()? == 0).then_some(())))
    }
}

/// Asks for a round, kills in the middle of it, and starts the engine again; whether it had something to do.
fn one_kill(
    kill: usize,
    round: &Round,
    (server, pipe, receiver, told): (&mut Server, &Pipe, &Receiver, &mut Told),
    model: &mut Model,
    order: impl Fn(Job),
) -> Result<bool> {
    let (sent_before, told_before) = (pipe.counts().0, told.count(receiver));
    let stored_before = pipe.intake().1;
    let came: Vec<(usize, String)> = round.came.clone().map(|n| (n % CHATS, format!("in {n:05}: tudo bem?"))).collect();
    let ids = pipe.write_all(came.iter().map(|(chat, text)| (Chat::address(*chat), text.clone())));
    for ((chat, text), id) in came.into_iter().zip(ids) {
        model.chats[chat].received.push((id, text));
    }
    for n in round.goes.clone() {
        // All of them in turn, in another order than that of those who write.
        let chat = (n * 7 + 3) % CHATS;
        order(Job { chat, order: Order::Send(format!("out {n:05}: até já")) });
        if n < CHATS && Chat::is_tagged(chat) {
            order(Job { chat, order: Order::Tag });
        }
        if n.is_multiple_of(5) {
            order(Job { chat, order: Order::Read });
        }
    }
    // Moments drawn from a fixed seed, so that a failure can be tried again: after some of what was asked for, by three counts.
    let draw = usize::from(noise(kill + 1, 0xdead)[kill]);
    let some = |of: usize| 1 + draw % of.max(1);
    match kill % 3 {
        0 => {
            let goal = (sent_before + some(round.goes.len())).min(round.goes.end);
            pipe.wait("some sends", PATIENCE, |sent| sent.len() >= goal)?;
        }
        1 => pipe.wait_stored((stored_before + some(round.came.len())).min(pipe.intake().0), PATIENCE)?,
        _ => {
            let goal = (told_before + some(round.goes.len())).min(3 * round.goes.end);
            until("some posts", PATIENCE, || Ok((told.count(receiver) >= goal).then_some(())))?;
        }
    }
    server.kill()?;
    let (written, stored) = pipe.intake();
    let at_work = stored < written || pipe.counts().0 < round.goes.end || told.count(receiver) < 3 * round.goes.end;
    pipe.repeat(REPEATED);
    // Not each time: whoever inspects the store also recovers it, and here the engine is to do that.
    if kill % 5 == 4 {
        server.inspect()?;
    }
    server.launch()?;
    Ok(at_work)
}
