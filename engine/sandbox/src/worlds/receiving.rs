//! Requests of a channel and a plugin's answers to them.

use pombo_domain::ports::{ReceivedRequest, ReceivedResponse};

use crate::bindings::types as wit;
use crate::limits::{RECEIVE_ANSWER_BYTES, cut};

/// The feature of a plugin that answers requests of its channel.
pub(crate) const RECEIVE: &str = "receive";

/// Bytes of the name of a type.
const CONTENT_TYPE_BYTES: usize = 256;

/// A request as the plugin gets it.
pub(crate) fn request(request: ReceivedRequest) -> wit::ReceivedRequest {
    wit::ReceivedRequest {
        method: request.method,
        path: request.path,
        query: request.query,
        headers: request.headers,
        body: request.body,
        proven: request.proven,
    }
}

/// The plugin's answer. `Err` says what is wrong with it.
pub(crate) fn response(said: wit::ReceivedResponse) -> Result<ReceivedResponse, String> {
    if !(200..=599).contains(&said.status) {
        return Err(format!("the plugin answered with the status {}, which is not between 200 and 599", said.status));
    }
    if said.body.len() > RECEIVE_ANSWER_BYTES {
        return Err(format!("the plugin's answer has more than {RECEIVE_ANSWER_BYTES} bytes"));
    }
    if !said.content_type.bytes().all(|b| matches!(b, b' '..=b'~')) || said.content_type.len() > CONTENT_TYPE_BYTES {
        return Err(format!("the type of the plugin's answer is not a type: {:?}", cut(&said.content_type, 64)));
    }
    Ok(ReceivedResponse { status: said.status, content_type: said.content_type, body: said.body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_beyond_its_bounds_is_none() {
        let said = |status, bytes| wit::ReceivedResponse {
            status,
            content_type: "application/json".to_owned(),
            body: vec![b'x'; bytes],
        };
        for (status, bytes, fits) in [
            (200, 0, true),
            (599, RECEIVE_ANSWER_BYTES, true),
            (199, 0, false),
            (101, 0, false),
            (600, 0, false),
            (200, RECEIVE_ANSWER_BYTES + 1, false),
        ] {
            assert_eq!(response(said(status, bytes)).is_ok(), fits, "{status} with {bytes} bytes");
        }
        let split = wit::ReceivedResponse { content_type: "text/plain\r\nx: y".to_owned(), ..said(200, 0) };
        assert!(response(split).is_err());
    }
}
