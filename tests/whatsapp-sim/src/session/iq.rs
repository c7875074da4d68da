//! Answers to `iq` stanzas, and the reading of nodes.

use wacore_binary::{Jid, Node, NodeContent, SERVER_JID, builder::NodeBuilder};

/// The whole `<iq type="result">` for a request.
pub fn result(request: &Node, children: impl IntoIterator<Item = Node>) -> Node {
    let children: Vec<Node> = children.into_iter().collect();
    let answer = answer(request, "result");
    if children.is_empty() { answer.build() } else { answer.children(children).build() }
}

/// The whole `<iq type="error">` for a request.
pub fn error(request: &Node, code: u16, text: &str) -> Node {
    answer(request, "error")
        .children([NodeBuilder::new("error").attr("code", u32::from(code)).attr("text", text).build()])
        .build()
}

fn answer(request: &Node, kind: &'static str) -> NodeBuilder {
    let from = request.attrs.get("to").map_or_else(|| SERVER_JID.to_owned(), |to| to.as_str().into_owned());
    let answer = NodeBuilder::new("iq").attr("from", from).attr("type", kind);
    match request.attrs.get("id") {
        Some(id) => answer.attr("id", id.clone()),
        None => answer,
    }
}

/// An attribute as text; empty when missing.
pub(crate) fn attr(node: &Node, key: &str) -> String {
    node.attrs.get(key).map(|value| value.as_str().into_owned()).unwrap_or_default()
}

/// An attribute as a JID.
pub(crate) fn jid(node: &Node, key: &str) -> Option<Jid> {
    node.attrs.get(key)?.to_jid()
}

/// A node's bytes.
pub(crate) fn bytes(node: &Node) -> Option<&[u8]> {
    match &node.content {
        Some(NodeContent::Bytes(bytes)) => Some(bytes),
        Some(NodeContent::String(text)) => Some(text.as_bytes()),
        _ => None,
    }
}

/// The bytes of a child.
pub(crate) fn child_bytes<'a>(node: &'a Node, tag: &str) -> Option<&'a [u8]> {
    bytes(node.get_optional_child(tag)?)
}

/// A big-endian number in the bytes of a child.
pub(crate) fn child_number(node: &Node, tag: &str) -> Option<u32> {
    let bytes = child_bytes(node, tag)?;
    (bytes.len() <= 4).then(|| bytes.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte)))
}

/// A key of 32 bytes in a child; one with Signal's type byte before it is taken too.
pub(crate) fn child_key(node: &Node, tag: &str) -> Option<[u8; 32]> {
    let bytes = child_bytes(node, tag)?;
    bytes.try_into().ok().or_else(|| bytes.strip_prefix(&[5])?.try_into().ok())
}
