//! Pictures: their size as it is shown, and a small picture of them. What is decoded is bounded by the number of pixels, because a small file
//! can hold a large picture: the memory and the time of a guest are the engine's to give.

use std::io::Cursor;
use std::ops::Range;

use super::super::outside::Files;
use super::exif;

/// The longer side of a thumbnail.
const SIDE: u32 = 100;
/// Pixels of a JPEG that is decoded: at an eighth of its size, a row of blocks at a time.
const JPEG_PIXELS: u64 = 24_000_000;
/// Pixels of a progressive one, of which all coefficients are in memory.
const PROGRESSIVE_PIXELS: u64 = 4_000_000;
/// Pixels of a PNG, which is decoded row by row.
const PNG_PIXELS: u64 = 16_000_000;
/// Pixels of a WebP, which is in memory as a whole.
const WEBP_PIXELS: u64 = 3_000_000;
/// The longest row.
const WIDEST: u32 = 65_535;
/// Bytes that a decoder may use for what it gives.
const DECODED: usize = 8 << 20;
/// Pixels after which the other tasks of the instance get their turn.
const AT_ONCE: u32 = 256 * 1024;

/// A small picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Small {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Three bytes for each pixel, by rows.
    pub(super) rgb: Vec<u8>,
}

/// The size of the picture as it is shown, and a small picture of it. `is_whole`: it is the whole file, and not only its beginning.
pub(super) async fn read<O: Files>(outside: &O, file: &[u8], is_whole: bool) -> (Option<(u32, u32)>, Option<Small>) {
    if file.starts_with(b"\xff\xd8\xff") {
        return jpeg(file, is_whole).map_or((None, None), |(size, small)| (Some(size), small));
    }
    if file.starts_with(b"\x89PNG\r\n\x1a\n") {
        let Some(size) = png_size(file) else { return (None, None) };
        let small = if is_whole && pixels(size) <= PNG_PIXELS { png(outside, file, size).await } else { None };
        return (Some(size), small);
    }
    if file.starts_with(b"RIFF") && file.get(8..12) == Some(b"WEBP") && is_whole {
        return webp(file).map_or((None, None), |(size, small)| (Some(size), small));
    }
    (None, None)
}

fn pixels((width, height): (u32, u32)) -> u64 {
    u64::from(width) * u64::from(height)
}

/// Makes a picture smaller while it is being decoded: each small pixel is the mean of those that it stands for.
struct Shrink {
    from: (u32, u32),
    to: (u32, u32),
    /// The small column of each column.
    columns: Vec<u16>,
    /// Red, green, blue, and how many.
    sums: Vec<[u32; 4]>,
}

impl Shrink {
    fn new(width: u32, height: u32) -> Option<Self> {
        if width == 0 || height == 0 || width > WIDEST {
            return None;
        }
        let longer = width.max(height);
        let side = |side: u32| {
            if longer <= SIDE { side } else { (u64::from(side) * u64::from(SIDE) / u64::from(longer)).max(1) as u32 }
        };
        let to = (side(width), side(height));
        let columns = (0..width).map(|x| (u64::from(x) * u64::from(to.0) / u64::from(width)) as u16).collect();
        Some(Self { from: (width, height), to, columns, sums: vec![[0; 4]; (to.0 * to.1) as usize] })
    }

    /// The next pixels of row `y`, of 1 (grey), 2 (grey, alpha), 3 or 4 channels; what is not opaque stands on white.
    fn row(&mut self, y: u32, row: &[u8], channels: usize) {
        if y >= self.from.1 || channels == 0 {
            return;
        }
        let start = (u64::from(y) * u64::from(self.to.1) / u64::from(self.from.1)) as usize * self.to.0 as usize;
        for (pixel, column) in row.chunks_exact(channels).zip(&self.columns) {
            let (rgb, alpha) = match *pixel {
                [grey] => ([grey; 3], 255),
                [grey, alpha] => ([grey; 3], alpha),
                [r, g, b] => ([r, g, b], 255),
                [r, g, b, alpha] => ([r, g, b], alpha),
                _ => return,
            };
            let Some(sum) = self.sums.get_mut(start + usize::from(*column)) else { return };
            let alpha = u32::from(alpha);
            for (sum, value) in sum.iter_mut().zip(rgb) {
                *sum += (u32::from(value) * alpha + 255 * (255 - alpha)) / 255;
            }
            sum[3] += 1;
        }
    }

