//! The encodings of what is read or written for every message: a varint is LEB128, text and bytes carry their length. Pure. An
//! encoding never changes; a new one gets a new key.

/// Builds a value.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn varint(mut self, mut value: u64) -> Self {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }

    /// A time or another signed number.
    pub(crate) fn signed(self, value: i64) -> Self {
        self.varint(((value << 1) ^ (value >> 63)) as u64)
    }

    pub(crate) fn bytes(self, value: &[u8]) -> Self {
        let mut longer = self.varint(value.len() as u64);
        longer.0.extend_from_slice(value);
        longer
    }

    pub(crate) fn text(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }

    /// Zero is "absent"; everything else is one more than the value.
    pub(crate) fn option(self, value: Option<u64>) -> Self {
        self.varint(value.map_or(0, |v| v.saturating_add(1)))
    }

    /// What is left of a value that ends with bytes.
    pub(crate) fn rest(mut self, value: &[u8]) -> Vec<u8> {
        self.0.extend_from_slice(value);
        self.0
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Takes a value apart. `None` means that it is damaged.
#[derive(Debug)]
pub(crate) struct Reader<'v>(&'v [u8]);

impl<'v> Reader<'v> {
    pub(crate) fn new(value: &'v [u8]) -> Self {
        Self(value)
    }

    pub(crate) fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn signed(&mut self) -> Option<i64> {
        self.varint().map(|v| (v >> 1) as i64 ^ -((v & 1) as i64))
    }

    pub(crate) fn bytes(&mut self) -> Option<&'v [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        let (value, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(value)
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        std::str::from_utf8(self.bytes()?).ok().map(str::to_owned)
    }

    pub(crate) fn option(&mut self) -> Option<Option<u64>> {
        Some(self.varint()?.checked_sub(1))
    }

    pub(crate) fn rest(self) -> &'v [u8] {
        self.0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Lower-case hexadecimal, for keys.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_is_read(n in any::<u64>(), s in any::<i64>(), text in ".*", bytes: Vec<u8>, option: Option<u32>, rest: Vec<u8>) {
            let option = option.map(u64::from);
            let value = Writer::new().varint(n).signed(s).text(&text).bytes(&bytes).option(option).rest(&rest);
            let mut reader = Reader::new(&value);
            prop_assert_eq!(reader.varint(), Some(n));
            prop_assert_eq!(reader.signed(), Some(s));
            prop_assert_eq!(reader.text(), Some(text));
            prop_assert_eq!(reader.bytes(), Some(&bytes[..]));
            prop_assert_eq!(reader.option(), Some(option));
            prop_assert_eq!(reader.rest(), &rest[..]);
        }

        #[test]
        fn damage_is_no_panic(value: Vec<u8>) {
            let mut reader = Reader::new(&value);
            while reader.text().is_some() {}
            let mut reader = Reader::new(&value);
            while reader.varint().is_some() {}
        }
    }

    #[test]
    fn keys_are_hexadecimal() {
        assert_eq!(hex(&[0, 0xab, 7]), "00ab07");
    }
}
