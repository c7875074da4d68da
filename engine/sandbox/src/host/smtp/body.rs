//! The content of a message, piece by piece: bytes as they are, files in base64 with lines of 76 columns.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::progress::Progress;

/// Bytes of a file in one line of base64, and in one piece.
const LINE: usize = 57;
const PIECE: usize = LINE * 1024;

/// A part of a message.
#[derive(Debug)]
pub(super) enum Part {
    /// Sent as they are.
    Bytes(Vec<u8>),
    /// Read and encoded when its turn comes.
    File(PathBuf),
}

/// `bytes` in base64. `first` when nothing of this file was written before: lines are parted, not ended, by CRLF.
fn encode(bytes: &[u8], first: bool, out: &mut Vec<u8>) {
    out.reserve(bytes.len() / LINE * 78 + 80);
    for (i, line) in bytes.chunks(LINE).enumerate() {
        if i > 0 || !first {
            out.extend_from_slice(b"\r\n");
        }
        let start = out.len();
        out.resize(start + line.len().div_ceil(3) * 4, 0);
        // The room is exactly what the line takes.
        let written = STANDARD.encode_slice(line, &mut out[start..]).unwrap_or_default();
        out.truncate(start + written);
    }
}

/// Reads and encodes the files among the parts, and joins everything into one part.
pub(super) async fn read_small(parts: Vec<Part>) -> io::Result<Vec<Part>> {
    let mut ready = Vec::with_capacity(parts.len());
    for part in parts {
        ready.push(match part {
            Part::Bytes(bytes) => Part::Bytes(bytes),
            Part::File(path) => {
                let mut encoded = Vec::new();
                encode(&tokio::fs::read(path).await?, true, &mut encoded);
                Part::Bytes(encoded)
            }
        });
    }
    // One piece, one write: a message without files leaves in one packet where it can.
    let mut joined: Vec<u8> =
        Vec::with_capacity(ready.iter().map(|p| if let Part::Bytes(b) = p { b.len() } else { 0 }).sum());
    for part in ready {
        if let Part::Bytes(bytes) = part {
            joined.extend_from_slice(&bytes);
        }
    }
    Ok(vec![Part::Bytes(joined)])
}

/// The pieces in order. Tells `progress` of each, of the end, and of a file that cannot be read.
///
/// Blocks while it reads a file: only a thread that may block gives it files.
pub(super) struct Pieces {
    parts: std::vec::IntoIter<Part>,
    open: Option<(File, bool)>,
    progress: Arc<Progress>,
}

impl Pieces {
    pub(super) fn new(mut parts: Vec<Part>, progress: Arc<Progress>) -> Self {
        // The end of the content is CRLF, a point and CRLF: the message's own last line end is part of it.
        if let Some(Part::Bytes(last)) = parts.last_mut()
            && last.ends_with(b"\r\n")
        {
            last.truncate(last.len() - 2);
        }
        Self { parts: parts.into_iter(), open: None, progress }
    }

    fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some((file, first)) = &mut self.open {
                let mut bytes = Vec::with_capacity(PIECE);
                file.take(PIECE as u64).read_to_end(&mut bytes)?;
                if bytes.is_empty() {
                    self.open = None;
                    continue;
                }
                let mut encoded = Vec::new();
                encode(&bytes, std::mem::take(first), &mut encoded);
                return Ok(Some(encoded));
            }
            match self.parts.next() {
                None => return Ok(None),
                Some(Part::Bytes(bytes)) => return Ok(Some(bytes)),
                Some(Part::File(path)) => self.open = Some((File::open(path)?, true)),
            }
        }
    }
}

impl Iterator for Pieces {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        match self.piece() {
            Ok(Some(piece)) => {
                self.progress.advanced();
                Some(piece)
            }
            Ok(None) => {
                self.progress.ending();
                None
            }
            Err(error) => {
                tracing::warn!(%error, "an attachment cannot be read");
                // An iterator cannot fail, and its end would end the message: the connection is cut instead.
                self.progress.spoil();
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pieces(parts: Vec<Part>) -> (Vec<u8>, Arc<Progress>) {
        let progress = Arc::new(Progress::default());
        (Pieces::new(parts, progress.clone()).flatten().collect(), progress)
    }

    #[test]
    fn bytes_and_files_follow_each_other_and_the_last_line_end_is_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        std::fs::write(&path, vec![7u8; 60]).expect("written");
        let (all, progress) =
            pieces(vec![Part::Bytes(b"a\r\n".to_vec()), Part::File(path), Part::Bytes(b"\r\nz\r\n".to_vec())]);
        let text = String::from_utf8(all).expect("ASCII");
        assert_eq!(text, format!("a\r\n{}\r\nBwcH\r\nz", "BwcH".repeat(19)));
        assert!(progress.may_be_accepted());
    }

    #[test]
    fn a_file_that_is_gone_spoils_the_connection_and_ends_nothing() {
        let (all, progress) = pieces(vec![Part::Bytes(b"a".to_vec()), Part::File("/nowhere/at/all".into())]);
        assert_eq!(all, b"a");
        assert!(progress.is_spoiled() && !progress.may_be_accepted());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_streamed_file_decodes_to_itself_in_lines_of_76(size in 0usize..200_000) {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("f");
            let bytes: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
            std::fs::write(&path, &bytes).expect("written");
            let (all, _) = pieces(vec![Part::File(path)]);
            let text = String::from_utf8(all).expect("ASCII");
            let lines: Vec<&str> = text.split("\r\n").collect();
            prop_assert!(lines.iter().rev().skip(1).all(|l| l.len() == 76));
            prop_assert_eq!(STANDARD.decode(lines.concat()).expect("base64"), bytes);
        }
    }
}
