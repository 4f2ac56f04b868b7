//! What GDAL writes into a TIFF beside the standard's tags.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use tiff_reader::Ifd;

use crate::scene::DType;

/// Where GDAL keeps what has no TIFF tag of its own, as XML.
const GDAL_METADATA: u16 = 42112;
/// The number that means no data, as text.
const GDAL_NODATA: u16 = 42113;

/// What a file says of one of its bands.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct BandMetadata {
    pub description: Option<String>,
    /// Value = stored × scale + offset, where either is stated.
    pub scale: Option<f64>,
    pub offset: Option<f64>,
}

impl BandMetadata {
    /// Scale and offset where they change anything: writers state 1 and 0 too.
    pub fn scaling(&self) -> Option<(f64, f64)> {
        let (scale, offset) = (self.scale.unwrap_or(1.0), self.offset.unwrap_or(0.0));
        let told = (scale, offset) != (1.0, 0.0) && scale != 0.0;
        (told && scale.is_finite() && offset.is_finite()).then_some((scale, offset))
    }
}

/// One entry a band; what is not stated, or not for a band there is, is left out.
pub(super) fn bands(ifd: &Ifd, count: usize) -> Vec<BandMetadata> {
    let mut bands = vec![BandMetadata::default(); count];
    let text = ifd.tag(GDAL_METADATA).and_then(|tag| tag.value.as_str());
    let mut reader = Reader::from_str(text.unwrap_or_default());
    // Metadata that break off still hold for the bands before.
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(item) if item.name().as_ref() == "Item" => {
                let role = attribute(&item, "role");
                let sample = attribute(&item, "sample").and_then(|s| s.parse::<usize>().ok());
                let Ok(text) = reader.read_text(item.name()) else {
                    break;
                };
                let text = unescape(&text).unwrap_or_default();
                // GDAL escapes twice, others once.
                let text = unescape(&text).unwrap_or(Cow::Borrowed(&*text));
                let text = text.trim().to_owned();
                if let (Some(role), Some(band)) = (role, sample.and_then(|s| bands.get_mut(s))) {
                    band.set(&role, text);
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    bands
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

fn attribute(item: &BytesStart<'_>, name: &str) -> Option<String> {
    let attribute = item.try_get_attribute(name).ok()??;
    let value = attribute
        .normalized_value(quick_xml::XmlVersion::Implicit1_0)
        .ok()?;
    Some(value.into_owned())
}

/// The no-data number as the file states it, whether or not a pixel can have it.
pub(super) fn nodata(ifd: &Ifd) -> Option<f64> {
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
