//! File names and MIME types of attachments: cleaning names, guessing the type of a name and the extension of a type.

/// Extensions and types; the first extension of a type is the one that is given to it.
const TABLE: &[(&str, &str)] = &[
    ("pdf", "application/pdf"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("png", "image/png"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
    ("svg", "image/svg+xml"),
    ("heic", "image/heic"),
    ("bmp", "image/bmp"),
    ("tiff", "image/tiff"),
    ("mp4", "video/mp4"),
    ("3gp", "video/3gpp"),
    ("mov", "video/quicktime"),
    ("webm", "video/webm"),
    ("mp3", "audio/mpeg"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("m4a", "audio/mp4"),
    ("aac", "audio/aac"),
    ("wav", "audio/wav"),
    ("txt", "text/plain"),
    ("csv", "text/csv"),
    ("html", "text/html"),
    ("htm", "text/html"),
    ("ics", "text/calendar"),
    ("vcf", "text/vcard"),
    ("json", "application/json"),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
    ("rar", "application/vnd.rar"),
    ("7z", "application/x-7z-compressed"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("rtf", "application/rtf"),
    ("eml", "message/rfc822"),
];

const UNKNOWN: &str = "application/octet-stream";
const LONGEST_NAME: usize = 180;

/// The type of a file: the given one, if it is a specific type, otherwise the one that the name suggests.
pub(crate) fn content_type(said: Option<&str>, file_name: &str) -> String {
    if let Some(essence) = said.and_then(essence).filter(|t| t != UNKNOWN && t != "binary/octet-stream") {
        return essence;
    }
    let extension = file_name.rsplit_once('.').map(|(_, e)| e.to_ascii_lowercase());
    let known = extension.and_then(|e| TABLE.iter().find(|(name, _)| *name == e));
    known.map_or(UNKNOWN, |(_, t)| t).to_owned()
}

/// `type/subtype` in lower case, without parameters; `None` if it is not a type.
fn essence(text: &str) -> Option<String> {
    let essence = text.split(';').next()?.trim().to_ascii_lowercase();
    let (kind, sub) = essence.split_once('/')?;
    let token = |t: &str| {
        !t.is_empty() && t.len() <= 100 && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b))
    };
    (token(kind) && token(sub)).then_some(essence)
}

/// Gives a name without an extension the extension of its type.
pub(crate) fn with_extension(name: String, said: Option<&str>) -> String {
    if name.rsplit_once('.').is_some_and(|(stem, e)| !stem.is_empty() && (1..=5).contains(&e.len())) {
        return name;
    }
    let known = said.and_then(essence).and_then(|t| TABLE.iter().find(|(_, kind)| *kind == t));
    match known {
        Some((extension, _)) => format!("{name}.{extension}"),
        None => name,
    }
}

/// The last component of a path in either style, without control characters, characters that change the writing direction, and
/// those that a file system or a header cannot handle; bounded in length, with its extension kept.
pub(crate) fn clean_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let cleaned: String = last
        .chars()
        .filter(|c| !c.is_control() && !is_invisible(*c))
        .map(|c| if matches!(c, '"' | '<' | '>' | '|' | ':' | '*' | '?') { '_' } else { c })
        .collect();
    let cleaned = cleaned.trim().trim_start_matches('.').trim_end_matches(['.', ' ']);
    if cleaned.is_empty() {
        return "attachment".to_owned();
    }
    if cleaned.len() <= LONGEST_NAME {
        return cleaned.to_owned();
    }
    let extension = cleaned.rsplit_once('.').map(|(_, e)| e).filter(|e| e.len() <= 16);
    let keep = LONGEST_NAME - extension.map_or(0, |e| e.len() + 1);
    let cut = (0..=keep).rev().find(|at| cleaned.is_char_boundary(*at)).unwrap_or(0);
    match extension {
        Some(extension) => format!("{}.{extension}", &cleaned[..cut]),
        None => cleaned[..cut].to_owned(),
    }
}

/// Direction marks and zero-width characters, which make a name look like another one.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_reduced_to_something_harmless() {
        for (given, clean) in [
            ("boleto.pdf", "boleto.pdf"),
            ("Relatório março.pdf", "Relatório março.pdf"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\me\\a.docx", "a.docx"),
            ("..", "attachment"),
            ("", "attachment"),
            ("/", "attachment"),
            (".htaccess", "htaccess"),
            ("a\r\nX-Evil: 1.pdf", "aX-Evil_ 1.pdf"),
            ("a\0b.pdf", "ab.pdf"),
            ("fatura\u{202e}fdp.exe", "faturafdp.exe"),
            ("a\"b<c>.pdf", "a_b_c_.pdf"),
            ("name. ", "name"),
        ] {
            assert_eq!(clean_name(given), clean, "{given:?}");
        }
        let long = clean_name(&format!("{}.pdf", "é".repeat(300)));
        assert!(long.len() <= LONGEST_NAME && long.ends_with("é.pdf"), "{long}");
    }

    #[test]
    fn types_come_from_what_was_said_then_from_the_name() {
        assert_eq!(content_type(Some("Application/PDF; charset=x"), "x.bin"), "application/pdf");
        assert_eq!(content_type(Some("application/octet-stream"), "x.PDF"), "application/pdf");
        assert_eq!(content_type(Some("nonsense"), "x.png"), "image/png");
        assert_eq!(content_type(Some("a/b\r\nX: y"), "x.png"), "image/png");
        assert_eq!(content_type(None, "x"), "application/octet-stream");
        assert_eq!(with_extension("boleto".to_owned(), Some("application/pdf")), "boleto.pdf");
        assert_eq!(with_extension("boleto.pdf".to_owned(), Some("image/png")), "boleto.pdf");
        assert_eq!(with_extension("boleto".to_owned(), None), "boleto");
    }
}
