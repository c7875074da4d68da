//! Which kind of message a file becomes, by its content type, and what its first and last bytes say about its length. Pure.

use pombo_plugin::connector::events::MediaKind;
use wacore::download::MediaType;

/// A kind of message that carries a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Shown in the chat.
    Image,
    /// Played in the chat.
    Video,
    /// Played in the chat.
    Audio,
    /// Played as if it were spoken.
    Voice,
    /// Offered to be saved.
    Document,
}

impl Kind {
    /// The kind of the file's keys and of its place on the media hosts.
    pub(crate) fn media_type(self) -> MediaType {
        match self {
            Self::Image => MediaType::Image,
            Self::Video => MediaType::Video,
            Self::Audio | Self::Voice => MediaType::Audio,
            Self::Document => MediaType::Document,
        }
    }

    /// Whether such a message can carry text.
    pub(crate) fn takes_caption(self) -> bool {
        matches!(self, Self::Image | Self::Video | Self::Document)
    }
}

/// What apps play or show in a chat goes as that; anything else as a document, and so does what is `wanted` as one (`media-kind` of the
/// message). No other wish makes apps show what they cannot.
pub(crate) fn kind_of(content_type: &str, voice_note: bool, wanted: Option<&str>) -> Kind {
    if wanted == Some("document") {
        return Kind::Document;
    }
    match essence(content_type).as_str() {
        "image/jpeg" | "image/jpg" | "image/png" | "image/webp" => Kind::Image,
        "video/mp4" | "video/3gpp" | "video/quicktime" => Kind::Video,
        kind if kind.starts_with("audio/") && voice_note => Kind::Voice,
        "audio/ogg" | "audio/opus" | "audio/mpeg" | "audio/mp3" | "audio/mp4" | "audio/aac" | "audio/amr"
        | "audio/m4a" | "audio/x-m4a" => Kind::Audio,
        _ => Kind::Document,
    }
}

/// The type without its parameters, in lower case.
pub(crate) fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The usual ending of files of this type.
pub(crate) fn extension(content_type: &str, kind: MediaKind) -> &'static str {
    match essence(content_type).as_str() {
        "image/jpeg" | "image/jpg" => "jpg",
        "image/png" => "png",
        "image/webp" => "webp",
        "image/gif" => "gif",
        "video/mp4" => "mp4",
        "video/3gpp" => "3gp",
        "video/quicktime" => "mov",
        "audio/ogg" | "audio/opus" => "ogg",
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/mp4" | "audio/m4a" | "audio/x-m4a" => "m4a",
        "audio/aac" => "aac",
        "audio/amr" => "amr",
        "application/pdf" => "pdf",
        _ => match kind {
            MediaKind::Image => "jpg",
            MediaKind::Video => "mp4",
            MediaKind::Audio | MediaKind::Voice => "ogg",
            MediaKind::Sticker => "webp",
            MediaKind::Document => "bin",
        },
    }
}

/// How long an Ogg Opus or WAV file plays, from its first and its last bytes. `None` for other formats and damaged files.
pub(crate) fn seconds(first: &[u8], last: &[u8], size: u64) -> Option<u32> {
    let seconds = if first.starts_with(b"OggS") {
        let head = find(first, b"OpusHead")?;
        let skipped = u64::from(u16::from_le_bytes(first.get(head + 10..head + 12)?.try_into().ok()?));
        // The position of the last page counts the samples at 48 kHz.
        let page = rfind(last, b"OggS")?;
        let position = u64::from_le_bytes(last.get(page + 6..page + 14)?.try_into().ok()?);
        if position == u64::MAX {
            return None;
        }
        position.saturating_sub(skipped).div_ceil(48_000)
    } else if first.starts_with(b"RIFF") && first.get(8..12) == Some(b"WAVE") {
        let format = find(first, b"fmt ")?;
        let rate = u64::from(u32::from_le_bytes(first.get(format + 16..format + 20)?.try_into().ok()?));
        if rate == 0 {
            return None;
        }
        size.saturating_sub(44).div_ceil(rate)
    } else {
        return None;
    };
    u32::try_from(seconds).ok().filter(|s| *s > 0)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|w| w == what)
}

fn rfind(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).rposition(|w| w == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apps_can_play_goes_as_that() {
        for (content_type, voice, kind) in [
            ("image/jpeg", false, Kind::Image),
            ("IMAGE/PNG; x=y", false, Kind::Image),
            ("image/svg+xml", false, Kind::Document),
            ("image/gif", false, Kind::Document),
            ("video/mp4", false, Kind::Video),
            ("video/x-matroska", false, Kind::Document),
            ("audio/ogg; codecs=opus", false, Kind::Audio),
            ("audio/ogg; codecs=opus", true, Kind::Voice),
            ("audio/x-wav", true, Kind::Voice),
            ("audio/x-wav", false, Kind::Document),
            ("image/png", true, Kind::Image),
            ("application/pdf", true, Kind::Document),
            ("", false, Kind::Document),
        ] {
            assert_eq!(kind_of(content_type, voice, None), kind, "{content_type}");
            assert_eq!(kind_of(content_type, voice, Some("document")), Kind::Document, "{content_type}");
        }
    }

    #[test]
    fn a_wish_does_not_make_apps_show_what_they_cannot() {
        assert_eq!(kind_of("image/png", false, Some("image")), Kind::Image);
        assert_eq!(kind_of("image/gif", false, Some("image")), Kind::Document);
        assert_eq!(kind_of("audio/ogg", false, Some("audio")), Kind::Audio);
        assert_eq!(kind_of("image/png", false, Some("hologram")), Kind::Image);
    }

    /// A first page with an Opus header that skips 312 samples, and a last page at `position`.
    fn opus(position: u64) -> Vec<u8> {
        let mut file = b"OggS".to_vec();
        file.extend_from_slice(&[0; 24]);
        file.extend_from_slice(b"OpusHead\x01\x01");
        file.extend_from_slice(&312u16.to_le_bytes());
        file.extend_from_slice(&[0; 100]);
        file.extend_from_slice(b"OggS\0\x04");
        file.extend_from_slice(&position.to_le_bytes());
        file.extend_from_slice(&[0; 50]);
        file
    }

    #[test]
    fn a_voice_notes_length_is_read_from_its_pages() {
        let file = opus(48_000 * 7 + 312);
        assert_eq!(seconds(&file, &file, file.len() as u64), Some(7));
        let file = opus(48_000 * 7 + 313);
        assert_eq!(seconds(&file, &file, 0), Some(8), "a part of a second counts");
        assert_eq!(seconds(&opus(0), &opus(0), 0), None);
        assert_eq!(seconds(&opus(u64::MAX), &opus(u64::MAX), 0), None);
        assert_eq!(seconds(&file[..30], &file, 0), None);
        assert_eq!(seconds(b"ID3", b"", 10), None);
        assert_eq!(seconds(b"", b"", 0), None);
    }

    #[test]
    fn a_wave_files_length_is_read_from_its_header() {
        let mut file = b"RIFF\0\0\0\0WAVEfmt ".to_vec();
        file.extend_from_slice(&16u32.to_le_bytes());
        file.extend_from_slice(&[1, 0, 1, 0]);
        file.extend_from_slice(&8_000u32.to_le_bytes());
        file.extend_from_slice(&16_000u32.to_le_bytes());
        assert_eq!(seconds(&file, &[], 44 + 16_000 * 3), Some(3));
        assert_eq!(seconds(&file[..20], &[], 100), None);
    }
}
