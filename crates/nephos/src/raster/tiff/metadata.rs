//! What GDAL writes into a TIFF beside the standard's tags.

use std::path::Path;

use roxmltree::{Document, Node};
use tiff_reader::Ifd;

use crate::error::Result;
use crate::raster::{DType, xml};

/// Where GDAL keeps what has no TIFF tag of its own, as XML.
const GDAL_METADATA: u16 = 42112;
/// The number that means no data, as text.
const GDAL_NODATA: u16 = 42113;
/// TIFF's DocumentName and ImageDescription.
const DESCRIPTIONS: [u16; 2] = [269, 270];
/// Longest text in which a product's name is looked for, in bytes.
const LONGEST_TEXT: usize = 1 << 12;
/// DateTime.
const DATE_TIME: u16 = 306;

/// What a file says of one of its bands.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct BandMetadata {
    pub description: Option<String>,
    /// Value = stored × scale + offset, where either is stated.
    pub scale: Option<f64>,
    pub offset: Option<f64>,
    /// As it is stated, whether or not a pixel can have it; see [`fit_nodata`].
    pub nodata: Option<f64>,
}

impl BandMetadata {
    /// See [`scaling`].
    pub fn scaling(&self) -> Option<(f64, f64)> {
        scaling(self.scale, self.offset)
    }
}

/// A stated scale and offset where they change anything: writers state 1 and 0 too.
pub(crate) fn scaling(scale: Option<f64>, offset: Option<f64>) -> Option<(f64, f64)> {
    let (scale, offset) = (scale.unwrap_or(1.0), offset.unwrap_or(0.0));
    let declared = (scale, offset) != (1.0, 0.0) && scale != 0.0;
    (declared && scale.is_finite() && offset.is_finite()).then_some((scale, offset))
}

/// What the file says of itself and not of a band: names and values in file order, and
/// as `TIFFTAG_DATETIME` the date in TIFF's own tag.
///
/// # Errors
/// The file can't be read, or is no TIFF.
pub(crate) fn items(path: &Path) -> Result<Vec<(String, String)>> {
    let file = super::open(path)?;
    let ifd = file.ifd(0).map_err(|e| super::broken(path, e))?;
    let mut items = Vec::new();
    each_item(ifd, |item, text| {
        if item.attribute("sample").is_none()
            && let Some(name) = item.attribute("name")
        {
            items.push((name.to_owned(), text));
        }
    });
    let date = ifd.tag(DATE_TIME).and_then(|tag| tag.value.as_str());
    items.extend(date.map(|date| ("TIFFTAG_DATETIME".to_owned(), date.trim().to_owned())));
    Ok(items)
}

/// One entry a band; what is not stated, or not for a band there is, is left out.
pub(crate) fn bands(ifd: &Ifd, count: usize) -> Vec<BandMetadata> {
    let mut bands = vec![BandMetadata::default(); count];
    each_item(ifd, |item, text| {
        let role = item.attribute("role");
        let sample = (item.attribute("sample")).and_then(|s| s.parse::<usize>().ok());
        if let (Some(role), Some(band)) = (role, sample.and_then(|s| bands.get_mut(s))) {
            band.set(role, text);
        }
    });
    bands
}

/// Hands over each item of GDAL's metadata and its text.
fn each_item(ifd: &Ifd, take: impl FnMut(Node<'_, '_>, String)) {
    let text = ifd.tag(GDAL_METADATA).and_then(|tag| tag.value.as_str());
    each_item_of(text.unwrap_or_default(), take);
}

fn each_item_of(text: &str, mut take: impl FnMut(Node<'_, '_>, String)) {
    const ITEM_END: &str = "</Item>";
    // Metadata that break off still hold for the items before.
    let Some((items, _)) = text.rsplit_once(ITEM_END) else {
        return;
    };
    let whole = format!("{items}{ITEM_END}</GDALMetadata>");
    let Ok(document) = xml::parse(Path::new("GDAL metadata"), whole.as_bytes()) else {
        return;
    };
    for item in xml::all(document.root_element(), "Item") {
        take(item, unescaped(xml::text(item)).trim().to_owned());
    }
}

/// Text as it was before it was escaped once more: GDAL escapes twice, others once.
fn unescaped(text: &str) -> String {
    let element = format!("<a>{}</a>", text.replace('<', "&lt;"));
    let document = Document::parse(&element).ok();
    (document.and_then(|document| document.root_element().text().map(str::to_owned)))
        .unwrap_or(text.to_owned())
}

/// What a file says of itself as a whole: its description, and the texts in GDAL's
/// metadata that are of no single band.
pub(crate) fn texts(ifd: &Ifd) -> Vec<String> {
    let tag = |tag: u16| ifd.tag(tag).and_then(|tag| tag.value.as_str());
    let mut texts: Vec<String> = (DESCRIPTIONS.into_iter().filter_map(tag))
        .map(str::to_owned)
        .collect();
    each_item(ifd, |item, text| {
        if item.attribute("sample").is_none() {
            texts.push(text);
        }
    });
    texts.retain(|text| text.len() <= LONGEST_TEXT);
    texts
}

