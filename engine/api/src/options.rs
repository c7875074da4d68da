//! The facades' settings, and the state that every handler uses.

use std::sync::Arc;
use std::time::Duration;

use pombo_domain::commands::Commands;

use crate::hook_links::HookLinks;
use crate::media_links::MediaLinks;
use crate::receive_links::ReceiveLinks;
use crate::session_links::SessionLinks;
use crate::tokens::Tokens;

/// Settings of HTTP. Its secrets are never printed.
#[derive(Clone)]
pub struct ApiOptions {
    /// URL under which callers reach this engine, without a trailing slash: `http://127.0.0.1:8080`.
    pub public_url: String,
    /// The key from which those for login tokens and links are derived; at least 32 random bytes.
    pub secret: Vec<u8>,
    /// Lifetime of a login token.
    pub token_lifetime: Duration,
    /// Lifetime of a link to a file.
    pub media_link_lifetime: Duration,
    /// SHA-256 of the operator's token; without it nobody is the operator.
    pub operator_token_hash: Option<[u8; 32]>,
    /// Limits of request bodies.
    pub limits: Limits,
}

/// The largest request bodies that are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of a JSON body, in bytes.
    pub json_bytes: usize,
    /// Size of a bulk's JSON body, in bytes.
    pub bulk_bytes: usize,
    /// Size of a whole multipart body, in bytes.
    pub multipart_bytes: u64,
    /// Number of files of one message.
    pub files: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            json_bytes: 5 * 1024 * 1024,
            bulk_bytes: 32 * 1024 * 1024,
            multipart_bytes: 200 * 1024 * 1024,
            files: 10,
        }
    }
}

/// What every request carries: the commands and the settings, ready for use.
pub struct ApiState {
    /// The use cases.
    pub commands: Commands,
    /// The settings that the operator gave, the same for every facade.
    pub options: ApiOptions,
    /// Makes and reads the tokens that a login gives.
    pub tokens: Tokens,
    /// Links to files.
    pub media_links: MediaLinks,
    /// URLs of automations' webhooks.
    pub hook_links: HookLinks,
    /// How channels reach connectors.
    pub receive_links: ReceiveLinks,
    /// Links by which somebody without a login links an account.
    pub session_links: SessionLinks,
}

impl ApiState {
    /// Derives the keys and builds the state.
    pub fn new(commands: Commands, options: ApiOptions) -> Arc<Self> {
        let tokens = Tokens::new(&options.secret, options.token_lifetime);
        let media_links = MediaLinks::new(&options.secret, &options.public_url, options.media_link_lifetime);
        let hook_links = HookLinks::new(&options.secret, &options.public_url);
        let receive_links = ReceiveLinks::new(&options.secret, &options.public_url);
        let session_links = SessionLinks::new(&options.secret, &options.public_url);
        Arc::new(Self { commands, options, tokens, media_links, hook_links, receive_links, session_links })
    }
}
