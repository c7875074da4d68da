//! Writes a small picture as a JPEG: baseline, without subsampling, with the tables that the standard gives for luminance. It is meant for a
//! few thousand pixels; it has no tables of cosines for speed. Pure.

use super::picture::Small;

/// The standard's table for luminance (ITU-T T.81, K.1), by rows; see [`quantum`].
const QUANTA: [u8; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
];
/// Which coefficient comes when.
const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];
/// How many codes there are of each length, and what they mean (K.3).
const DC: Codes =
    Codes { counts: [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], values: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] };
const AC: Codes = Codes {
    counts: [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
    values: &[
        0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
        0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72,
        0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37,
        0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
        0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83,
        0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
        0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
        0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
        0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
    ],
};

/// Code and length for each value; length 0 where there is none.
type Table = [(u16, u8); 256];

struct Codes {
    counts: [u8; 16],
    values: &'static [u8],
}

impl Codes {
    fn table(&self) -> Table {
        let mut table = [(0, 0); 256];
        let (mut code, mut values) = (0_u16, self.values.iter());
        for (length, count) in (1..).zip(self.counts) {
            for value in values.by_ref().take(usize::from(count)) {
                table[usize::from(*value)] = (code, length);
                code += 1;
            }
            code <<= 1;
        }
        table
    }
}

/// Writes bits, with the byte that the format puts behind each 0xff.
struct Bits {
    out: Vec<u8>,
    waiting: u32,
    count: u32,
}

impl Bits {
    fn put(&mut self, bits: u16, length: u8) {
        for at in (0..length).rev() {
            self.waiting = self.waiting << 1 | u32::from(bits >> at & 1);
            self.count += 1;
            if self.count == 8 {
                let byte = self.waiting as u8;
                self.out.push(byte);
                if byte == 0xff {
                    self.out.push(0);
                }
                (self.waiting, self.count) = (0, 0);
            }
        }
    }

    /// Puts the code of a value.
    fn code(&mut self, table: &Table, value: u8) {
        let (code, length) = table[usize::from(value)];
        self.put(code, length);
    }

    /// Fills the last byte with ones.
    fn end(mut self) -> Vec<u8> {
        while self.count != 0 {
            self.put(1, 1);
        }
        self.out
    }
}

/// A coefficient's category and the bits that tell which one of it (F.1.2.1).
fn category(value: i32) -> (u8, u16) {
    let length = (32 - value.unsigned_abs().leading_zeros()) as u8;
    let bits = if value < 0 { value - 1 } else { value };
    (length, (bits & ((1 << length) - 1)) as u16)
}

/// How coarse a coefficient is: somewhat coarser than the standard's table, as a thumbnail needs no more.
fn quantum(at: usize) -> i32 {
    (i32::from(QUANTA[at]) * 5 / 4).min(255)
}

/// Writes the picture.
pub(super) fn encode(small: &Small) -> Vec<u8> {
    let (width, height) = (small.width as usize, small.height as usize);
    let mut out = vec![0xff, 0xd8];
    out.extend_from_slice(b"\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    out.extend_from_slice(&[0xff, 0xdb, 0, 67, 0]);
    out.extend(ZIGZAG.iter().map(|at| quantum(*at) as u8));
    out.extend_from_slice(&[0xff, 0xc0, 0, 17, 8]);
    out.extend_from_slice(&(height as u16).to_be_bytes());
    out.extend_from_slice(&(width as u16).to_be_bytes());
    out.extend_from_slice(&[3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]);
    for (class, codes) in [(0x00, &DC), (0x10, &AC)] {
        out.extend_from_slice(&[0xff, 0xc4]);
        out.extend_from_slice(&(19 + codes.values.len() as u16).to_be_bytes());
        out.push(class);
        out.extend_from_slice(&codes.counts);
        out.extend_from_slice(codes.values);
    }
    out.extend_from_slice(&[0xff, 0xda, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 63, 0]);

    let (dc, ac) = (DC.table(), AC.table());
    let mut bits = Bits { out, waiting: 0, count: 0 };
    let mut before = [0; 3];
    for top in (0..height).step_by(8) {
        for left in (0..width).step_by(8) {
            for (channel, before) in before.iter_mut().enumerate() {
                let coefficients = transformed(&block(small, left, top, channel));
                put_block(&mut bits, &coefficients, before, &dc, &ac);
            }
        }
    }
    let mut out = bits.end();
    out.extend_from_slice(&[0xff, 0xd9]);
    out
}

/// 8 × 8 samples of one channel of Y, Cb, Cr, around zero. Beyond the edge the last pixel is repeated.
fn block(small: &Small, left: usize, top: usize, channel: usize) -> [f32; 64] {
    let (width, height) = (small.width as usize, small.height as usize);
    let mut samples = [0.0; 64];
    for (at, sample) in samples.iter_mut().enumerate() {
        let (x, y) = ((left + at % 8).min(width - 1), (top + at / 8).min(height - 1));
        let pixel = small.rgb.get((y * width + x) * 3..).unwrap_or_default();
        let of = |channel: usize| f32::from(pixel.get(channel).copied().unwrap_or_default());
        let (r, g, b) = (of(0), of(1), of(2));
        *sample = match channel {
            0 => 0.299 * r + 0.587 * g + 0.114 * b - 128.0,
            1 => -0.168_736 * r - 0.331_264 * g + 0.5 * b,
            _ => 0.5 * r - 0.418_688 * g - 0.081_312 * b,
        };
    }
    samples
}

/// The coefficients, quantised, in the order in which they are written.
fn transformed(samples: &[f32; 64]) -> [i32; 64] {
    let cosine = |x: usize, u: usize| ((2 * x + 1) as f32 * u as f32 * std::f32::consts::PI / 16.0).cos();
    let scale = |u: usize| if u == 0 { std::f32::consts::FRAC_1_SQRT_2 / 2.0 } else { 0.5 };
    let mut cosines = [0.0; 64];
    for (at, value) in cosines.iter_mut().enumerate() {
        *value = scale(at / 8) * cosine(at % 8, at / 8);
    }
    // First along the rows, then along the columns.
    let mut rows = [0.0; 64];
    for (at, value) in rows.iter_mut().enumerate() {
        let (y, u) = (at / 8, at % 8);
        *value = (0..8).map(|x| samples[y * 8 + x] * cosines[u * 8 + x]).sum();
    }
    let mut out = [0; 64];
    for (value, at) in out.iter_mut().zip(ZIGZAG) {
        let (v, u) = (at / 8, at % 8);
        let coefficient: f32 = (0..8).map(|y| rows[y * 8 + u] * cosines[v * 8 + y]).sum();
        // Within what the codes can tell.
        *value = ((coefficient / quantum(at) as f32).round() as i32).clamp(-1_023, 1_023);
    }
    out
}

fn put_block(bits: &mut Bits, coefficients: &[i32; 64], before: &mut i32, dc: &Table, ac: &Table) {
    let (length, rest) = category(coefficients[0] - *before);
    *before = coefficients[0];
    bits.code(dc, length);
    bits.put(rest, length);
    let mut zeros = 0_u8;
    for coefficient in &coefficients[1..] {
        if *coefficient == 0 {
            zeros += 1;
            continue;
        }
        while zeros > 15 {
            bits.code(ac, 0xf0);
            zeros -= 16;
        }
        let (length, rest) = category(*coefficient);
        bits.code(ac, zeros << 4 | length);
        bits.put(rest, length);
        zeros = 0;
    }
    if zeros > 0 {
        bits.code(ac, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What another decoder makes of it.
    fn decoded(jpeg: &[u8]) -> (usize, usize, Vec<u8>) {
        let mut decoder = jpeg_decoder::Decoder::new(jpeg);
        let pixels = decoder.decode().expect("is a JPEG");
        let info = decoder.info().expect("is decoded");
        (usize::from(info.width), usize::from(info.height), pixels)
    }

    #[test]
    fn the_codes_are_those_of_the_standard() {
        for codes in [&DC, &AC] {
            let all: usize = codes.counts.iter().map(|count| usize::from(*count)).sum();
            assert_eq!(all, codes.values.len());
            let named = codes.table().iter().filter(|(_, length)| *length > 0).count();
            assert_eq!(named, all, "no value twice");
        }
        assert_eq!(
            (AC.table()[0x00], AC.table()[0xf0], AC.table()[0x01]),
            ((0b1010, 4), (0b111_1111_1001, 11), (0, 2))
        );
        assert_eq!((DC.table()[0], DC.table()[11]), ((0, 2), (0b1_1111_1110, 9)));
    }

    #[test]
    fn categories_are_those_of_the_standard() {
        for (value, expected) in [(0, (0, 0)), (1, (1, 1)), (-1, (1, 0)), (3, (2, 3)), (-3, (2, 0)), (-1_023, (10, 0))]
        {
            assert_eq!(category(value), expected, "{value}");
        }
    }

    #[test]
    fn another_decoder_sees_the_same_picture() {
        for (width, height) in [(1, 1), (8, 8), (9, 17), (100, 75)] {
            let rgb: Vec<u8> = (0..height)
                .flat_map(|y| (0..width).map(move |x| (x, y)))
                .flat_map(|(x, y): (u32, u32)| [(x * 255 / width) as u8, (y * 255 / height) as u8, 128])
                .collect();
            let small = Small { width, height, rgb };
            let (seen_width, seen_height, seen) = decoded(&encode(&small));
            assert_eq!((seen_width, seen_height), (width as usize, height as usize));
            let off: u64 = small.rgb.iter().zip(&seen).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            let mean = off / small.rgb.len() as u64;
            assert!(mean < 12, "{width} × {height}: {mean} off on average");
        }
    }

    #[test]
    fn noise_is_written_too() {
        let mut seed = 1_u32;
        let rgb: Vec<u8> = std::iter::repeat_with(|| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        })
        .take(100 * 100 * 3)
        .collect();
        let jpeg = encode(&Small { width: 100, height: 100, rgb });
        assert_eq!(decoded(&jpeg).2.len(), 30_000);
        assert!(jpeg.len() < 30_000, "{} bytes", jpeg.len());
    }
}
