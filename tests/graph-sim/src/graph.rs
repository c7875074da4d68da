//! The routes of Graph: tokens and rights, numbers, WABAs and apps. Messages, media and templates have files of their own. It runs
//! under the world's lock, in the task of the connection, and waits for nothing: what needs waiting is in the reply's [`Then`].

use hyper::Method;
use serde_json::{Value, json};

use crate::call::{Call, Reply, Target, Then};
use crate::errors::GraphError;
use crate::limits::Recent;
use crate::messages::{self, Later, rated};
use crate::webhooks::signature;
use crate::world::{Token, World};
use crate::{files, samples, templates};

const HOUR: i64 = 3600 * 1000;

/// Answers a request. `later` makes a message fail after it was accepted.
pub(crate) fn handle(world: &mut World, call: &Call, later: Option<Later>) -> Result<Reply, GraphError> {
    let segments: Vec<&str> = call.segments.iter().map(String::as_str).collect();
    if segments.first() == Some(&"debug_token") {
        return debug_token(world, call);
    }
    // The secret of an app is its token for its own settings.
    if let [app, "subscriptions"] = segments.as_slice() {
        return subscriptions(world, call, app);
    }
    let token = token(world, call)?;
    if segments.first() == Some(&"lookaside") {
        return files::download(world, call);
    }
    proven(world, call, &token)?;
    let segments = segments.as_slice();
    let first = segments.first().copied().unwrap_or_default();
    let unknown = || GraphError::unknown_object(call.method.as_str(), first);
    if let Some(number) = world.number(first) {
        let waba = world.numbers[number].waba.clone();
        allowed(world, &token, &waba, call, first)?;
        return number_route(world, call, number, segments, &token, later);
    }
    if world.wabas.contains_key(first) {
        allowed(world, &token, first, call, first)?;
        scope(&token, "whatsapp_business_management")?;
        managed(world, &token, first)?;
        return match &segments[1..] {
            ["message_templates"] => templates::collection(world, call, first),
            ["phone_numbers"] if call.method == Method::GET => Ok(phone_numbers(world, call, first)),
            ["subscribed_apps"] => subscribed_apps(world, call, first, &token),
            [] if call.method == Method::GET => Ok(Reply::json(waba(world, first))),
            [] if call.method == Method::POST => {
                if let (Some(name), Some(waba)) = (call.json["name"].as_str(), world.wabas.get_mut(first)) {
                    waba.name = name.to_owned();
                }
                Ok(Reply::success())
            }
            _ => Err(unknown()),
        };
    }
    if first.starts_with("upload:") {
        return samples::session(world, call, first, &token);
    }
    if world.apps.contains_key(first) && segments.get(1) == Some(&"uploads") {
        return samples::begin(world, call, first, &token);
    }
    if let Some(id) = first.parse::<u64>().ok().filter(|id| world.templates.contains_key(id)) {
        let waba = world.templates[&id].waba.clone();
        allowed(world, &token, &waba, call, first)?;
        scope(&token, "whatsapp_business_management")?;
        managed(world, &token, &waba)?;
        return templates::single(world, call, id, segments.get(1).copied());
    }
    if let Some(file) = world.media.get(first) {
        let waba = file.waba.clone();
        allowed(world, &token, &waba, call, first)?;
        return files::single(world, call, first);
    }
    // Neither an object's id nor anything that Graph has: the token went astray.
    if !first.bytes().all(|b| b.is_ascii_digit()) {
        world.violations.token_to_foreign_path += 1;
    }
    Err(unknown())
}

fn token(world: &World, call: &Call) -> Result<Token, GraphError> {
    let Some(given) = &call.token else {
        return Err(GraphError::plain(200).with_http(403));
    };
    let Some(token) = world.tokens.get(given) else {
        return Err(GraphError::token(None, "Invalid OAuth access token - Cannot parse access token"));
    };
    if token.revoked {
        let text = "Error validating access token: The session has been invalidated because the user changed their password \
                    or Facebook has changed the session for security reasons.";
        return Err(GraphError::token(Some(460), text));
    }
    if token.expires_at != 0 && token.expires_at <= world.seconds() {
        let text = format!("Error validating access token: Session has expired on {}.", token.expires_at);
        return Err(GraphError::token(Some(463), text));
    }
    Ok(token.clone())
}

