//! The admin: what tests and the page do to the simulated world, as JSON. It owns nothing; each route is one function of a neighbouring
//! module, in the task of its connection.
//!
//! | | |
//! |---|---|
//! | `POST /admin/setup {apps, tokens, portfolios, wabas, numbers, users, templates, media, knobs}` | makes all of that |
//! | `GET /admin/state` | everything |
//! | `POST /admin/user/{id}/say {number_id?, message, referral?, context?}` | a person writes |
//! | `POST /admin/user/{id}/read {message_id?}`, `/delete {message_id}`, `/press {message_id, index}` | and so on |
//! | `POST /admin/user/{id}/preference {value}`, `/number {phone, user_id?}` | stops marketing; changes the number |
//! | `GET /admin/chat/{id}` | what a person and the numbers wrote to one another |
//! | `POST /admin/clock {advance_seconds?, freeze_at?, run?}` | drives the clock |
//! | `GET`, `POST /admin/knobs {…}` | settings |
//! | `GET`, `POST /admin/faults […]`, `DELETE /admin/faults` | what goes wrong |
//! | `GET /admin/journal?after=`, `GET /admin/violations`, `GET /admin/messages?user=`, `GET /admin/deliveries` | what happened |
//! | `POST /admin/template/{id}/status {event, reason?}`, `/quality {score}`, `/category {category}`, `/release {deliver}` | templates |
//! | `POST /admin/message/{id}/status {status, code?, details?}` | a status by hand |
//! | `POST /admin/app/{id}/callback {url, verify_token?, verify?}` | where webhooks go |
//! | `POST /admin/webhook {app?, body, raw?}` | posts any body, signed |
//! | `POST /admin/field {waba?, field, value}` | an update of any field |
//! | `POST /admin/flush` | waits until what is due was delivered |

use std::time::Instant;

use bytes::Bytes;
use serde_json::{Value, json};

use crate::call::Target;
use crate::faults::Fault;
use crate::sim::Shared;
use crate::webhooks::{self, Content};
use crate::world::World;
use crate::{messages, people, server, setup};

/// Answers one request.
pub(crate) async fn call(shared: &Shared, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
    let path = path.split('?').next().unwrap_or_default().trim_start_matches("/admin");
    let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method, segments.as_slice()) {
        ("POST", ["flush"]) => {
            shared.flush().await;
            Ok(done())
        }
        ("POST", ["webhook"]) => webhook(shared, body).await,
        ("POST", ["app", app, "callback"]) => callback(shared, app, body).await,
        ("POST", ["knobs"]) => knobs(shared, body),
        ("POST", ["faults"]) => faults(shared, body),
        _ => {
            let answer = at_once(&mut shared.world.lock(), method, &segments, body);
            shared.wake.notify_one();
            answer
        }
    }
}

/// Changes settings.
pub(crate) fn knobs(shared: &Shared, changes: &Value) -> anyhow::Result<Value> {
    let mut world = shared.world.lock();
    world.knobs = world.knobs.changed(changes)?;
    if !changes["drop_first"].is_null() {
        world.outbox.begin_dropping();
    }
    let knobs = json!(world.knobs);
    drop(world);
    shared.wake.notify_one();
    Ok(knobs)
}

/// Adds rules of what goes wrong: a list, or one.
pub(crate) fn faults(shared: &Shared, rules: &Value) -> anyhow::Result<Value> {
    let list = if rules.is_array() { rules.clone() } else { json!([rules]) };
    let list: Vec<Fault> = serde_json::from_value(list)?;
    shared.world.lock().faults.add(list)?;
    Ok(done())
}

