//! Looks a workbook over before it is opened: it is a zip file from outside, and its parts are decompressed in memory.
//!
//! Every part is decompressed once to nowhere and counted, since the sizes that the archive declares may lie. The spreadsheet
//! library reserves memory for as many shared strings as the file claims, so that claim is checked too; for this to see
//! what the library sees, the parts must be UTF-8, as Excel and all others write them.

use std::io::{Read, Seek};

use zip::ZipArchive;

/// Maximum number of entries.
const MAX_ENTRIES: usize = 2_000;
/// Maximum size of all parts together when decompressed, in bytes.
const MAX_TOTAL_BYTES: u64 = 256 * 1024 * 1024;
/// Maximum size of the shared strings, which are kept in memory, in bytes.
const MAX_STRINGS_BYTES: u64 = 96 * 1024 * 1024;
/// Maximum number of shared strings.
const MAX_STRINGS: u64 = 4_000_000;
/// Number of bytes in which a part must have its XML declaration or its first tag.
const HEAD_BYTES: usize = 2048;

/// Why a workbook is refused.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is not a zip file, or a damaged one.
    #[error("the file is not an xlsx workbook")]
    NotAWorkbook,
    /// It would need too much memory.
    #[error("the workbook is too large when decompressed; split it into smaller ones")]
    TooLarge,
    /// A part has an encoding that no spreadsheet program writes.
    #[error("a part of the workbook is not UTF-8; save it again as xlsx with a spreadsheet program")]
    Encoding,
}

/// Checks a workbook. Leaves `file` at an undefined position.
pub fn check(file: impl Read + Seek) -> Result<(), ArchiveError> {
    let mut archive = ZipArchive::new(file).map_err(|_| ArchiveError::NotAWorkbook)?;
    if archive.len() > MAX_ENTRIES {
        return Err(ArchiveError::TooLarge);
    }
    let mut left = MAX_TOTAL_BYTES;
    for index in 0..archive.len() {
        let part = archive.by_index(index).map_err(|_| ArchiveError::NotAWorkbook)?;
        let name = String::from_utf8_lossy(part.name_raw()).to_lowercase();
        let scan =
            Scan { xml: name.ends_with(".xml") || name.ends_with(".rels"), strings: name.contains("sharedstrings") };
        left = left.checked_sub(scan.run(part, left)?).ok_or(ArchiveError::TooLarge)?;
    }
    Ok(())
}

struct Scan {
    xml: bool,
    strings: bool,
}

impl Scan {
    /// Returns the part's size, at most a little more than `limit`.
    fn run(&self, mut part: impl Read, limit: u64) -> Result<u64, ArchiveError> {
        let limit = if self.strings { limit.min(MAX_STRINGS_BYTES) } else { limit };
        let mut buffer = vec![0; 64 * 1024];
        let mut claim = Claim::default();
        let mut total = 0;
        let mut tags = 0;
        // The first bytes are read as a whole, whatever the pieces that the archive gives.
        let mut filled = fill(&mut part, &mut buffer[..HEAD_BYTES])?;
        if self.xml && !is_utf8_xml(&buffer[..filled]) {
            return Err(ArchiveError::Encoding);
        }
        while filled > 0 {
            let piece = &buffer[..filled];
            total += filled as u64;
            if total > limit {
                return Err(ArchiveError::TooLarge);
            }
            if self.strings {
                tags += piece.iter().filter(|byte| **byte == b'<').count() as u64;
                if tags > MAX_STRINGS * 2 || !claim.feed(piece) {
                    return Err(ArchiveError::TooLarge);
                }
            }
            filled = fill(&mut part, &mut buffer)?;
        }
        Ok(total)
    }
}

/// Reads until the buffer is full or the part ends.
fn fill(part: &mut impl Read, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match part.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return Err(ArchiveError::NotAWorkbook),
        }
    }
    Ok(filled)
}