/// Checks the proof that the caller knows the secret of the token's app: one that is given, and whether there must be one.
fn proven(world: &World, call: &Call, token: &Token) -> Result<(), GraphError> {
    match call.value("appsecret_proof") {
        Some(given) => {
            let secret = world.apps.get(&token.app).map(|app| app.secret.as_str()).unwrap_or_default();
            if given == signature(secret, token.token.as_bytes()) {
                return Ok(());
            }
            Err(GraphError::proof("Invalid appsecret_proof provided in the API argument"))
        }
        None if world.knobs.require_proof => {
            Err(GraphError::proof("API calls from the server require an appsecret_proof argument"))
        }
        None => Ok(()),
    }
}

fn scope(token: &Token, scope: &str) -> Result<(), GraphError> {
    match token.scopes.iter().any(|has| has == scope) {
        true => Ok(()),
        false => Err(GraphError::plain(10)),
    }
}

fn allowed(world: &mut World, token: &Token, waba: &str, call: &Call, id: &str) -> Result<(), GraphError> {
    if token.wabas.as_ref().is_none_or(|wabas| wabas.iter().any(|may| may == waba)) {
        return Ok(());
    }
    world.violations.token_to_foreign_path += 1;
    Err(GraphError::unknown_object(call.method.as_str(), id))
}

/// Counts a management call.
fn managed(world: &mut World, token: &Token, waba: &str) -> Result<(), GraphError> {
    let now = world.now();
    let registered = world.numbers.iter().any(|number| number.waba == waba && number.registered);
    let most = world.knobs.management_per_hour.unwrap_or(if registered { 5000 } else { 200 });
    let recent: &mut Recent = world.management.entry((token.app.clone(), waba.to_owned())).or_default();
    if recent.count(now, HOUR) >= most {
        world.violations.management_exceeded += 1;
        if world.knobs.limits {
            return Err(rated(world, GraphError::plain(80_008)));
        }
        return Ok(());
    }
    recent.add(now);
    Ok(())
}

fn number_route(
    world: &mut World,
    call: &Call,
    number: usize,
    segments: &[&str],
    token: &Token,
    later: Option<Later>,
) -> Result<Reply, GraphError> {
    let post = call.method == Method::POST;
    match &segments[1..] {
        [route @ ("messages" | "marketing_messages")] if post => {
            scope(token, "whatsapp_business_messaging")?;
            let answer = messages::post(world, number, &call.json, *route == "marketing_messages", later)?;
            let then = if world.knobs.status_before_answer { Then::Flush } else { Then::Answer };
            Ok(Reply { then, ..Reply::json(answer) })
        }
        ["media"] if post => {
            scope(token, "whatsapp_business_messaging")?;
            files::upload(world, call, number)
        }
        [] if call.method == Method::GET => Ok(Reply::json(picked(number_json(world, number), call))),
        [] if post => {
            if let Some(uri) = call.json["webhook_configuration"]["override_callback_uri"].as_str() {
                world.numbers[number].override_callback = Some(uri.to_owned()).filter(|uri| !uri.is_empty());
            }
            Ok(Reply::success())
        }
        ["register"] if post => {
            if call.json["pin"].as_str().is_none_or(|pin| pin.len() != 6) {
                return Err(GraphError::plain(133_005));
            }
            world.numbers[number].registered = true;
            Ok(Reply::success())
        }
        ["deregister"] if post => {
            world.numbers[number].registered = false;
            Ok(Reply::success())
        }
        ["request_code" | "verify_code" | "settings"] if post => Ok(Reply::success()),
        ["settings"] => Ok(Reply::json(json!({}))),
        ["whatsapp_business_profile"] if post => {
            let profile = &mut world.numbers[number].profile;
            for (key, value) in call.json.as_object().into_iter().flatten() {
                profile[key.as_str()] = value.clone();
            }
            Ok(Reply::success())
        }
        ["whatsapp_business_profile"] => {
            let mut profile = world.numbers[number].profile.clone();
            profile["messaging_product"] = json!("whatsapp");
            Ok(Reply::json(json!({ "data": [picked(profile, call)] })))
        }
        ["block_users"] => block_users(world, call, number),
        ["contact_book"] if call.method == Method::DELETE => Ok(Reply::success()),
        _ => Err(GraphError::unknown_object(call.method.as_str(), segments.first().copied().unwrap_or_default())),
    }
}

