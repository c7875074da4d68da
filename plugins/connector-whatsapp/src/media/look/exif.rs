//! What cameras write into a file in addition to the picture: how the camera was held, and often a small JPEG. Pure.

use std::ops::Range;

/// Entries of one directory that are read.
const ENTRIES: u16 = 128;

/// What such a block tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Exif {
    /// From 1, the usual one, to 8.
    pub(super) orientation: Option<u8>,
    /// Where the small JPEG is, in what was read.
    pub(super) small: Option<Range<usize>>,
}

/// Numbers of a TIFF file, in its order of bytes.
struct Tiff<'a> {
    bytes: &'a [u8],
    is_little: bool,
}

impl Tiff<'_> {
    fn short(&self, at: usize) -> Option<u16> {
        let bytes = self.bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if self.is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    fn long(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    fn place(&self, at: usize) -> Option<usize> {
        usize::try_from(self.long(at)?).ok()
    }

    /// Where the entry with this tag has its value, in the directory at `directory`.
    fn value_of(&self, directory: usize, tag: u16) -> Option<usize> {
        let count = self.short(directory)?.min(ENTRIES);
        (0..usize::from(count))
            .filter_map(|n| directory.checked_add(2 + n * 12))
            .find(|entry| self.short(*entry) == Some(tag))
            .map(|entry| entry + 8)
    }

    /// The directory after this one.
    fn next(&self, directory: usize) -> Option<usize> {
        let count = usize::from(self.short(directory)?);
        self.place(directory.checked_add(2 + count * 12)?).filter(|next| *next != 0)
    }
}

/// Reads what follows `Exif\0\0`.
pub(super) fn read(bytes: &[u8]) -> Exif {
    let is_little = match bytes.get(..4) {
        Some(b"II*\0") => true,
        Some(b"MM\0*") => false,
        _ => return Exif::default(),
    };
    let tiff = Tiff { bytes, is_little };
    let Some(first) = tiff.place(4) else { return Exif::default() };
    let orientation = tiff
        .value_of(first, 0x0112)
        .and_then(|at| tiff.short(at))
        .and_then(|orientation| u8::try_from(orientation).ok())
        .filter(|orientation| (1..=8).contains(orientation));
    let small = tiff.next(first).and_then(|second| {
        let start = tiff.place(tiff.value_of(second, 0x0201)?)?;
        let end = start.checked_add(tiff.place(tiff.value_of(second, 0x0202)?)?)?;
        (start < end && end <= bytes.len()).then_some(start..end)
    });
    Exif { orientation, small }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An Exif block: this orientation, and this small picture.
    pub(in super::super) fn block(orientation: u16, small: &[u8], is_little: bool) -> Vec<u8> {
        let short = |n: u16| if is_little { n.to_le_bytes() } else { n.to_be_bytes() };
        let long = |n: u32| if is_little { n.to_le_bytes() } else { n.to_be_bytes() };
        let mut out = if is_little { b"II*\0".to_vec() } else { b"MM\0*".to_vec() };
        out.extend(long(8));
        out.extend(short(1));
        out.extend(short(0x0112));
        out.extend(short(3));
        out.extend(long(1));
        out.extend(short(orientation));
        out.extend(short(0));
        let second = out.len() as u32 + 4;
        out.extend(long(second));
        out.extend(short(2));
        for (tag, value) in [(0x0201, second + 2 + 24 + 4), (0x0202, small.len() as u32)] {
            out.extend(short(tag));
            out.extend(short(4));
            out.extend(long(1));
            out.extend(long(value));
        }
        out.extend(long(0));
        out.extend_from_slice(small);
        out
    }

    #[test]
    fn orientation_and_the_small_picture_are_found_in_both_orders_of_bytes() {
        for is_little in [true, false] {
            let block = block(6, b"small", is_little);
            let found = read(&block);
            assert_eq!(found.orientation, Some(6));
            assert_eq!(found.small.map(|range| block[range].to_vec()), Some(b"small".to_vec()));
        }
    }

    #[test]
    fn damage_tells_nothing_and_does_not_end_the_plugin() {
        let whole = block(6, b"small", true);
        for length in 0..whole.len() {
            let found = read(&whole[..length]);
            assert!(found.small.is_none(), "{length}");
        }
        for at in 0..whole.len() {
            let mut odd = whole.clone();
            odd[at] = 0xff;
            let found = read(&odd);
            assert!(found.small.is_none_or(|range| range.end <= odd.len()));
        }
        assert_eq!(read(&block(9, b"", true)), Exif::default());
    }
}
