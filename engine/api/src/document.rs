//! The operation table, which is written in addition to a facade's OpenAPI document.

use crate::sections::Operations;

/// A table of a facade's operations in the order of its sections: id, method, path, credential, and the file that holds the handler.
pub(crate) fn operation_table(title: &str, base: &str, sections: Vec<Operations>) -> String {
    let mut table = format!(
        "# {title} operations\n\nGenerated from the handlers by `make openapi`. Paths are below `{base}`.\n\n\
         | operation | method | path | credential | handler |\n|---|---|---|---|---|\n"
    );
    for Operations { file, api } in sections {
        for (path, operation) in api
            .paths
            .into_iter()
            .flat_map(|path| path.operations.into_iter().map(move |operation| (path.path.clone(), operation)))
        {
            let id = operation.operation_id.unwrap_or_default();
            let schemes: Vec<&str> = operation.security.iter().flat_map(|scheme| scheme.keys().copied()).collect();
            let credential = if schemes.is_empty() { "none".to_owned() } else { schemes.join(" or ") };
            let method = operation.method;
            table.push_str(&format!("| `{id}` | {method} | `{path}` | {credential} | `{file}` |\n"));
        }
    }
    table
}
