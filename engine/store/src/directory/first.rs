//! A page of rows that lie in no order, without sorting all of them.

/// A page of a list that is in no order: of all that is pushed, those from the place `skip` of the sorted list on, `count` of them. It
/// keeps about twice as many as that, and looks at each once or twice.
pub(super) struct First<T> {
    skip: usize,
    count: usize,
    kept: Vec<T>,
    /// What is not before this is on no page up to this one.
    end: Option<T>,
}

impl<T: Ord + Copy> First<T> {
    /// So many are kept at least before they are cut down.
    const LEAST_KEPT: usize = 512;

    /// Nothing yet, for a page of `count` from the place `skip` on.
    pub(super) fn new(skip: usize, count: usize) -> Self {
        Self { skip, count, kept: Vec::new(), end: None }
    }

    fn wanted(&self) -> usize {
        self.skip.saturating_add(self.count)
    }

    /// Takes one more.
    pub(super) fn push(&mut self, one: T) {
        if self.end.is_some_and(|end| one >= end) {
            return;
        }
        self.kept.push(one);
        if self.kept.len() >= self.wanted().saturating_mul(2).max(Self::LEAST_KEPT) {
            self.cut();
        }
    }

    /// Leaves those that are wanted.
    fn cut(&mut self) {
        let wanted = self.wanted();
        if wanted < self.kept.len() {
            let (_, end, _) = self.kept.select_nth_unstable(wanted);
            self.end = Some(*end);
            self.kept.truncate(wanted);
        }
    }

    /// The page, in order.
    pub(super) fn sorted(mut self) -> Vec<T> {
        self.cut();
        if self.skip >= self.kept.len() {
            return Vec::new();
        }
        if self.skip > 0 {
            self.kept.select_nth_unstable(self.skip);
        }
        let mut page = self.kept.split_off(self.skip);
        page.sort_unstable();
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_what_is_in_no_order_is_that_of_the_sorted_list() {
        // Every number below a prime, each once, in no order that helps.
        const COUNT: u64 = 4_999;
        for (skip, count) in
            [(0, 0), (0, 1), (0, 50), (7, 50), (3_000, 50), (4_990, 50), (4_999, 50), (9_999, 1), (0, usize::MAX)]
        {
            let mut first = First::new(skip, count);
            for n in 0..COUNT {
                first.push(n * 1_234 % COUNT);
            }
            let sorted: Vec<u64> = (0..COUNT).skip(skip).take(count).collect();
            assert_eq!(first.sorted(), sorted, "{count} from {skip}");
        }
    }
}
