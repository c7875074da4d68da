//! Taking messages of a business: state checks, limits, what becomes of them, and their statuses. It runs under the world's lock, in
//! the task of the connection, and waits for nothing.

use serde_json::{Value, json};

use crate::errors::{GraphError, RATE_CODES, asynchronous};
use crate::form::At;
use crate::knobs::{Receipts, Split, Taken};
use crate::limits::DAY;
use crate::webhooks::Content;
use crate::world::{Sent, User, World, digits};
use crate::{message_form, template_send};

/// Time of a pair's token, in microseconds.
const PAIR_INTERVAL: i64 = 6_000_000;
/// Size of a pair's bucket.
const PAIR_SIZE: i64 = 45;

/// A failure that a status webhook will tell.
pub(crate) type Later = (i64, Option<String>);

/// The template of a message, as far as its fate depends on it.
struct Used {
    id: u64,
    category: String,
    held: bool,
}

/// Takes a message or a read mark. `later` makes it fail after it was accepted.
pub(crate) fn post(
    world: &mut World,
    number: usize,
    body: &Value,
    marketing_api: bool,
    later: Option<Later>,
) -> Result<Value, GraphError> {
    let kind = message_form::check(body, &world.knobs)?;
    let Some(account) = world.numbers.get(number) else { return Err(GraphError::plain(133_010)) };
    if !account.registered {
        return Err(GraphError::plain(133_010));
    }
    let (restricted, own, waba) = (account.restricted_code, account.digits(), account.waba.clone());
    let Some(kind) = kind else { return read_mark(world, body) };
    let mut failure = later;
    if let Some(code) = restricted {
        failure = told(world, code)?.or(failure);
    }
    if body["recipient_type"] == "group" {
        return Err(GraphError::plain(131_051));
    }
    let to = body["to"].as_str().filter(|to| !to.is_empty());
    let user = match to {
        Some(to) if looks_like_bsuid(to) => {
            world.violations.bsuid_in_to += 1;
            // Reported of Meta: accepted, and never heard of again.
            let id = world.wamid("0");
            return Ok(json!({
                "messaging_product": "whatsapp", "contacts": [{ "input": to }], "messages": [{ "id": id }],
            }));
        }
        Some(to) => by_phone(world, to, &own)?,
        None => {
            let recipient = body["recipient"].as_str().unwrap_or_default();
            match world.user_index.get(recipient) {
                Some(user) => *user,
                None => return Err(GraphError::form("Param recipient is not a valid business-scoped user ID.")),
            }
        }
    };
    let used = if kind == "template" { Some(template(world, &waba, &body["template"], marketing_api)?) } else { None };
    if to.is_none() && used.as_ref().is_some_and(|used| used.category == "AUTHENTICATION") {
        return Err(GraphError::plain(131_062));
    }
    if marketing_api && used.is_none() {
        return Err(GraphError::plain(134_100));
    }
    let media_failure = media(world, &waba, &kind, body)?;
    if world.knobs.unknown_message_ids == Taken::Refuse {
        known_ids(world, body)?;
    }
    rates(world, number, user)?;
    let open = world.window_open(number, user);
    if used.is_none() && !open {
        world.violations.outside_window += 1;
    }
    if failure.is_none() {
        failure = fate(world, user, used.as_ref(), open)?;
    }
    if failure.is_none() && used.is_some() && !open {
        failure = tier(world, number, user)?;
    }
    let failure = failure.or(media_failure).or_else(|| reaction(world, &kind, body));
    Ok(accept(world, number, user, body, to, used, open, failure))
}

fn told(world: &World, code: i64) -> Result<Option<Later>, GraphError> {
    match world.knobs.split_of(code) {
        Split::Async => Ok(Some((code, None))),
        Split::Sync => Err(rated(world, GraphError::plain(code))),
    }
}

/// The error with the HTTP status that the knob gives rate codes.
pub(crate) fn rated(world: &World, error: GraphError) -> GraphError {
    match RATE_CODES.contains(&error.code) {
        true => error.with_http(world.knobs.rate_http),
        false => error,
    }
}