    fn end(self) -> Small {
        let mean = |[r, g, b, count]: [u32; 4]| match count {
            0 => [255; 3],
            count => [r, g, b].map(|sum| (sum / count).min(255) as u8),
        };
        Small { width: self.to.0, height: self.to.1, rgb: self.sums.into_iter().flat_map(mean).collect() }
    }
}

/// What the segments before the picture of a JPEG say.
#[derive(Debug, Default)]
struct Segments {
    size: (u32, u32),
    is_progressive: bool,
    /// As in [`exif::Exif`].
    orientation: u8,
    small: Option<Range<usize>>,
}

fn segments(file: &[u8]) -> Option<Segments> {
    let mut found = Segments { orientation: 1, ..Segments::default() };
    let mut at = 2;
    loop {
        if *file.get(at)? != 0xff {
            return None;
        }
        let marker = *file.get(at + 1)?;
        match marker {
            // Filling.
            0xff => {
                at += 1;
                continue;
            }
            // Markers without content.
            0x01 | 0xd0..=0xd8 => {
                at += 2;
                continue;
            }
            // The picture begins before its size was told, or ends.
            0xd9 | 0xda => return None,
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes(file.get(at + 2..at + 4)?.try_into().ok()?));
        let content = file.get(at + 4..(at + 2).checked_add(length)?)?;
        match marker {
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let side = |at: usize| Some(u32::from(u16::from_be_bytes(content.get(at..at + 2)?.try_into().ok()?)));
                found.size = (side(3)?, side(1)?);
                found.is_progressive = matches!(marker, 0xc2 | 0xc6 | 0xca | 0xce);
                return (found.size.0 > 0 && found.size.1 > 0).then_some(found);
            }
            0xe1 => {
                if let Some(block) = content.strip_prefix(b"Exif\0\0") {
                    let read = exif::read(block);
                    found.orientation = read.orientation.unwrap_or(1);
                    let start = at + 4 + 6;
                    found.small = read.small.map(|range| start + range.start..start + range.end);
                }
            }
            _ => {}
        }
        at += 2 + length;
    }
}

fn jpeg(file: &[u8], is_whole: bool) -> Option<((u32, u32), Option<Small>)> {
    let found = segments(file)?;
    let most = if found.is_progressive { PROGRESSIVE_PIXELS } else { JPEG_PIXELS };
    let mut small = if is_whole && pixels(found.size) <= most { decoded_jpeg(file) } else { None };
    if small.is_none()
        && let Some(by_the_camera) = found.small.clone().and_then(|range| file.get(range))
        && let Some(inner) = segments(by_the_camera)
        && pixels(inner.size) <= AT_ONCE.into()
    {
        small = decoded_jpeg(by_the_camera);
    }
    let (width, height) = found.size;
    let size = if found.orientation >= 5 { (height, width) } else { (width, height) };
    Some((size, small.map(|small| turned(small, found.orientation))))
}

fn decoded_jpeg(file: &[u8]) -> Option<Small> {
    let mut decoder = jpeg_decoder::Decoder::new(file);
    decoder.set_max_decoding_buffer_size(DECODED);
    let side = SIDE as u16;
    let (width, height) = decoder.scale(side, side).ok()?;
    let decoded = decoder.decode().ok()?;
    let channels = match decoder.info()?.pixel_format {
        jpeg_decoder::PixelFormat::L8 => 1,
        jpeg_decoder::PixelFormat::RGB24 => 3,
        // Pictures for print.
        _ => return None,
    };
    shrunk(u32::from(width), u32::from(height), &decoded, channels)
}

/// A picture that is in memory as a whole.
fn shrunk(width: u32, height: u32, decoded: &[u8], channels: usize) -> Option<Small> {
    let mut shrink = Shrink::new(width, height)?;
    for (y, row) in (0..height).zip(decoded.chunks_exact((width as usize).checked_mul(channels)?)) {
        shrink.row(y, row, channels);
    }
    Some(shrink.end())
}

