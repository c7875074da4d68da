//! Section Search: words in messages, conversations and contacts.

use std::collections::BTreeSet;
use std::sync::Arc;

use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::registry::MetaSchema;
use poem_openapi::{Object, OpenApi};
use pombo_domain::Error;
use pombo_domain::commands::search::{self, SearchFound, SearchQuery, Searched};
use uuid::Uuid;

use crate::Section;
use crate::access::Acting;
use crate::wire::contact::Contact;
use crate::wire::conversation::{Conversation, Direction, Kind};
use crate::wire::{Instant, READ, Refused, WRITE};
use pombo_api::declared::{Param, ParamKind};
use pombo_api::error::Failure;
use pombo_api::options::ApiState;

/// Maximum number of hits of each kind if the caller does not say.
const DEFAULT_HITS: u32 = 20;

#[derive(Default)]
pub(crate) struct Search;

impl pombo_api::Section for Search {
    const FILE: &'static str = file!();
}

/// The parameter `in`: one or several kinds, separated by commas.
pub(crate) struct SearchedKinds;

impl ParamKind for SearchedKinds {
    type Value = BTreeSet<Searched>;

    fn schema() -> MetaSchema {
        let kind = "(messages|conversations|contacts)";
        MetaSchema { pattern: Some(format!("^{kind}(,{kind})*$")), ..MetaSchema::new("string") }
    }
    fn parse(text: &str) -> Result<Self::Value, String> {
        let kind = |word: &str| match word {
            "messages" => Some(Searched::Messages),
            "conversations" => Some(Searched::Conversations),
            "contacts" => Some(Searched::Contacts),
            _ => None,
        };
        let kinds: Option<BTreeSet<Searched>> = text.split(',').map(kind).collect();
        kinds.ok_or_else(|| {
            "must be one or several of messages, conversations and contacts, separated by commas".to_owned()
        })
    }
}

/// Where a word was found. Both numbers count Unicode characters (code points) of `excerpt`, from 0; neither bytes nor UTF-16 units.
#[derive(Object)]
pub(crate) struct TextMark {
    /// Place of the first character.
    from: u64,
    /// Place after the last character.
    to: u64,
}

/// A message in which all words were found.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub(crate) struct MessageHit {
    /// Id of the message; of a sent one, the same as in the list of messages.
    id: Uuid,
    /// Number of the message, as in the list of the conversation's messages: that list with `before` one higher ends with it.
    number: u64,
    /// Id of the conversation.
    conversation_id: Uuid,
    /// Id of the connector.
    connector_id: Uuid,
    /// Address of the contact, or of the group.
    chat: String,
    /// Whether it is a group.
    is_group: bool,
    /// Name of the contact or the group, if known; as in the list of conversations.
    contact_name: Option<String>,
    /// Who wrote it.
    direction: Direction,
    /// Kind of content.
    kind: Kind,
    /// When the engine took it; of a sent one, when its first attempt began.
    at: Instant,
    /// Address of the sender; absent for a message that was sent with the engine.
    sender: Option<String>,
    /// Name that the sender goes by.
    sender_name: Option<String>,
    /// The part of its text around the first word that was found, on one line of at most 160 characters; for a file without text, of its
    /// name.
    excerpt: String,
    /// Where the words are in `excerpt`, in order. For `joao` in `Olá, João!` it is one, from 5 to 9.
    marks: Vec<TextMark>,
    /// Whether the text begins before the excerpt.
    cut_before: bool,
    /// Whether the text goes on after the excerpt.
    cut_after: bool,
}

impl From<search::MessageHit> for MessageHit {
    fn from(hit: search::MessageHit) -> Self {
        let search::MessageHit { conversation: view, item, excerpt } = hit;
        let contact_name = view.name().map(str::to_owned);
        let mark = |mark: std::ops::Range<usize>| TextMark { from: mark.start as u64, to: mark.end as u64 };
        Self {
            id: item.id,
            number: item.number,
            conversation_id: view.conversation.id,
            connector_id: view.connector,
            chat: view.conversation.chat,
            is_group: view.conversation.is_group,
            contact_name,
            direction: Direction::of(item.entry.from_me),
            kind: item.entry.kind().into(),
            at: Instant(item.at),
            sender: item.entry.sender,
            sender_name: item.entry.sender_name,
            excerpt: excerpt.text,
            marks: excerpt.marks.into_iter().map(mark).collect(),
            cut_before: excerpt.cut_before,
            cut_after: excerpt.cut_after,
        }
    }
}

/// Messages that were found.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct FoundMessages {
    /// The hits, the newest first.
    data: Vec<MessageHit>,
    /// Whether all messages were looked at. If not, there may be more hits, even where there is none on this page.
    complete: bool,
    /// The `after` with which the search goes on, in older messages; absent if it is complete.
    after: Option<u64>,
}

