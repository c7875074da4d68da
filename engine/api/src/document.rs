//! What is written beside a facade's OpenAPI document: the operation table.

use serde_json::Value;

/// A table of a document's operations in its order: id, method, path, credential, and the file that holds the handler.
/// `handlers` is the facade's folder; its files are named as the document's tags.
pub fn operation_table(title: &str, base: &str, handlers: &str, document: &str) -> String {
    let document: Value = serde_json::from_str(document).unwrap_or_default();
    let mut table = format!(
        "# {title}\n\nGenerated from the document beside it by `make openapi`. Paths are below `{base}`.\n\n\
         | operation | method | path | credential | handler |\n|---|---|---|---|---|\n"
    );
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in item.as_object().into_iter().flatten() {
            let id = operation["operationId"].as_str().unwrap_or_default();
            let section = operation["tags"][0].as_str().unwrap_or_default();
            let credentials: Vec<&str> = operation["security"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|scheme| scheme.as_object()?.keys().next().map(String::as_str))
                .collect();
            let credential = if credentials.is_empty() { "none".to_owned() } else { credentials.join(" or ") };
            table.push_str(&format!(
                "| `{id}` | {} | `{path}` | {credential} | `{handlers}/{section}.rs` |\n",
                method.to_uppercase()
            ));
        }
    }
    table
}
