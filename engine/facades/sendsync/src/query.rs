//! The refusal of query parameters that an operation does not have.

use poem::{IntoResponse, Request, Response};
use pombo_api::auth::Caller;
use pombo_api::error::Failure;
use pombo_api::{Security, WrongParameter, WrongQuery};

use crate::queue::SEND_BULK;
use crate::queue::wire::BulkAnswer;

/// Whether a request has a credential for an operation with this security.
pub(super) fn identify(request: &Request, security: &Security) -> Result<(), Failure> {
    if security.schemes.is_empty() { Ok(()) } else { Caller::of(request).map(drop) }
}

/// Refuses a query with a parameter that the operation has not, or with one given twice: a filter that is silently ignored
/// answers another question than was asked.
pub(super) fn refuse(query: &WrongQuery<'_>) -> Result<Response, Failure> {
    let message = match query.problems.first() {
        Some(WrongParameter::Repeated(name)) => format!("{name}: given more than once"),
        Some(WrongParameter::Unknown(name)) => {
            let name: String = name.chars().take(60).collect();
            match query.known {
                [] => format!("unknown parameter {name:?}; this operation takes none"),
                known => format!("unknown parameter {name:?}; the parameters are {}", known.join(", ")),
            }
        }
        None => "the query is wrong".to_owned(),
    };
    // Its 400 has the form of its answer.
    if query.operation == SEND_BULK {
        return Ok(BulkAnswer::unreadable(message).into_response());
    }
    Err(Failure::bad_request(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_repeated_parameters_are_named() {
        let known = ["status".to_owned(), "page".to_owned()];
        let message = |problem: WrongParameter, known: &[String]| {
            let query = WrongQuery { operation: "list_messages", known, problems: vec![problem] };
            refuse(&query).expect_err("refused").message
        };
        let misspelt = || WrongParameter::Unknown("stauts".to_owned());
        assert_eq!(message(misspelt(), &known), "unknown parameter \"stauts\"; the parameters are status, page");
        assert_eq!(message(misspelt(), &[]), "unknown parameter \"stauts\"; this operation takes none");
        assert_eq!(message(WrongParameter::Repeated("page".to_owned()), &known), "page: given more than once");
    }

    #[test]
    fn a_bulk_is_refused_in_its_own_form() {
        let problems = vec![WrongParameter::Unknown("x".to_owned())];
        let refused = refuse(&WrongQuery { operation: SEND_BULK, known: &[], problems }).expect("an answer");
        assert_eq!(refused.status(), poem::http::StatusCode::BAD_REQUEST);
    }
}
