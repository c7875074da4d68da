//! Meta's errors: codes, texts, HTTP statuses and the shapes that they come in. It knows nothing of the state; pure functions,
//! called from any task.

use serde_json::{Value, json};

/// A request that Graph refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphError {
    /// The status of the HTTP answer.
    pub http: u16,
    /// Meta's code.
    pub code: i64,
    /// Meta's subcode, where it gives one.
    pub subcode: Option<i64>,
    /// `OAuthException` or `GraphMethodException`.
    pub kind: &'static str,
    /// The text, with `(#code)` in front where Meta puts it.
    pub message: String,
    /// `error_data.details`.
    pub details: Option<String>,
}

impl GraphError {
    /// A fault of form: code 100 without `error_data`, as Graph's parameter layer answers.
    pub fn form(text: impl AsRef<str>) -> Self {
        Self {
            http: 400,
            code: 100,
            subcode: None,
            kind: "OAuthException",
            message: format!("(#100) {}", text.as_ref()),
            details: None,
        }
    }

    /// A code of the table, with these details.
    pub fn coded(code: i64, details: impl Into<String>) -> Self {
        let known = known(code);
        Self {
            http: known.http,
            code,
            subcode: None,
            kind: "OAuthException",
            message: format!("(#{code}) {}", known.title),
            details: Some(details.into()),
        }
    }

    /// A fault of a template's content, with its subcode and a text for people.
    pub fn content(subcode: i64, text: impl Into<String>) -> Self {
        let mut error = Self::form("Invalid parameter").with_subcode(subcode);
        error.details = Some(text.into());
        error
    }

    /// A code of the table with its usual details.
    pub fn plain(code: i64) -> Self {
        Self::coded(code, known(code).details)
    }

    /// A call without a proof of the app's secret that is taken.
    pub fn proof(text: &str) -> Self {
        Self {
            http: 400,
            code: 100,
            subcode: None,
            kind: "GraphMethodException",
            message: text.to_owned(),
            details: None,
        }
    }

    /// An object that does not exist, or that the token may not see.
    pub fn unknown_object(method: &str, id: &str) -> Self {
        let verb = method.to_lowercase();
        Self {
            http: 400,
            code: 100,
            subcode: Some(33),
            kind: "GraphMethodException",
            message: format!(
                "Unsupported {verb} request. Object with ID '{id}' does not exist, cannot be loaded due to missing permissions, \
                 or does not support this operation. Please read the Graph API documentation at \
                 https://developers.facebook.com/docs/graph-api"
            ),
            details: None,
        }
    }

    /// A token that is not taken.
    pub fn token(subcode: Option<i64>, message: impl Into<String>) -> Self {
        Self { http: 401, code: 190, subcode, kind: "OAuthException", message: message.into(), details: None }
    }

    /// The same error with a subcode.
    #[must_use]
    pub fn with_subcode(mut self, subcode: i64) -> Self {
        self.subcode = Some(subcode);
        self
    }

    /// The same error with this HTTP status.
    #[must_use]
    pub fn with_http(mut self, http: u16) -> Self {
        self.http = http;
        self
    }

    /// The body of the answer.
    pub fn body(&self, trace: &str) -> Value {
        let mut error = json!({
            "message": self.message, "type": self.kind, "code": self.code, "fbtrace_id": trace,
        });
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = json!(subcode);
        }
        if let Some(details) = &self.details
            && self.subcode.is_some_and(|subcode| (2_388_000..2_389_000).contains(&subcode))
        {
            // Management tells people, not programs.
            error["is_transient"] = json!(false);
            error["error_user_title"] = json!("Invalid template");
            error["error_user_msg"] = json!(details);
        } else if let Some(details) = &self.details {
            error["error_data"] = json!({ "messaging_product": "whatsapp", "details": details });
        }
        json!({ "error": error })
    }

    /// The same body with `error_data` as a text.
    pub fn body_with_text(&self, trace: &str) -> Value {
        let mut body = self.body(trace);
        body["error"]["error_data"] = json!(self.details.clone().unwrap_or_else(|| self.message.clone()));
        body
    }
}

