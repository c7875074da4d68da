//! Limits how many requests of an expensive kind run at the same time: in total, and of one tenant.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pombo_domain::TenantIndex;

/// A limit, see the module.
#[derive(Clone)]
pub(crate) struct ConcurrencyLimit(Arc<Inner>);

struct Inner {
    in_all: usize,
    of_one: usize,
    /// The number of limit held by each tenant; by the operator under `None`.
    held: Mutex<HashMap<Option<TenantIndex>, usize>>,
}

/// A place that is held until it is dropped.
pub(crate) struct Place {
    limit: ConcurrencyLimit,
    owner: Option<TenantIndex>,
}

impl ConcurrencyLimit {
    pub(crate) fn new(in_all: usize, of_one: usize) -> Self {
        Self(Arc::new(Inner { in_all, of_one, held: Mutex::default() }))
    }

    /// Takes a place; `None` if all are taken.
    pub(crate) fn take(&self, owner: Option<TenantIndex>) -> Option<Place> {
        let mut held = self.held();
        let mine = held.get(&owner).copied().unwrap_or_default();
        if mine >= self.0.of_one || held.values().sum::<usize>() >= self.0.in_all {
            return None;
        }
        held.insert(owner, mine + 1);
        Some(Place { limit: self.clone(), owner })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Option<TenantIndex>, usize>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut held = self.limit.held();
        if let Some(mine) = held.get_mut(&self.owner) {
            *mine -= 1;
            if *mine == 0 {
                held.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tenant_cannot_take_all_places_and_they_come_back() {
        let limit = ConcurrencyLimit::new(3, 2);
        let (one, two) = (Some(TenantIndex(1)), Some(TenantIndex(2)));
        let held = [limit.take(one), limit.take(one)];
        assert!(held.iter().all(Option::is_some) && limit.take(one).is_none());
        let other = limit.take(two);
        assert!(other.is_some() && limit.take(None).is_none(), "full");
        drop(held);
        assert!(limit.take(None).is_some() && limit.take(one).is_some());
        drop(other);
        assert!(limit.0.held.lock().expect("not poisoned").is_empty());
    }
}
