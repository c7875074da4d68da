//! What a message tells of the file that it sends: size and thumbnail of a picture, size and length of a film, length and waveform of a
//! recording. Apps show it before they have fetched the file.
//!
//! - [`picture`]: JPEG, PNG and WebP: size, and a small picture. [`exif`]: what cameras add to it. [`jpeg`]: the small picture's form.
//! - [`film`]: MP4 and its relatives. [`voice`]: Ogg Opus.
//!
//! Pure but for reading the file. Nothing here fails: what cannot be read is not told, and the file is sent without it. Invariant: of a file
//! only a bounded part is in memory, and nothing that takes long is done without giving way.

mod exif;
mod film;
mod jpeg;
mod picture;
mod voice;

use super::outside::Files;
use super::{Kind, PIECE, kind};

/// Bytes of a picture up to which it is decoded.
const PICTURE: u64 = 4 << 20;
/// Bytes of the beginning of a larger one: its size, and often a small picture of the camera's, are there.
const BEGINNING: u64 = 256 << 10;
/// Bytes of a thumbnail; one that is all noise is not sent.
const THUMBNAIL: usize = 12 << 10;
/// Bytes of a recording up to which its waveform is drawn: more than half an hour of speech.
const RECORDING: u64 = 4 << 20;

/// What a message tells of its file; what is not known is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// As it is shown: turned as the camera was held.
    pub(crate) size: Option<(u32, u32)>,
    /// A small JPEG.
    pub(crate) thumbnail: Option<Vec<u8>>,
    /// How long it plays.
    pub(crate) seconds: Option<u32>,
    /// 64 values from 0 to 100, see [`voice`].
    pub(crate) waveform: Option<Vec<u8>>,
}

/// Looks at the file `id` of `size` bytes.
pub(crate) async fn look<O: Files>(outside: &O, id: &str, size: u64, kind: Kind) -> Look {
    match kind {
        Kind::Image => picture(outside, id, size).await,
        Kind::Video => {
            let film = film::read(outside, id, size).await;
            // A thumbnail would need a decoder of films.
            Look { size: film.size, seconds: film.seconds, ..Look::default() }
        }
        Kind::Audio | Kind::Voice => recording(outside, id, size, kind).await,
        Kind::Document => Look::default(),
    }
}

async fn picture<O: Files>(outside: &O, id: &str, size: u64) -> Look {
    let is_whole = size <= PICTURE;
    let Some(bytes) = beginning(outside, id, if is_whole { size } else { BEGINNING }).await else {
        return Look::default();
    };
    // What follows may take as long as the engine lets a guest run: it begins with the whole of that time.
    outside.give_way().await;
    let (size, small) = picture::read(outside, &bytes, is_whole).await;
    drop(bytes);
    let thumbnail = small.map(|small| jpeg::encode(&small)).filter(|thumbnail| thumbnail.len() <= THUMBNAIL);
    Look { size, thumbnail, ..Look::default() }
}

async fn recording<O: Files>(outside: &O, id: &str, size: u64, kind: Kind) -> Look {
    let read = async |offset: u64, len: u32| outside.read(id, offset, len).await.ok();
    let Some(first) = read(0, 4 * 1024).await else { return Look::default() };
    // The last page of an Ogg file is at most 64 KiB.
    let last = read(size.saturating_sub(64 * 1024), PIECE).await.unwrap_or_default();
    let seconds = match kind::seconds(&first, &last, size) {
        Some(seconds) => Some(seconds),
        None => film::read(outside, id, size).await.seconds,
    };
    let mut waveform = None;
    if kind == Kind::Voice && first.starts_with(b"OggS") && size <= RECORDING {
        waveform = beginning(outside, id, size).await.and_then(|bytes| voice::waveform(&bytes));
    }
    Look { seconds, waveform, ..Look::default() }
}

/// The first `len` bytes of the file; `None` if they cannot be read.
async fn beginning<O: Files>(outside: &O, id: &str, len: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(len).ok()?);
    while (bytes.len() as u64) < len {
        let left = u32::try_from(len - bytes.len() as u64).unwrap_or(u32::MAX).min(PIECE);
        let piece = outside.read(id, bytes.len() as u64, left).await.ok()?;
        if piece.is_empty() {
            break;
        }
        bytes.extend_from_slice(&piece);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::outside::world::World;
    use super::*;
    use crate::identity::ready;

    fn of(bytes: Vec<u8>, kind: Kind) -> Look {
        let mut world = World::new(|_, _| Ok((200, Vec::new())));
        let size = bytes.len() as u64;
        world.files.insert("f".into(), bytes);
        ready(look(&world, "f", size, kind))
    }

    /// A picture of one colour, as a JPEG.
    fn flat(width: u32, height: u32) -> Vec<u8> {
        let rgb = [200, 40, 90].repeat((width * height) as usize);
        jpeg::encode(&picture::Small { width, height, rgb })
    }

    #[test]
    fn a_picture_has_a_size_and_a_thumbnail_that_is_a_small_picture() {
        let seen = of(flat(640, 320), Kind::Image);
        assert_eq!(seen.size, Some((640, 320)));
        let thumbnail = seen.thumbnail.expect("it can be decoded");
        assert!(thumbnail.len() < 8_000, "{} bytes", thumbnail.len());
        assert_eq!(of(thumbnail, Kind::Image).size, Some((100, 50)));
    }

    #[test]
    fn a_picture_that_is_damaged_or_too_large_is_sent_without_a_thumbnail() {
        let whole = flat(640, 320);
        let mut damaged = whole.clone();
        damaged.truncate(damaged.len() / 2);
        assert_eq!(of(damaged, Kind::Image).size, Some((640, 320)));
        let mut large = whole;
        large.resize(PICTURE as usize + 1, 0);
        assert_eq!(of(large, Kind::Image), Look { size: Some((640, 320)), ..Look::default() });
        for other in [b"".to_vec(), b"\xff\xd8\xff".to_vec(), b"no picture at all".to_vec(), vec![0; 100_000]] {
            assert_eq!(of(other, Kind::Image), Look::default());
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_and_a_document_tell_nothing() {
        let world = World::new(|_, _| Ok((200, Vec::new())));
        for kind in [Kind::Image, Kind::Video, Kind::Audio, Kind::Voice, Kind::Document] {
            assert_eq!(ready(look(&world, "missing", 100, kind)), Look::default());
        }
        assert_eq!(of(flat(64, 64), Kind::Document), Look::default());
    }
}
