//! What is kept in memory of a tenant once somebody asked for it: its contacts, for lists with filters and exact totals, which
//! conversations have which tags, and in [`conversations`] what lists of those need. The rows on disk are the truth; the committer tells
//! every change after it is on disk.
//!
//! Of the tenants that were asked for longest ago nothing is kept beyond [`MOST_BYTES`]; the one that is asked for now is always kept.

pub(crate) mod contacts;
pub(crate) mod conversations;
mod first;
pub(crate) mod tags;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};
use pombo_domain::TenantIndex;
use pombo_domain::ports::StoreResult;

use contacts::ContactList;
use tags::TagUse;

/// What the shelves of one kind may hold, in bytes.
const MOST_BYTES: usize = 64 << 20;

/// What is kept of all tenants.
pub(crate) struct Directory {
    pub(crate) contacts: Shelves<ContactList>,
    pub(crate) conversations: conversations::Lists,
    pub(crate) tags: Shelves<TagUse>,
}

impl Directory {
    /// Lists of conversations may have `conversation_bytes`.
    pub(crate) fn new(conversation_bytes: u64) -> Self {
        Self {
            contacts: Shelves::new(MOST_BYTES),
            conversations: conversations::Lists::new(conversation_bytes),
            tags: Shelves::new(MOST_BYTES),
        }
    }
}

/// What is kept of one tenant.
pub(crate) trait Kept: Default {
    /// A change: what there is now, not what is different. Applying it again changes nothing.
    type Change: Clone;
    /// Takes a change.
    fn apply(&mut self, change: Self::Change);
    /// Roughly how many bytes it holds.
    fn bytes(&self) -> usize;
}

enum State<K: Kept> {
    Absent,
    /// It is being read from disk; what is committed meanwhile comes after it.
    Loading(Vec<K::Change>),
    Ready(K),
}

struct Shelf<K: Kept> {
    state: RwLock<State<K>>,
    /// Held by the one who loads.
    loading: Mutex<()>,
    /// When it was last asked for, by the shelves' own count.
    used: AtomicU64,
}

/// One kind of shelf, by tenant.
pub(crate) struct Shelves<K: Kept> {
    tenants: RwLock<HashMap<TenantIndex, Arc<Shelf<K>>>>,
    count: AtomicU64,
    most_bytes: usize,
}

impl<K: Kept> Shelves<K> {
    fn new(most_bytes: usize) -> Self {
        Self { tenants: RwLock::new(HashMap::new()), count: AtomicU64::new(0), most_bytes }
    }

    /// Takes a change that is on disk. `change` is made only where somebody asked for the tenant.
    pub(crate) fn changed(&self, tenant: TenantIndex, change: impl FnOnce() -> K::Change) {
        let Some(shelf) = self.tenants.read().get(&tenant).cloned() else { return };
        match &mut *shelf.state.write() {
            State::Absent => {}
            State::Loading(later) => later.push(change()),
            State::Ready(kept) => kept.apply(change()),
        }
    }

    /// What `read` makes of a tenant's shelf, which `load` fills from disk where nothing is kept. It blocks.
    pub(crate) fn with<R>(
        &self,
        tenant: TenantIndex,
        load: impl FnOnce(&mut K) -> StoreResult<()>,
        read: impl FnOnce(&K) -> R,
    ) -> StoreResult<R> {
        let shelf = self.shelf(tenant);
        if let State::Ready(kept) = &*shelf.state.read() {
            return Ok(read(kept));
        }
        let loading = shelf.loading.lock();
        if !matches!(&*shelf.state.read(), State::Ready(_)) {
            // From here on changes are kept for later. What was committed before is on disk when the reading begins.
            *shelf.state.write() = State::Loading(Vec::new());
            let mut kept = K::default();
            let loaded = load(&mut kept);
            let mut state = shelf.state.write();
            let later = match std::mem::replace(&mut *state, State::Absent) {
                State::Loading(later) => later,
                State::Absent | State::Ready(_) => Vec::new(),
            };
            loaded?;
            later.into_iter().for_each(|change| kept.apply(change));
            *state = State::Ready(kept);
        }
        drop(loading);
        self.make_room(tenant);
        match &*shelf.state.read() {
            State::Ready(kept) => Ok(read(kept)),
            State::Absent | State::Loading(_) => {
                Err(crate::codec::damaged("a directory was emptied while it was read"))
            }
        }
    }

    /// Looks at what is kept of each tenant.
    pub(crate) fn each(&self, mut look: impl FnMut(TenantIndex, &K)) {
        let shelves: Vec<_> = self.tenants.read().iter().map(|(tenant, shelf)| (*tenant, shelf.clone())).collect();
        for (tenant, shelf) in shelves {
            if let State::Ready(kept) = &*shelf.state.read() {
                look(tenant, kept);
            }
        }
    }

