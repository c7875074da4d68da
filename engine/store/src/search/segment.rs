//! A sealed segment: immutable, in one file.
//!
//! ```text
//! header   magic 8 · tenant 4 · first serial 8 · messages 4 · shared tokens 4 · unique tokens 4 · text 8 · postings 8 ·
//!          id of the last message 16
//! text     the tokens, shared ones (of two or more messages) first, each with a line feed
//! ends     u32 per shared token: where its postings end
//! docs     u16 per unique token: its one message
//! sum      xxh3 of all before
//! postings per shared token u16 per message, or a bitmap of 8 KiB for 4,096 and more
//! sum      xxh3 of the postings
//! ```
//! Integers are little-endian. A message is its position within its block of 65,536 serials; a segment never spans two
//! blocks. Text, ends and docs are held in memory (the text only within a budget), postings are read from the file.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memchr::memmem::Finder;
use pombo_domain::TenantIndex;
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_64;

use super::open::OpenSegment;
use super::scan::{END, each_hit};
use crate::columns::block::Mask;

const MAGIC: &[u8; 8] = b"PMBSEG01";
const HEADER: usize = 8 + 4 + 8 + 4 + 4 + 4 + 8 + 8 + 16;
const BITMAP: usize = 8192;
/// Every how many tokens a position is remembered.
const SAMPLE: usize = 64;
/// Pieces in which a text on disk is scanned.
const PIECE: usize = 256 << 10;
/// Postings nearer than this are read together.
const NEAR: u32 = 4 << 10;

/// Memory that the texts of sealed segments may take.
pub(crate) struct Budget {
    left: AtomicU64,
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Arc<Self> {
        Arc::new(Self { left: AtomicU64::new(bytes) })
    }
    fn take(&self, bytes: u64) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }
    fn give(&self, bytes: u64) {
        self.left.fetch_add(bytes, Ordering::Relaxed);
    }
}

enum Text {
    Memory(Box<[u8]>, Arc<Budget>),
    File(u64),
}

impl Drop for Text {
    fn drop(&mut self) {
        if let Self::Memory(text, budget) = self {
            budget.give(text.len() as u64);
        }
    }
}

/// A sealed segment, open for reading.
pub(crate) struct Segment {
    pub(crate) first: u64,
    pub(crate) count: u32,
    pub(crate) last_id: Uuid,
    shared: usize,
    text: Text,
    text_len: u64,
    /// Start of every [`SAMPLE`]th token.
    samples: Vec<u32>,
    ends: Vec<u32>,
    docs: Vec<u16>,
    file: File,
    postings_at: u64,
}

/// Where a tenant's segments are.
pub(crate) fn folder(root: &Path, tenant: TenantIndex) -> PathBuf {
    root.join(format!("{:08x}", tenant.0))
}

fn file_name(first: u64) -> String {
    format!("{first:010x}.seg")
}

/// The first serials of the segments in a folder, ascending. Left-over temporary files are removed.
pub(crate) fn present(folder: &Path) -> io::Result<Vec<u64>> {
    let mut firsts = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(firsts),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else { continue };
        if name.ends_with(".tmp") {
            fs::remove_file(entry.path())?;
        } else if let Some(first) = name.strip_suffix(".seg").and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
            firsts.push(first);
        }
    }
    firsts.sort_unstable();
    Ok(firsts)
}

/// Removes a segment that is not to be trusted.
pub(crate) fn remove(folder: &Path, first: u64) -> io::Result<()> {
    fs::remove_file(folder.join(file_name(first)))
}

