//! A text with its mentions as HTML. Everything that a person wrote is escaped; the spans of the mentions are the only markup. Pure
//! functions.

/// Somebody whom a text may mention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mention {
    /// What stands behind the `@` in the text.
    pub(super) written: String,
    /// The phone number, digits; where it is not known, what stands in the text.
    pub(super) phone: String,
    /// The name to show.
    pub(super) name: String,
}

impl Mention {
    /// Whether a text that follows an `@` begins with it. A longer number is somebody else's.
    fn begins(&self, text: &str) -> bool {
        let rest = text.strip_prefix(self.written.as_str()).filter(|_| !self.written.is_empty());
        rest.is_some_and(|rest| !rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit()))
    }
}

/// The text as HTML, each mention a span with the person's name.
pub(crate) fn formatted(text: &str, mentions: &[Mention]) -> String {
    let mut html = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('@') {
        escape(before, &mut html);
        rest = after;
        match mentions.iter().find(|mention| mention.begins(after)) {
            Some(mention) => {
                html.push_str("<span class=\"mention\" data-phone=\"");
                escape(&mention.phone, &mut html);
                html.push_str("\">@");
                escape(&mention.name, &mut html);
                html.push_str("</span>");
                rest = &after[mention.written.len()..];
            }
            None => html.push('@'),
        }
    }
    escape(rest, &mut html);
    html
}

/// Appends a text so that it is one in HTML too, also within an attribute.
fn escape(text: &str, html: &mut String) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c => html.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mention(written: &str, name: &str) -> Mention {
        Mention { written: written.to_owned(), phone: "5521999999999".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn a_mention_is_a_span_with_the_persons_name() {
        let john = [mention("5521999999999", "John Doe")];
        assert_eq!(
            formatted("Ola @5521999999999!", &john),
            r#"Ola <span class="mention" data-phone="5521999999999">@John Doe</span>!"#
        );
        let span = r#"<span class="mention" data-phone="5521999999999">@John Doe</span>"#;
        assert_eq!(formatted("@5521999999999@5521999999999", &john), format!("{span}{span}"));
        // Somebody else's number, an address, an @ at the end.
        for text in ["@55219999999990", "@552199999999", "a@b.test", "oi @", "@é"] {
            assert_eq!(formatted(text, &john), text);
        }
        assert_eq!(formatted("@1 @12", &[mention("", "Nobody")]), "@1 @12");
        let both = [mention("1", "A"), mention("12", "B")];
        assert!(formatted("@12", &both).ends_with(">@B</span>"));
    }

    #[test]
    fn nothing_that_people_write_becomes_markup() {
        let text = r#"<img src=x onerror="alert('1')"> & @1"#;
        let named = [mention("1", "<b>\"Zé\" & 'Cia'</b>")];
        assert_eq!(
            formatted(text, &named),
            "&lt;img src=x onerror=&quot;alert(&#39;1&#39;)&quot;&gt; &amp; <span class=\"mention\" \
             data-phone=\"5521999999999\">@&lt;b&gt;&quot;Zé&quot; &amp; &#39;Cia&#39;&lt;/b&gt;</span>"
        );
        assert_eq!(formatted("<span class=\"mention\">", &[]), "&lt;span class=&quot;mention&quot;&gt;");
    }
}
