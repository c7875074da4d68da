//! The engine's random numbers: cryptographic for connectors, from a recorded seed for automations.

/// `len` random bytes.
pub fn bytes(len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len);
    while out.len() < len {
        #[cfg(all(target_arch = "wasm32", any(feature = "connector", feature = "automation")))]
        out.extend(crate::imports::random::bytes((len - out.len()).min(64 << 10) as u32));
        #[cfg(not(all(target_arch = "wasm32", any(feature = "connector", feature = "automation"))))]
        out.extend(number().to_le_bytes());
    }
    out.truncate(len);
    out
}

/// A random number.
pub fn number() -> u64 {
    #[cfg(feature = "automation")]
    return crate::automation::host::random();
    #[cfg(all(target_arch = "wasm32", feature = "connector", not(feature = "automation")))]
    return crate::imports::random::number();
    #[cfg(not(any(feature = "automation", all(target_arch = "wasm32", feature = "connector"))))]
    return system_number();
}

/// On the host (tests) the hasher's random keys are random enough; a world without `random` gets a constant.
#[cfg(not(all(target_arch = "wasm32", any(feature = "connector", feature = "automation"))))]
pub(crate) fn system_number() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