fn looks_like_bsuid(to: &str) -> bool {
    let bytes = to.as_bytes();
    bytes.len() > 3 && bytes[0].is_ascii_uppercase() && bytes[1].is_ascii_uppercase() && bytes[2] == b'.'
}

fn by_phone(world: &mut World, to: &str, own: &str) -> Result<usize, GraphError> {
    let phone = digits(to);
    let odd = to.chars().any(|c| !(c.is_ascii_digit() || matches!(c, '+' | '-' | '(' | ')' | ' ')));
    if odd || phone.len() < 5 || phone.len() > 20 || (to.starts_with('+') && world.knobs.plus == Taken::Refuse) {
        return Err(GraphError::coded(131_009, "Recipient phone number is not valid"));
    }
    if phone == own {
        return Err(GraphError::plain(131_021));
    }
    Ok(world.recipient(&phone))
}

fn template(world: &mut World, waba: &str, sent: &Value, marketing_api: bool) -> Result<Used, GraphError> {
    let name = sent["name"].as_str().unwrap_or_default();
    let language = sent["language"]["code"].as_str().unwrap_or_default();
    let key = (waba.to_owned(), name.to_owned(), language.to_owned());
    let missing = || GraphError::coded(132_001, format!("template name ({name}) does not exist in {language}"));
    let id = *world.template_index.get(&key).ok_or_else(missing)?;
    let quick_reply_text = world.knobs.quick_reply_text;
    let template = world.templates.get_mut(&id).ok_or_else(missing)?;
    match template.status.as_str() {
        "APPROVED" => {}
        "PAUSED" => return Err(GraphError::plain(132_015)),
        "DISABLED" => return Err(GraphError::plain(132_016)),
        _ => return Err(missing()),
    }
    if marketing_api && template.category != "MARKETING" {
        return Err(GraphError::plain(134_100));
    }
    template_send::fits(&template.shape, &sent["components"], quick_reply_text)?;
    template.sends += 1;
    let held = template.pacing.is_some_and(|most| template.sends > most);
    Ok(Used { id, category: template.category.clone(), held })
}

/// Whether ids are good; a file or a link that turns out bad later is the returned failure.
fn media(world: &World, waba: &str, kind: &str, body: &Value) -> Result<Option<Later>, GraphError> {
    let mut found: Vec<(String, &str, &Value)> = Vec::new();
    match kind {
        "image" | "video" | "audio" | "document" | "sticker" => found.push((kind.to_owned(), kind, &body[kind])),
        "template" => found.extend(template_send::media(&body["template"])),
        "interactive" => {
            let header = &body["interactive"]["header"];
            for kind in ["image", "video", "document"] {
                if header["type"] == kind && !header[kind].is_null() {
                    found.push((format!("interactive['header']['{kind}']"), kind, &header[kind]));
                }
            }
        }
        _ => {}
    }
    let mut failure = None;
    for (path, kind, object) in found {
        let id = match &object["id"] {
            Value::String(id) => Some(id.clone()),
            Value::Number(id) => Some(id.to_string()),
            _ => None,
        };
        if let Some(id) = id {
            let good = world.media.get(&id).filter(|file| file.waba == waba && file.expires > world.now());
            let Some(file) = good else {
                return Err(GraphError::form(format!(
                    "Param {path}['id'] is not a valid whatsapp business account media attachment ID"
                )));
            };
            if !suits(kind, &file.mime) {
                failure = Some((131_053, Some(format!("Media of type {} cannot be sent as {kind}", file.mime))));
            }
        } else if let Some(link) = object["link"].as_str() {
            // Of a plain message it was checked with the form.
            if path.contains('[') {
                message_form::link(&At::Key(&At::Body, &format!("{path}['link']")), link)?;
            }
            if world.knobs.bad_links.iter().any(|bad| link.contains(bad.as_str())) {
                failure = Some((131_053, Some(format!("Downloading media from weblink failed: {link}"))));
            }
        }
    }
    Ok(failure)
}

fn suits(kind: &str, mime: &str) -> bool {
    match kind {
        "image" => matches!(mime, "image/jpeg" | "image/png"),
        "video" => mime.starts_with("video/"),
        "audio" => mime.starts_with("audio/"),
        "sticker" => mime == "image/webp",
        _ => true,
    }
}

