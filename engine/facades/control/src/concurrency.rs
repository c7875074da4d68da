//! Limits how many requests of an expensive kind run at the same time: in total, and of one owner, which is a tenant unless said otherwise.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pombo_domain::TenantIndex;

/// A limit, see the module.
#[derive(Clone)]
pub(crate) struct ConcurrencyLimit<K: Clone + Eq + Hash = Option<TenantIndex>>(Arc<Inner<K>>);

struct Inner<K> {
    in_all: usize,
    of_one: usize,
    /// The number of places held by each owner; where owners are tenants, by the operator under `None`.
    held: Mutex<HashMap<K, usize>>,
}

/// A place that is held until it is dropped.
pub(crate) struct Place<K: Clone + Eq + Hash = Option<TenantIndex>> {
    limit: ConcurrencyLimit<K>,
    owner: K,
}

impl<K: Clone + Eq + Hash> ConcurrencyLimit<K> {
    pub(crate) fn new(in_all: usize, of_one: usize) -> Self {
        Self(Arc::new(Inner { in_all, of_one, held: Mutex::default() }))
    }

    /// Takes a place; `None` if all are taken.
    pub(crate) fn take(&self, owner: K) -> Option<Place<K>> {
        let mut held = self.held();
        let mine = held.get(&owner).copied().unwrap_or_default();
        if mine >= self.0.of_one || held.values().sum::<usize>() >= self.0.in_all {
            return None;
        }
        held.insert(owner.clone(), mine + 1);
        Some(Place { limit: self.clone(), owner })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<K, usize>> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Clone + Eq + Hash> Drop for Place<K> {
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
