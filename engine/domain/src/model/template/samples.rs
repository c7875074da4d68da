//! Samples of headers that are files: which files of the tenant's they are, how they are written, and what a channel takes as one. Pure;
//! what a file really is, `commands/templates/samples.rs` finds out.

use serde_json::Value;
use uuid::Uuid;

use super::{Card, Component, HeaderFormat};
use crate::model::Attachment;
use crate::{Field, FieldPath};

/// The key of a header's sample.
pub(super) const KEY: &str = "exampleFile";

/// Maximum length of a sample's name, in characters.
const MAX_NAME_CHARS: usize = 255;

const MEGABYTE: u64 = 1024 * 1024;

/// The sample that a caller names for a header. Its type and its size are not known yet, and its name is empty where none is given.
/// `Err` says what is wrong, behind the path inside the header.
pub(super) fn read(header: &Value, format: HeaderFormat) -> Result<Option<Attachment>, String> {
    let named = match header.get(KEY) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(named)) => named,
        Some(_) => return Err(format!("{KEY}: must be an object with the id of an uploaded file")),
    };
    if !format.is_file() {
        return Err(format!("{KEY}: goes with a header of the format image, video or document"));
    }
    let id = named.get("id").and_then(Value::as_str).and_then(|id| Uuid::parse_str(id).ok());
    let id = id.ok_or_else(|| format!("{KEY}.id: must be the id of an uploaded file"))?;
    let file_name = match named.get("fileName") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(name)) if is_name(name) => name.clone(),
        Some(_) => {
            return Err(format!(
                "{KEY}.fileName: must have 1 to {MAX_NAME_CHARS} characters, without control characters and slashes"
            ));
        }
    };
    Ok(Some(Attachment { id, file_name, content_type: String::new(), size: 0 }))
}

fn is_name(name: &str) -> bool {
    let bad = |c: char| c.is_control() || matches!(c, '/' | '\\');
    !name.is_empty() && name.chars().count() <= MAX_NAME_CHARS && !name.contains(bad)
}

/// The samples of these components, those inside of cards as well, in order.
pub fn samples_of(components: &[Component]) -> Vec<&Attachment> {
    let mut found = Vec::new();
    for component in components {
        match component {
            Component::SampledHeader { sample, .. } => found.push(sample),
            Component::Carousel(cards) => {
                found.extend(cards.iter().flat_map(|card| samples_of(&card.components)));
            }
            _ => {}
        }
    }
    found
}

/// The same to be changed, each with its place in what the caller wrote.
pub fn samples_mut(components: &mut [Component]) -> Vec<(FieldPath, &mut Attachment)> {
    let mut found = Vec::new();
    collect(components, &FieldPath::from(Field::Components), &mut found);
    found
}

fn collect<'c>(components: &'c mut [Component], path: &FieldPath, found: &mut Vec<(FieldPath, &'c mut Attachment)>) {
    for (at, component) in components.iter_mut().enumerate() {
        let here = path.clone().at(at);
        match component {
            Component::SampledHeader { sample, .. } => found.push((here.named(KEY), sample)),
            Component::Carousel(cards) => {
                for (number, card) in cards.iter_mut().enumerate() {
                    let inner = here.clone().named("cards").at(number).named("components");
                    collect(&mut card.components, &inner, found);
                }
            }
            _ => {}
        }
    }
}

/// Components as a channel lists them, with the samples that are known of the same headers: a channel does not tell which file its sample
/// was made from.
pub fn with_known_samples(listed: Vec<Component>, known: &[Component]) -> Vec<Component> {
    let known_cards: &[Card] = known
        .iter()
        .find_map(|component| match component {
            Component::Carousel(cards) => Some(cards.as_slice()),
            _ => None,
        })
        .unwrap_or_default();
    let with_known = |component: Component| match component {
        Component::Header { format, text, examples, example } => match sample_of(known, format) {
            Some(sample) => Component::SampledHeader { format, example, sample: sample.clone() },
            None => Component::Header { format, text, examples, example },
        },
        Component::Carousel(cards) => {
            let card = |(number, card): (usize, Card)| {
                let known = known_cards.get(number).map(|card| card.components.as_slice()).unwrap_or_default();
                Card { components: with_known_samples(card.components, known) }
            };
            Component::Carousel(cards.into_iter().enumerate().map(card).collect())
        }
        other => other,
    };
    listed.into_iter().map(with_known).collect()
}

/// The sample of the header, if it is of this format.
fn sample_of(components: &[Component], wanted: HeaderFormat) -> Option<&Attachment> {
    components.iter().find_map(|component| match component {
        Component::SampledHeader { format, sample, .. } if *format == wanted => Some(sample),
        _ => None,
    })
}

