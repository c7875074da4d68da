//! A facade as a value: everything that the server, the command line, the configuration and the documentation page must know of
//! one. The server lists these values once; no other code of the engine names a facade.

use poem::endpoint::BoxEndpoint;
use poem::http::StatusCode;
use poem::{Request, Response};

use crate::docs::DocumentPage;
use crate::document;
use crate::error::Failure;
use crate::sections::Operations;

/// An API over the commands, with paths, wire types and a document of its own.
pub struct Facade {
    /// One word in lower case. It names the facade in `pombo openapi --facade`, `http.hosts`, `/docs/{name}`, log lines and metrics.
    pub name: &'static str,
    /// The document's title.
    pub title: &'static str,
    /// Half a sentence for the command line's help.
    pub summary: &'static str,
    /// The path that its operations lie below, without a trailing slash. One facade may have the empty base: it gets whole paths,
    /// and every request that no other facade is for.
    pub base: &'static str,
    /// Further paths that serve the same operations.
    pub aliases: &'static [&'static str],
    /// Where most of its operations are, for people and for the metrics: the base, unless that is empty.
    pub home: &'static str,
    /// Whether host names can be mapped to it in `http.hosts`. At such a host it is served at the root, and this path may stand
    /// before its operations as well.
    pub host_base: Option<&'static str>,
    /// The handlers, by paths below the base.
    pub routes: fn() -> BoxEndpoint<'static, Response>,
    /// The OpenAPI document, as it is kept in `openapi/{name}.json`.
    pub document: fn() -> String,
    /// The page that shows the document.
    pub page: fn() -> String,
    /// What the document says of each operation, with the file that has the handler.
    pub operations: fn() -> Vec<Operations>,
    /// The status that a failure is answered with: its own ([`Failure::own_status`]), unless the facade documents others.
    pub failure_status: fn(&Failure) -> StatusCode,
    /// Writes the body of a failure.
    pub write_failure: WriteFailure,
    /// What becomes of query parameters that an operation does not have.
    pub unknown_parameters: UnknownParameters,
}

/// Writes a failure's body, with its content type. The second argument is the request's id; the status
/// ([`Facade::failure_status`]) and the headers that belong to it are set afterwards.
pub type WriteFailure = fn(&Failure, &str) -> Response;

/// What a facade does about query parameters that an operation does not have, or that are given twice.
#[derive(Clone, Copy)]
pub enum UnknownParameters {
    /// They are passed over.
    Ignored,
    /// The request is refused before its handler sees it.
    Refused {
        /// Whether the request has the credential that its operation needs. Asked first, so that a caller without one learns nothing
        /// of the operation.
        identify: fn(&Request, &Security) -> Result<(), Failure>,
        /// The refusal. A facade that answers an operation's errors in another form than its others returns that answer itself.
        refuse: fn(&WrongQuery<'_>) -> Result<Response, Failure>,
    },
}

/// Which credentials an operation takes, as its document says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// The names of the security schemes; one of them is enough. Without any, everybody may ask.
    pub schemes: Vec<&'static str>,
    /// Whether the operation also answers without a credential, such as to a signed link.
    pub is_optional: bool,
}

/// A query that is refused.
pub struct WrongQuery<'a> {
    /// The operation's id.
    pub operation: &'a str,
    /// The parameters that the operation has, in the document's order.
    pub known: &'a [String],
    /// What is wrong, in the query's order; never empty.
    pub problems: Vec<WrongParameter>,
}

/// What is wrong with a query parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrongParameter {
    /// The operation has none of this name.
    Unknown(String),
    /// It was given more than once.
    Repeated(String),
}

impl Facade {
    /// The table of its operations, as it is kept in `openapi/{name}.md`.
    pub fn table(&self) -> String {
        let base = if self.base.is_empty() { "/" } else { self.base };
        document::operation_table(self.title, base, (self.operations)())
    }

    /// Its page of the documentation.
    pub fn document_page(&self) -> DocumentPage {
        let (json, html) = ((self.document)(), (self.page)());
        DocumentPage { name: self.name, title: self.title, base: self.home, json, html }
    }
}
