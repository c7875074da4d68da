//! Templates: list, create, edit, delete, and their life with its webhooks. It runs under the world's lock.

use hyper::Method;
use serde_json::{Value, json};

use crate::call::{Call, Reply};
use crate::errors::GraphError;
use crate::form::{At, not_one_of, required};
use crate::graph::picked;
use crate::limits::DAY;
use crate::samples;
use crate::shape::{Shape, upper};
use crate::template_form::{self, CATEGORIES};
use crate::webhooks::Content;
use crate::world::{Template, World};

/// Creations an hour.
const MOST_CREATIONS: usize = 100;
/// Templates of a WABA.
const MOST_TEMPLATES: usize = 6000;

/// What is returned without `fields`.
const USUAL: &[&str] =
    &["id", "name", "language", "status", "category", "parameter_format", "components", "previous_category"];

/// `…/{waba}/message_templates`.
pub(crate) fn collection(world: &mut World, call: &Call, waba: &str) -> Result<Reply, GraphError> {
    match call.method {
        Method::GET => list(world, call, waba),
        Method::POST => create(world, call, waba),
        Method::DELETE => delete(world, call, waba),
        _ => Err(GraphError::unknown_object(call.method.as_str(), waba)),
    }
}

fn shown(template: &Template, call: &Call) -> Value {
    let all = template.json();
    if call.query.contains_key("fields") {
        return picked(all, call);
    }
    let map = match all {
        Value::Object(map) => map,
        other => return other,
    };
    Value::Object(map.into_iter().filter(|(key, _)| USUAL.contains(&key.as_str())).collect())
}

fn list(world: &World, call: &Call, waba: &str) -> Result<Reply, GraphError> {
    let wanted = |key: &str, value: &str| call.query.get(key).is_none_or(|asked| asked.eq_ignore_ascii_case(value));
    let matching: Vec<&Template> = world
        .templates
        .values()
        .filter(|template| template.waba == waba)
        .filter(|template| wanted("status", &template.status) && wanted("category", &template.category))
        .filter(|template| wanted("language", &template.language))
        .filter(|template| call.query.get("name").is_none_or(|part| template.name.contains(part.as_str())))
        .collect();
    let limit: usize = call.query.get("limit").and_then(|limit| limit.parse().ok()).unwrap_or(25).clamp(1, 1000);
    let from = match (call.query.get("after"), call.query.get("before")) {
        (Some(after), _) => place(after)?,
        (None, Some(before)) => place(before)?.saturating_sub(limit),
        (None, None) => 0,
    };
    if from > matching.len() {
        return Err(GraphError::plain(131_059));
    }
    let to = (from + limit).min(matching.len());
    let data: Vec<Value> = matching[from..to].iter().map(|template| shown(template, call)).collect();
    let mut paging = json!({ "cursors": { "before": cursor(from), "after": cursor(to) } });
    let link = |side: &str, at: usize| {
        let mut rest: Vec<String> = call
            .query
            .iter()
            .filter(|(key, _)| {
                !matches!(key.as_str(), "after" | "before" | "limit" | "access_token" | "appsecret_proof")
            })
            .map(|(key, value)| {
                format!("{key}={}", percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC))
            })
            .collect();
        rest.sort();
        rest.push(format!("limit={limit}&{side}={}", cursor(at)));
        format!("{}{}?{}", world.base, call.path, rest.join("&"))
    };
    if to < matching.len() {
        paging["next"] = json!(link("after", to));
    }
    if from > 0 {
        paging["previous"] = json!(link("before", from));
    }
    Ok(Reply::json(json!({ "data": data, "paging": paging })))
}

/// A cursor is opaque to clients; to us it is a place.
fn cursor(place: usize) -> String {
    hex::encode(format!("at{place}"))
}

fn place(cursor: &str) -> Result<usize, GraphError> {
    hex::decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .and_then(|text| text.strip_prefix("at")?.parse().ok())
        .ok_or_else(|| GraphError::plain(131_059))
}