/// What keeps a file from being the sample of a header of this format.
pub(super) fn problem(format: HeaderFormat, sample: &Attachment) -> Option<String> {
    let (types, names, most): (&[&str], &str, u64) = match format {
        HeaderFormat::Image => (&["image/jpeg", "image/png"], "a JPEG or PNG", 5),
        HeaderFormat::Video => (&["video/mp4"], "an MP4", 16),
        HeaderFormat::Document => (&["application/pdf"], "a PDF", 100),
        HeaderFormat::Text | HeaderFormat::Location => (&[], "no file", 0),
    };
    if !types.contains(&sample.content_type.as_str()) {
        return Some(format!("must be {names} by its content: the header is of the format {format}"));
    }
    (sample.size == 0 || sample.size > most * MEGABYTE).then(|| format!("must not be empty and have at most {most} MB"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{channel_json, components_json, read_components, read_page};
    use super::*;

    const ID: &str = "018f0000-0000-7000-8000-00000000000f";

    fn header(file: Value) -> Value {
        json!({"type": "header", "format": "image", "exampleFile": file})
    }

    fn in_cards() -> Vec<Component> {
        let card = json!({"components": [header(json!({"id": ID})), {"type": "body", "text": "Um"}]});
        let components =
            json!([header(json!({"id": ID, "fileName": "a.png"})), {"type": "carousel", "cards": [card, card]}]);
        read_components(&components).expect("well formed")
    }

    #[test]
    fn a_sample_is_written_for_a_caller_and_for_a_channel() {
        let mut components = in_cards();
        let places: Vec<String> = samples_mut(&mut components).iter().map(|(path, _)| path.to_string()).collect();
        let inner = |card: usize| format!("components[1].cards[{card}].components[0].exampleFile");
        assert_eq!(places, ["components[0].exampleFile".to_owned(), inner(0), inner(1)]);
        for (_, file) in samples_mut(&mut components) {
            file.content_type = "image/png".to_owned();
            file.size = 7;
        }
        assert_eq!(samples_of(&components).len(), 3);
        let file = json!({"id": ID, "fileName": "a.png", "contentType": "image/png", "size": 7});
        assert_eq!(components_json(&components)[0], header(file));
        let file = json!({"media": ID, "filename": "a.png", "contentType": "image/png", "size": 7});
        assert_eq!(channel_json(&components)[0], header(file));
    }

    #[test]
    fn what_names_no_file_is_said_with_its_place() {
        for (wrong, place) in [
            (header(json!("x")), "components[0].exampleFile: "),
            (header(json!({})), "components[0].exampleFile.id: "),
            (header(json!({"id": "x"})), "components[0].exampleFile.id: "),
            (header(json!({"id": ID, "fileName": "a/b"})), "components[0].exampleFile.fileName: "),
            (header(json!({"id": ID, "fileName": ""})), "components[0].exampleFile.fileName: "),
            (json!({"type": "header", "format": "text", "exampleFile": {"id": ID}}), "components[0].exampleFile: "),
        ] {
            let problem = read_components(&json!([wrong])).expect_err(place);
            assert!(problem.starts_with(place), "{problem}");
        }
    }

    #[test]
    fn a_channels_list_names_no_files_and_keeps_those_that_are_known() {
        let page = json!({"templates": [{"name": "a", "language": "pt", "components": [
            {"type": "header", "format": "image", "example": "https://x.com/a", "exampleFile": {"id": ID}},
            {"type": "carousel", "cards": [{"components": [{"type": "header", "format": "image"}]}]}]}]});
        let (mut listed, _) = read_page(&page.to_string()).expect("a page");
        let listed = listed.remove(0).components;
        assert!(samples_of(&listed).is_empty(), "a channel cannot name a tenant's file");
        let known = with_known_samples(listed.clone(), &in_cards());
        assert_eq!(samples_of(&known).len(), 2);
        assert_eq!(components_json(&known)[0]["example"], "https://x.com/a");
        let other = read_components(&json!([{"type": "header", "format": "video", "exampleFile": {"id": ID}}]));
        let kept = with_known_samples(listed, &other.expect("well formed"));
        assert!(samples_of(&kept).is_empty(), "the header is of another format now");
    }

    #[test]
    fn each_format_takes_its_types_up_to_its_size() {
        let file = |content_type: &str, size: u64| Attachment {
            id: Uuid::from_u128(1),
            file_name: "a".to_owned(),
            content_type: content_type.to_owned(),
            size,
        };
        use HeaderFormat::{Document, Image, Video};
        for (format, content_type, most) in [
            (Image, "image/jpeg", 5),
            (Image, "image/png", 5),
            (Video, "video/mp4", 16),
            (Document, "application/pdf", 100),
        ] {
            assert_eq!(problem(format, &file(content_type, most * MEGABYTE)), None, "{format}");
            assert!(problem(format, &file(content_type, most * MEGABYTE + 1)).is_some_and(|why| why.contains("MB")));
            assert!(problem(format, &file(content_type, 0)).is_some(), "an empty one");
            assert!(problem(format, &file("image/webp", 1)).is_some_and(|why| why.contains("by its content")));
        }
    }
}