fn known_ids(world: &World, body: &Value) -> Result<(), GraphError> {
    for id in [&body["context"]["message_id"], &body["reaction"]["message_id"]] {
        if let Some(id) = id.as_str()
            && !world.sent_index.contains_key(id)
            && !world.said_index.contains_key(id)
        {
            return Err(GraphError::coded(131_009, "Message id is not known"));
        }
    }
    Ok(())
}

fn rates(world: &mut World, number: usize, user: usize) -> Result<(), GraphError> {
    let now = world.now();
    let limits = world.knobs.limits;
    let rate = i64::from(world.numbers.get(number).map_or(80, |number| number.throughput.max(1)));
    let interval = 1_000_000 / rate;
    let through = world.throughput.entry(number).or_default();
    if !through.has(now, interval, rate) {
        world.violations.throughput_exceeded += 1;
        if limits {
            return Err(rated(world, GraphError::plain(130_429)));
        }
    }
    let pair = world.pairs.entry((number, user)).or_default();
    if !pair.take(now, PAIR_INTERVAL, PAIR_SIZE) {
        world.violations.pair_exceeded += 1;
        if limits {
            return Err(rated(world, GraphError::plain(131_056)));
        }
    }
    world.throughput.entry(number).or_default().charge(now, interval);
    Ok(())
}

/// What people and countries make of a message.
fn fate(world: &mut World, user: usize, used: Option<&Used>, open: bool) -> Result<Option<Later>, GraphError> {
    let now = world.now();
    let Some(person) = world.users.get(user) else { return told(world, 131_026) };
    if person.country.as_ref().is_some_and(|country| world.knobs.blocked_countries.contains(country)) {
        return told(world, 130_497);
    }
    if !person.has_whatsapp || person.blocked || person.old_client {
        return told(world, 131_026);
    }
    let Some(used) = used else {
        return if open { Ok(None) } else { told(world, 131_047) };
    };
    if used.category != "MARKETING" {
        return Ok(None);
    }
    if person.opted_out {
        return told(world, 131_050);
    }
    if person.is_american() {
        return told(world, 131_049);
    }
    if let Some(most) = world.knobs.marketing_per_user
        && !open
    {
        let recent = world.marketing.entry(user).or_default();
        while recent.front().is_some_and(|at| *at <= now - DAY) {
            recent.pop_front();
        }
        if recent.len() >= most {
            return told(world, 131_049);
        }
        recent.push_back(now);
    }
    Ok(None)
}

fn tier(world: &mut World, number: usize, user: usize) -> Result<Option<Later>, GraphError> {
    let Some(portfolio) = world.portfolio_of(number) else { return Ok(None) };
    let (id, limit, now) = (portfolio.id.clone(), portfolio.limit(), world.now());
    let distinct = world.tiers.entry(id).or_default();
    if let Some(limit) = limit
        && !distinct.holds(now, user)
        && distinct.count(now) >= limit
    {
        world.violations.tier_exceeded += 1;
        if !world.knobs.limits || world.knobs.tier_code == 0 {
            distinct.add(now, user);
            return Ok(None);
        }
        return told(world, world.knobs.tier_code);
    }
    distinct.add(now, user);
    Ok(None)
}

/// A reaction to what cannot be reacted to.
fn reaction(world: &World, kind: &str, body: &Value) -> Option<Later> {
    if kind != "reaction" {
        return None;
    }
    let target = body["reaction"]["message_id"].as_str().unwrap_or_default();
    let (at, of) = if let Some(place) = world.said_index.get(target) {
        let said = world.said.get(place)?;
        (said.at, said.message["type"].as_str().unwrap_or_default())
    } else {
        let sent = world.sent.get(world.sent_index.get(target)?)?;
        (sent.at, sent.body["type"].as_str().unwrap_or_default())
    };
    (of == "reaction" || world.now() - at > 30 * DAY).then_some((131_009, None))
}

