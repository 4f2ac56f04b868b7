//! The software tag of a PNG.

/// Bytes of a PNG up to the end of its header chunk.
const HEADER: usize = 8 + 25;
/// A text chunk's content: keyword, zero, text (PNG specification, 11.3.3.2).
pub(super) const SOFTWARE: &[u8] = b"Software\0nephos";

/// A PNG with a text chunk that names nephos, by which it is recognised as ours.
pub(crate) fn with_software(png: &[u8]) -> Vec<u8> {
    let (header, rest) = png.split_at(HEADER.min(png.len()));
    let chunk = [b"tEXt", SOFTWARE].concat();
    let length = (SOFTWARE.len() as u32).to_be_bytes();
    let sum = crc32fast::hash(&chunk).to_be_bytes();
    [header, &length, &chunk, &sum, rest].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_is_unchanged() {
        let picture = image::RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8, y as u8, 7]));
        let mut png = std::io::Cursor::new(Vec::new());
        picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
        let named = with_software(png.get_ref());
        let read = image::load_from_memory(&named).unwrap().to_rgb8();
        assert_eq!(read, picture);
        let decoder = png::Decoder::new(std::io::Cursor::new(named));
        let reader = decoder.read_info().unwrap();
        let text = &reader.info().uncompressed_latin1_text[0];
        assert_eq!(
            (text.keyword.as_str(), text.text.as_str()),
            ("Software", "nephos")
        );
    }
}
