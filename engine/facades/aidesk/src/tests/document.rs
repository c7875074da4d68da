//! The document: only documented operations, with what each may answer.

use std::collections::BTreeSet;

use pombo_api::fields::Wanted;

use super::*;
use crate::direct_sends::{DirectFields, DirectMessageSchema};
use crate::template_sends::{TemplateFields, TemplateMessageSchema};

#[test]
fn the_kept_document_and_table_are_those_that_are_generated() {
    pombo_testkit::documents::assert_kept(FACADE.name, &(FACADE.document)(), &FACADE.table());
}

#[test]
fn the_document_has_the_two_operations_with_the_documented_statuses() {
    let document: Value = serde_json::from_str(&(FACADE.document)()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    assert_eq!(
        paths.keys().collect::<BTreeSet<_>>(),
        BTreeSet::from([&"/send-message".to_owned(), &"/sendmessage".to_owned()])
    );
    for (path, item) in paths {
        assert_eq!(item.as_object().expect("operations").keys().collect::<Vec<_>>(), ["post"], "{path}");
        let statuses: Vec<_> = item["post"]["responses"].as_object().expect("responses").keys().collect();
        assert_eq!(statuses, ["200", "400", "401", "500"], "{path}");
        assert_eq!(item["post"]["security"], json!([{"apikey": []}]), "{path}");
    }
    let scheme = &document["components"]["securitySchemes"]["apikey"];
    assert_eq!((&scheme["name"], &scheme["in"]), (&json!("apikey"), &json!("header")));
}

/// The declared fields are those that are read.
#[test]
fn bodies_are_read_as_they_are_declared() {
    fn declared<T: pombo_api::declared::Declares>() -> BTreeSet<&'static str> {
        let schema = T::schema(&mut poem_openapi::registry::Registry::new());
        schema.properties.into_iter().map(|(name, _)| name).collect()
    }
    let names = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!(declared::<TemplateMessageSchema>(), names(TemplateFields::NAMES));
    assert_eq!(declared::<DirectMessageSchema>(), names(DirectFields::NAMES));
    assert_eq!(TemplateFields::NAME, "an object");
}
