//! Tables for spreadsheets (RFC 4180), of which no cell is a formula: whoever chose a name cannot run anything where the file is opened.

/// Writes a line of a table.
pub fn line(cells: &[impl AsRef<str>], out: &mut String) {
    for (place, text) in cells.iter().enumerate() {
        if place > 0 {
            out.push(',');
        }
        cell(text.as_ref(), out);
    }
    out.push_str("\r\n");
}

/// Writes a cell. A spreadsheet would run a text that begins like a formula: an apostrophe in front makes it a text.
fn cell(text: &str, out: &mut String) {
    let is_formula = text.trim_start().starts_with(['=', '+', '-', '@', '＝', '＋', '－', '＠'])
        || text.starts_with(|c: char| c.is_control());
    if !is_formula && !text.contains([',', ';', '"', '\'', '\r', '\n', '\t']) {
        out.push_str(text);
        return;
    }
    out.push('"');
    if is_formula {
        out.push('\'');
    }
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = String::new();
        cell(text, &mut out);
        out
    }

    #[test]
    fn no_cell_is_a_formula() {
        for begins in ["=1+1", "+5511", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1", "\u{a0}=1", "=\"a\",b"]
        {
            assert!(written(begins).starts_with("\"'"), "{begins:?}");
        }
        assert_eq!(written("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
    }

    #[test]
    fn a_cell_stays_one_cell() {
        assert_eq!(written("5511988887777"), "5511988887777");
        assert_eq!(written("Ana Ávila"), "Ana Ávila");
        assert_eq!(written(""), "");
        for (text, expected) in [
            ("a,b", "\"a,b\""),
            ("a;b", "\"a;b\""),
            ("a \"b\"", "\"a \"\"b\"\"\""),
            ("a\nb", "\"a\nb\""),
            ("a=b", "a=b"),
        ] {
            assert_eq!(written(text), expected);
        }
        let mut out = String::new();
        line(&["a", "b,c"], &mut out);
        assert_eq!(out, "a,\"b,c\"\r\n");
    }
}
