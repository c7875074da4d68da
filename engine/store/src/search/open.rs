//! The segment that takes new messages: a token dictionary that grows, with the messages of each token.
//!
//! The first message of a token is stored with the token; further ones form chains in one arena, newest first. A token knows
//! its last message, so one that occurs twice in a message is noted once.

use memchr::memmem::Finder;
use uuid::Uuid;

use super::fold::fold_into;
use super::scan::{END, each_hit};
use crate::columns::block::Mask;

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
pub(crate) struct Token {
    first: u16,
    last: u16,
    pub(crate) count: u32,
    chain: u32,
}

/// An open segment. Positions of messages are those within their block.
pub(crate) struct OpenSegment {
    /// The first serial.
    pub(crate) first: u64,
    /// Number of messages.
    pub(crate) count: u32,
    /// The id of its last message.
    pub(crate) last_id: Uuid,
    text: Vec<u8>,
    starts: Vec<u32>,
    tokens: Vec<Token>,
    arena: Vec<(u16, u32)>,
    /// Open addressing: token number + 1, or 0.
    table: Vec<u32>,
    folded: String,
    /// Bulk messages often share their text; its tokens are looked up once.
    last_text: String,
    last_tokens: Vec<u32>,
}

impl OpenSegment {
    pub(crate) fn new(first: u64) -> Self {
        Self {
            first,
            count: 0,
            last_id: Uuid::nil(),
            text: Vec::new(),
            starts: Vec::new(),
            tokens: Vec::new(),
            arena: Vec::new(),
            table: Vec::new(),
            folded: String::new(),
            last_text: String::new(),
            last_tokens: Vec::new(),
        }
    }

    /// The serial after its last.
    pub(crate) fn next(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// Bytes of its dictionary.
    pub(crate) fn text_len(&self) -> usize {
        self.text.len()
    }

    /// Adds the next message.
    pub(crate) fn push(&mut self, id: Uuid, to: &str, contact_name: Option<&str>, text: &str) {
        let doc = (self.next() & 0xffff) as u16;
        let mut folded = std::mem::take(&mut self.folded);
        folded.clear();
        fold_into(to, &mut folded);
        if let Some(name) = contact_name {
            folded.push(' ');
            fold_into(name, &mut folded);
        }
        for token in folded.split_whitespace() {
            let token = self.token(token.as_bytes());
            self.note(token, doc);
        }
        if text != self.last_text || self.count == 0 {
            folded.clear();
            fold_into(text, &mut folded);
            let mut tokens = std::mem::take(&mut self.last_tokens);
            tokens.clear();
            tokens.extend(folded.split_whitespace().map(|token| self.token(token.as_bytes())));
            tokens.sort_unstable();
            tokens.dedup();
            self.last_tokens = tokens;
            self.last_text.clear();
            self.last_text.push_str(text);
        }
        for i in 0..self.last_tokens.len() {
            self.note(self.last_tokens[i], doc);
        }
        self.folded = folded;
        self.last_id = id;
        self.count += 1;
    }

    fn note(&mut self, token: u32, doc: u16) {
        let entry = &mut self.tokens[token as usize];
        if entry.count == 0 {
            *entry = Token { first: doc, last: doc, count: 1, chain: NONE };
        } else if entry.last != doc {
            self.arena.push((doc, entry.chain));
            entry.chain = (self.arena.len() - 1) as u32;
            entry.last = doc;
            entry.count += 1;
        }
    }

    /// The bytes of a token.
    pub(crate) fn bytes(&self, token: usize) -> &[u8] {
        let start = self.starts[token] as usize;
        let end = self.starts.get(token + 1).map_or(self.text.len(), |next| *next as usize);
        &self.text[start..end - 1]
    }

    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The messages of a token; all but the first come newest first.
    pub(crate) fn docs(&self, token: usize) -> impl Iterator<Item = u16> + '_ {
        let Token { first, mut chain, .. } = self.tokens[token];
        std::iter::once(first).chain(std::iter::from_fn(move || {
            let (doc, next) = *self.arena.get(chain as usize)?;
            chain = next;
            Some(doc)
        }))
    }

    /// The number of a token, a new one if it has none.
    fn token(&mut self, bytes: &[u8]) -> u32 {
        if self.table.len() < self.tokens.len() * 2 + 16 {
            self.grow();
        }
        let mut slot = xxhash_rust::xxh3::xxh3_64(bytes) as usize & (self.table.len() - 1);
        loop {
            match self.table[slot] {
                0 => break,
                n if self.bytes(n as usize - 1) == bytes => return n - 1,
                _ => slot = (slot + 1) & (self.table.len() - 1),
            }
        }
        let token = self.tokens.len() as u32;
        self.table[slot] = token + 1;
        self.starts.push(self.text.len() as u32);
        self.text.extend_from_slice(bytes);
        self.text.push(END);
        self.tokens.push(Token { first: 0, last: 0, count: 0, chain: NONE });
        token
    }

    fn grow(&mut self) {
        let size = (self.tokens.len() * 4 + 64).next_power_of_two();
        let mut table = vec![0u32; size];
        for token in 0..self.tokens.len() {
            let mut slot = xxhash_rust::xxh3::xxh3_64(self.bytes(token)) as usize & (size - 1);
            while table[slot] != 0 {
                slot = (slot + 1) & (size - 1);
            }
            table[slot] = token as u32 + 1;
        }
        self.table = table;
    }

    /// Adds the messages with `word` to `mask`.
    pub(crate) fn matches(&self, word: &Finder<'_>, mask: &mut Mask) {
        let mut token = 0;
        each_hit(&self.text, word, |hit, _| {
            token += self.starts[token..].partition_point(|start| *start as usize <= hit) - 1;
            for doc in self.docs(token) {
                mask[usize::from(doc) / 64] |= 1 << (doc % 64);
            }
            token += 1;
        });
    }
}
