//! Which groups' names the server is still to be asked for: each group once in the life of an instance, a bounded number, one after the
//! other. In memory: after a restart each is asked for once more, which changes nothing.

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};

use wacore_binary::Jid;

/// How many groups are remembered before the memory is cleared.
const MOST: usize = 2_048;
/// How many may wait; more are asked for with a later message.
const WAITING: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct GroupNames {
    asked: RefCell<HashSet<String>>,
    waiting: RefCell<VecDeque<Jid>>,
    /// Whether somebody takes what waits.
    taken_care_of: Cell<bool>,
}

impl GroupNames {
    /// A message of this group came. Returns whether somebody must begin to take what waits.
    pub(crate) fn seen(&self, group: &Jid) -> bool {
        let mut asked = self.asked.borrow_mut();
        let mut waiting = self.waiting.borrow_mut();
        let name = group.to_string();
        if waiting.len() >= WAITING || asked.contains(&name) {
            return false;
        }
        if asked.len() >= MOST {
            asked.clear();
        }
        asked.insert(name);
        waiting.push_back(group.clone());
        !self.taken_care_of.replace(true)
    }

    /// The next group to ask for. `None` ends the care of whoever takes.
    pub(crate) fn next(&self) -> Option<Jid> {
        let next = self.waiting.borrow_mut().pop_front();
        self.taken_care_of.set(next.is_some());
        next
    }

    /// There was no answer: its next message asks again.
    pub(crate) fn forget(&self, group: &Jid) {
        self.asked.borrow_mut().remove(&group.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(n: usize) -> Jid {
        format!("12036{n}@g.us").parse().expect("a jid")
    }

    #[test]
    fn each_group_is_asked_for_once_by_one_after_the_other() {
        let names = GroupNames::default();
        assert!(names.seen(&group(1)), "the first begins");
        assert!(!names.seen(&group(2)) && !names.seen(&group(1)));
        assert_eq!((names.next(), names.next()), (Some(group(1)), Some(group(2))));
        assert!(!names.seen(&group(3)), "somebody still takes");
        assert_eq!((names.next(), names.next()), (Some(group(3)), None));
        assert!(!names.seen(&group(1)), "it was asked for");
        names.forget(&group(1));
        assert!(names.seen(&group(1)));
    }

    #[test]
    fn only_so_many_are_kept() {
        let names = GroupNames::default();
        for n in 0..10_000 {
            names.seen(&group(n));
            if n % 2 == 0 {
                names.next();
            }
        }
        assert!(names.waiting.borrow().len() <= WAITING && names.asked.borrow().len() <= MOST);
    }
}
