//! Whatever is neither sending nor receiving: the session, read marks, typing, and the templates at Meta.

use pombo_plugin::connector::{Answer, Operation, OperationError, Typing};
use serde_json::{Value, json};

use crate::account::NotWorking;
use crate::answer;
use crate::cloud::Cloud;
use crate::outside::{Outside, Trouble};
use crate::samples;
use crate::template::form;
use crate::url;

/// The kinds of operations of this plugin's own, and the JSON Schemas of their values.
pub(crate) const KINDS: [(&str, &str); 4] = [
    (LIST, r#"{"type":"object","properties":{"after":{"type":["string","null"]}}}"#),
    (CREATE, r#"{"type":"object","required":["name","language","category","components"]}"#),
    (EDIT, r#"{"type":"object","required":["id"],"properties":{"id":{"type":"string"}}}"#),
    (
        DELETE,
        r#"{"type":"object","required":["name"],"properties":{"id":{"type":["string","null"]},"name":{"type":"string"}}}"#,
    ),
];

const LIST: &str = "list-templates";
const CREATE: &str = "create-template";
const EDIT: &str = "edit-template";
const DELETE: &str = "delete-template";

const FIELDS: &str = "id,name,language,status,category,parameter_format,components,rejected_reason,quality_score,message_send_ttl_seconds";
/// Templates on a page, and on one of large templates.
const PAGES: [u32; 3] = [50, 10, 1];
/// The longest answer: the engine takes 256 KiB.
const ANSWER_BYTES: usize = 240 << 10;

impl From<NotWorking> for OperationError {
    fn from(not: NotWorking) -> Self {
        match not {
            NotWorking::Failure(failure) => answer::operation_error(failure, false),
            NotWorking::Engine(trouble) => Self::Failed(trouble.to_string()),
            NotWorking::Closed | NotWorking::Banned(_) => Self::Disconnected(not.reason()),
        }
    }
}

fn engine(trouble: Trouble) -> OperationError {
    OperationError::Failed(trouble.to_string())
}

/// Carries out an operation.
pub(crate) async fn operate(cloud: &Cloud<impl Outside>, operation: Operation) -> Result<Answer, OperationError> {
    let Cloud { outside, config, account, .. } = cloud;
    match operation {
        // There is nothing to pair: the token is all.
        Operation::OpenSession(_) => {
            account.open(outside, config).await.map_err(session)?;
            Ok(Answer::Done)
        }
        Operation::CloseSession => {
            account.close(outside).await.map_err(engine)?;
            Ok(Answer::Done)
        }
        Operation::Check => {
            account.check(outside, config).await.map_err(session)?;
            Ok(Answer::Done)
        }
        Operation::Read(mark) => match mark.messages.last() {
            // Meta marks everything before it as well.
            Some(last) => read(cloud, &last.provider_id, false).await,
            None => Ok(Answer::Done),
        },
        // Typing ends by itself.
        Operation::Typing((_, Typing::Paused)) => Ok(Answer::Done),
        Operation::Typing((chat, Typing::Composing | Typing::Recording)) => {
            match cloud.heard.last(outside, &chat).await.map_err(engine)? {
                Some(last) => read(cloud, &last, true).await,
                // Without a message there is nothing to show it in.
                None => Ok(Answer::Done),
            }
        }
        Operation::Other((kind, json)) => {
            let value: Value =
                serde_json::from_str(&json).map_err(|error| OperationError::Invalid(format!("not JSON: {error}")))?;
            let answer = match kind.as_str() {
                LIST => list(cloud, &value).await?,
                CREATE => create(cloud, value).await?,
                EDIT => edit(cloud, value).await?,
                DELETE => delete(cloud, &value).await?,
                _ => return Err(OperationError::Unsupported(format!("there is no operation {kind:?}"))),
            };
            Ok(Answer::Other(answer.to_string()))
        }
        Operation::Lookup(_) => {
            Err(OperationError::Unsupported("Meta's API does not say which numbers are on WhatsApp".to_owned()))
        }
        _ => Err(OperationError::Unsupported("Meta's API has no such operation".to_owned())),
    }
}

/// The error of a question about the session.
fn session(not: NotWorking) -> OperationError {
    match OperationError::from(not) {
        // Whatever keeps the number from working: it would send nothing either.
        OperationError::NotFound(why) | OperationError::Refused(why) | OperationError::Invalid(why) => {
            OperationError::Disconnected(why)
        }
        other => other,
    }
}

/// Calls the Graph API.
async fn call(
    cloud: &Cloud<impl Outside>,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<Value, OperationError> {
    let bytes = body.map(|body| body.to_string().into_bytes());
    let result = cloud.outside.call(cloud.config.request(method, path, bytes)).await;
    answer::read(result).map_err(|failure| answer::operation_error(failure, method != "GET"))
}

async fn read(cloud: &Cloud<impl Outside>, message: &str, typing: bool) -> Result<Answer, OperationError> {
    let mut body = json!({"messaging_product": "whatsapp", "status": "read", "message_id": message});
    if typing {
        body["typing_indicator"] = json!({"type": "text"});
    }
    call(cloud, "POST", &format!("/{}/messages", cloud.config.phone), Some(&body)).await?;
    Ok(Answer::Done)
}

async fn list(cloud: &Cloud<impl Outside>, value: &Value) -> Result<Value, OperationError> {
    let after = value["after"].as_str().filter(|after| !after.is_empty());
    let after = after.map(|after| format!("&after={}", url::component(after))).unwrap_or_default();
    for limit in PAGES {
        let path = format!("/{}/message_templates?fields={FIELDS}&limit={limit}{after}", cloud.config.waba);
        let body = call(cloud, "GET", &path, None).await?;
        let templates: Vec<_> = body["data"].as_array().into_iter().flatten().filter_map(form::ours).collect();
        let mut page = json!({"templates": templates});
        // The last page has a cursor, too, but no `next`.
        let more = body["paging"]["next"].is_string();
        if let (true, Some(cursor)) = (more, body["paging"]["cursors"]["after"].as_str()) {
            page["after"] = json!(cursor);
        }
        if page.to_string().len() <= ANSWER_BYTES {
            return Ok(page);
        }
    }
    Err(OperationError::Failed("a template is too large to be listed".to_owned()))
}

async fn create(cloud: &Cloud<impl Outside>, mut value: Value) -> Result<Value, OperationError> {
    // Before anything is uploaded, what cannot be created is refused.
    form::creation(&value).map_err(OperationError::Invalid)?;
    samples::put_in(cloud, &mut value["components"]).await?;
    let body = form::creation(&value).map_err(OperationError::Invalid)?;
    let answer = call(cloud, "POST", &format!("/{}/message_templates", cloud.config.waba), Some(&body)).await?;
    let id = form::id(&answer["id"]);
    let id = id.ok_or_else(|| OperationError::Unknown("Meta did not name the template that it created".to_owned()))?;
    let status = answer["status"].as_str().and_then(form::status).unwrap_or("pending");
    let category = form::category(&answer["category"]).or(form::category(&value["category"])).unwrap_or("utility");
    Ok(json!({"id": id, "status": status, "category": category}))
}

async fn edit(cloud: &Cloud<impl Outside>, mut value: Value) -> Result<Value, OperationError> {
    let id = value["id"].as_str().filter(|id| url::is_id(id)).map(str::to_owned);
    let id = id.ok_or_else(|| OperationError::Invalid("id: must be Meta's id of the template".to_owned()))?;
    samples::put_in(cloud, &mut value["components"]).await?;
    let mut body = json!({});
    if let Some(category) = value["category"].as_str() {
        body["category"] = json!(category.to_ascii_uppercase());
    }
    if !value["components"].is_null() {
        let named = match value["format"].as_str() {
            Some(format) => format == "named",
            None => form::is_named(&value["components"]),
        };
        let components = form::their_components(&value["components"], named);
        body["components"] = components.map_err(OperationError::Invalid)?;
    }
    if let Some(seconds) = value["ttlSeconds"].as_i64() {
        body["message_send_ttl_seconds"] = json!(seconds);
    }
    let answer = call(cloud, "POST", &format!("/{id}"), Some(&body)).await?;
    if answer["success"] == Value::Bool(false) {
        return Err(OperationError::Refused("Meta did not change the template".to_owned()));
    }
    Ok(json!({"status": "pending"}))
}

async fn delete(cloud: &Cloud<impl Outside>, value: &Value) -> Result<Value, OperationError> {
    let name = value["name"].as_str().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| OperationError::Invalid("name: is missing".to_owned()))?;
    let mut path = format!("/{}/message_templates?name={}", cloud.config.waba, url::component(name));
    if let Some(id) = value["id"].as_str() {
        path.push_str(&format!("&hsm_id={}", url::component(id)));
    }
    let answer = call(cloud, "DELETE", &path, None).await?;
    if answer["success"] == Value::Bool(false) {
        return Err(OperationError::Refused("Meta did not delete the template".to_owned()));
    }
    Ok(json!({}))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::bench::cloud;
    use crate::outside::world::{World, ready};
    use pombo_plugin::connector::{ReadMark, Target};

    fn other(cloud: &Cloud<World>, kind: &str, value: &Value) -> Result<Value, OperationError> {
        match ready(operate(cloud, Operation::Other((kind.to_owned(), value.to_string()))))? {
            Answer::Other(json) => Ok(serde_json::from_str(&json).expect("JSON")),
            answer => panic!("{answer:?}"),
        }
    }

    #[test]
    fn templates_are_listed_page_by_page() {
        let (world, cloud) = cloud("");
        world.answer(200, r#"{"data":[{"id":"1","name":"a","language":"pt_BR","status":"APPROVED","category":"UTILITY","components":[]}],
            "paging":{"cursors":{"before":"x","after":"MjQZD"},"next":"https://graph.facebook.com/next"}}"#);
        world.answer(200, r#"{"data":[],"paging":{"cursors":{"after":"MjQZD"}}}"#);
        let page = other(&cloud, LIST, &json!({})).expect("a page");
        assert_eq!((&page["after"], page["templates"][0]["name"].as_str()), (&json!("MjQZD"), Some("a")));
        let page = other(&cloud, LIST, &json!({"after": "Mj=QZD"})).expect("a page");
        assert_eq!(page, json!({"templates": []}), "the last page names none");
        let calls = world.calls.borrow();
        assert!(
            calls[0].url.contains("/102290129340398/message_templates?fields=id,name")
                && !calls[0].url.contains("after")
        );
        assert!(calls[1].url.ends_with("&after=Mj%3DQZD"));
    }

    #[test]
    fn a_page_that_is_too_long_is_asked_for_in_pieces() {
        let (world, cloud) = cloud("");
        let long = "x".repeat(130 << 10);
        let template = json!({"name": "a", "language": "en", "components": [{"type": "BODY", "text": long}]});
        world.answer(200, &json!({"data": [template, template]}).to_string());
        world.answer(200, &json!({"data": [template]}).to_string());
        assert!(other(&cloud, LIST, &json!({})).is_ok());
        assert!(world.calls.borrow()[1].url.contains("&limit=10"));
    }

    #[test]
    fn a_template_is_created_edited_and_deleted() {
        let (world, cloud) = cloud("");
        let template = json!({"name": "a", "language": "pt_BR", "category": "utility", "format": "named",
            "components": [{"type": "body", "text": "Oi {{nome}}", "examples": {"nome": "Ana"}}]});
        world.answer(200, r#"{"id":"12","status":"PENDING","category":"MARKETING"}"#);
        let created = other(&cloud, CREATE, &template).expect("created");
        assert_eq!(created, json!({"id": "12", "status": "pending", "category": "marketing"}));
        assert_eq!(world.posted()[0]["parameter_format"], "NAMED");
        world.answer(200, r#"{"success":true}"#);
        let change = json!({"id": "12", "category": "utility", "components": template["components"]});
        assert_eq!(other(&cloud, EDIT, &change), Ok(json!({"status": "pending"})));
        assert_eq!(world.posted()[1]["components"][0]["example"]["body_text_named_params"][0]["param_name"], "nome");
        world.answer(200, r#"{"success":true}"#);
        assert_eq!(other(&cloud, DELETE, &json!({"id": "12", "name": "a"})), Ok(json!({})));
        let last = world.calls.borrow()[2].clone();
        assert_eq!(last.method, "DELETE");
        assert!(last.url.ends_with("/message_templates?name=a&hsm_id=12"), "{}", last.url);
        world.answer(400, r#"{"error":{"code":100,"error_subcode":2388024,"error_user_msg":"There is already one"}}"#);
        let Err(OperationError::Invalid(why)) = other(&cloud, CREATE, &template) else { panic!("refused") };
        assert!(why.contains("There is already one"), "{why}");
        assert!(matches!(other(&cloud, EDIT, &json!({"id": "../x"})), Err(OperationError::Invalid(_))));
        assert!(matches!(other(&cloud, "dance", &json!({})), Err(OperationError::Unsupported(_))));
    }

    #[test]
    fn a_headers_sample_is_uploaded_before_the_template_is_created_or_edited() {
        let (world, cloud) = cloud(r#","appId":"90001","appSecretProof":true"#);
        let file = json!({"media": "M1", "filename": "a.png", "contentType": "image/png", "size": 7});
        let template = json!({"name": "a", "language": "pt_BR", "category": "utility", "components": [
            {"type": "header", "format": "image", "exampleFile": file}, {"type": "body", "text": "Oi"}]});
        world.answer(200, r#"{"id":"upload:A?sig=B"}"#);
        world.upload(200, r#"{"h":"4::one"}"#);
        world.answer(200, r#"{"id":"12","status":"PENDING"}"#);
        other(&cloud, CREATE, &template).expect("created");
        let header = json!({"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4::one"]}});
        assert_eq!(world.posted()[1]["components"][0], header);
        world.answer(200, r#"{"id":"upload:C"}"#);
        world.upload(200, r#"{"h":"4::two"}"#);
        world.answer(200, r#"{"success":true}"#);
        other(&cloud, EDIT, &json!({"id": "12", "components": template["components"]})).expect("edited");
        assert_eq!(world.posted()[3]["components"][0]["example"]["header_handle"], json!(["4::two"]));
        // Each of them proves the app's secret, whatever else stands in its address.
        let mut urls: Vec<String> = world.calls.borrow().iter().map(|call| call.url.clone()).collect();
        urls.extend(world.posted_files.borrow().iter().map(|posting| posting.url.clone()));
        let proof = "appsecret_proof={{hmac-sha256:appSecret:accessToken}}";
        assert!(urls.iter().all(|url| url.ends_with(proof) && url.matches('?').count() == 1), "{urls:?}");
        // Nothing is uploaded for what cannot be created.
        let nameless = json!({"language": "pt_BR", "category": "utility", "components": template["components"]});
        assert!(matches!(other(&cloud, CREATE, &nameless), Err(OperationError::Invalid(_))));
        assert_eq!(world.posted_files.borrow().len(), 2);
    }

    #[test]
    fn typing_is_shown_as_an_answer_to_the_last_message() {
        let (world, cloud) = cloud("");
        let typing = |typing| Operation::Typing(("5511987654321".to_owned(), typing));
        assert_eq!(ready(operate(&cloud, typing(Typing::Composing))), Ok(Answer::Done));
        assert!(world.calls.borrow().is_empty(), "nothing is known to answer to");
        cloud.heard.note("5511987654321".to_owned(), "wamid.IN".to_owned());
        world.answer(200, r#"{"success":true}"#);
        assert_eq!(ready(operate(&cloud, typing(Typing::Composing))), Ok(Answer::Done));
        assert_eq!(ready(operate(&cloud, typing(Typing::Paused))), Ok(Answer::Done));
        assert_eq!(
            world.posted(),
            [json!({"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.IN",
            "typing_indicator": {"type": "text"}})]
        );
    }

    #[test]
    fn the_last_message_is_marked_as_read() {
        let (world, cloud) = cloud("");
        let target = |id: &str| Target { provider_id: id.to_owned(), sender: None, text: None };
        let mark = ReadMark { chat: "5511987654321".to_owned(), messages: vec![target("A"), target("B")] };
        world.answer(200, r#"{"success":true}"#);
        assert_eq!(ready(operate(&cloud, Operation::Read(mark))), Ok(Answer::Done));
        assert_eq!(world.posted(), [json!({"messaging_product": "whatsapp", "status": "read", "message_id": "B"})]);
    }

    #[test]
    fn a_session_is_opened_without_a_code_and_closed() {
        let (world, cloud) = cloud("");
        world.answer(200, r#"{"display_phone_number":"+55 11 90000-0000"}"#);
        assert_eq!(ready(operate(&cloud, Operation::OpenSession(None))), Ok(Answer::Done));
        assert!(cloud.account.is_connected());
        assert_eq!(ready(operate(&cloud, Operation::CloseSession)), Ok(Answer::Done));
        assert!(matches!(ready(operate(&cloud, Operation::Check)), Err(OperationError::Disconnected(_))));
        world.answer(400, r#"{"error":{"code":100,"error_subcode":33,"message":"no such object"}}"#);
        let opened = ready(operate(&cloud, Operation::OpenSession(None)));
        assert!(matches!(opened, Err(OperationError::Disconnected(_))), "{opened:?}");
        assert!(matches!(ready(operate(&cloud, Operation::Lookup(Vec::new()))), Err(OperationError::Unsupported(_))));
    }
}