/// Turns a picture as the camera was held.
fn turned(small: Small, orientation: u8) -> Small {
    let (width, height) = (small.width as usize, small.height as usize);
    let (new_width, new_height) = if orientation >= 5 { (height, width) } else { (width, height) };
    let mut rgb = Vec::with_capacity(small.rgb.len());
    for y in 0..new_height {
        for x in 0..new_width {
            let (from_x, from_y) = match orientation {
                2 => (width - 1 - x, y),
                3 => (width - 1 - x, height - 1 - y),
                4 => (x, height - 1 - y),
                5 => (y, x),
                6 => (y, height - 1 - x),
                7 => (width - 1 - y, height - 1 - x),
                8 => (width - 1 - y, x),
                _ => (x, y),
            };
            let at = (from_y * width + from_x) * 3;
            rgb.extend_from_slice(small.rgb.get(at..at + 3).unwrap_or(&[255; 3]));
        }
    }
    Small { width: new_width as u32, height: new_height as u32, rgb }
}

fn png_size(file: &[u8]) -> Option<(u32, u32)> {
    let side = |at: usize| Some(u32::from_be_bytes(file.get(at..at + 4)?.try_into().ok()?));
    (file.get(12..16) == Some(b"IHDR")).then_some(())?;
    Some((side(16)?, side(20)?)).filter(|(width, height)| *width > 0 && *height > 0)
}

async fn png<O: Files>(outside: &O, file: &[u8], (width, height): (u32, u32)) -> Option<Small> {
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), png::Limits { bytes: DECODED });
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().ok()?;
    if reader.info().interlaced {
        // Its rows do not come in their order.
        return None;
    }
    let channels = match reader.output_color_type().0 {
        png::ColorType::Grayscale => 1,
        png::ColorType::GrayscaleAlpha => 2,
        png::ColorType::Rgb => 3,
        png::ColorType::Rgba => 4,
        png::ColorType::Indexed => return None,
    };
    let mut shrink = Shrink::new(width, height)?;
    let rows_at_once = (AT_ONCE / width).max(1);
    for y in 0..height {
        let Some(row) = reader.next_row().ok()? else { break };
        shrink.row(y, row.data(), channels);
        if (y + 1).is_multiple_of(rows_at_once) {
            outside.give_way().await;
        }
    }
    Some(shrink.end())
}

fn webp(file: &[u8]) -> Option<((u32, u32), Option<Small>)> {
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(file)).ok()?;
    let size = decoder.dimensions();
    if size.0 == 0 || size.1 == 0 {
        return None;
    }
    if pixels(size) > WEBP_PIXELS || decoder.is_animated() {
        return Some((size, None));
    }
    let channels = if decoder.has_alpha() { 4 } else { 3 };
    let small = decoder.output_buffer_size().and_then(|length| {
        let mut decoded = vec![0; length];
        decoder.read_image(&mut decoded).ok()?;
        shrunk(size.0, size.1, &decoded, channels)
    });
    Some((size, small))
}

#[cfg(test)]
mod tests {
    use super::super::super::outside::world::World;
    use super::super::{exif, jpeg as encoder};
    use super::*;
    use crate::identity::ready;

    fn of(file: &[u8], is_whole: bool) -> (Option<(u32, u32)>, Option<Small>) {
        let world = World::new(|_, _| Ok((200, Vec::new())));
        ready(read(&world, file, is_whole))
    }

    /// A picture whose left half is red and whose right half is blue.
    fn halves(width: u32, height: u32) -> Small {
        let pixel = |x: u32| if x < width / 2 { [255, 0, 0] } else { [0, 0, 255] };
        let rgb = (0..height).flat_map(|_| (0..width).flat_map(pixel)).collect();
        Small { width, height, rgb }
    }

