//! Server-sent events from the pieces of a stream.

/// A complete event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sent {
    /// Its id, if it has one.
    pub(super) id: Option<String>,
    /// Its data, with its lines joined.
    pub(super) data: String,
}

/// Puts the pieces together.
#[derive(Debug, Default)]
pub(super) struct Reader {
    line: Vec<u8>,
    event: Sent,
    any: bool,
    after_return: bool,
}

impl Reader {
    /// Takes a piece and returns the events that it completes.
    pub(super) fn take(&mut self, piece: &[u8]) -> Vec<Sent> {
        let mut sent = Vec::new();
        for &byte in piece {
            let pair = self.after_return && byte == b'\n';
            self.after_return = byte == b'\r';
            match byte {
                _ if pair => {}
                b'\r' | b'\n' => sent.extend(self.end_of_line()),
                byte => self.line.push(byte),
            }
        }
        sent
    }

    fn end_of_line(&mut self) -> Option<Sent> {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.any).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if self.any {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.any = true;
            }
            "id" => self.event.id = Some(value.to_owned()),
            // A comment, or a field that says nothing here.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_they_are_cut() {
        let text =
            ": hello\n\nid: 7\ndata: {\"a\":\ndata: 1}\n\nevent: x\r\ndata:two\r\n\r\nretry: 5\n\nid: 9\n\ndata: cut";
        let expected =
            [Sent { id: Some("7".into()), data: "{\"a\":\n1}".into() }, Sent { id: None, data: "two".into() }];
        for size in 1..text.len() {
            let mut reader = Reader::default();
            let events: Vec<Sent> = text.as_bytes().chunks(size).flat_map(|piece| reader.take(piece)).collect();
            assert_eq!(events, expected, "in pieces of {size}");
        }
    }
}