fn at_once(world: &mut World, method: &str, segments: &[&str], body: &Value) -> anyhow::Result<Value> {
    match (method, segments) {
        ("POST", ["setup"]) => setup::apply(world, body),
        ("GET", ["state"]) => Ok(setup::state(world)),
        ("POST", ["user", id, "say"]) => people::say(world, id, body),
        ("POST", ["user", id, "read"]) => people::read(world, id, body),
        ("POST", ["user", id, "delete"]) => people::delete(world, id, body),
        ("POST", ["user", id, "press"]) => people::press(world, id, body),
        ("POST", ["user", id, "preference"]) => people::preference(world, id, body),
        ("POST", ["user", id, "number"]) => people::change_number(world, id, body),
        ("GET", ["chat", id]) => chat(world, id),
        ("POST", ["clock"]) => clock(world, body),
        ("GET", ["clock"]) => Ok(json!({ "now": world.seconds(), "frozen": world.clock.frozen.is_some() })),
        ("GET", ["knobs"]) => Ok(json!(world.knobs)),
        ("GET", ["faults"]) => {
            let rules: Vec<Value> =
                world.faults.list().iter().map(|(rule, seen)| json!({ "rule": rule, "matched": seen })).collect();
            Ok(json!(rules))
        }
        ("DELETE", ["faults"]) => {
            world.faults.clear();
            Ok(done())
        }
        ("GET", ["journal"]) => Ok(json!(world.journal.after(after(body)))),
        ("GET", ["violations"]) => Ok(json!(world.violations)),
        ("GET", ["deliveries"]) => Ok(world.outbox.report()),
        ("GET", ["messages"]) => Ok(sent(world, body)),
        ("POST", ["template", id, "status"]) => {
            let event = text(body, "event")?.to_uppercase();
            known(world.set_template_status(number(id)?, &event, body["reason"].as_str()), id)
        }
        ("POST", ["template", id, "quality"]) => {
            let score = body["score"].as_str().or_else(|| body["quality"].as_str()).unwrap_or("UNKNOWN").to_uppercase();
            known(world.set_template_quality(number(id)?, &score), id)
        }
        ("POST", ["template", id, "category"]) => {
            let category = text(body, "category")?.to_uppercase();
            known(world.set_template_category(number(id)?, &category), id)
        }
        ("POST", ["template", id, "release"]) => {
            let deliver = body["deliver"].as_bool().unwrap_or(true);
            if let Some(template) = world.templates.get_mut(&number(id)?) {
                template.pacing = None;
            }
            Ok(json!({ "released": messages::release(world, number(id)?, deliver) }))
        }
        ("POST", ["message", id, "status"]) => {
            let status = text(body, "status")?;
            let details = body["details"].as_str().map(str::to_owned);
            match status {
                "failed" => known(messages::fail(world, id, body["code"].as_i64().unwrap_or(131_000), details), id),
                status => Ok(json!({ "changed": messages::advance(world, id, status) })),
            }
        }
        ("POST", ["field"]) => {
            let waba = body["waba"].as_str().map(str::to_owned).or_else(|| world.wabas.keys().next().cloned());
            let Some(waba) = waba else { anyhow::bail!("there is no WABA") };
            let content = Content::Field { field: text(body, "field")?.to_owned(), value: body["value"].clone() };
            world.emit(&waba, None, content);
            Ok(done())
        }
        _ => anyhow::bail!("there is no {method} /admin/{}", segments.join("/")),
    }
}

fn done() -> Value {
    json!({ "ok": true })
}

fn after(body: &Value) -> u64 {
    body["after"].as_u64().or_else(|| body["after"].as_str()?.parse().ok()).unwrap_or(0)
}

fn text<'a>(body: &'a Value, key: &str) -> anyhow::Result<&'a str> {
    body[key].as_str().ok_or_else(|| anyhow::anyhow!("{key} is missing"))
}

fn number(id: &str) -> anyhow::Result<u64> {
    id.parse().map_err(|_| anyhow::anyhow!("{id} is not an id"))
}

fn known(is: bool, id: &str) -> anyhow::Result<Value> {
    anyhow::ensure!(is, "there is no {id}");
    Ok(done())
}

