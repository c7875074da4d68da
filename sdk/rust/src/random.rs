//! The engine's cryptographic random source.

/// `len` random bytes.
pub fn bytes(len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len);
    while out.len() < len {
        #[cfg(all(target_arch = "wasm32", feature = "connector"))]
        out.extend(crate::imports::random::bytes((len - out.len()).min(64 << 10) as u32));
        #[cfg(not(all(target_arch = "wasm32", feature = "connector")))]
        out.extend(number().to_le_bytes());
    }
    out.truncate(len);
    out
}

/// A random number.
pub fn number() -> u64 {
    #[cfg(all(target_arch = "wasm32", feature = "connector"))]
    return crate::imports::random::number();
    // On the host (tests) the hasher's random keys are random enough; a world without `random` gets a constant.
    #[cfg(not(all(target_arch = "wasm32", feature = "connector")))]
    {
        use std::hash::{BuildHasher, Hasher};
        std::collections::hash_map::RandomState::new().build_hasher().finish()
    }
}
