//! Reads a template into a tree of texts, tags and choices. Knows the grammar of the crate's documentation, and of minijinja
//! only where its tags end.

use pombo_plugin::renderer::Problem;

use crate::problem_at;

/// Choices nested deeper than this are refused: nobody writes them, and each level costs stack.
const MAX_DEPTH: usize = 40;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    /// Literal text as it comes out, and where it begins.
    Text { text: String, at: usize },
    /// A tag as it was written.
    Tag { kind: Tag, start: usize, end: usize },
    /// Alternatives, at least two.
    Choice { alternatives: Vec<Alternative>, at: usize },
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Alternative {
    pub(crate) nodes: Vec<Node>,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tag {
    /// `{{ name }}` and nothing more.
    Variable(String),
    /// Any other expression.
    Expression,
    /// A statement, by its keyword.
    Statement(String),
    /// A comment or a raw block: neither choices nor branches.
    Opaque,
}

/// An open `{`.
struct Frame {
    at: usize,
    /// The second of two braces that might have been meant as an expression.
    doubled: bool,
    done: Vec<Alternative>,
    start: usize,
    nodes: Vec<Node>,
}

pub(crate) fn parse(source: &str) -> Result<Vec<Node>, Problem> {
    if !source.contains(['{', '\\']) {
        return Ok(if source.is_empty() { Vec::new() } else { vec![Node::Text { text: source.to_owned(), at: 0 }] });
    }
    Parser { source, bytes: source.as_bytes(), frames: Vec::new(), nodes: Vec::new() }.run()
}

struct Parser<'s> {
    source: &'s str,
    bytes: &'s [u8],
    frames: Vec<Frame>,
    /// Of the innermost open frame's alternative, or of the whole.
    nodes: Vec<Node>,
}

