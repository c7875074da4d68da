//! A text as a QR code: a PNG in a data URL that a browser shows and a phone scans. Must not know what the text means.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use qrcode::{Color, EcLevel, QrCode};

use crate::error::Failure;

/// Side of a module in pixels.
const MODULE: usize = 6;
/// Width of the light margin around the code, in modules.
const QUIET: usize = 4;

/// Draws the code. Fails if the text is longer than a QR code can hold.
pub fn png_data_url(text: &str) -> Result<String, Failure> {
    let picture = png(text).map_err(|cause| Failure::internal(format!("drawing a QR code: {cause}")))?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(picture)))
}

fn png(text: &str) -> Result<Vec<u8>, String> {
    // The more redundant of the two levels, unless the text is too long for it.
    let code = QrCode::with_error_correction_level(text, EcLevel::M)
        .or_else(|_| QrCode::with_error_correction_level(text, EcLevel::L))
        .map_err(|error| error.to_string())?;
    let width = code.width();
    let side = (width + 2 * QUIET) * MODULE;
    let row_bytes = side.div_ceil(8);
    // One bit a pixel, 1 is light; the bits past the last pixel of a row are not read.
    let mut bits = vec![0xff_u8; row_bytes * side];
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Light {
            continue;
        }
        let (x, y) = ((at % width + QUIET) * MODULE, (at / width + QUIET) * MODULE);
        for row in y..y + MODULE {
            for column in x..x + MODULE {
                bits[row * row_bytes + column / 8] &= !(0x80 >> (column % 8));
            }
        }
    }
    let side = u32::try_from(side).map_err(|error| error.to_string())?;
    let mut picture = Vec::new();
    let mut encoder = png::Encoder::new(&mut picture, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header().map_err(|error| error.to_string())?;
    writer.write_image_data(&bits).map_err(|error| error.to_string())?;
    writer.finish().map_err(|error| error.to_string())?;
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use pombo_testkit::qr::decoded;

    use super::*;

    #[test]
    fn a_decoder_reads_the_same_text_back() {
        let pairing = "2@q8Xh3kP0Zr/9wVb2TfLkQy7uJ4mN1sD6cG5aE8iR0oW3xYzB+HtUvKpMl,\
                       Yw5kq0b1k2l3m4n5o6p7q8r9s0t1u2v3w4x5y6z7A8=,B9C0D1E2F3G4H5I6J7K8L9M0N1O2P3Q4R5S6T7U8V9W=,\
                       x0Y1Z2a3b4c5d6e7f8g9h0i1j2k3l4m5n6o7p8q9r0s=";
        for text in ["1", "olá", pairing] {
            assert_eq!(decoded(&png_data_url(text).expect("fits")), text);
        }
        let long = "a".repeat(2900);
        assert_eq!(decoded(&png_data_url(&long).expect("fits with less redundancy")), long);
        assert!(png_data_url(&"a".repeat(3000)).is_err());
    }
}