impl BandMetadata {
    fn set(&mut self, role: &str, text: String) {
        match role {
            "description" if !text.is_empty() => self.description = Some(text),
            "scale" => self.scale = text.parse().ok(),
            "offset" => self.offset = text.parse().ok(),
            _ => {}
        }
    }
}

/// One number a band that a pixel without data holds, where the file states so many.
pub(crate) fn nodata_values(ifd: &Ifd, count: usize) -> Option<Vec<f64>> {
    let mut stated = None;
    each_item(ifd, |item, text| {
        let of_file = item.attribute("sample").is_none() && item.attribute("domain").is_none();
        if of_file && item.attribute("name") == Some("NODATA_VALUES") {
            stated.get_or_insert(text);
        }
    });
    let stated = stated?;
    let numbers = stated.split_whitespace().map(|number| number.parse().ok());
    let numbers: Option<Vec<f64>> = numbers.collect();
    numbers.filter(|numbers| numbers.len() == count)
}

/// The no-data number as the file states it, whether or not a pixel can have it.
pub(crate) fn nodata(ifd: &Ifd) -> Option<f64> {
    let text = ifd.tag(GDAL_NODATA)?.value.as_str()?;
    let text = text.split('\0').next().unwrap_or_default().trim();
    let unsigned = text.trim_start_matches(['-', '+']);
    // C libraries write `nan(0x8000)` and the like.
    match unsigned.get(..3) {
        Some(start) if start.eq_ignore_ascii_case("nan") => Some(f64::NAN),
        _ => text.parse().ok(),
    }
}

/// A no-data number as pixels of this format hold it; `None` where none can: then
/// it means nothing. NaN is `None` too, as it is no data without being said.
pub(crate) fn fit_nodata(nodata: f64, dtype: DType) -> Option<f64> {
    let within = |low: f64, high: f64| {
        let whole = nodata.fract() == 0.0 && (low..=high).contains(&nodata);
        whole.then_some(nodata)
    };
    match dtype {
        DType::Bool => within(0.0, 1.0),
        DType::U8 => within(0.0, u8::MAX.into()),
        DType::I8 => within(i8::MIN.into(), i8::MAX.into()),
        DType::U16 => within(0.0, u16::MAX.into()),
        DType::I16 => within(i16::MIN.into(), i16::MAX.into()),
        DType::U32 => within(0.0, u32::MAX.into()),
        DType::I32 => within(i32::MIN.into(), i32::MAX.into()),
        DType::I64 => within(i64::MIN as f64, i64::MAX as f64),
        DType::F16 => Some(f64::from(half::f16::from_f64(nodata))).filter(|v| v.is_finite()),
        DType::F32 => Some(f64::from(nodata as f32)).filter(|v| v.is_finite()),
        DType::F64 => Some(nodata).filter(|v| v.is_finite()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_no_pixel_can_have_is_no_nodata() {
        assert_eq!(fit_nodata(-9999.0, DType::U8), None);
        assert_eq!(fit_nodata(-9999.0, DType::I16), Some(-9999.0));
        assert_eq!(fit_nodata(0.5, DType::U16), None);
        assert_eq!(fit_nodata(f64::NAN, DType::F32), None);
        assert_eq!(
            fit_nodata(-3.40282347e38, DType::F32),
            Some(f64::from(f32::MIN))
        );
        assert_eq!(fit_nodata(0.1, DType::F32), Some(f64::from(0.1f32)));
        assert_eq!(fit_nodata(f64::MIN, DType::F32), None);
    }

    #[test]
    fn items_before_a_break_are_read_and_escapes_undone() {
        let items = |text: &str| {
            let mut items = Vec::new();
            each_item_of(text, |item, text| {
                items.push((item.attribute("name").unwrap_or_default().to_owned(), text));
            });
            items
        };
        let text = "<GDALMetadata>\n<Item name=\"a\"> x &amp;amp; &amp;lt;y </Item>\n<Item \
                    name=\"b\">1 &lt; 2 &amp; 3</Item>\n<Item name=\"c\">z</Item>\n</GDALMetadata>\n";
        let pair = |name: &str, text: &str| (name.to_owned(), text.to_owned());
        let all = [pair("a", "x & <y"), pair("b", "1 < 2 & 3"), pair("c", "z")];
        assert_eq!(items(text), all);
        let cut = text.find("z</Item>").unwrap();
        assert_eq!(items(&text[..cut]), all[..2]);
        assert_eq!(items("no XML"), []);
    }

    #[test]
    fn scales_of_one_say_nothing() {
        let mut band = BandMetadata::default();
        band.set("scale", "1".into());
        band.set("offset", "0".into());
        assert_eq!(band.scaling(), None);
        band.set("scale", "0.0001".into());
        assert_eq!(band.scaling(), Some((0.0001, 0.0)));
        band.set("scale", "nan".into());
        assert_eq!(band.scaling(), None);
    }
}
