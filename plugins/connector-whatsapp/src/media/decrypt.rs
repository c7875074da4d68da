//! Decrypts a file while it arrives. The counterpart of the library's `MediaEncryptor`; the library has none for asynchronous
//! streams.
//!
//! The format: AES-256-CBC with PKCS#7 padding, then ten bytes of HMAC-SHA256 over the initialisation vector and the ciphertext.
//! Data that is returned before [`Decryptor::finish`] is not verified yet, so whatever writes it must be able to discard it.

use aes::Aes256;
use aes::cipher::{Block, BlockCipherDecrypt, KeyInit};
use wacore::download::{DownloadUtils, MediaType};
use wacore::libsignal::crypto::{CryptographicHash, CryptographicMac};

const BLOCK: usize = 16;
const MAC: usize = 10;

/// Why a file does not match its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Corrupt {
    /// The key in the message cannot be used.
    Key,
    /// The file ended too early or is not a whole number of blocks.
    Length,
    /// The file was changed on the way.
    Mac,
    /// The padding is not valid.
    Padding,
    /// It is a different file.
    Hash,
}

impl std::fmt::Display for Corrupt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Key => "the message has no usable key for its file",
            Self::Length => "the file on the media host is truncated",
            Self::Mac => "the file on the media host was changed",
            Self::Padding => "the file on the media host has the wrong padding",
            Self::Hash => "the file on the media host is not the one that was sent",
        })
    }
}

/// See the module.
pub(crate) struct Decryptor {
    cipher: Aes256,
    mac: CryptographicMac,
    plain: CryptographicHash,
    encrypted: CryptographicHash,
    chain: [u8; BLOCK],
    /// Never more than what may still be the last block and the MAC.
    tail: Vec<u8>,
}

impl Decryptor {
    /// For a file of this kind under the key in its message.
    pub(crate) fn new(key: &[u8], media_type: MediaType) -> Result<Self, Corrupt> {
        if key.len() != 32 {
            return Err(Corrupt::Key);
        }
        let (iv, cipher_key, mac_key) = DownloadUtils::get_media_keys(key, media_type).map_err(|_| Corrupt::Key)?;
        let mut mac = CryptographicMac::new("HmacSha256", &mac_key).map_err(|_| Corrupt::Key)?;
        mac.update(&iv);
        Ok(Self {
            cipher: Aes256::new_from_slice(&cipher_key).map_err(|_| Corrupt::Key)?,
            mac,
            plain: CryptographicHash::new("SHA-256").map_err(|_| Corrupt::Key)?,
            encrypted: CryptographicHash::new("SHA-256").map_err(|_| Corrupt::Key)?,
            chain: iv,
            tail: Vec::new(),
        })
    }

    /// Takes the next piece and appends the data that can be decrypted so far to `out`.
    pub(crate) fn update(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        self.encrypted.update(piece);
        self.tail.extend_from_slice(piece);
        let Some(certain) = self.tail.len().checked_sub(BLOCK + MAC) else { return };
        let certain = certain - certain % BLOCK;
        if certain == 0 {
            return;
        }
        let from = out.len();
        let mut blocks = std::mem::take(&mut self.tail);
        self.decrypt(&blocks[..certain], out);
        blocks.drain(..certain);
        self.tail = blocks;
        self.plain.update(&out[from..]);
    }

