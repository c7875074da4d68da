//! The document that makes a world, and the same document read back. Called under the world's lock.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::limits::DAY;
use crate::templates;
use crate::world::{App, Number, Portfolio, Token, User, Waba, World};

/// Most users of one document.
const MOST_USERS: usize = 1_000_000;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Document {
    apps: Vec<App>,
    tokens: Vec<Token>,
    portfolios: Vec<Portfolio>,
    wabas: Vec<Waba>,
    numbers: Vec<Number>,
    users: Vec<User>,
    templates: Vec<Value>,
    media: Vec<File>,
    knobs: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    id: String,
    waba: String,
    mime_type: String,
    /// Base64.
    #[serde(default)]
    data: String,
    /// Unix seconds; 30 days from now if not given.
    #[serde(default)]
    expires_at: Option<i64>,
}

/// Adds everything of a document; what has a known id is replaced. Nothing is changed if something is wrong.
pub(crate) fn apply(world: &mut World, document: &Value) -> anyhow::Result<Value> {
    let document: Document = serde_json::from_value(document.clone())?;
    anyhow::ensure!(document.users.len() <= MOST_USERS, "users: at most {MOST_USERS} at a time");
    let knobs = if document.knobs.is_null() { world.knobs.clone() } else { world.knobs.changed(&document.knobs)? };
    let mut made = Vec::with_capacity(document.templates.len());
    for (place, given) in document.templates.iter().enumerate() {
        made.push(template(world, &document, given).map_err(|e| anyhow::anyhow!("templates[{place}]: {e}"))?);
    }
    let mut files = Vec::with_capacity(document.media.len());
    for file in &document.media {
        files.push(Bytes::from(
            STANDARD.decode(&file.data).map_err(|e| anyhow::anyhow!("media {}: data: {e}", file.id))?,
        ));
    }
    for number in &document.numbers {
        let known = world.wabas.contains_key(&number.waba) || document.wabas.iter().any(|waba| waba.id == number.waba);
        anyhow::ensure!(known, "numbers: {}: there is no waba {}", number.id, number.waba);
    }
    for token in &document.tokens {
        let known = world.apps.contains_key(&token.app) || document.apps.iter().any(|app| app.id == token.app);
        anyhow::ensure!(known, "tokens: there is no app {}", token.app);
    }
    world.knobs = knobs;
    world.apps.extend(document.apps.into_iter().map(|app| (app.id.clone(), app)));
    world.tokens.extend(document.tokens.into_iter().map(|token| (token.token.clone(), token)));
    world.portfolios.extend(document.portfolios.into_iter().map(|portfolio| (portfolio.id.clone(), portfolio)));
    world.wabas.extend(document.wabas.into_iter().map(|waba| (waba.id.clone(), waba)));
    for number in document.numbers {
        match world.number(&number.id) {
            Some(place) => world.numbers[place] = number,
            None => {
                world.number_index.insert(number.id.clone(), world.numbers.len());
                world.numbers.push(number);
            }
        }
    }
    for user in document.users {
        world.put_user(user);
    }
    let ids: Vec<String> = made.into_iter().map(|template| world.put_template(template).to_string()).collect();
    for (file, bytes) in document.media.into_iter().zip(files) {
        let id = world.keep_media(file.waba, file.mime_type, bytes, 30 * DAY);
        if let Some(mut kept) = world.media.remove(&id) {
            if let Some(at) = file.expires_at {
                kept.expires = at * 1000;
            }
            world.media.insert(file.id, kept);
        }
    }
    Ok(json!({ "templates": ids }))
}

/// A template of the document: as in a creation, with `waba`, `id`, `status`, `quality`, `pacing` beside. Approved, if it says nothing.
fn template(world: &World, document: &Document, given: &Value) -> anyhow::Result<crate::world::Template> {
    let mut body = given.clone();
    let Some(map) = body.as_object_mut() else { anyhow::bail!("it is not an object") };
    let mut take = |key: &str| map.remove(key).unwrap_or(Value::Null);
    let (id, waba, status, quality, pacing) =
        (take("id"), take("waba"), take("status"), take("quality"), take("pacing"));
    let mut made = templates::checked(&body).map_err(|error| match error.details {
        Some(details) => anyhow::anyhow!("{}: {details}", error.message),
        None => anyhow::anyhow!("{}", error.message),
    })?;
    made.id = match &id {
        Value::Null => 0,
        Value::String(text) => text.parse().map_err(|_| anyhow::anyhow!("id is a number"))?,
        other => other.as_u64().ok_or_else(|| anyhow::anyhow!("id is a number"))?,
    };
    made.waba = match waba.as_str() {
        Some(waba) => waba.to_owned(),
        None => document
            .wabas
            .first()
            .map(|waba| waba.id.clone())
            .or_else(|| world.wabas.keys().next().cloned())
            .unwrap_or_default(),
    };
    made.status = status.as_str().unwrap_or("APPROVED").to_owned();
    made.quality = quality.as_str().unwrap_or("UNKNOWN").to_owned();
    made.pacing = pacing.as_u64().and_then(|most| u32::try_from(most).ok());
    Ok(made)
}

/// Everything that was set up, as JSON.
pub(crate) fn state(world: &World) -> Value {
    let templates: Vec<Value> = world
        .templates
        .values()
        .map(|template| {
            let mut value = template.json();
            value["waba"] = json!(template.waba);
            value["sends"] = json!(template.sends);
            value
        })
        .collect();
    let media: Vec<Value> = world
        .media
        .iter()
        .map(|(id, file)| {
            json!({ "id": id, "waba": file.waba, "mime_type": file.mime, "size": file.bytes.len(), "expires_at": file.expires / 1000 })
        })
        .collect();
    json!({
        "now": world.seconds(), "apps": world.apps.values().collect::<Vec<_>>(),
        "tokens": world.tokens.values().collect::<Vec<_>>(), "portfolios": world.portfolios.values().collect::<Vec<_>>(),
        "wabas": world.wabas.values().collect::<Vec<_>>(), "numbers": world.numbers, "users": world.users,
        "templates": templates, "media": media, "knobs": world.knobs, "accepted": world.accepted,
        "violations": world.violations,
    })
}