#[expect(clippy::too_many_arguments, reason = "all that was found out about one message")]
fn accept(
    world: &mut World,
    number: usize,
    user: usize,
    body: &Value,
    to: Option<&str>,
    used: Option<Used>,
    open: bool,
    failure: Option<Later>,
) -> Value {
    world.accepted += 1;
    let now = world.now();
    let (phone, wa_id, user_id) = match world.users.get(user) {
        Some(user) => (
            user.phone.clone().unwrap_or_default(),
            user.wa_id.clone().or_else(|| user.phone.clone()),
            user.user_id.clone(),
        ),
        None => Default::default(),
    };
    let id = world.wamid(&phone);
    let callback_data = body["biz_opaque_callback_data"].as_str().map(str::to_owned);
    if let Some(data) = &callback_data
        && !world.callback_data.insert((user, data.clone()))
    {
        world.violations.duplicate_callback_data += 1;
    }
    if let Some((at, until @ None)) = world.entries.get_mut(&(number, user))
        && now - *at < DAY
    {
        *until = Some(now + 3 * DAY);
    }
    let free = world.entries.get(&(number, user)).and_then(|(_, until)| *until).is_some_and(|until| until > now);
    let held = used.as_ref().is_some_and(|used| used.held);
    let status = match (&failure, held) {
        (_, true) => "held",
        (Some(_), _) => "failed",
        _ => "accepted",
    };
    let sent = Sent {
        id: id.clone(),
        number,
        user,
        at: now,
        body: body.clone(),
        callback_data,
        template: used.as_ref().map(|used| used.id),
        pricing: Some(pricing(used.as_ref(), open, free)),
        status,
        code: failure.as_ref().map(|(code, _)| *code),
    };
    let is_reaction = message_form::kind_of(body) == "reaction";
    let fast = world.fast;
    if fast {
        if world.knobs.webhooks && !held {
            progress(world, &mut sent.clone(), failure, is_reaction);
        }
    } else {
        let mut sent = sent;
        if !held {
            progress(world, &mut sent, failure, is_reaction);
        }
        world.keep_sent(sent);
    }
    let contact = match to {
        Some(to) => json!({ "input": to, "wa_id": wa_id }),
        None => json!({ "input": body["recipient"], "user_id": user_id }),
    };
    let mut message = json!({ "id": id });
    if used.is_some() {
        message["message_status"] = json!(if held { "held_for_quality_assessment" } else { "accepted" });
    }
    json!({ "messaging_product": "whatsapp", "contacts": [contact], "messages": [message] })
}

fn pricing(used: Option<&Used>, open: bool, free_entry: bool) -> Value {
    let category = used.map_or_else(|| "service".to_owned(), |used| used.category.to_lowercase());
    let (kind, category) = match (free_entry, used) {
        (true, _) => ("free_entry_point", "referral_conversion".to_owned()),
        (false, None) => ("free_customer_service", category),
        (false, Some(used)) if open && used.category == "UTILITY" => ("free_customer_service", category),
        _ => ("regular", category),
    };
    json!({ "billable": kind == "regular", "pricing_model": "PMP", "type": kind, "category": category })
}

/// The statuses that a message gets by itself.
fn progress(world: &mut World, sent: &mut Sent, failure: Option<Later>, is_reaction: bool) {
    if let Some((code, details)) = failure {
        sent.status = "failed";
        sent.code = Some(code);
        status(world, sent, "failed", Some((code, details)));
        return;
    }
    let receipts_on = world.users.get(sent.user).is_some_and(|user| user.receipts_on);
    for (step, from) in [("sent", Receipts::Sent), ("delivered", Receipts::Delivered), ("read", Receipts::Read)] {
        if world.knobs.receipts < from || (step == "read" && !receipts_on) || (step != "sent" && is_reaction) {
            break;
        }
        sent.status = step;
        status(world, sent, step, None);
    }
}

/// Queues one status.
pub(crate) fn status(world: &mut World, sent: &Sent, status: &str, failure: Option<Later>) {
    let Some(account) = world.numbers.get(sent.number) else { return };
    let Some(user) = world.users.get(sent.user) else { return };
    let (number, display, waba) = (account.id.clone(), account.digits(), account.waba.clone());
    let item = status_item(world, sent, user, status, failure.as_ref());
    let contact = (status != "failed").then(|| user.contact());
    world.emit(&waba, Some(sent.number), Content::Messaging { number, display, contact, item, status: true });
}

