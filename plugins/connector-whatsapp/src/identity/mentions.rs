//! Names in a text. The channel marks a mention by `@` and the user part of the jid that the message lists; a caller writes `@` and
//! the address it knows.

use wacore_binary::Jid;

/// A person that a text mentions.
#[derive(Clone, Debug)]
pub(crate) struct Mention {
    /// The digits that a caller may have written after `@`.
    pub(crate) written: Vec<String>,
    /// How the chat names the person.
    pub(crate) jid: Jid,
}

/// The text with each `@digits` of a mentioned person as the chat names it. An optional `+` after the `@` goes.
pub(crate) fn rewrite(text: &str, mentions: &[Mention]) -> String {
    if mentions.is_empty() || !text.contains('@') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let (before, after) = rest.split_at(at + 1);
        out.push_str(before);
        let name = after.strip_prefix('+').unwrap_or(after);
        let end = name.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(name.len());
        let digits = &name[..end];
        match mentions
            .iter()
            .find(|m| !digits.is_empty() && (m.jid.user == *digits || m.written.iter().any(|w| w == digits)))
        {
            Some(mention) => {
                out.push_str(mention.jid.user_base());
                rest = &name[end..];
            }
            None => rest = after,
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_becomes_the_chats() {
        let lid: Jid = "100@lid".parse().expect("a jid");
        let number: Jid = "551187654321@s.whatsapp.net".parse().expect("a jid");
        let mentions = [
            Mention { written: vec!["12025550100".into()], jid: lid },
            Mention { written: vec!["5511987654321".into(), "551187654321".into()], jid: number },
        ];
        for (text, want) in [
            ("hi @12025550100!", "hi @100!"),
            ("@+12025550100, @5511987654321", "@100, @551187654321"),
            ("@100 stays, @551187654321 too", "@100 stays, @551187654321 too"),
            ("@120255501000 is another", "@120255501000 is another"),
            ("a@b.example and @", "a@b.example and @"),
            ("@@12025550100", "@@100"),
            ("é@12025550100é", "é@100é"),
            ("nobody", "nobody"),
        ] {
            assert_eq!(rewrite(text, &mentions), want);
        }
        assert_eq!(rewrite("@1", &[]), "@1");
    }
}