fn clock(world: &mut World, body: &Value) -> anyhow::Result<Value> {
    if let Some(at) = body["freeze_at"].as_i64() {
        world.clock.frozen = Some(at * 1000);
        world.clock.ahead = 0;
    }
    if body["run"] == true
        && let Some(frozen) = world.clock.frozen.take()
    {
        // It runs on from where it stood.
        world.clock.ahead += frozen - crate::world::wall();
    }
    world.clock.ahead += body["advance_seconds"].as_i64().unwrap_or(0) * 1000;
    Ok(json!({ "now": world.seconds() }))
}

/// The messages of the business, the newest last: all, or those to one person.
fn sent(world: &World, query: &Value) -> Value {
    let user = query["user"].as_str().map(|key| world.user(key));
    let list: Vec<Value> = world
        .sent
        .values()
        .filter(|sent| user.is_none_or(|user| user == Some(sent.user)))
        .map(|sent| {
            json!({
                "id": sent.id, "number_id": world.numbers[sent.number].id, "user": world.users[sent.user].id,
                "time": sent.at / 1000, "status": sent.status, "code": sent.code,
                "biz_opaque_callback_data": sent.callback_data, "template": sent.template, "message": sent.body,
            })
        })
        .collect();
    json!(list)
}

fn chat(world: &World, who: &str) -> anyhow::Result<Value> {
    let user = world.user(who).ok_or_else(|| anyhow::anyhow!("there is no user {who}"))?;
    let sent = world.sent.iter().filter(|(_, sent)| sent.user == user).map(|(place, sent)| {
        let template =
            sent.template.and_then(|id| world.templates.get(&id)).map(|template| template.components.clone());
        let line = json!({
            "id": sent.id, "by": "business", "number_id": world.numbers[sent.number].id, "time": sent.at / 1000,
            "status": sent.status, "code": sent.code, "message": sent.body, "template": template,
        });
        (*place, line)
    });
    let said = world.said.iter().filter(|(_, said)| said.user == user).map(|(place, said)| {
        let line = json!({
            "id": said.id, "by": "user", "number_id": world.numbers[said.number].id, "time": said.at / 1000,
            "read": said.read, "message": said.message,
        });
        (*place, line)
    });
    let mut lines: Vec<(u64, Value)> = sent.chain(said).collect();
    lines.sort_by_key(|(place, _)| *place);
    Ok(json!(lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>()))
}

async fn callback(shared: &Shared, app: &str, body: &Value) -> anyhow::Result<Value> {
    let url = text(body, "url")?;
    let token = {
        let mut world = shared.world.lock();
        let Some(known) = world.apps.get_mut(app) else { anyhow::bail!("there is no app {app}") };
        if let Some(token) = body["verify_token"].as_str() {
            known.verify_token = token.to_owned();
        }
        if body["verify"] == false {
            known.callback = Some(url.to_owned());
            return Ok(json!({ "verified": false }));
        }
        known.verify_token.clone()
    };
    match server::set_callback(shared, url, &token, &Target::App(app.to_owned())).await {
        Ok(()) => Ok(json!({ "verified": true })),
        Err(error) => Err(anyhow::anyhow!(error.message)),
    }
}

/// Posts a body to an app's callback, signed with its secret. `raw` is a text that is posted as it is.
async fn webhook(shared: &Shared, body: &Value) -> anyhow::Result<Value> {
    let (url, secret) = {
        let world = shared.world.lock();
        let app = match body["app"].as_str() {
            Some(id) => world.apps.get(id),
            None => world.apps.values().next(),
        };
        let Some(app) = app else { anyhow::bail!("there is no such app") };
        let Some(url) = app.callback.clone() else { anyhow::bail!("app {} has no callback", app.id) };
        (url, app.secret.clone())
    };
    let bytes = match body["raw"].as_str() {
        Some(raw) => Bytes::from(raw.to_owned()),
        None => Bytes::from(webhooks::escaped(&body["body"])),
    };
    let signature = match body["signature"].as_str() {
        Some(signature) => signature.to_owned(),
        None => webhooks::signature(&secret, &bytes),
    };
    let began = Instant::now();
    let (status, answer) = webhooks::post(&url, &signature, bytes).await?;
    let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    Ok(json!({ "status": status, "body": answer, "micros": micros }))
}