impl From<search::FoundMessages> for FoundMessages {
    fn from(found: search::FoundMessages) -> Self {
        Self {
            data: found.hits.into_iter().map(MessageHit::from).collect(),
            complete: found.rest_before.is_none(),
            after: found.rest_before,
        }
    }
}

/// Conversations that were found.
#[derive(Object)]
pub(crate) struct FoundConversations {
    /// The first of them, the last active first; at most `limit`.
    data: Vec<Conversation>,
    /// Number of all of them. `GET /v1/conversations` with the same `search` has the others too, together with conversations whose newest
    /// message begins with the words.
    total: u64,
}

/// Contacts that were found.
#[derive(Object)]
pub(crate) struct FoundContacts {
    /// The first of them, ordered by number.
    data: Vec<Contact>,
    /// Number of all of them; the list of contacts with the same `search` has the others.
    total: u64,
}

/// What was found, of each kind that was searched.
#[derive(Object)]
#[oai(skip_serializing_if_is_none)]
pub(crate) struct SearchResult {
    /// Messages; absent where they were not searched.
    messages: Option<FoundMessages>,
    /// Conversations; absent where they were not searched.
    conversations: Option<FoundConversations>,
    /// Contacts; absent where they were not searched.
    contacts: Option<FoundContacts>,
}

impl From<SearchFound> for SearchResult {
    fn from(found: SearchFound) -> Self {
        Self {
            messages: found.messages.map(FoundMessages::from),
            conversations: found.conversations.map(|(views, total)| FoundConversations {
                data: views.into_iter().map(Conversation::from).collect(),
                total,
            }),
            contacts: found.contacts.map(|(hits, total)| FoundContacts {
                data: hits.into_iter().map(|hit| Contact::new(hit.contact, hit.connectors, hit.aliases)).collect(),
                total,
            }),
        }
    }
}

#[OpenApi(tag = "Section::Search")]
impl Search {
    /// Search messages, conversations and contacts
    ///
    /// Every word of `q` must occur, also inside of another word; case and accents do not count. `q=acao 123` finds “Ação nº 41235”.
    ///
    /// Messages are found by their text, received ones and sent ones alike, as they read now: edited ones by the new text, deleted ones
    /// not at all. They are searched from the newest back, at most 10,000 with each request, fewer where they are long; if `complete` is
    /// false, repeat the request with the answer's `after`, even if the page was empty. Messages that were sent before the engine kept the history of
    /// conversations are not found: of them it has only the templates. Conversations are found by names and addresses, contacts by
    /// addresses, names, e-mail addresses and companies.
    #[expect(clippy::too_many_arguments, reason = "each filter is a parameter of the document")]
    #[oai(path = "/v1/search", method = "get", operation_id = "search")]
    async fn search(
        &self,
        state: Data<&Arc<ApiState>>,
        acting: Acting,
        /// What to look for: words, or parts of words; at most 200 characters.
        #[oai(validator(min_length = 1, max_length = 200, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$"))]
        q: Query<String>,
        /// What is searched: `messages`, `conversations` and `contacts`, or several of them, separated by commas, such as
        /// `messages,contacts`. If omitted: everything, or only messages with `conversationId` or `after`.
        #[oai(name = "in")]
        kinds: Query<Option<Param<SearchedKinds>>>,
        /// Only messages of this conversation.
        #[oai(name = "conversationId")]
        conversation_id: Query<Option<Uuid>>,
        /// The `after` of the previous answer: only messages with a lower number.
        #[oai(validator(maximum(value = "9007199254740991")))]
        after: Query<Option<u64>>,
        /// Maximum number of hits of each kind, from 1 to 100; 20 if omitted.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<SearchResult>, Refused<{ READ | WRITE }>> {
        let only_messages = conversation_id.0.is_some() || after.0.is_some();
        let kinds = match kinds.0 {
            Some(kinds) if only_messages && kinds.0.iter().any(|kind| *kind != Searched::Messages) => {
                let message = "with conversationId or after, only messages are searched";
                return Err(Failure::from(Error::invalid("in", message)).into());
            }
            Some(kinds) => kinds.0,
            None if only_messages => BTreeSet::from([Searched::Messages]),
            None => BTreeSet::from(Searched::ALL),
        };
        let query = SearchQuery {
            text: q.0,
            kinds,
            conversation: conversation_id.0,
            before: after.0,
            limit: limit.0.unwrap_or(DEFAULT_HITS) as usize,
        };
        Ok(Json(state.commands.search(acting.tenant, query).await?.into()))
    }
}