fn block_users(world: &mut World, call: &Call, number: usize) -> Result<Reply, GraphError> {
    if call.method == Method::GET {
        let blocked = world.blocked_by_business.iter().filter(|(of, _)| *of == number);
        let data: Vec<Value> = blocked
            .filter_map(|(_, user)| world.users.get(*user))
            .map(
                |user| json!({ "messaging_product": "whatsapp", "wa_id": user.wa_id.as_ref().or(user.phone.as_ref()) }),
            )
            .collect();
        return Ok(Reply::json(json!({ "data": data })));
    }
    let mut done = Vec::new();
    for entry in call.json["block_users"].as_array().into_iter().flatten() {
        let input = entry["user"].as_str().unwrap_or_default();
        let Some(user) = world.user(input) else { continue };
        match call.method == Method::DELETE {
            true => world.blocked_by_business.remove(&(number, user)),
            false => world.blocked_by_business.insert((number, user)),
        };
        done.push(json!({ "input": input, "wa_id": world.users[user].visible_wa_id() }));
    }
    let key = if call.method == Method::DELETE { "removed_users" } else { "added_users" };
    Ok(Reply::json(json!({ "messaging_product": "whatsapp", "block_users": { key: done } })))
}

fn number_json(world: &World, number: usize) -> Value {
    let account = &world.numbers[number];
    let tier = world.portfolio_of(number).map_or(json!("TIER_UNLIMITED"), |portfolio| portfolio.tier.clone());
    json!({
        "id": account.id, "verified_name": account.verified_name, "display_phone_number": account.display_phone_number,
        "quality_rating": account.quality, "code_verification_status": "VERIFIED", "platform_type": "CLOUD_API",
        "status": if account.registered { account.status.as_str() } else { "DISCONNECTED" },
        "throughput": { "level": if account.throughput >= 1000 { "HIGH" } else { "STANDARD" } },
        "name_status": "APPROVED", "whatsapp_business_manager_messaging_limit": tier,
        "health_status": { "can_send_message": if account.restricted_code.is_some() { "BLOCKED" } else { "AVAILABLE" } },
        "webhook_configuration": { "phone_number": account.override_callback },
    })
}

/// The fields that were asked for, and the id.
pub(crate) fn picked(value: Value, call: &Call) -> Value {
    let Some(fields) = call.query.get("fields") else { return value };
    let map = match value {
        Value::Object(map) => map,
        other => return other,
    };
    let wanted: Vec<&str> = fields.split(',').map(str::trim).collect();
    Value::Object(map.into_iter().filter(|(key, _)| key == "id" || wanted.contains(&key.as_str())).collect())
}

fn phone_numbers(world: &World, call: &Call, waba: &str) -> Reply {
    let data: Vec<Value> = (0..world.numbers.len())
        .filter(|number| world.numbers[*number].waba == waba)
        .map(|number| picked(number_json(world, number), call))
        .collect();
    Reply::json(json!({ "data": data, "paging": { "cursors": { "before": "MA", "after": "MQ" } } }))
}

fn waba(world: &World, id: &str) -> Value {
    json!({
        "id": id, "name": world.wabas.get(id).map(|waba| waba.name.clone()), "timezone_id": "1",
        "account_review_status": "APPROVED", "business_verification_status": "verified",
    })
}

