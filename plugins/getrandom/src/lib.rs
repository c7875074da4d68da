//! The interface of `getrandom` 0.4 over the engine's generator: a guest has no operating system to ask, and the published crate
//! knows only the browser's on this target. Compiled for the host it reads the system's generator, so that tests run there.
//!
//! It owns nothing; any task may call it. It must not know its callers.

use core::fmt;
use core::mem::MaybeUninit;
use core::num::NonZeroI32;

#[cfg(feature = "sys_rng")]
pub use rand_core;

/// An error code as an operating system would give it.
pub type RawOsError = i32;

/// Why there are no random bytes.
#[derive(Copy, Clone, PartialEq, Eq)]
pub struct Error(NonZeroI32);

impl Error {
    /// There is no generator here.
    pub const UNSUPPORTED: Self = Self::internal(0);
    /// The system's error had no usable code.
    pub const ERRNO_NOT_POSITIVE: Self = Self::internal(1);
    /// The generator gave a different number of bytes than requested.
    pub const UNEXPECTED: Self = Self::internal(2);

    const fn internal(n: u16) -> Self {
        match NonZeroI32::new((1 << 16) + n as i32) {
            Some(code) => Self(code),
            None => panic!("not zero"),
        }
    }

    /// An error of the caller's own.
    pub const fn new_custom(n: u16) -> Self {
        match NonZeroI32::new((1 << 17) + n as i32) {
            Some(code) => Self(code),
            None => panic!("not zero"),
        }
    }

    /// The operating system's code. A guest has none.
    pub const fn raw_os_error(self) -> Option<RawOsError> {
        None
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "getrandom::Error({})", self.0)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the random generator failed (code {})", self.0)
    }
}

impl core::error::Error for Error {}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        Self::other(error)
    }
}

/// Fills `dest` with random bytes.
pub fn fill(dest: &mut [u8]) -> Result<(), Error> {
    let random = draw(dest.len())?;
    dest.copy_from_slice(&random);
    Ok(())
}

/// Fills `dest`, which may be uninitialized, and gives it back as bytes.
pub fn fill_uninit(dest: &mut [MaybeUninit<u8>]) -> Result<&mut [u8], Error> {
    let random = draw(dest.len())?;
    Ok(dest.write_copy_of_slice(&random))
}

/// A random `u32`.
pub fn u32() -> Result<u32, Error> {
    let mut bytes = [0; 4];
    fill(&mut bytes)?;
    Ok(u32::from_ne_bytes(bytes))
}

/// A random `u64`.
pub fn u64() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

#[cfg(target_arch = "wasm32")]
fn draw(len: usize) -> Result<Vec<u8>, Error> {
    let bytes = pombo_plugin::random::bytes(len);
    if bytes.len() == len { Ok(bytes) } else { Err(Error::UNEXPECTED) }
}

#[cfg(not(target_arch = "wasm32"))]
fn draw(len: usize) -> Result<Vec<u8>, Error> {
    use std::io::Read;
    let mut bytes = vec![0; len];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.map(|()| bytes).map_err(|_| Error::UNSUPPORTED)
}

/// The generator in the shape that `rand` wants.
#[cfg(feature = "sys_rng")]
#[derive(Clone, Copy, Debug, Default)]
pub struct SysRng;

#[cfg(feature = "sys_rng")]
impl rand_core::TryRng for SysRng {
    type Error = Error;

    fn try_next_u32(&mut self) -> Result<u32, Error> {
        u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Error> {
        u64()
    }

    fn try_fill_bytes(&mut self, dest: &mut [u8]) -> Result<(), Error> {
        fill(dest)
    }
}

#[cfg(feature = "sys_rng")]
impl rand_core::TryCryptoRng for SysRng {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_differ_from_call_to_call() {
        let (mut a, mut b) = ([0; 32], [0; 32]);
        fill(&mut a).expect("random");
        fill(&mut b).expect("random");
        assert_ne!(a, b);
        let mut c = [MaybeUninit::uninit(); 32];
        assert_ne!(fill_uninit(&mut c).expect("random"), &a);
        assert_ne!(u64().expect("random"), u64().expect("random"));
        assert!(fill(&mut []).is_ok());
    }
}
