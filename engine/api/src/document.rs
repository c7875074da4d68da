//! The operation table, which is written in addition to a facade's OpenAPI document.

use poem_openapi::registry::MetaApi;

/// A table of a facade's operations in the order of its groups: id, method, path, credential, and the file that holds the
/// handler. `handlers` is the facade's folder; its files are named as the document's tags.
pub fn operation_table(title: &str, base: &str, handlers: &str, operations: Vec<MetaApi>) -> String {
    let mut table = format!(
        "# {title}\n\nGenerated from the handlers by `make openapi`. Paths are below `{base}`.\n\n\
         | operation | method | path | credential | handler |\n|---|---|---|---|---|\n"
    );
    for path in operations.into_iter().flat_map(|group| group.paths) {
        for operation in path.operations {
            let id = operation.operation_id.unwrap_or_default();
            let section = operation.tags.first().copied().unwrap_or_default();
            let schemes: Vec<&str> = operation.security.iter().flat_map(|scheme| scheme.keys().copied()).collect();
            let credential = if schemes.is_empty() { "none".to_owned() } else { schemes.join(" or ") };
            let (method, path) = (operation.method, &path.path);
            table.push_str(&format!("| `{id}` | {method} | `{path}` | {credential} | `{handlers}/{section}.rs` |\n"));
        }
    }
    table
}