/// Writes an open segment's file: complete under a temporary name, synced, then renamed.
pub(crate) fn write(folder: &Path, tenant: TenantIndex, open: &OpenSegment) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let (mut shared, mut unique) = (Vec::new(), Vec::new());
    for (i, token) in open.tokens().iter().enumerate() {
        if token.count > 1 { shared.push(i) } else { unique.push(i) }
    }
    let mut text = Vec::with_capacity(open.text_len());
    for token in shared.iter().chain(&unique) {
        text.extend_from_slice(open.bytes(*token));
        text.push(END);
    }
    let mut postings = Vec::new();
    let mut ends = Vec::with_capacity(shared.len());
    let mut docs: Vec<u16> = Vec::new();
    for token in &shared {
        docs.clear();
        docs.extend(open.docs(*token));
        if docs.len() * 2 >= BITMAP {
            let mut bitmap = [0u8; BITMAP];
            docs.iter().for_each(|doc| bitmap[usize::from(*doc) / 8] |= 1 << (doc % 8));
            postings.extend_from_slice(&bitmap);
        } else {
            docs.iter().for_each(|doc| postings.extend_from_slice(&doc.to_le_bytes()));
        }
        ends.push(postings.len() as u32);
    }

    let mut head = Vec::with_capacity(HEADER + text.len() + ends.len() * 4 + unique.len() * 2 + 8);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&tenant.0.to_le_bytes());
    head.extend_from_slice(&open.first.to_le_bytes());
    head.extend_from_slice(&open.count.to_le_bytes());
    head.extend_from_slice(&(shared.len() as u32).to_le_bytes());
    head.extend_from_slice(&(unique.len() as u32).to_le_bytes());
    head.extend_from_slice(&(text.len() as u64).to_le_bytes());
    head.extend_from_slice(&(postings.len() as u64).to_le_bytes());
    head.extend_from_slice(open.last_id.as_bytes());
    head.extend_from_slice(&text);
    ends.iter().for_each(|end| head.extend_from_slice(&end.to_le_bytes()));
    for token in &unique {
        let doc = open.docs(*token).next().unwrap_or_default();
        head.extend_from_slice(&doc.to_le_bytes());
    }
    let head_sum = xxh3_64(&head);
    let temporary = folder.join(format!("{}.tmp", file_name(open.first)));
    let mut file = File::create(&temporary)?;
    file.write_all(&head)?;
    file.write_all(&head_sum.to_le_bytes())?;
    file.write_all(&postings)?;
    file.write_all(&xxh3_64(&postings).to_le_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, folder.join(file_name(open.first)))?;
    File::open(folder)?.sync_all()
}

impl Segment {
    /// Opens and checks a segment's file; an error of kind `InvalidData` when it is damaged.
    pub(crate) fn open(folder: &Path, tenant: TenantIndex, first: u64, budget: &Arc<Budget>) -> io::Result<Self> {
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "a damaged search segment");
        let file = File::open(folder.join(file_name(first)))?;
        let len = file.metadata()?.len();
        let mut header = [0u8; HEADER];
        file.read_exact_at(&mut header, 0).map_err(|_| bad())?;
        let u32_at = |at: usize| header[at..at + 4].try_into().map(u32::from_le_bytes).unwrap_or_default();
        let u64_at = |at: usize| header[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or_default();
        let (count, shared, unique) = (u32_at(20), u32_at(24) as usize, u32_at(28) as usize);
        let (text_len, postings_len) = (u64_at(32), u64_at(40));
        let head_len = (HEADER as u64).checked_add(text_len).ok_or_else(bad)? + (shared * 4 + unique * 2) as u64;
        if &header[..8] != MAGIC
            || u32_at(8) != tenant.0
            || u64_at(12) != first
            || head_len.checked_add(8 + 8).and_then(|n| n.checked_add(postings_len)) != Some(len)
        {
            return Err(bad());
        }
        let mut head = vec![0u8; head_len as usize + 8];
        file.read_exact_at(&mut head, 0)?;
        let (head, sum) = head.split_at(head_len as usize);
        let mut postings = vec![0u8; postings_len as usize + 8];
        file.read_exact_at(&mut postings, head_len + 8)?;
        let (postings, postings_sum) = postings.split_at(postings_len as usize);
        if xxh3_64(head).to_le_bytes() != *sum || xxh3_64(postings).to_le_bytes() != *postings_sum {
            return Err(bad());
        }
        let text = &head[HEADER..HEADER + text_len as usize];
        let ends_at = HEADER + text_len as usize;
        let docs_at = ends_at + shared * 4;
        let ends = head[ends_at..docs_at].chunks_exact(4).map(|c| u32::from_le_bytes(c.try_into().unwrap_or_default()));
        let docs = head[docs_at..].chunks_exact(2).map(|c| u16::from_le_bytes(c.try_into().unwrap_or_default()));
        let mut samples = Vec::with_capacity((shared + unique) / SAMPLE + 1);
        samples.push(0);
        for (i, end) in memchr::memchr_iter(END, text).enumerate() {
            if (i + 1) % SAMPLE == 0 {
                samples.push(end as u32 + 1);
            }
        }
        let kept =
            if budget.take(text_len) { Text::Memory(text.into(), budget.clone()) } else { Text::File(HEADER as u64) };
        Ok(Self {
            first,
            count,
            last_id: Uuid::from_slice(&header[48..64]).unwrap_or_default(),
            shared,
            text: kept,
            text_len,
            samples,
            ends: ends.collect(),
            docs: docs.collect(),
            file,
            postings_at: head_len + 8,
        })
    }

