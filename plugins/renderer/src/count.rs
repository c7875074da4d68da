//! How many texts a tree can give, and how likely two draws agree.

use crate::parse::{Alternative, Node, Tag};

/// What a template's choices amount to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figures {
    /// Distinct texts, saturating.
    pub(crate) distinct: u64,
    /// The chance that two independent draws with equal variables give the same text.
    pub(crate) collision: f64,
}

impl Figures {
    const ONE: Self = Self { distinct: 1, collision: 1.0 };

    fn and(self, other: Self) -> Self {
        Self { distinct: self.distinct.saturating_mul(other.distinct), collision: self.collision * other.collision }
    }

    /// Either of two branches, by a condition that is the same for both recipients: the worse chance counts.
    fn or(self, other: Self) -> Self {
        Self { distinct: self.distinct.saturating_add(other.distinct), collision: self.collision.max(other.collision) }
    }
}

/// An open `{% if %}` or `{% for %}`.
struct Block {
    before: Figures,
    done: Option<Figures>,
    has_else: bool,
    is_loop: bool,
}

/// A loop's body counts once, and an `if` counts each of its branches. Alternatives are compared as written: different ones
/// are taken to give different texts.
pub(crate) fn figures(source: &str, nodes: &[Node]) -> Figures {
    let mut now = Figures::ONE;
    let mut blocks: Vec<Block> = Vec::new();
    for node in nodes {
        match node {
            Node::Choice { alternatives, .. } => now = now.and(choice(source, alternatives)),
            Node::Tag { kind: Tag::Statement(keyword), .. } => match &**keyword {
                "if" | "for" => {
                    blocks.push(Block { before: now, done: None, has_else: false, is_loop: keyword == "for" });
                    now = Figures::ONE;
                }
                "elif" | "else" => {
                    if let Some(block) = blocks.last_mut() {
                        block.done = Some(block.done.map_or(now, |d| d.or(now)));
                        block.has_else |= keyword == "else";
                        now = Figures::ONE;
                    }
                }
                "endif" | "endfor" => {
                    if let Some(block) = blocks.pop() {
                        let mut all = block.done.map_or(now, |d| d.or(now));
                        if !block.has_else && !block.is_loop {
                            all = all.or(Figures::ONE);
                        }
                        now = block.before.and(all);
                    }
                }
                _ => {}
            },
            Node::Text { .. } | Node::Tag { .. } => {}
        }
    }
    now
}

fn choice(source: &str, alternatives: &[Alternative]) -> Figures {
    let total = alternatives.len() as f64;
    let written = |a: &Alternative| source.get(a.start..a.end).unwrap_or_default();
    let mut figures = Figures { distinct: 0, collision: 0.0 };
    for (i, alternative) in alternatives.iter().enumerate() {
        let same = |a: &&Alternative| written(a) == written(alternative);
        if alternatives[..i].iter().any(|a| same(&a)) {
            continue;
        }
        let share = alternatives.iter().filter(same).count() as f64 / total;
        let inner = self::figures(source, &alternative.nodes);
        figures.distinct = figures.distinct.saturating_add(inner.distinct);
        figures.collision += share * share * inner.collision;
    }
    figures
}