/// The error as a status webhook carries it.
pub fn asynchronous(code: i64, details: Option<&str>) -> Value {
    let known = known(code);
    json!({
        "code": code, "title": known.title, "message": known.title,
        "error_data": { "details": details.unwrap_or(known.details) },
        "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
    })
}

/// What Meta says with a code.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Status of the HTTP answer.
    pub http: u16,
    /// Title.
    pub title: &'static str,
    /// Usual details.
    pub details: &'static str,
    /// Whether it comes by a status webhook after a 200, unless a knob says otherwise.
    pub later: bool,
}

const fn at_once(http: u16, title: &'static str, details: &'static str) -> Known {
    Known { http, title, details, later: false }
}

const fn later(http: u16, title: &'static str, details: &'static str) -> Known {
    Known { http, title, details, later: true }
}

/// The table of codes.
pub fn known(code: i64) -> Known {
    match code {
        0 => at_once(401, "AuthException", "We were unable to authenticate the app user."),
        1 => at_once(400, "An unknown error occurred", "Invalid request or possible server error."),
        2 => at_once(503, "Service temporarily unavailable", "Temporary due to downtime or due to being overloaded."),
        3 => at_once(
            500,
            "Application does not have the capability to make this API call.",
            "Capability or permissions issue.",
        ),
        4 => at_once(400, "Application request limit reached", "The app has reached its API call rate limit."),
        10 => at_once(
            403,
            "Application does not have permission for this action",
            "Permission is either not granted or has been removed.",
        ),
        33 => at_once(400, "Parameter value is not valid", "The business phone number has been deleted."),
        100 => {
            at_once(400, "Invalid parameter", "The request included one or more unsupported or misspelled parameters.")
        }
        190 => at_once(401, "Invalid OAuth access token", "Your access token has expired."),
        200..=299 => at_once(403, "Permissions error", "Permission is either not granted or has been removed."),
        368 => at_once(
            403,
            "Temporarily blocked for policies violations",
            "The account has been restricted or disabled for violating a platform policy.",
        ),
        613 => at_once(
            400,
            "Calls to this api have exceeded the rate limit.",
            "Calls to this api have exceeded the rate limit.",
        ),
        80007 => at_once(400, "Rate limit issues", "The WhatsApp Business Account has reached its rate limit."),
        80008 => at_once(
            400,
            "There have been too many calls to this WhatsApp Business account. Wait a bit and try again.",
            "Management calls of this account exceeded the limit of an hour.",
        ),
        130429 => at_once(400, "Rate limit hit", "Cloud API message throughput has been reached."),
        130472 => later(
            400,
            "User's number is part of an experiment",
            "Failed to send message because this user's phone number is part of an experiment",
        ),
        130497 => later(
            403,
            "Business account is restricted from messaging users in this country.",
            "Business account is restricted from messaging users in this country.",
        ),
        131000 => at_once(500, "Something went wrong", "Message failed to send due to an unknown error."),
        131005 => at_once(403, "Access denied", "Permission is either not granted or has been removed."),
        131008 => at_once(400, "Required parameter is missing", "The request is missing a required parameter."),
        131009 => at_once(400, "Parameter value is not valid", "One or more parameter values are invalid."),
        131016 => at_once(503, "Service unavailable", "A service is temporarily unavailable."),
        131021 => at_once(400, "Recipient cannot be sender", "Sender and recipient phone number is the same."),
        131026 => later(400, "Message undeliverable", "Message Undeliverable."),
        131030 => at_once(
            400,
            "Recipient phone number not in allowed list",
            "Recipient phone number not in allowed list: Add recipient phone number to recipient list and try again.",
        ),
        131031 => at_once(403, "Business Account locked", "Business account has been locked."),
        131037 => at_once(
            400,
            "WhatsApp provided number needs display name approval before message can be sent.",
            "The display name of this number is not approved.",
        ),
        131042 => later(
            400,
            "Business eligibility payment issue",
            "Message failed to send because there were one or more errors related to your payment method.",
        ),
        131043 => later(400, "Message expired", "Message was not sent during its Time To Live."),
        131045 => {
            at_once(500, "Incorrect certificate", "Message failed to send due to a phone number registration error.")
        }
        131047 => later(
            400,
            "Re-engagement message",
            "Message failed to send because more than 24 hours have passed since the customer last replied to this number.",
        ),
        131048 => at_once(
            400,
            "Spam rate limit hit",
            "Message failed to send because there are restrictions on how many messages can be sent from this phone number.",
        ),
        131049 => later(
            400,
            "This message was not delivered to maintain healthy ecosystem engagement.",
            "In order to maintain a healthy ecosystem engagement, the message failed to be delivered.",
        ),
        131050 => later(
            400,
            "User has stopped marketing messages from your business.",
            "This recipient chose to stop receiving marketing messages on WhatsApp from your business.",
        ),
        131051 => at_once(400, "Unsupported message type", "Message type is not currently supported."),
        131052 => later(400, "Media download error", "Unable to download the media sent by the user."),
        131053 => later(400, "Media upload error", "Unable to upload the media used in the message."),
        131056 => at_once(
            400,
            "(Business Account, Consumer Account) pair rate limit hit",
            "Message failed to send because there were too many messages sent from this phone number to \
             the same phone number in a short period of time.",
        ),
        131057 => at_once(500, "Account in maintenance mode", "Business Account is in maintenance mode."),
        131059 => at_once(400, "Invalid cursor", "The paging cursor is not valid."),
        131062 => at_once(
            400,
            "Message kind not allowed for this recipient",
            "This message cannot be sent to a business-scoped user id.",
        ),
        132000 => at_once(
            400,
            "Number of parameters does not match the expected number of params",
            "The number of variable parameter values does not match.",
        ),
        132001 => at_once(
            404,
            "Template name does not exist in the translation",
            "The template does not exist in the specified language or the template has not been approved.",
        ),
        132005 => at_once(400, "Translated text too long", "Translated text is too long."),
        132007 => {
            at_once(400, "Template format character policy violated", "Template content violates a WhatsApp policy.")
        }
        132012 => at_once(
            400,
            "Parameter format does not match format in the created template",
            "Variable parameter values formatted incorrectly.",
        ),
        132015 => at_once(
            400,
            "Template is paused",
            "Template is paused due to low quality so it cannot be sent in a template message.",
        ),
        132016 => at_once(
            400,
            "Template is disabled",
            "Template has been paused too many times due to low quality and is now permanently disabled.",
        ),
        132018 => at_once(
            400,
            "There's an issue with the parameters in your template",
            "Param text cannot have new-line/tab characters or more than 4 consecutive spaces",
        ),
        132068 => at_once(400, "Flow is in blocked state", "Flow is in blocked state."),
        132069 => at_once(
            400,
            "Flow is in throttled state",
            "Flow is in throttled state and 10 messages using this flow were already sent in the last hour.",
        ),
        133000 => at_once(500, "Incomplete deregistration", "A previous deregistration attempt failed."),
        133004 => at_once(503, "Server temporarily unavailable", "Server is temporarily unavailable."),
        133005 => at_once(400, "Two step verification PIN mismatch", "Two-step verification PIN incorrect."),
        133010 => at_once(
            400,
            "The account is not registered",
            "Account does not exist in Cloud API, please use /register API to create an account first.",
        ),
        134100 => at_once(
            400,
            "Only marketing messages supported",
            "Only templates of the category MARKETING can be sent with this API.",
        ),
        135000 => at_once(
            400,
            "Generic user error",
            "Message failed to send because of an unknown error with your request parameters.",
        ),
        _ => at_once(400, "An unknown error occurred", "An unknown error occurred."),
    }
}

/// The codes whose HTTP status the knob `rate_http` sets.
pub const RATE_CODES: [i64; 7] = [4, 613, 80007, 80008, 130429, 131048, 131056];