/// A new template, checked.
pub(crate) fn checked(body: &Value) -> Result<Template, GraphError> {
    const KEYS: &[&str] = &[
        "name",
        "language",
        "category",
        "parameter_format",
        "components",
        "allow_category_change",
        "message_send_ttl_seconds",
        "sub_category",
        "cta_url_link_tracking_opted_out",
        "library_template_name",
    ];
    let Some(map) = body.as_object() else { return Err(GraphError::form("The request body is not a JSON object.")) };
    if let Some(unknown) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(GraphError::form(format!("Unexpected key \"{unknown}\".")));
    }
    for key in ["name", "language", "category"] {
        if body[key].as_str().unwrap_or_default().is_empty() {
            return Err(required(&At::Key(&At::Body, key)));
        }
    }
    let name = body["name"].as_str().unwrap_or_default();
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    if name.len() > 512 || !name.bytes().all(good) {
        return Err(GraphError::form("Param name must contain only lowercase letters, digits and underscores."));
    }
    let category = upper(&body["category"]);
    if !CATEGORIES.contains(&category.as_str()) {
        let got = body["category"].as_str().unwrap_or_default();
        return Err(not_one_of(&At::Key(&At::Body, "category"), CATEGORIES, got));
    }
    let format = match upper(&body["parameter_format"]).as_str() {
        "" | "POSITIONAL" => "POSITIONAL",
        "NAMED" => "NAMED",
        other => return Err(not_one_of(&At::Key(&At::Body, "parameter_format"), &["NAMED", "POSITIONAL"], other)),
    };
    let components = template_form::components(&body["components"], &category, format == "NAMED")?;
    Ok(Template {
        id: 0,
        waba: String::new(),
        name: name.to_owned(),
        language: body["language"].as_str().unwrap_or_default().to_owned(),
        status: "PENDING".to_owned(),
        category,
        previous_category: None,
        shape: Shape::new(&components, format == "NAMED"),
        components,
        parameter_format: format.to_owned(),
        quality: "UNKNOWN".to_owned(),
        rejected_reason: "NONE".to_owned(),
        ttl: body["message_send_ttl_seconds"].as_i64(),
        edited: Vec::new(),
        pacing: None,
        sends: 0,
    })
}

fn create(world: &mut World, call: &Call, waba: &str) -> Result<Reply, GraphError> {
    let now = world.now();
    let mut template = checked(&call.json)?;
    samples::taken(world, &mut template.components)?;
    let key = (waba.to_owned(), template.name.clone(), template.language.clone());
    if world.template_index.contains_key(&key) {
        let text = format!("There is already {} content for the template {}.", template.language, template.name);
        return Err(GraphError::content(2_388_024, text));
    }
    let locked = world.locked_names.get(&(waba.to_owned(), template.name.clone())).is_some_and(|until| *until > now);
    if locked {
        return Err(GraphError::content(2_388_023, "The name of a deleted template is locked for 30 days."));
    }
    if world.templates.values().filter(|template| template.waba == waba).count() >= MOST_TEMPLATES {
        return Err(GraphError::content(2_388_019, "The account has as many templates as it may."));
    }
    let recent = world.creations.entry(waba.to_owned()).or_default();
    if recent.count(now, 3600 * 1000) >= MOST_CREATIONS && world.knobs.limits {
        return Err(GraphError::plain(80_008));
    }
    recent.add(now);
    template.waba = waba.to_owned();
    let id = world.put_template(template);
    world.plan_review(id);
    let template = &world.templates[&id];
    Ok(Reply::json(json!({ "id": id.to_string(), "status": template.status, "category": template.category })))
}

fn delete(world: &mut World, call: &Call, waba: &str) -> Result<Reply, GraphError> {
    let mut ids: Vec<u64> = Vec::new();
    if let Some(list) = call.value("hsm_ids") {
        let list: Vec<Value> = serde_json::from_str(&list).unwrap_or_default();
        if list.len() > 100 {
            return Err(GraphError::form("Param hsm_ids must have at most 100 elements."));
        }
        ids.extend(list.iter().filter_map(|id| id.as_u64().or_else(|| id.as_str()?.parse().ok())));
    } else if let Some(id) = call.value("hsm_id") {
        ids.extend(id.parse::<u64>().ok());
    } else if let Some(name) = call.value("name") {
        ids.extend(
            world.templates.values().filter(|known| known.waba == waba && known.name == name).map(|known| known.id),
        );
    } else {
        return Err(GraphError::form("The parameter name is required."));
    }
    ids.retain(|id| world.templates.get(id).is_some_and(|template| template.waba == waba));
    if ids.is_empty() {
        return Err(GraphError::content(2_593_002, "Message template not found").with_http(404));
    }
    for id in ids {
        world.remove_template(id);
    }
    Ok(Reply::success())
}

/// `/{template_id}` and `/{template_id}/unpause`.
pub(crate) fn single(world: &mut World, call: &Call, id: u64, route: Option<&str>) -> Result<Reply, GraphError> {
    let now = world.now();
    let unknown = || GraphError::unknown_object(call.method.as_str(), &id.to_string());
    let mut components = call.json["components"].clone();
    // A fault of form is told first, by the check of the whole.
    let handles = samples::taken(world, &mut components);
    let Some(template) = world.templates.get_mut(&id) else { return Err(unknown()) };
    match (&call.method, route) {
        (&Method::GET, None) => Ok(Reply::json(shown(template, call))),
        (&Method::POST, Some("unpause")) => {
            if template.status == "PAUSED" {
                world.set_template_status(id, "APPROVED", None);
            }
            Ok(Reply::success())
        }
        (&Method::POST, None) => {
            if !matches!(template.status.as_str(), "APPROVED" | "REJECTED" | "PAUSED") {
                return Err(GraphError::content(
                    2_388_039,
                    "Only approved, rejected or paused templates can be edited.",
                ));
            }
            template.edited.retain(|at| *at > now - 30 * DAY);
            let today = template.edited.iter().any(|at| *at > now - DAY);
            if template.status == "APPROVED" && (today || template.edited.len() >= 10) {
                return Err(GraphError::content(
                    2_388_039,
                    "An approved template is edited once in 24 hours and 10 times in 30 days.",
                ));
            }
            let mut wanted = call.json.clone();
            for (key, old) in [
                ("name", &template.name),
                ("language", &template.language),
                ("category", &template.category),
                ("parameter_format", &template.parameter_format),
            ] {
                if wanted[key].is_null() {
                    wanted[key] = json!(old);
                }
            }
            if wanted["components"].is_null() {
                wanted["components"] = template.components.clone();
            }
            checked(&wanted)?;
            handles?;
            if !components.is_null() {
                wanted["components"] = components;
            }
            let new = checked(&wanted)?;
            template.category = new.category;
            template.components = new.components;
            template.shape = new.shape;
            template.status = "PENDING".to_owned();
            template.edited.push(now);
            world.plan_review(id);
            Ok(Reply::success())
        }
        _ => Err(unknown()),
    }
}

