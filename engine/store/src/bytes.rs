//! Keys and values as the store holds them, whatever the backend. Made of fjall's slice, so that what fjall reads and writes is never
//! copied; a backend with another type copies here and nowhere else.

use std::borrow::Borrow;
use std::ops::Deref;

/// A key or a value. Cheap to clone; short ones (up to 20 bytes) are held inline.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(transparent)]
pub(crate) struct Bytes(fjall::Slice);

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Equal bytes hash alike, whether they are owned or not: see the test.
impl Borrow<[u8]> for Bytes {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(fjall::Slice::from(bytes))
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(fjall::Slice::from(bytes))
    }
}

impl<const N: usize> From<[u8; N]> for Bytes {
    fn from(bytes: [u8; N]) -> Self {
        Self(fjall::Slice::from(bytes))
    }
}

impl From<fjall::Slice> for Bytes {
    fn from(bytes: fjall::Slice) -> Self {
        Self(bytes)
    }
}

impl From<Bytes> for fjall::Slice {
    fn from(bytes: Bytes) -> Self {
        bytes.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_key_is_found_by_its_bytes_whatever_its_length() {
        for length in [0, 3, 20, 21, 300] {
            let bytes = vec![7u8; length];
            let map = HashMap::from([(Bytes::from(bytes.clone()), length)]);
            assert_eq!(map.get(bytes.as_slice()), Some(&length));
            assert_eq!(Bytes::from(bytes.as_slice()), Bytes::from(bytes));
        }
    }
}