    fn shelf(&self, tenant: TenantIndex) -> Arc<Shelf<K>> {
        let now = self.count.fetch_add(1, Ordering::Relaxed);
        let known = self.tenants.read().get(&tenant).cloned();
        let shelf = known.unwrap_or_else(|| {
            let new = || Shelf { state: RwLock::new(State::Absent), loading: Mutex::new(()), used: AtomicU64::new(0) };
            self.tenants.write().entry(tenant).or_insert_with(|| Arc::new(new())).clone()
        });
        shelf.used.store(now, Ordering::Relaxed);
        shelf
    }

    /// Forgets the tenants that were asked for longest ago, but never `kept` nor one that is being loaded.
    fn make_room(&self, kept: TenantIndex) {
        let mut tenants = self.tenants.write();
        let mut sizes: Vec<(u64, TenantIndex, usize)> = Vec::with_capacity(tenants.len());
        for (tenant, shelf) in tenants.iter() {
            if let State::Ready(kept) = &*shelf.state.read() {
                sizes.push((shelf.used.load(Ordering::Relaxed), *tenant, kept.bytes()));
            }
        }
        let mut bytes: usize = sizes.iter().map(|(.., size)| size).sum();
        sizes.sort_unstable();
        for (_, tenant, size) in sizes {
            if bytes <= self.most_bytes {
                break;
            }
            if tenant != kept {
                tenants.remove(&tenant);
                bytes -= size;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pombo_domain::ports::StoreError;

    /// The sum of what it was told last of each name.
    #[derive(Default)]
    struct Sums(HashMap<&'static str, usize>);

    impl Kept for Sums {
        type Change = (&'static str, usize);
        fn apply(&mut self, (name, value): Self::Change) {
            self.0.insert(name, value);
        }
        fn bytes(&self) -> usize {
            self.0.values().sum()
        }
    }

    const ONE: TenantIndex = TenantIndex(1);
    const TWO: TenantIndex = TenantIndex(2);

    fn sum(shelves: &Shelves<Sums>, tenant: TenantIndex, on_disk: usize) -> usize {
        let load = |sums: &mut Sums| {
            sums.apply(("disk", on_disk));
            Ok(())
        };
        shelves.with(tenant, load, Sums::bytes).expect("loads")
    }

    #[test]
    fn what_is_committed_while_it_is_loaded_is_not_lost() {
        let shelves = Shelves::<Sums>::new(1_000);
        shelves.changed(ONE, || unreachable!("nobody asked for it"));
        let load = |sums: &mut Sums| {
            shelves.changed(ONE, || ("a", 2));
            sums.apply(("a", 1));
            shelves.changed(ONE, || ("b", 4));
            Ok(())
        };
        assert_eq!(shelves.with(ONE, load, Sums::bytes), Ok(6), "the newer value counts");
        shelves.changed(ONE, || ("b", 5));
        assert_eq!(sum(&shelves, ONE, 100), 7, "it is not loaded again");
    }

    #[test]
    fn a_failed_load_leaves_nothing_and_is_tried_again() {
        let shelves = Shelves::<Sums>::new(1_000);
        let damaged = || StoreError::Damaged("x".to_owned());
        let load = |sums: &mut Sums| {
            sums.apply(("a", 1));
            Err(damaged())
        };
        assert_eq!(shelves.with(ONE, load, Sums::bytes), Err(damaged()));
        shelves.changed(ONE, || unreachable!("nothing is kept"));
        assert_eq!(sum(&shelves, ONE, 3), 3);
    }

    #[test]
    fn the_tenant_that_was_asked_for_longest_ago_goes_first() {
        let shelves = Shelves::<Sums>::new(10);
        let three = TenantIndex(3);
        assert_eq!([sum(&shelves, ONE, 4), sum(&shelves, TWO, 4), sum(&shelves, ONE, 9)], [4, 4, 4]);
        assert_eq!(sum(&shelves, three, 5), 5);
        let mut kept = Vec::new();
        shelves.each(|tenant, sums| kept.push((tenant, sums.bytes())));
        kept.sort_unstable();
        assert_eq!(kept, [(ONE, 4), (three, 5)]);
        assert_eq!(sum(&shelves, TWO, 50), 50, "one alone may be larger");
        kept.clear();
        shelves.each(|tenant, sums| kept.push((tenant, sums.bytes())));
        assert_eq!(kept, [(TWO, 50)]);
    }
}