fn subscribed_apps(world: &mut World, call: &Call, waba: &str, token: &Token) -> Result<Reply, GraphError> {
    let everyone: Vec<String> = world.apps.keys().cloned().collect();
    let Some(account) = world.wabas.get_mut(waba) else { return Ok(Reply::success()) };
    if call.method == Method::POST {
        if let Some(apps) = &mut account.apps
            && !apps.contains(&token.app)
        {
            apps.push(token.app.clone());
        }
        let Some(url) = call.value("override_callback_uri") else { return Ok(Reply::success()) };
        let verify = call.value("verify_token").unwrap_or_default();
        let then = Then::Verify { url, token: verify, target: Target::Waba(waba.to_owned()) };
        return Ok(Reply { then, ..Reply::success() });
    }
    if call.method == Method::DELETE {
        let apps = account.apps.get_or_insert(everyone);
        apps.retain(|app| *app != token.app);
        return Ok(Reply::success());
    }
    let apps = account.apps.clone().unwrap_or(everyone);
    let data: Vec<Value> =
        apps.iter().map(|app| json!({ "whatsapp_business_api_data": { "id": app, "name": app } })).collect();
    Ok(Reply::json(json!({ "data": data })))
}

/// `POST /{app}/subscriptions`: the callback of an app, verified before it is set.
fn subscriptions(world: &mut World, call: &Call, app: &str) -> Result<Reply, GraphError> {
    let Some(known) = world.apps.get(app) else { return Err(GraphError::unknown_object(call.method.as_str(), app)) };
    let own = format!("{app}|{}", known.secret);
    let given = call.token.clone().or_else(|| call.value("access_token")).unwrap_or_default();
    if given != own {
        return Err(GraphError::plain(10));
    }
    if call.method == Method::GET {
        let data = json!([{ "object": "whatsapp_business_account", "callback_url": known.callback, "active": known.callback.is_some() }]);
        return Ok(Reply::json(json!({ "data": data })));
    }
    let Some(url) = call.value("callback_url") else {
        return Err(GraphError::form("The parameter callback_url is required."));
    };
    let verify = call.value("verify_token").unwrap_or_default();
    let then = Then::Verify { url, token: verify, target: Target::App(app.to_owned()) };
    Ok(Reply { then, ..Reply::success() })
}

fn debug_token(world: &World, call: &Call) -> Result<Reply, GraphError> {
    let given = call.value("access_token").or_else(|| call.token.clone()).unwrap_or_default();
    let app = world.apps.values().find(|app| given == format!("{}|{}", app.id, app.secret)).map(|app| app.id.clone());
    if app.is_none() && !world.tokens.contains_key(&given) {
        return Err(GraphError::token(None, "Invalid OAuth access token - Cannot parse access token"));
    }
    let asked = call.value("input_token").unwrap_or_default();
    let Some(token) = world.tokens.get(&asked) else {
        let error = json!({ "code": 190, "message": "Invalid OAuth access token - Cannot parse access token" });
        return Ok(Reply::json(json!({ "data": { "error": error, "is_valid": false, "scopes": [] } })));
    };
    let expired = token.expires_at != 0 && token.expires_at <= world.seconds();
    let targets = match &token.wabas {
        Some(wabas) => wabas.clone(),
        None => world.wabas.keys().cloned().collect(),
    };
    let granular: Vec<Value> =
        token.scopes.iter().map(|scope| json!({ "scope": scope, "target_ids": targets })).collect();
    let mut data = json!({
        "app_id": token.app, "type": "SYSTEM_USER", "application": token.app, "is_valid": !expired && !token.revoked,
        "expires_at": token.expires_at, "data_access_expires_at": token.data_access_expires_at, "scopes": token.scopes, "granular_scopes": granular,
    });
    if expired {
        data["error"] = json!({
            "code": 190, "subcode": 463,
            "message": format!("Error validating access token: Session has expired on {}.", token.expires_at),
        });
    }
    Ok(Reply::json(json!({ "data": data })))
}