/// Whether a part begins like XML in UTF-8: no other byte order mark, no other declared encoding.
fn is_utf8_xml(start: &[u8]) -> bool {
    let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
    if start.contains(&0) || !start.trim_ascii_start().starts_with(b"<") {
        return false;
    }
    let declaration = match start.split(|byte| *byte == b'>').next() {
        Some(first) if first.len() == start.len() => return false,
        Some(first) if first.starts_with(b"<?xml") => String::from_utf8_lossy(first).to_lowercase(),
        _ => return true,
    };
    match declaration.split_once("encoding") {
        Some((_, value)) => {
            let value = value.trim_start_matches(|c: char| c.is_whitespace() || "='\"".contains(c));
            value.starts_with("utf-8") || value.starts_with("us-ascii")
        }
        None => true,
    }
}

/// Finds `uniqueCount="N"` in a stream, across the borders of its pieces.
#[derive(Default)]
struct Claim {
    matched: usize,
    value: Option<u64>,
}

impl Claim {
    const NAME: &'static [u8] = b"uniqueCount";

    /// Returns false as soon as a claim exceeds the limit.
    fn feed(&mut self, piece: &[u8]) -> bool {
        for byte in piece {
            if self.matched == Self::NAME.len() {
                match byte {
                    b'0'..=b'9' => {
                        let value = self.value.unwrap_or(0).saturating_mul(10).saturating_add(u64::from(byte - b'0'));
                        if value > MAX_STRINGS {
                            return false;
                        }
                        self.value = Some(value);
                        continue;
                    }
                    b'=' | b'"' | b'\'' | b'+' | b' ' | b'\t' | b'\r' | b'\n' if self.value.is_none() => continue,
                    _ => *self = Self::default(),
                }
            }
            // The name's first letter does not occur in it again, so a mismatch falls back to it at most.
            if *byte == Self::NAME[self.matched] {
                self.matched += 1;
            } else {
                self.matched = usize::from(*byte == Self::NAME[0]);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use zip::write::SimpleFileOptions;

    use super::*;

    fn archive(name: &str, content: &[u8]) -> Cursor<Vec<u8>> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file(name, SimpleFileOptions::default()).expect("in memory");
        writer.write_all(content).expect("in memory");
        writer.finish().expect("in memory")
    }

    #[test]
    fn a_claim_of_too_many_strings_is_seen_wherever_it_stands() {
        let many = format!("<sst uniqueCount = '{}'>", MAX_STRINGS + 1);
        for split in 0..many.len() {
            let (first, second) = many.as_bytes().split_at(split);
            let mut claim = Claim::default();
            assert!(!(claim.feed(first) && claim.feed(second)), "split at {split}");
        }
        assert!(Claim::default().feed(format!("<sst count=\"9\" uniqueCount=\"{MAX_STRINGS}\">99999999").as_bytes()));
        assert!(matches!(check(archive("xl/sharedStrings.xml", many.as_bytes())), Err(ArchiveError::TooLarge)));
    }

    #[test]
    fn a_part_that_grows_past_the_limit_is_refused() {
        let bomb = vec![b' '; MAX_STRINGS_BYTES as usize + 2];
        let mut content = b"<sst>".to_vec();
        content.extend(bomb);
        let packed = archive("xl/sharedStrings.xml", &content);
        assert!(packed.get_ref().len() < 1024 * 1024, "it is a bomb: small when packed");
        assert!(matches!(check(packed), Err(ArchiveError::TooLarge)));
    }

    #[test]
    fn only_utf8_parts_pass() {
        assert!(check(archive("a.xml", b"\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"UTF-8\"?><a/>")).is_ok());
        assert!(check(archive("a.xml", b"<a/>")).is_ok());
        for bad in [&b"\xff\xfe<\0a\0"[..], b"<?xml version='1.0' encoding='utf-16'?><a/>", b"text"] {
            assert!(matches!(check(archive("a.xml", bad)), Err(ArchiveError::Encoding)), "{bad:?}");
        }
    }

    #[test]
    fn what_is_no_zip_file_is_refused() {
        assert!(matches!(check(Cursor::new(b"to;message".to_vec())), Err(ArchiveError::NotAWorkbook)));
    }
}
