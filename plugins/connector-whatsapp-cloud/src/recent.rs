//! The latest of what was noted under a key.

use std::cell::RefCell;
use std::collections::VecDeque;

/// At most so many of the latest; the oldest go first.
#[derive(Debug)]
pub(crate) struct Recent<V, const MOST: usize>(RefCell<VecDeque<(String, V)>>);

impl<V, const MOST: usize> Default for Recent<V, MOST> {
    fn default() -> Self {
        Self(RefCell::new(VecDeque::new()))
    }
}

impl<V: Clone, const MOST: usize> Recent<V, MOST> {
    /// What was noted last under this key.
    pub(crate) fn get(&self, key: &str) -> Option<V> {
        let entries = self.0.borrow();
        entries.iter().rev().find(|(known, _)| known == key).map(|(_, value)| value.clone())
    }

    pub(crate) fn note(&self, key: String, value: V) {
        let mut entries = self.0.borrow_mut();
        if entries.len() >= MOST {
            entries.pop_front();
        }
        entries.push_back((key, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first() {
        let recent = Recent::<u8, 2>::default();
        for (key, value) in [("a", 1), ("b", 2), ("b", 3)] {
            recent.note(key.to_owned(), value);
        }
        assert_eq!((recent.get("a"), recent.get("b"), recent.get("c")), (None, Some(3), None));
    }
}