impl Parser<'_> {
    fn run(mut self) -> Result<Vec<Node>, Problem> {
        let mut at = 0;
        while at < self.bytes.len() {
            at = match self.bytes[at] {
                b'\\' => self.backslash(at),
                b'{' => self.open(at)?,
                b'|' if !self.frames.is_empty() => self.bar(at),
                b'}' if !self.frames.is_empty() => self.close(at)?,
                _ => self.text(at),
            };
        }
        while let Some(frame) = self.frames.pop() {
            if frame.doubled && frame.done.is_empty() {
                return Err(self.not_an_expression(frame.at - 1));
            }
            if !frame.done.is_empty() {
                return Err(problem_at(
                    self.source,
                    frame.at,
                    "this choice is never closed: end it with } or write \\{ for a brace",
                ));
            }
            self.literal_group(frame);
        }
        Ok(self.nodes)
    }

    fn not_an_expression(&self, at: usize) -> Problem {
        problem_at(self.source, at, "this {{ is not closed by }}: close it or write \\{\\{ for braces")
    }

    fn push_text(&mut self, from: usize, text: &str) {
        match self.nodes.last_mut() {
            // Only text that lies together in the source is joined, so that an offset into it stays true.
            Some(Node::Text { text: last, at }) if *at + last.len() == from => last.push_str(text),
            _ => self.nodes.push(Node::Text { text: text.to_owned(), at: from }),
        }
    }

    fn text(&mut self, at: usize) -> usize {
        let stop = |b: u8| matches!(b, b'\\' | b'{' | b'}' | b'|');
        let length = 1 + self.bytes[at + 1..].iter().position(|b| stop(*b)).unwrap_or(self.bytes.len() - at - 1);
        // Both ends are at ASCII bytes or the end, so this is on character borders.
        let source = self.source;
        self.push_text(at, &source[at..at + length]);
        at + length
    }

    fn backslash(&mut self, at: usize) -> usize {
        let source = self.source;
        match self.bytes.get(at + 1) {
            Some(b'{' | b'|' | b'}' | b'\\') => {
                self.push_text(at + 1, &source[at + 1..at + 2]);
                at + 2
            }
            _ => self.text(at),
        }
    }

    fn open(&mut self, at: usize) -> Result<usize, Problem> {
        let rest = &self.bytes[at..];
        if rest.starts_with(b"{%") {
            return self.statement(at);
        }
        if rest.starts_with(b"{#") {
            let end = find(self.bytes, at + 2, b"#}")
                .ok_or_else(|| problem_at(self.source, at, "this comment is never closed by #}"))?;
            self.nodes.push(Node::Tag { kind: Tag::Opaque, start: at, end });
            return Ok(end);
        }
        let doubled = rest.starts_with(b"{{") && !rest.starts_with(b"{{{");
        if doubled {
            if let Some(end) = tag_end(self.bytes, at + 2, *b"}}") {
                let inner = self.source[at + 2..end - 2].trim();
                let kind = if is_variable(inner) { Tag::Variable(inner.to_owned()) } else { Tag::Expression };
                self.nodes.push(Node::Tag { kind, start: at, end });
                return Ok(end);
            }
            self.push_frame(at, false)?;
            self.push_frame(at + 1, true)?;
            return Ok(at + 2);
        }
        self.push_frame(at, false)?;
        Ok(at + 1)
    }

    fn push_frame(&mut self, at: usize, doubled: bool) -> Result<(), Problem> {
        if self.frames.len() == MAX_DEPTH {
            return Err(problem_at(self.source, at, format!("braces nest deeper than {MAX_DEPTH}")));
        }
        let nodes = std::mem::take(&mut self.nodes);
        self.frames.push(Frame { at, doubled, done: Vec::new(), start: at + 1, nodes });
        Ok(())
    }

    fn statement(&mut self, at: usize) -> Result<usize, Problem> {
        let unclosed = |what| problem_at(self.source, at, format!("{what}; write \\{{ for a brace"));
        let mut end =
            tag_end(self.bytes, at + 2, *b"%}").ok_or_else(|| unclosed("this statement is never closed by %}"))?;
        let inner = self.source[at + 2..end - 2].trim_matches(['-', '+']).trim();
        let keyword: String = inner.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if matches!(&*keyword, "include" | "extends" | "import" | "from" | "block") {
            return Err(problem_at(
                self.source,
                at,
                format!("{keyword} is not available, because a template is self-contained"),
            ));
        }
        let kind = if keyword == "raw" {
            end = end_of_raw(self.source, end)
                .ok_or_else(|| unclosed("this raw block is never closed by {% endraw %}"))?;
            Tag::Opaque
        } else {
            Tag::Statement(keyword)
        };
        self.nodes.push(Node::Tag { kind, start: at, end });
        Ok(end)
    }

    fn bar(&mut self, at: usize) -> usize {
        let nodes = std::mem::take(&mut self.nodes);
        if let Some(frame) = self.frames.last_mut() {
            frame.done.push(Alternative { nodes, start: frame.start, end: at });
            frame.start = at + 1;
        }
        at + 1
    }

    fn close(&mut self, at: usize) -> Result<usize, Problem> {
        let Some(mut frame) = self.frames.pop() else { return Ok(at) };
        if frame.done.is_empty() {
            if frame.doubled {
                return Err(self.not_an_expression(frame.at - 1));
            }
            self.literal_group(frame);
            self.push_text(at, "}");
        } else {
            let last = std::mem::replace(&mut self.nodes, frame.nodes);
            frame.done.push(Alternative { nodes: last, start: frame.start, end: at });
            self.nodes.push(Node::Choice { alternatives: frame.done, at: frame.at });
        }
        Ok(at + 1)
    }

    /// Puts a `{` without alternatives back as text before what followed it.
    fn literal_group(&mut self, frame: Frame) {
        let inner = std::mem::replace(&mut self.nodes, frame.nodes);
        self.push_text(frame.at, "{");
        for node in inner {
            match node {
                Node::Text { text, at } => self.push_text(at, &text),
                node => self.nodes.push(node),
            }
        }
    }
}

/// The end (past it) of the first `what` from `from`.
fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    bytes.get(from..)?.windows(what.len()).position(|w| w == what).map(|i| from + i + what.len())
}

/// The end (past it) of a tag whose inside begins at `from`, skipping strings and brackets. `None` when a lone closing brace
/// or the end comes first.
fn tag_end(bytes: &[u8], from: usize, close: [u8; 2]) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = from;
    while at < bytes.len() {
        let b = bytes[at];
        if depth == 0 && bytes[at..].starts_with(&close) {
            return Some(at + 2);
        }
        match b {
            b'"' | b'\'' => {
                at += 1;
                while *bytes.get(at)? != b {
                    at += if bytes[at] == b'\\' { 2 } else { 1 };
                }
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += 1;
    }
    None
}

fn end_of_raw(source: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        let start = at + source[at..].find("{%")?;
        let end = start + source[start..].find("%}")? + 2;
        if source[start + 2..end - 2].trim_matches(['-', '+']).trim() == "endraw" {
            return Some(end);
        }
        at = start + 2;
    }
}

/// Whether an expression is a plain name that minijinja would look up as a variable.
fn is_variable(inner: &str) -> bool {
    let word = |s: &str| {
        s.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    word(inner)
        && !matches!(
            inner,
            "true"
                | "True"
                | "false"
                | "False"
                | "none"
                | "None"
                | "loop"
                | "self"
                | "not"
                | "and"
                | "or"
                | "in"
                | "is"
                | "if"
                | "else"
                | "super"
        )
}
