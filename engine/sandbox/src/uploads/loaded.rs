//! Plugins that are held ready to be called: linked, described, and the ones that were not called for the longest time given up.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use jsonschema::Validator;
use parking_lot::Mutex;
use pombo_domain::ports::AutomationDescription;

use crate::automation::call::Callable;
use crate::automation::state::CallState;
use crate::bindings::automation::AutomationPre;

/// A plugin that is ready, and what checks its configurations.
pub(super) struct Loaded {
    pub(super) plugin: Arc<Callable>,
    pub(super) schema: Validator,
    /// When it was used last, in uses of all plugins.
    used: AtomicU64,
}

impl Loaded {
    pub(super) fn new(
        pre: AutomationPre<CallState>,
        description: AutomationDescription,
        schema: Validator,
    ) -> Arc<Self> {
        Arc::new(Self { plugin: Arc::new(Callable { pre, description }), schema, used: AtomicU64::new(0) })
    }
}

/// Those that are ready, by their digests.
pub(super) struct Ready {
    loaded: Mutex<HashMap<Arc<str>, Arc<Loaded>>>,
    most: usize,
    /// How many uses there were of all plugins.
    clock: AtomicU64,
    /// Held while one is loaded.
    pub(super) loading: tokio::sync::Mutex<()>,
}

impl Ready {
    pub(super) fn new(most: usize) -> Self {
        Self {
            loaded: Mutex::default(),
            most: most.max(1),
            clock: AtomicU64::new(1),
            loading: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn get(&self, digest: &str) -> Option<Arc<Loaded>> {
        let found = self.loaded.lock().get(digest).cloned()?;
        found.used.store(self.clock.fetch_add(1, Relaxed), Relaxed);
        Some(found)
    }

    pub(super) fn put(&self, digest: &str, plugin: Arc<Loaded>) {
        plugin.used.store(self.clock.fetch_add(1, Relaxed), Relaxed);
        let mut loaded = self.loaded.lock();
        loaded.insert(digest.into(), plugin);
        while loaded.len() > self.most {
            let Some(oldest) = loaded.iter().min_by_key(|(_, l)| l.used.load(Relaxed)).map(|(d, _)| d.clone()) else {
                break;
            };
            loaded.remove(&oldest);
        }
    }

    pub(super) fn remove(&self, digest: &str) {
        self.loaded.lock().remove(digest);
    }
}