fn status_item(world: &World, sent: &Sent, user: &User, status: &str, failure: Option<&Later>) -> Value {
    let mut item = json!({ "id": sent.id, "status": status, "timestamp": world.seconds().to_string() });
    if let Some(wa_id) = user.visible_wa_id() {
        item["recipient_id"] = json!(wa_id);
    }
    if let Some(user_id) = &user.user_id {
        item["recipient_user_id"] = json!(user_id);
    }
    if let Some(data) = &sent.callback_data {
        item["biz_opaque_callback_data"] = json!(data);
    }
    if matches!(status, "sent" | "delivered")
        && let Some(pricing) = &sent.pricing
    {
        item["pricing"] = pricing.clone();
        if world.knobs.conversation || pricing["type"] == "free_entry_point" {
            item["conversation"] = json!({
                "id": format!("{:x}", sent.user * 7919 + sent.number),
                "expiration_timestamp": (world.seconds() + 86_400).to_string(),
                "origin": { "type": pricing["category"] },
            });
        }
    }
    if let Some((code, details)) = failure {
        item["errors"] = json!([asynchronous(*code, details.as_deref())]);
    }
    item
}

/// Takes a message to this status, with those between. Nothing happens to one that failed or is further.
pub(crate) fn advance(world: &mut World, id: &str, target: &str) -> bool {
    const STEPS: [&str; 5] = ["accepted", "sent", "delivered", "read", "played"];
    let Some(place) = world.sent_index.get(id).copied() else { return false };
    let Some(mut sent) = world.sent.get(&place).cloned() else { return false };
    let rank = |status: &str| STEPS.iter().position(|step| *step == status);
    let (Some(from), Some(to)) = (rank(sent.status), rank(target)) else { return false };
    for step in STEPS.into_iter().skip(from + 1).take(to.saturating_sub(from)) {
        sent.status = step;
        status(world, &sent, step, None);
    }
    world.sent.insert(place, sent);
    to > from
}

/// Lets a message fail now, whatever it was before.
pub(crate) fn fail(world: &mut World, id: &str, code: i64, details: Option<String>) -> bool {
    let Some(place) = world.sent_index.get(id).copied() else { return false };
    let Some(mut sent) = world.sent.get(&place).cloned() else { return false };
    sent.status = "failed";
    sent.code = Some(code);
    status(world, &sent, "failed", Some((code, details)));
    world.sent.insert(place, sent);
    true
}

/// Lets go of the held messages of a template, or drops them with 132015.
pub(crate) fn release(world: &mut World, template: u64, deliver: bool) -> usize {
    let held: Vec<u64> = world
        .sent
        .iter()
        .filter(|(_, sent)| sent.template == Some(template) && sent.status == "held")
        .map(|(place, _)| *place)
        .collect();
    for place in &held {
        let Some(mut sent) = world.sent.get(place).cloned() else { continue };
        sent.status = "accepted";
        let failure = match (deliver, sent.code) {
            (false, _) => Some((132_015, None)),
            (true, Some(code)) => Some((code, None)),
            (true, None) => None,
        };
        progress(world, &mut sent, failure, false);
        world.sent.insert(*place, sent);
    }
    held.len()
}

fn read_mark(world: &mut World, body: &Value) -> Result<Value, GraphError> {
    let id = body["message_id"].as_str().unwrap_or_default();
    match world.said_index.get(id).copied() {
        Some(place) => {
            let Some(marked) = world.said.get(&place) else { return Ok(json!({ "success": true })) };
            if world.now() - marked.at > 30 * DAY {
                return Err(GraphError::coded(131_009, "Message is older than 30 days"));
            }
            let (number, user) = (marked.number, marked.user);
            // Earlier ones are read too.
            for said in world.said.range_mut(..=place).map(|(_, said)| said) {
                if said.number == number && said.user == user {
                    said.read = true;
                }
            }
        }
        None if world.knobs.unknown_message_ids == Taken::Refuse => {
            return Err(GraphError::coded(131_009, "Message id is not known"));
        }
        None => {}
    }
    Ok(json!({ "success": true }))
}
