//! The messaging apps' marks as HTML: `*bold*`, `_italic_`, `~strike~`, ```` ```mono``` ````, and links.
//!
//! A mark opens at the start of a word and closes at the end of one, on the same line, as the apps do it; anything else is
//! text. Everything but the tags made here is escaped.

/// The text as a whole HTML document.
pub(crate) fn to_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2 + 256);
    out.push_str(
        "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"></head>\n<body><div style=\"font-family:sans-serif\">",
    );
    let mut rest = text;
    while let Some(open) = rest.find("```") {
        let after = &rest[open + 3..];
        let Some(close) = after.find("```").filter(|n| *n > 0) else { break };
        lines(&rest[..open], &mut out);
        out.push_str("<code style=\"white-space:pre-wrap\">");
        escape(after[..close].trim_matches('\n'), &mut out);
        out.push_str("</code>");
        rest = &after[close + 3..];
    }
    lines(rest, &mut out);
    out.push_str("</div></body></html>\n");
    out
}

fn lines(text: &str, out: &mut String) {
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push_str("<br>\n");
        }
        inline(line.trim_end_matches('\r'), &[], out);
    }
}

fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
}

const MARKS: [(u8, &str); 3] = [(b'*', "strong"), (b'_', "em"), (b'~', "s")];

/// One line. `open` holds the marks that it stands inside of; the same mark does not nest in itself.
fn inline(line: &str, open: &[u8], out: &mut String) {
    let bytes = line.as_bytes();
    let mut written = 0;
    let mut at = 0;
    // A mark that found no end once finds none further on: the line is searched once for each kind.
    let mut hopeless = [false; MARKS.len()];
    while at < bytes.len() {
        if let Some(length) = link_length(line, at) {
            escape(&line[written..at], out);
            let url = &line[at..at + length];
            out.push_str("<a href=\"");
            escape(url, out);
            out.push_str("\">");
            escape(url, out);
            out.push_str("</a>");
            at += length;
            written = at;
            continue;
        }
        let mark = MARKS.iter().position(|(m, _)| *m == bytes[at] && !open.contains(m));
        if let Some(kind) = mark
            && !hopeless[kind]
            && !line[..at].chars().next_back().is_some_and(char::is_alphanumeric)
        {
            let (mark, tag) = MARKS[kind];
            match closing(line, at + 1, mark) {
                Some(end) => {
                    escape(&line[written..at], out);
                    out.push_str(&format!("<{tag}>"));
                    let mut inside = open.to_vec();
                    inside.push(mark);
                    inline(&line[at + 1..end], &inside, out);
                    out.push_str(&format!("</{tag}>"));
                    at = end + 1;
                    written = at;
                    continue;
                }
                None => hopeless[kind] = !line[at + 1..].starts_with([' ', mark as char]),
            }
        }
        at += 1;
    }
    escape(&line[written..], out);
}

/// Where the mark that opened before `from` closes: after something, at the end of a word.
fn closing(line: &str, from: usize, mark: u8) -> Option<usize> {
    let bytes = line.as_bytes();
    let first = *bytes.get(from)?;
    if first == mark || first.is_ascii_whitespace() {
        return None;
    }
    (from + 1..bytes.len()).find(|&i| {
        bytes[i] == mark
            && !bytes[i - 1].is_ascii_whitespace()
            && !line[i + 1..].chars().next().is_some_and(char::is_alphanumeric)
    })
}

