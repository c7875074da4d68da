//! Samples of templates' headers: Meta reviews a template with a file by a sample, which it takes by an upload of its own, that of the
//! app. A session is begun with the file's name, length and type; the bytes that follow give the handle that stands in the template.
//!
//! Nothing is kept: a handle is used once, in the template that is created or changed next.

use std::collections::BTreeMap;

use pombo_plugin::connector::OperationError;
use serde_json::{Value, json};

use crate::answer::{self, Failure};
use crate::cloud::Cloud;
use crate::config::Config;
use crate::outside::{NotPosted, Outside, Posting, Trouble};
use crate::url;

/// What a session's id begins with.
const SESSION: &str = "upload:";
/// The longest id of a session, and the longest handle, in bytes.
const LONGEST: usize = 4 << 10;

/// A file of the engine's, as a header names it.
struct Sample {
    /// Where it stands in the template.
    place: String,
    media: String,
    filename: String,
    content_type: String,
    size: u64,
}

/// Uploads the samples that the headers of these components name, each once, and puts Meta's handles where it looks for them. Nothing
/// has been created or changed when it fails.
pub(crate) async fn put_in(cloud: &Cloud<impl Outside>, components: &mut Value) -> Result<(), OperationError> {
    let mut handles: BTreeMap<String, String> = BTreeMap::new();
    for (place, header) in headers(components, "components") {
        let Some(sample) = sample(&place, header) else { continue };
        let handle = match handles.get(&sample.media) {
            Some(handle) => handle.clone(),
            None => {
                let handle = upload(cloud, &sample).await?;
                handles.insert(sample.media, handle.clone());
                handle
            }
        };
        if let Some(header) = header.as_object_mut() {
            header.remove("exampleFile");
            header.insert("example".to_owned(), json!(handle));
        }
    }
    Ok(())
}

