//! What a file is, by its content and never by what somebody says of it: the formats that are taken, and how each is recognised. A name
//! only tells apart what is the same container (`.doc` and `.xls`, `.zip` and `.docx`). Pure.

use crate::model::FileKind;

/// A format that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    /// Its usual extension.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) kind: FileKind,
    /// Its MIME type.
    pub(super) content_type: &'static str,
}

const fn format(name: &'static str, kind: FileKind, content_type: &'static str) -> Format {
    Format { name, kind, content_type }
}

/// The formats that are taken, in the order in which a refusal names them. `jpeg` is another name of `jpg`.
const FORMATS: [Format; 24] = [
    format("jpg", FileKind::Image, "image/jpeg"),
    format("png", FileKind::Image, "image/png"),
    format("gif", FileKind::Image, "image/gif"),
    format("webp", FileKind::Image, "image/webp"),
    format("mp4", FileKind::Video, "video/mp4"),
    format("3gp", FileKind::Video, "video/3gpp"),
    format("mov", FileKind::Video, "video/quicktime"),
    format("avi", FileKind::Video, "video/x-msvideo"),
    format("mkv", FileKind::Video, "video/x-matroska"),
    format("mp3", FileKind::Audio, "audio/mpeg"),
    format("ogg", FileKind::Audio, "audio/ogg"),
    format("wav", FileKind::Audio, "audio/wav"),
    format("opus", FileKind::Audio, "audio/ogg"),
    format("aac", FileKind::Audio, "audio/aac"),
    format("m4a", FileKind::Audio, "audio/mp4"),
    format("pdf", FileKind::Document, "application/pdf"),
    format("doc", FileKind::Document, "application/msword"),
    format("docx", FileKind::Document, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    format("xls", FileKind::Document, "application/vnd.ms-excel"),
    format("xlsx", FileKind::Document, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    format("ppt", FileKind::Document, "application/vnd.ms-powerpoint"),
    format("pptx", FileKind::Document, "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    format("txt", FileKind::Document, "text/plain"),
    format("zip", FileKind::Document, "application/zip"),
];

/// Formats that are text all through and yet have a signature: they are not plain text.
const WRITTEN: [&str; 6] = ["html", "xml", "svg", "sh", "rtf", "ps"];

const OLE: &[u8] = &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1];
const EBML: &[u8] = &[0x1a, 0x45, 0xdf, 0xa3];

impl Format {
    /// Whether it is plain text, so that all of it must be.
    pub(super) fn is_text(self) -> bool {
        self.name == "txt"
    }

    /// The format of a file that begins with `head`; `None` for one that is not taken.
    pub(super) fn of(head: &[u8], file_name: &str) -> Option<Self> {
        let name = name_of(head, file_name)?;
        FORMATS.into_iter().find(|format| format.name == name)
    }

    /// What a file of this type is; a type that is not taken is a document.
    pub(super) fn kind_of(content_type: &str) -> FileKind {
        let found = FORMATS.iter().find(|format| format.content_type == content_type);
        found.map_or(FileKind::Document, |format| format.kind)
    }

    /// What is taken, for a refusal.
    pub(super) fn all() -> String {
        let of = |kind: FileKind| {
            let names: Vec<&str> = FORMATS.iter().filter(|format| format.kind == kind).map(|f| f.name).collect();
            format!("{kind}: {}", names.join(", "))
        };
        FileKind::ALL.map(of).join("; ")
    }
}

/// The name of a format, whether it is taken or not.
fn name_of(head: &[u8], file_name: &str) -> Option<&'static str> {
    if head.get(4..8).is_some_and(|tag| tag == b"ftyp") {
        return head.get(8..12).map(of_brand);
    }
    if head.starts_with(EBML) {
        return Some(if contains(first(head, 64), b"matroska") { "mkv" } else { "webm" });
    }
    if head.starts_with(b"OggS") {
        let page = first(head, 128);
        return Some(match (contains(page, b"theora"), contains(page, b"OpusHead")) {
            (true, _) => "ogv",
            (_, true) => "opus",
            _ => "ogg",
        });
    }
    if head.starts_with(OLE) {
        return by_name(&["doc", "xls", "ppt"], file_name);
    }
    let said = infer::get(head).map(|found| found.extension());
    if head.starts_with(b"PK") && matches!(said, None | Some("zip" | "docx" | "xlsx" | "pptx")) {
        // Which of them it is may stand far behind the first entries.
        let office = if contains(head, b"[Content_Types].xml") || contains(head, b"_rels/.rels") {
            by_name(&["docx", "xlsx", "pptx"], file_name)
        } else {
            None
        };
        let is_zip = [&b"PK\x03\x04"[..], b"PK\x05\x06", b"PK\x07\x08"].iter().any(|mark| head.starts_with(mark));
        return office.or(said).or(if is_zip { Some("zip") } else { plain(head) });
    }
    match said {
        // A signature of two letters may be how a text begins.
        Some(name) if name == "pdf" || WRITTEN.contains(&name) || !is_utf8(head) => Some(name),
        _ if is_layer_3(head) => Some("mp3"),
        _ => plain(head),
    }
}

/// Of a file that has boxes, as MP4 does: by the brand that it declares.
fn of_brand(brand: &[u8]) -> &'static str {
    const PICTURES: [&[u8]; 10] =
        [b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis"];
    match brand {
        b"qt  " => "mov",
        b"M4A " | b"M4B " | b"M4P " => "m4a",
        _ if brand.starts_with(b"3g") => "3gp",
        _ if PICTURES.contains(&brand) => "heif",
        _ => "mp4",
    }
}

/// MPEG audio, layer III, without a tag in front.
fn is_layer_3(head: &[u8]) -> bool {
    matches!(head, [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 == 0x02)
}

/// The one of these names that a file's name ends with.
fn by_name(names: &[&'static str], file_name: &str) -> Option<&'static str> {
    let extension = file_name.rsplit_once('.')?.1;
    names.iter().copied().find(|name| name.eq_ignore_ascii_case(extension))
}

fn plain(head: &[u8]) -> Option<&'static str> {
    (!head.is_empty() && is_text(head)).then_some("txt")
}

/// Whether bytes can be of a text in UTF-8 or with one byte a letter: there is no control character but those that lay out lines.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x20..=0x7e | 0x80..))
}

/// Whether these are the first bytes of a text in UTF-8.
fn is_utf8(head: &[u8]) -> bool {
    // The last character may be cut off.
    let is_whole = std::str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true);
    is_whole && is_text(head)
}

fn first(bytes: &[u8], most: usize) -> &[u8] {
    &bytes[..bytes.len().min(most)]
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes(brand: &[u8; 4]) -> Vec<u8> {
        [b"\0\0\0\x20ftyp".as_slice(), brand, b"\0\0\0\0isom"].concat()
    }

    fn name(head: &[u8], file_name: &str) -> Option<&'static str> {
        Format::of(head, file_name).map(|format| format.name)
    }

    #[test]
    fn each_format_is_known_by_its_content() {
        let zip = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0a.txt";
        let word = b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x13\0\0\0[Content_Types].xml";
        let ole = [OLE, &[0; 40]].concat();
        let cases: &[(&[u8], &str, &str)] = &[
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "x", "jpg"),
            (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "x.jpg", "png"),
            (b"GIF89a\x01\0\x01\0", "x", "gif"),
            (b"RIFF\x24\0\0\0WEBPVP8 ", "x", "webp"),
            (&boxes(b"isom"), "x", "mp4"),
            (&boxes(b"mp42"), "x", "mp4"),
            (&boxes(b"3gp5"), "x", "3gp"),
            (&boxes(b"qt  "), "x", "mov"),
            (b"RIFF\x24\0\0\0AVI LIST", "x", "avi"),
            (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x23\x42\x82\x88matroska", "x", "mkv"),
            (b"ID3\x03\0\0\0\0\0\0", "x", "mp3"),
            (b"\xff\xfb\x90\0\0", "x", "mp3"),
            (b"\xff\xf3\x90\0\0", "x", "mp3"),
            (b"OggS\0\x02\0\0\0\0\0\0\0\0\0\x01vorbis", "x", "ogg"),
            (b"OggS\0\x02\0\0\0\0\0\0\0\0\0OpusHead", "x", "opus"),
            (b"RIFF\x24\0\0\0WAVEfmt ", "x", "wav"),
            (b"\xff\xf1\x50\x80\0", "x", "aac"),
            (&boxes(b"M4A "), "x", "m4a"),
            (b"%PDF-1.4\n", "x", "pdf"),
            (&ole, "a.DOC", "doc"),
            (&ole, "a.xls", "xls"),
            (&ole, "a.ppt", "ppt"),
            (word, "a.docx", "docx"),
            (word, "a.xlsx", "xlsx"),
            (word, "a.pptx", "pptx"),
            (zip, "a.zip", "zip"),
            (b"PK\x05\x06\0\0\0\0", "a", "zip"),
            ("Olá, tudo bem?\r\n".as_bytes(), "x.jpg", "txt"),
            (b"Ol\xe1", "x", "txt"),
            (b"BMW, MZ and PK are letters", "x", "txt"),
            (b"PK is a text", "x", "txt"),
        ];
        for (head, file_name, expected) in cases {
            assert_eq!(name(head, file_name), Some(*expected), "{expected}");
        }
    }

    #[test]
    fn what_is_not_listed_is_not_taken() {
        let ole = [OLE, &[0; 40]].concat();
        let cases: &[(&[u8], &str)] = &[
            (b"", "a.txt"),
            (b"MZ\x90\0\x03\0", "a.pdf"),
            (b"\x7fELF\x02\x01\x01\0", "a.txt"),
            (b"BM\x36\0\x0c\0", "a.jpg"),
            (b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f\x42\x82\x84webm", "a.mkv"),
            (&boxes(b"heic"), "a.jpg"),
            (b"OggS\0\x02\0\0\0\0\0\0\0\0\0\x80theora", "a.ogg"),
            (&ole, "setup.msi"),
            (b"<!DOCTYPE html><p>", "a.txt"),
            (b"{\\rtf1\\ansi", "a.txt"),
            (b"a\0b", "a.txt"),
            (b"\x01\x02\x03", "a.pdf"),
        ];
        for (head, file_name) in cases {
            assert_eq!(name(head, file_name), None, "{file_name}");
        }
    }

    #[test]
    fn a_text_may_end_within_a_character() {
        assert!(is_utf8("não".as_bytes().split_at(2).0) && !is_utf8(b"\xff\xfb"));
        assert!(is_text(b"a\tb\n") && !is_text(b"\x1b[0m") && !is_text(b"\x7f"));
    }

    #[test]
    fn a_type_leads_back_to_its_kind_and_a_refusal_names_all() {
        for format in FORMATS {
            assert_eq!(Format::kind_of(format.content_type), format.kind, "{}", format.name);
        }
        assert_eq!(Format::kind_of("application/octet-stream"), FileKind::Document);
        let all = Format::all();
        assert!(all.starts_with("image: jpg, png, gif, webp; video: mp4, "), "{all}");
    }
}
