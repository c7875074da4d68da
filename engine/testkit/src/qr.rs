//! Reads a QR code with a decoder that shares no code with the one that drew it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The text in a PNG that is given as a data URL. Panics where there is not exactly one code to read.
pub fn decoded(data_url: &str) -> String {
    let picture = data_url.strip_prefix("data:image/png;base64,").expect("a PNG as a data URL");
    let picture = STANDARD.decode(picture).expect("base64");
    let mut decoder = png::Decoder::new(std::io::Cursor::new(picture));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("fits")];
    let info = reader.next_frame(&mut pixels).expect("a picture");
    assert_eq!((info.color_type, info.bit_depth), (png::ColorType::Grayscale, png::BitDepth::Eight));
    let (width, height) = (info.width as usize, info.height as usize);
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| pixels[y * width + x]);
    let grids = image.detect_grids();
    assert_eq!(grids.len(), 1, "one code in the picture");
    grids[0].decode().expect("it reads").1
}