    fn colour(small: &Small, x: u32, y: u32) -> &'static str {
        let at = ((y * small.width + x) * 3) as usize;
        match small.rgb[at..at + 3] {
            [r, _, b] if r > 200 && b < 60 => "red",
            [r, _, b] if b > 200 && r < 60 => "blue",
            [r, g, b] if r > 240 && g > 240 && b > 240 => "white",
            _ => "other",
        }
    }

    fn with_exif(jpeg: &[u8], block: &[u8]) -> Vec<u8> {
        let mut out = jpeg[..2].to_vec();
        out.extend([0xff, 0xe1]);
        out.extend((block.len() as u16 + 8).to_be_bytes());
        out.extend(b"Exif\0\0");
        out.extend(block);
        out.extend(&jpeg[2..]);
        out
    }

    fn png(width: u32, height: u32, colour: png::ColorType, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = png::Encoder::new(&mut out, width, height);
        encoder.set_color(colour);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().expect("a header");
        writer.write_image_data(data).expect("as many bytes as pixels");
        writer.finish().expect("the end");
        out
    }

    #[test]
    fn each_format_gives_its_size_and_a_small_picture_of_the_same_colours() {
        let picture = halves(400, 200);
        let as_jpeg = encoder::encode(&picture);
        let as_png = png(400, 200, png::ColorType::Rgb, &picture.rgb);
        let mut as_webp = Vec::new();
        image_webp::WebPEncoder::new(&mut as_webp)
            .encode(&picture.rgb, 400, 200, image_webp::ColorType::Rgb8)
            .expect("encodes");
        for file in [as_jpeg, as_png, as_webp] {
            let (size, small) = of(&file, true);
            let small = small.expect("it can be decoded");
            assert_eq!((size, small.width, small.height), (Some((400, 200)), 100, 50));
            assert_eq!((colour(&small, 10, 25), colour(&small, 90, 25)), ("red", "blue"));
        }
    }

    #[test]
    fn a_picture_that_is_small_already_stays_as_it_is() {
        let (size, small) = of(&png(3, 2, png::ColorType::Rgb, &halves(3, 2).rgb), true);
        assert_eq!((size, small.map(|small| (small.width, small.height))), (Some((3, 2)), Some((3, 2))));
    }

    #[test]
    fn what_is_transparent_stands_on_white() {
        let (_, small) = of(&png(2, 1, png::ColorType::Rgba, &[255, 0, 0, 255, 255, 0, 0, 0]), true);
        let small = small.expect("it can be decoded");
        assert_eq!((colour(&small, 0, 0), colour(&small, 1, 0)), ("red", "white"));
        let (_, grey) = of(&png(1, 1, png::ColorType::GrayscaleAlpha, &[0, 0]), true);
        assert_eq!(colour(&grey.expect("it can be decoded"), 0, 0), "white");
    }

    #[test]
    fn a_picture_is_turned_as_the_camera_was_held() {
        let jpeg = encoder::encode(&halves(80, 40));
        for (orientation, size, red) in [
            (1, (80, 40), (10, 20)),
            (2, (80, 40), (70, 20)),
            (3, (80, 40), (70, 20)),
            (6, (40, 80), (20, 10)),
            (8, (40, 80), (20, 70)),
        ] {
            let file = with_exif(&jpeg, &exif::tests::block(orientation, b"", true));
            let (shown, small) = of(&file, true);
            assert_eq!(shown, Some(size), "{orientation}");
            assert_eq!(colour(&small.expect("it can be decoded"), red.0, red.1), "red", "{orientation}");
        }
    }

    #[test]
    fn of_a_picture_that_is_too_large_the_cameras_own_small_one_is_taken() {
        let inner = encoder::encode(&halves(160, 120));
        let jpeg = encoder::encode(&halves(800, 600));
        let file = with_exif(&jpeg, &exif::tests::block(1, &inner, false));
        let (size, small) = of(&file, false);
        assert_eq!(size, Some((800, 600)));
        let small = small.expect("the camera wrote one");
        assert_eq!((small.width, small.height, colour(&small, 10, 30)), (100, 75, "red"));
        assert_eq!(of(&jpeg, false), (Some((800, 600)), None), "without it there is none");
    }

    #[test]
    fn a_small_file_that_says_it_holds_a_huge_picture_is_not_decoded() {
        let mut file = encoder::encode(&halves(8, 8));
        let at = file.windows(2).position(|bytes| bytes == [0xff, 0xc0]).expect("the size") + 5;
        file[at..at + 4].copy_from_slice(&[0xff; 4]);
        assert_eq!(of(&file, true), (Some((65_535, 65_535)), None));
        let mut file = png(8, 8, png::ColorType::Rgb, &halves(8, 8).rgb);
        file[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(of(&file, true), (Some((0x7fff_ffff, 0x7fff_ffff)), None));
    }

    #[test]
    fn damage_tells_less_and_does_not_end_the_plugin() {
        let picture = halves(64, 48);
        let jpeg = with_exif(&encoder::encode(&picture), &exif::tests::block(6, b"", true));
        let as_png = png(64, 48, png::ColorType::Rgb, &picture.rgb);
        for whole in [jpeg, as_png] {
            for length in 0..whole.len() {
                of(&whole[..length], true);
            }
            for at in 0..whole.len() {
                let mut odd = whole.clone();
                odd[at] ^= 0x55;
                of(&odd, true);
            }
        }
    }
}