/// The length of the link that begins at `at`, without the punctuation that ends a sentence.
fn link_length(line: &str, at: usize) -> Option<usize> {
    let rest = line.get(at..)?;
    if !rest.starts_with("http://") && !rest.starts_with("https://") {
        return None;
    }
    if line[..at].chars().next_back().is_some_and(char::is_alphanumeric) {
        return None;
    }
    let end = rest
        .find(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '`'))
        .unwrap_or(rest.len());
    let mut url = &rest[..end];
    loop {
        let shorter = url.trim_end_matches(['.', ',', ';', ':', '!', '?', '\'', '*', '_', '~']);
        let shorter = match shorter.strip_suffix(')') {
            Some(without) if shorter.matches('(').count() < shorter.matches(')').count() => without,
            _ => shorter,
        };
        if shorter.len() == url.len() {
            break;
        }
        url = shorter;
    }
    let host = url.split_once("://").map_or("", |(_, h)| h);
    host.starts_with(char::is_alphanumeric).then_some(url.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn html(text: &str) -> String {
        let all = to_html(text);
        let start = all.find("sans-serif\">").expect("begins") + "sans-serif\">".len();
        all[start..all.len() - "</div></body></html>\n".len()].to_owned()
    }

    #[test]
    fn marks_become_tags() {
        for (text, want) in [
            ("Olá *Cliente*, ok", "Olá <strong>Cliente</strong>, ok"),
            ("_a b_ ~c~", "<em>a b</em> <s>c</s>"),
            ("*_dois_*", "<strong><em>dois</em></strong>"),
            ("*a _b ~c~_*!", "<strong>a <em>b <s>c</s></em></strong>!"),
            ("```let a = *1*;\nb```", "<code style=\"white-space:pre-wrap\">let a = *1*;\nb</code>"),
            ("a\nb\r\nc", "a<br>\nb<br>\nc"),
        ] {
            assert_eq!(html(text), want, "{text}");
        }
    }

    #[test]
    fn what_is_no_mark_stays() {
        for same in
            ["2*3*4", "a * b * c", "snake_case_name", "*a", "* a*", "**", "***", "*a\nb*", "``````", "```a", "a*b*"]
        {
            assert_eq!(html(same), same.replace('\n', "<br>\n"), "{same}");
        }
    }

    #[test]
    fn text_is_escaped_everywhere() {
        assert_eq!(html("<b>&\"'"), "&lt;b&gt;&amp;&quot;&#39;");
        assert_eq!(html("*<i>*"), "<strong>&lt;i&gt;</strong>");
        assert_eq!(html("```<x>```"), "<code style=\"white-space:pre-wrap\">&lt;x&gt;</code>");
        assert_eq!(html("javascript:alert(1)"), "javascript:alert(1)");
    }

    #[test]
    fn links_are_made_and_end_where_they_end() {
        let link = |u: &str| format!("<a href=\"{u}\">{u}</a>");
        assert_eq!(html("veja https://a.b/c_d_e?x=1."), format!("veja {}.", link("https://a.b/c_d_e?x=1")));
        assert_eq!(html("(http://a.b/(x))"), format!("({})", link("http://a.b/(x)")));
        assert_eq!(html("*https://a.b*"), format!("<strong>{}</strong>", link("https://a.b")));
        assert_eq!(html("https://a.b/?x=1&y=\"z"), format!("{}&quot;z", link("https://a.b/?x=1&amp;y=")));
        assert_eq!(html("https:// http://."), "https:// http://.");
    }

    #[test]
    fn a_long_line_of_openings_takes_no_quadratic_time() {
        let text = "*a _b ~c ".repeat(20_000);
        let start = std::time::Instant::now();
        assert!(html(&text).len() >= text.len());
        assert!(start.elapsed() < std::time::Duration::from_secs(2));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn tags_balance_and_nothing_is_lost(text in "[a *_~`\n<https://.)é]{0,60}") {
            let out = html(&text);
            for tag in ["strong", "em", "s", "a", "code"] {
                let opened = out.matches(&format!("<{tag}>")).count() + out.matches(&format!("<{tag} ")).count();
                prop_assert_eq!(opened, out.matches(&format!("</{tag}>")).count());
            }
            let letters = |s: &str| s.matches('é').count();
            // A link shows its text twice.
            prop_assert!(letters(&out) >= letters(&text));
        }
    }
}