impl World {
    /// Adds a template, and tells its id: its own, or a new one.
    pub(crate) fn put_template(&mut self, mut template: Template) -> u64 {
        if template.id == 0 {
            template.id = self.next();
        }
        let id = template.id;
        self.template_index.insert((template.waba.clone(), template.name.clone(), template.language.clone()), id);
        self.templates.insert(id, template);
        id
    }

    fn remove_template(&mut self, id: u64) {
        let Some(template) = self.templates.remove(&id) else { return };
        if template.status == "APPROVED" {
            let until = self.now() + 30 * DAY;
            self.locked_names.insert((template.waba.clone(), template.name.clone()), until);
        }
        self.template_index.remove(&(template.waba, template.name, template.language));
    }

    /// Sets when a template is approved by itself.
    fn plan_review(&mut self, id: u64) {
        match self.knobs.approve_after_seconds {
            Some(seconds) if seconds <= 0 => {
                if let Some(template) = self.templates.get_mut(&id) {
                    template.status = "APPROVED".to_owned();
                }
            }
            Some(seconds) => self.reviews.push((self.now() + seconds * 1000, id)),
            None => {}
        }
    }

    /// Approves the templates whose time has come.
    pub(crate) fn review_templates(&mut self) {
        let now = self.now();
        let due: Vec<u64> = self.reviews.iter().filter(|(at, _)| *at <= now).map(|(_, id)| *id).collect();
        self.reviews.retain(|(at, _)| *at > now);
        for id in due {
            if self.templates.get(&id).is_some_and(|template| template.status == "PENDING") {
                self.set_template_status(id, "APPROVED", None);
            }
        }
    }

    /// Lets something happen to a template, and tells it by a webhook.
    pub(crate) fn set_template_status(&mut self, id: u64, event: &str, reason: Option<&str>) -> bool {
        let Some(template) = self.templates.get_mut(&id) else { return false };
        match event {
            "REINSTATED" | "UNARCHIVED" => template.status = "APPROVED".to_owned(),
            // These leave the status as it is.
            "FLAGGED" | "LOCKED" => {}
            other => template.status = other.to_owned(),
        }
        let reason = reason.unwrap_or("NONE");
        if event == "REJECTED" {
            template.rejected_reason = reason.to_owned();
        }
        let mut value = json!({
            "event": event, "message_template_id": id, "message_template_name": template.name,
            "message_template_language": template.language, "message_template_category": template.category,
            "reason": reason,
        });
        if event == "PAUSED" {
            value["other_info"] = json!({ "title": "FIRST_PAUSE", "description": "Paused because of low quality." });
        }
        let waba = template.waba.clone();
        self.emit(&waba, None, Content::Field { field: "message_template_status_update".to_owned(), value });
        true
    }

    /// Sets the quality of a template, and tells it by a webhook.
    pub(crate) fn set_template_quality(&mut self, id: u64, score: &str) -> bool {
        let Some(template) = self.templates.get_mut(&id) else { return false };
        let previous = std::mem::replace(&mut template.quality, score.to_owned());
        let value = json!({
            "previous_quality_score": previous, "new_quality_score": score, "message_template_id": id,
            "message_template_name": template.name, "message_template_language": template.language,
        });
        let waba = template.waba.clone();
        self.emit(&waba, None, Content::Field { field: "message_template_quality_update".to_owned(), value });
        true
    }

    /// Sets the category of a template, and tells it by a webhook.
    pub(crate) fn set_template_category(&mut self, id: u64, category: &str) -> bool {
        let Some(template) = self.templates.get_mut(&id) else { return false };
        let previous = std::mem::replace(&mut template.category, category.to_owned());
        template.previous_category = Some(previous.clone());
        let value = json!({
            "message_template_id": id, "message_template_name": template.name,
            "message_template_language": template.language, "previous_category": previous, "new_category": category,
        });
        let waba = template.waba.clone();
        self.emit(&waba, None, Content::Field { field: "template_category_update".to_owned(), value });
        true
    }
}