    /// The serial after its last.
    pub(crate) fn next(&self) -> u64 {
        self.first + u64::from(self.count)
    }

    /// Adds the messages with `word` to `mask`.
    pub(crate) fn matches(&self, word: &Finder<'_>, mask: &mut Mask) -> io::Result<()> {
        let mut shared = Vec::new();
        let mut note = |token: usize| {
            if token < self.shared {
                shared.push(token);
            } else if let Some(doc) = self.docs.get(token - self.shared) {
                mask[usize::from(*doc) / 64] |= 1 << (doc % 64);
            }
        };
        match &self.text {
            Text::Memory(text, _) => {
                let mut sample = 0;
                each_hit(text, word, |hit, _| {
                    sample += self.samples[sample..].partition_point(|start| *start as usize <= hit) - 1;
                    let start = self.samples[sample] as usize;
                    note(sample * SAMPLE + memchr::memchr_iter(END, &text[start..hit]).count());
                });
            }
            Text::File(at) => self.scan_file(*at, word, &mut note)?,
        }
        self.read_postings(&shared, mask)
    }

    /// Scans a text on disk in pieces that end at a token's end.
    fn scan_file(&self, at: u64, word: &Finder<'_>, note: &mut impl FnMut(usize)) -> io::Result<()> {
        let mut piece = vec![0u8; PIECE];
        let (mut done, mut tokens) = (0u64, 0usize);
        while done < self.text_len {
            let want = (self.text_len - done).min(piece.len() as u64) as usize;
            self.file.read_exact_at(&mut piece[..want], at + done)?;
            let Some(end) = memchr::memrchr(END, &piece[..want]) else {
                // A token longer than the piece.
                piece.resize(piece.len() * 2, 0);
                continue;
            };
            let text = &piece[..=end];
            let (mut counted, mut token) = (0, tokens);
            each_hit(text, word, |hit, _| {
                token += memchr::memchr_iter(END, &text[counted..hit]).count();
                counted = hit;
                note(token);
            });
            tokens = token + memchr::memchr_iter(END, &text[counted..]).count();
            done += text.len() as u64;
        }
        Ok(())
    }

    /// Adds the messages of shared tokens (ascending) to `mask`.
    fn read_postings(&self, tokens: &[usize], mask: &mut Mask) -> io::Result<()> {
        let start_of = |token: usize| if token == 0 { 0 } else { self.ends[token - 1] };
        let mut buffer = Vec::new();
        let mut rest = tokens;
        while let Some(first) = rest.first() {
            let start = start_of(*first);
            let mut end = self.ends[*first];
            let mut run = 1;
            while let Some(next) = rest.get(run)
                && start_of(*next) - end <= NEAR
            {
                end = self.ends[*next];
                run += 1;
            }
            buffer.resize((end - start) as usize, 0);
            self.file.read_exact_at(&mut buffer, self.postings_at + u64::from(start))?;
            for token in &rest[..run] {
                let list = &buffer[(start_of(*token) - start) as usize..(self.ends[*token] - start) as usize];
                if list.len() == BITMAP {
                    for (word, bytes) in mask.iter_mut().zip(list.chunks_exact(8)) {
                        *word |= u64::from_le_bytes(bytes.try_into().unwrap_or_default());
                    }
                } else {
                    for bytes in list.chunks_exact(2) {
                        let doc = u16::from_le_bytes([bytes[0], bytes[1]]);
                        mask[usize::from(doc) / 64] |= 1 << (doc % 64);
                    }
                }
            }
            rest = &rest[run..];
        }
        Ok(())
    }
}