/// The headers, those of cards as well, with their places.
fn headers<'v>(components: &'v mut Value, path: &str) -> Vec<(String, &'v mut Value)> {
    let mut found = Vec::new();
    for (number, component) in components.as_array_mut().into_iter().flatten().enumerate() {
        let place = format!("{path}[{number}]");
        match component["type"].as_str() {
            Some("header") => found.push((place, component)),
            Some("carousel") => {
                let cards = component.get_mut("cards").and_then(Value::as_array_mut);
                for (number, card) in cards.into_iter().flatten().enumerate() {
                    if let Some(inner) = card.get_mut("components") {
                        found.extend(headers(inner, &format!("{place}.cards[{number}].components")));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

fn sample(place: &str, header: &Value) -> Option<Sample> {
    let file = header["exampleFile"].as_object()?;
    let text = |name: &str| file.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Some(Sample {
        place: format!("{place}.exampleFile"),
        media: text("media"),
        filename: text("filename"),
        content_type: text("contentType"),
        size: file.get("size").and_then(Value::as_u64).unwrap_or(0),
    })
}

/// Uploads a file; Meta's handle of it.
async fn upload(cloud: &Cloud<impl Outside>, sample: &Sample) -> Result<String, OperationError> {
    let Cloud { outside, config, .. } = cloud;
    let Some(app) = &config.app else {
        let why = "appId: Meta takes the sample of a header by its app; set the connector's appId, or give the header an example";
        return Err(OperationError::Invalid(format!("{}: {why}", sample.place)));
    };
    let path = format!(
        "/{app}/uploads?file_name={}&file_length={}&file_type={}",
        url::component(&sample.filename),
        sample.size,
        url::component(&sample.content_type),
    );
    let began = answer::read(outside.call(config.request("POST", &path, None)).await).map_err(failed)?;
    let session = began["id"].as_str().filter(|id| is_session(id));
    let session = session.ok_or_else(|| unclear("Meta's API gave no session for the sample"))?;
    let posting = Posting {
        url: config.url(&format!("/{session}")),
        headers: Config::sample_headers(),
        before: Vec::new(),
        media: sample.media.clone(),
        size: sample.size,
        after: Vec::new(),
    };
    let result = match outside.post(posting).await {
        Ok(response) => Ok(response),
        Err(NotPosted::File(Trouble::Final(why))) => {
            return Err(OperationError::Invalid(format!("{}: {why}", sample.place)));
        }
        Err(NotPosted::File(Trouble::Temporary(why))) => return Err(OperationError::Failed(why)),
        Err(NotPosted::Call(error)) => Err(error),
    };
    let body = answer::read(result).map_err(failed)?;
    let handle = body["h"].as_str().map(str::trim).filter(|handle| (1..=LONGEST).contains(&handle.len()));
    handle.map(str::to_owned).ok_or_else(|| unclear("Meta's API gave no handle for the sample"))
}

/// An upload changes nothing that anybody sees: what it came to is never in doubt.
fn failed(failure: Failure) -> OperationError {
    answer::operation_error(failure, false)
}

fn unclear(why: &str) -> OperationError {
    OperationError::Failed(why.to_owned())
}

/// Whether this is the id of a session, which stands in an address as it is: it may bring a query of its own.
fn is_session(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~:=&?%+,;@!$*".contains(&b);
    id.len() <= LONGEST && id.strip_prefix(SESSION).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::bench::cloud;
    use crate::outside::world::{World, ready};
    use pombo_plugin::connector::http;

    const APP: &str = r#","appId":"670843887433847""#;

    fn header(media: &str) -> Value {
        json!({"type": "header", "format": "image", "example": "https://scontent.example/x", "exampleFile":
            {"media": media, "filename": "uma foto.png", "contentType": "image/png", "size": 7}})
    }

    fn session(world: &World, n: u32) {
        world.answer(200, &json!({"id": format!("upload:MTphdHRhY2g{n}?sig=ARZ_{n}")}).to_string());
        world.upload(200, &json!({"h": format!("4::aW1hZ2U={n}")}).to_string());
    }

    #[test]
    fn a_sample_is_uploaded_by_the_app_and_its_handle_stands_in_the_header() {
        let (world, cloud) = cloud(APP);
        session(&world, 1);
        let mut components = json!([header("M1"), {"type": "body", "text": "Oi"}]);
        ready(put_in(&cloud, &mut components)).expect("uploaded");
        assert_eq!(components[0], json!({"type": "header", "format": "image", "example": "4::aW1hZ2U=1"}));
        let call = world.calls.borrow()[0].clone();
        assert_eq!((call.method.as_str(), call.body), ("POST", None));
        assert_eq!(
            call.url,
            "https://graph.facebook.com/v26.0/670843887433847/uploads?file_name=uma%20foto.png&file_length=7&file_type=image%2Fpng"
        );
        let posting = world.posted_files.borrow()[0].clone();
        assert_eq!(posting.url, "https://graph.facebook.com/v26.0/upload:MTphdHRhY2g1?sig=ARZ_1");
        let value = |name: &str| posting.headers.iter().find(|h| h.name == name).map(|h| h.value.as_str());
        assert_eq!(value("Authorization"), Some("OAuth {{secret:accessToken}}"));
        assert_eq!(value("file_offset"), Some("0"));
        assert_eq!((posting.media.as_str(), posting.size), ("M1", 7));
        assert!(posting.before.is_empty() && posting.after.is_empty(), "the bytes and nothing else");
    }

    #[test]
    fn cards_have_samples_too_and_a_file_is_uploaded_once() {
        let (world, cloud) = cloud(APP);
        session(&world, 1);
        session(&world, 2);
        let card = |media: &str| json!({"components": [header(media)]});
        let mut components = json!([header("M1"), {"type": "carousel", "cards": [card("M2"), card("M1")]}]);
        ready(put_in(&cloud, &mut components)).expect("uploaded");
        let handle = |header: &Value| header["example"].clone();
        assert_eq!(handle(&components[0]), "4::aW1hZ2U=1");
        assert_eq!(handle(&components[1]["cards"][0]["components"][0]), "4::aW1hZ2U=2");
        assert_eq!(handle(&components[1]["cards"][1]["components"][0]), "4::aW1hZ2U=1");
        assert_eq!(world.posted_files.borrow().len(), 2);
    }

    #[test]
    fn without_a_sample_nothing_is_uploaded() {
        let (world, cloud) = cloud("");
        let mut components = json!([{"type": "header", "format": "image", "example": "4::aW"}]);
        ready(put_in(&cloud, &mut components)).expect("nothing to do");
        assert_eq!(components[0]["example"], "4::aW");
        assert!(world.calls.borrow().is_empty());
        let Err(OperationError::Invalid(why)) = ready(put_in(&cloud, &mut json!([header("M1")]))) else {
            panic!("no app")
        };
        assert!(why.starts_with("components[0].exampleFile: ") && why.contains("appId"), "{why}");
    }

    #[test]
    fn what_fails_is_not_in_doubt() {
        let fails = |prepare: &dyn Fn(&World)| {
            let (world, cloud) = cloud(APP);
            prepare(&world);
            ready(put_in(&cloud, &mut json!([header("M1")]))).expect_err("it fails")
        };
        let broken = || Err(NotPosted::Call(http::Error::Interrupted("x".to_owned())));
        let gone = || Err(NotPosted::File(Trouble::Final("the file does not exist".to_owned())));
        let begun = |world: &World| world.answer(200, r#"{"id":"upload:A"}"#);
        let failed = fails(&|world: &World| {
            begun(world);
            world.uploads.borrow_mut().push_back(broken());
        });
        assert!(matches!(failed, OperationError::Failed(_)), "{failed:?}");
        let failed = fails(&|world: &World| {
            begun(world);
            world.uploads.borrow_mut().push_back(gone());
        });
        assert!(matches!(&failed, OperationError::Invalid(why) if why.contains("exampleFile")), "{failed:?}");
        let failed = fails(&|world: &World| {
            begun(world);
            world.upload(200, "{}");
        });
        assert!(matches!(failed, OperationError::Failed(_)), "{failed:?}");
        let failed =
            fails(&|world: &World| world.answer(400, r#"{"error":{"code":100,"message":"(#100) Invalid file type"}}"#));
        assert!(matches!(failed, OperationError::Invalid(_)), "{failed:?}");
    }

    #[test]
    fn a_sessions_id_stays_within_its_place() {
        assert!(is_session("upload:MTphdHRhY2htZW50OjE=?sig=ARZqkGCA_uQMxC8nHKI"));
        let long = format!("upload:{}", "a".repeat(LONGEST));
        for wrong in ["", "upload:", "1234", "upload:a/../b", "upload:a#b", "upload:a b", "upload:{{secret:x}}", &long]
        {
            assert!(!is_session(wrong), "{wrong}");
        }
    }
}
