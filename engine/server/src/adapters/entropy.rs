//! The operating system's random generator, buffered, because a system call for every message id would cost more than the id.

use std::cell::RefCell;

use pombo_domain::ports::Entropy;

/// Cryptographic random numbers of the operating system.
pub(crate) struct OsEntropy;

const POOL: usize = 1024;

struct Pool {
    bytes: [u8; POOL],
    used: usize,
}

thread_local! {
    static SPARE: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL], used: POOL }) };
}

fn from_system(bytes: &mut [u8]) {
    getrandom::fill(bytes).expect("the operating system's random generator works once the system is up");
}

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() > 64 {
            return from_system(bytes);
        }
        SPARE.with_borrow_mut(|pool| {
            if pool.used + bytes.len() > POOL {
                from_system(&mut pool.bytes);
                pool.used = 0;
            }
            let taken = &mut pool.bytes[pool.used..pool.used + bytes.len()];
            bytes.copy_from_slice(taken);
            // What was handed out is not kept.
            taken.fill(0);
            pool.used += bytes.len();
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn never_gives_the_same_bytes_twice() {
        let seen: HashSet<u64> = (0..10_000).map(|_| OsEntropy.u64()).collect();
        assert_eq!(seen.len(), 10_000);
        assert!(!seen.contains(&0));
        let mut large = [0; 200];
        OsEntropy.fill(&mut large);
        assert!(large.iter().any(|b| *b != 0));
    }
}
