//! Files of the tests: digests, random-looking content, workbooks.

use std::io::Cursor;

use anyhow::{Context, Result};
use calamine::{Data, Reader, Xlsx};
use hmac::{Hmac, Mac};
use rust_xlsxwriter::Workbook;
use sha2::{Digest, Sha256};

/// SHA-256 in hex.
pub fn sha256(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

/// HMAC-SHA-256 in hex.
pub fn hmac_sha256(key: &[u8], content: &[u8]) -> Result<String> {
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key)?;
    mac.update(content);
    Ok(hex::encode(mac.finalize().into_bytes()))
}

/// `size` bytes without a pattern that a codec could profit from, the same for the same seed.
pub fn noise(size: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// The first sheet of a workbook, cells as text.
pub fn read_workbook(bytes: &[u8]) -> Result<Vec<Vec<String>>> {
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).context("not a workbook")?;
    let sheet = book.worksheet_range_at(0).context("no sheet")??;
    let cell = |data: &Data| match data {
        Data::Empty => String::new(),
        other => other.to_string(),
    };
    Ok(sheet.rows().map(|row| row.iter().map(cell).collect()).collect())
}

/// A workbook with these rows on one sheet; empty cells are left out.
pub fn write_workbook(rows: &[Vec<String>]) -> Result<Vec<u8>> {
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (r, row) in rows.iter().enumerate() {
        for (c, cell) in row.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
            sheet.write_string(u32::try_from(r)?, u16::try_from(c)?, cell)?;
        }
    }
    Ok(book.save_to_buffer()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workbook_reads_back() -> Result<()> {
        let rows = vec![vec!["a".to_owned(), "b".to_owned()], vec![String::new(), "Ação".to_owned()]];
        assert_eq!(read_workbook(&write_workbook(&rows)?)?, rows);
        Ok(())
    }

    #[test]
    fn the_signature_is_the_published_one() -> Result<()> {
        // RFC 4231, test case 2.
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hmac_sha256(b"Jefe", b"what do ya want for nothing?")?, expected);
        Ok(())
    }
}