    /// Verifies the whole file and appends the rest to `out`. `sha256` and `encrypted_sha256` are the hashes in the message,
    /// if it has them.
    pub(crate) fn finish(mut self, sha256: &[u8], encrypted_sha256: &[u8], out: &mut Vec<u8>) -> Result<(), Corrupt> {
        let Some(end) = self.tail.len().checked_sub(MAC) else { return Err(Corrupt::Length) };
        if end == 0 || !end.is_multiple_of(BLOCK) {
            return Err(Corrupt::Length);
        }
        let tail = std::mem::take(&mut self.tail);
        let from = out.len();
        self.decrypt(&tail[..end], out);
        let mac = self.mac.finalize_sha256_array().map_err(|_| Corrupt::Mac)?;
        if mac[..MAC] != tail[end..] {
            out.truncate(from);
            return Err(Corrupt::Mac);
        }
        let padding = usize::from(*out.last().unwrap_or(&0));
        let Some(kept) = out.len().checked_sub(padding).filter(|kept| *kept >= from && (1..=BLOCK).contains(&padding))
        else {
            return Err(Corrupt::Padding);
        };
        if out[kept..].iter().any(|b| usize::from(*b) != padding) {
            return Err(Corrupt::Padding);
        }
        out.truncate(kept);
        self.plain.update(&out[from..]);
        let said = |said: &[u8], hash: &mut CryptographicHash| {
            hash.finalize_sha256_array().is_ok_and(|hash| said.is_empty() || said == hash)
        };
        if said(sha256, &mut self.plain) && said(encrypted_sha256, &mut self.encrypted) {
            Ok(())
        } else {
            Err(Corrupt::Hash)
        }
    }

    /// Whole blocks only.
    fn decrypt(&mut self, blocks: &[u8], out: &mut Vec<u8>) {
        self.mac.update(blocks);
        out.reserve(blocks.len());
        for cipher_block in blocks.as_chunks::<BLOCK>().0 {
            let mut block: Block<Aes256> = (*cipher_block).into();
            self.cipher.decrypt_block(&mut block);
            let mut plain: [u8; BLOCK] = block.into();
            for (p, c) in plain.iter_mut().zip(self.chain) {
                *p ^= c;
            }
            out.extend_from_slice(&plain);
            self.chain = *cipher_block;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use wacore::upload::encrypt_media;

    fn decrypt(
        encrypted: &[u8],
        key: &[u8],
        kind: MediaType,
        sha: &[u8],
        enc: &[u8],
        piece: usize,
    ) -> Result<Vec<u8>, Corrupt> {
        let mut decryptor = Decryptor::new(key, kind)?;
        let mut out = Vec::new();
        for piece in encrypted.chunks(piece) {
            decryptor.update(piece, &mut out);
        }
        decryptor.finish(sha, enc, &mut out)?;
        Ok(out)
    }

    proptest! {
        #[test]
        fn what_the_library_encrypts_comes_back_in_any_pieces(
            plain in proptest::collection::vec(any::<u8>(), 0..3_000),
            piece in 1usize..1_000,
        ) {
            let e = encrypt_media(&plain, MediaType::Video).expect("encrypts");
            let out = decrypt(&e.data_to_upload, &e.media_key, MediaType::Video, &e.file_sha256, &e.file_enc_sha256, piece);
            prop_assert_eq!(out, Ok(plain));
        }
    }

    #[test]
    fn a_change_anywhere_is_found() {
        let plain = vec![7u8; 1_000];
        let e = encrypt_media(&plain, MediaType::Document).expect("encrypts");
        let kind = MediaType::Document;
        for at in [0, 500, e.data_to_upload.len() - 1, e.data_to_upload.len() - 20] {
            let mut changed = e.data_to_upload.clone();
            changed[at] ^= 1;
            assert_eq!(decrypt(&changed, &e.media_key, kind, &e.file_sha256, &[], 64), Err(Corrupt::Mac), "{at}");
        }
        let whole = &e.data_to_upload;
        for end in [0, 9, 10, 25, whole.len() - 1] {
            assert_eq!(decrypt(&whole[..end], &e.media_key, kind, &[], &[], 64), Err(Corrupt::Length), "{end}");
        }
        assert_eq!(decrypt(&whole[..whole.len() - 16], &e.media_key, kind, &[], &[], 64), Err(Corrupt::Mac));
        assert_eq!(decrypt(whole, &e.media_key, kind, &[1; 32], &[], 64), Err(Corrupt::Hash));
        assert_eq!(decrypt(whole, &e.media_key, kind, &[], &[1; 32], 64), Err(Corrupt::Hash));
        assert_eq!(
            decrypt(whole, &e.media_key, MediaType::Audio, &[], &[], 64),
            Err(Corrupt::Mac),
            "the key is of another kind"
        );
        assert_eq!(decrypt(whole, &[1; 5], kind, &[], &[], 64), Err(Corrupt::Key));
    }
}
