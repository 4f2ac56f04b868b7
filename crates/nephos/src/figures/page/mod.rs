//! A mask as one page for a browser: the image, the classes and their probabilities, and what
//! draws them, in one file that loads nothing.

use std::io::{Cursor, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use ndarray::{Array2, Array3};
use serde_json::{Value, json};

use crate::class::{Class, IGNORE};
use crate::error::{Error, Result};
use crate::mask::MaskSummary;

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Quality of the image as JPEG, of 100.
const QUALITY: u8 = 85;

/// Of a probability that is stored as one of 0 to 250, the per cent.
fn percent(code: u8) -> u8 {
    match code {
        IGNORE => IGNORE,
        code => ((u16::from(code) * 2 + 2) / 5).min(100) as u8,
    }
}

/// What a page shows.
#[derive(Debug)]
pub(crate) struct Page<'a> {
    /// The mask's counts.
    pub summary: &'a MaskSummary,
    /// Rows and columns of the scene.
    pub size: [usize; 2],
    /// Class codes, reduced: `[rows, columns]`.
    pub codes: &'a Array2<u8>,
    /// The scene in true colour, reduced alike.
    pub image: Option<&'a RgbImage>,
    /// Probabilities as a raster of them stores them, `[classes, rows, columns]`, reduced
    /// further.
    pub probabilities: Option<&'a Array3<u8>>,
    /// From the scene's pixels to map coordinates, in GDAL's order.
    pub transform: Option<[f64; 6]>,
    /// Name of the coordinate system.
    pub system: Option<String>,
    /// Width of a pixel on the ground in metres.
    pub metres: Option<f64>,
    /// What made the mask: keys and values.
    pub record: &'a [(String, String)],
}

impl Page<'_> {
    /// The page as HTML.
    ///
    /// # Errors
    /// An image that JPEG can't hold.
    pub fn html(&self) -> Result<String> {
        // In a script element, only this could end it.
        let data = self.data()?.to_string().replace('<', "\\u003c");
        Ok((PAGE.replacen("{{style}}", STYLE.trim_end(), 1))
            .replacen("{{script}}", SCRIPT.trim_end(), 1)
            .replacen("{{data}}", &data, 1))
    }

    fn data(&self) -> Result<Value> {
        let classes: Vec<Value> = (Class::ALL.iter().zip(&self.summary.classes))
            .map(|(class, share)| {
                json!({
                    "code": share.code, "name": share.name, "colour": class.colour(),
                    "percent": share.percent,
                })
            })
            .collect();
        let probabilities = self.probabilities.map(|codes| {
            let (_, rows, cols) = codes.dim();
            let percents: Vec<u8> = codes.iter().copied().map(percent).collect();
            json!({ "page": [rows, cols], "percent": deflated(&percents) })
        });
        let codes: Vec<u8> = self.codes.iter().copied().collect();
        let (rows, cols) = self.codes.dim();
        Ok(json!({
            "title": self.summary.scene,
            "summary": format!("{}.", self.summary),
            "scene": self.size,
            "page": [rows, cols],
            "classes": classes,
            "codes": deflated(&codes),
            "image": self.image.map(jpeg).transpose()?,
            "probabilities": probabilities,
            "transform": self.transform,
            "crs": self.system,
            "metres": self.metres,
            "north": self.transform.and_then(north),
            "record": self.record,
        }))
    }
}

/// Degrees clockwise from the image's top to the north of its map.
fn north(t: [f64; 6]) -> Option<f64> {
    let area = t[1] * t[5] - t[2] * t[4];
    let [col, row] = [-t[2] / area, t[1] / area];
    let degrees = col.atan2(-row).to_degrees();
    degrees.is_finite().then_some(degrees)
}

/// Numbers deflated (zlib), in base64.
fn deflated(numbers: &[u8]) -> String {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(numbers).and_then(|()| encoder.finish());
    STANDARD.encode(written.expect("memory takes what is written"))
}

/// A picture as JPEG in a `data:` address.
fn jpeg(picture: &RgbImage) -> Result<String> {
    let mut bytes = Cursor::new(Vec::new());
    (JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(picture))
        .map_err(|error| Error::unsupported("the picture of a page", error.to_string()))?;
    let bytes = STANDARD.encode(bytes.get_ref());
    Ok(format!("data:image/jpeg;base64,{bytes}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mask::MaskCounts;

    #[test]
    fn north_is_where_the_transform_has_it() {
        assert_eq!(north([5.0, 10.0, 0.0, 7.0, 0.0, -10.0]), Some(0.0));
        // Turned by a quarter to the right: columns go south, north is to the left.
        let degrees = north([0.0, 0.0, -10.0, 0.0, -10.0, 0.0]).unwrap();
        assert!((degrees + 90.0).abs() < 1e-9, "{degrees}");
        assert_eq!(north([0.0; 6]), None);
    }

    #[test]
    fn probabilities_are_rounded_to_per_cent() {
        let expected = [
            (0, 0),
            (1, 0),
            (2, 1),
            (125, 50),
            (249, 100),
            (250, 100),
            (255, 255),
        ];
        for (code, per_cent) in expected {
            assert_eq!(percent(code), per_cent, "{code}");
        }
    }

    #[test]
    fn a_page_holds_its_data_and_loads_nothing() {
        let mask = Array2::from_shape_fn((6, 9), |(row, _)| if row < 3 { 1 } else { 255 });
        let mut counts = MaskCounts::default();
        counts.add(mask.view());
        let page = Page {
            summary: &MaskSummary::new("</script><b>", "m", &counts),
            size: [6, 9],
            codes: &mask,
            image: Some(&RgbImage::new(9, 6)),
            probabilities: None,
            transform: None,
            system: None,
            metres: None,
            record: &[("MODEL".to_owned(), "m".to_owned())],
        };
        let html = page.html().unwrap();
        assert!(!html.contains("</script><b>") && !html.contains("{{"));
        assert!(!html.contains("src=") && !html.contains("://"));
        let from = html.find("id=\"data\">").unwrap() + "id=\"data\">".len();
        let to = from + html[from..].find("</script>").unwrap();
        let data: Value = serde_json::from_str(&html[from..to]).unwrap();
        assert_eq!(data["title"], "</script><b>");
        assert_eq!(data["classes"][1]["percent"], 100.0);
        let codes = STANDARD.decode(data["codes"].as_str().unwrap()).unwrap();
        let mut stored = Vec::new();
        let mut decoder = flate2::read::ZlibDecoder::new(&codes[..]);
        std::io::Read::read_to_end(&mut decoder, &mut stored).unwrap();
        assert_eq!(stored, mask.as_slice().unwrap());
    }
}
