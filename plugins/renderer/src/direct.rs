//! Renders trees of text, choices and plain variables without minijinja: most templates, and the fast way.
//!
//! Invariant: where it gives a text, it is the one that `jinja` would give.

use std::fmt::Write;

use crate::choose::Draws;
use crate::parse::{Node, Tag};
use crate::variables::{Scalar, Variables};

/// A tree that this module can render.
#[derive(Debug)]
pub(crate) struct Program(Vec<Op>);

#[derive(Debug)]
enum Op {
    Text(Box<str>),
    Variable(Box<str>),
    Choice(Box<[Program]>),
}

/// This value is minijinja's to print, or to complain about.
pub(crate) struct NeedsJinja;

impl Program {
    /// `None` when the tree holds anything else.
    pub(crate) fn new(nodes: &[Node]) -> Option<Self> {
        nodes
            .iter()
            .map(|node| match node {
                Node::Text { text, .. } => Some(Op::Text(text.as_str().into())),
                Node::Tag { kind: Tag::Variable(name), .. } => Some(Op::Variable(name.as_str().into())),
                Node::Tag { .. } => None,
                Node::Choice { alternatives, .. } => {
                    alternatives.iter().map(|a| Self::new(&a.nodes)).collect::<Option<_>>().map(Op::Choice)
                }
            })
            .collect::<Option<_>>()
            .map(Self)
    }

    /// The text itself when there is nothing to draw or insert.
    pub(crate) fn constant(&self) -> Option<&str> {
        match &*self.0 {
            [] => Some(""),
            [Op::Text(text)] => Some(text),
            _ => None,
        }
    }

    pub(crate) fn render(
        &self,
        out: &mut String,
        variables: &Variables<'_>,
        draws: &mut Draws,
    ) -> Result<(), NeedsJinja> {
        for op in &self.0 {
            match op {
                Op::Text(text) => out.push_str(text),
                Op::Variable(name) => match variables.get(name) {
                    Some(Scalar::Text(text)) => out.push_str(text),
                    // Writing to a String cannot fail.
                    Some(Scalar::Integer(n)) => drop(write!(out, "{n}")),
                    Some(Scalar::Other(_)) | None => return Err(NeedsJinja),
                },
                Op::Choice(alternatives) => {
                    let drawn = draws.choose(alternatives.len());
                    alternatives[drawn].render(out, variables, draws)?;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn variables(&self, into: &mut Vec<String>) {
        for op in &self.0 {
            match op {
                Op::Text(_) => {}
                Op::Variable(name) => into.push(name.to_string()),
                Op::Choice(alternatives) => alternatives.iter().for_each(|a| a.variables(into)),
            }
        }
    }
}
