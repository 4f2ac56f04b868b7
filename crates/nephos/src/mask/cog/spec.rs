//! What a COG is to hold besides its pixels.

use super::super::palette::palette;
use crate::class::{Class, IGNORE};
use crate::error::{Error, Result};
use crate::raster::Georeference;

/// Longest side of a raster, in pixels: the reduction counts pixels in 32 bits.
const MAX_SIDE: usize = 1 << 20;

/// Most bands of a raster: a tile of all bands is in memory at once.
const MAX_BANDS: usize = 64;

/// Probabilities are stored as round(p × 250): steps of exactly 0.004, and 255
/// stays free for no data.
pub(super) const PROBABILITY_SCALE: f32 = 250.0;

/// How pixels are brought together in an overview. Both take every pixel of full
/// resolution into account, not those of the next finer overview.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resampling {
    /// The most frequent code of the valid pixels. Of codes as frequent, the one of
    /// higher priority: thick, thin, shadow, clear, that is the least code but 0
    /// last. Codes are 0 to 7, or the no-data value.
    Mode,
    /// The mean of the valid pixels, halves rounded up.
    Mean,
}

/// What a COG is to hold besides its pixels; see [`CogSpec::mask`] and
/// [`CogSpec::probabilities`] for the two that nephos writes.
#[derive(Debug, Clone, PartialEq)]
pub struct CogSpec {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Number of bands.
    pub bands: usize,
    /// Georeference, copied unchanged; the default is none.
    pub georeference: Georeference,
    /// Value that means no data. In an overview, a pixel is no data only where
    /// all that it covers are.
    pub nodata: Option<u8>,
    /// Colour of each value, only with a single band.
    pub palette: Option<Box<[[u8; 3]; 256]>>,
    /// Name of each band, or empty.
    pub band_names: Vec<String>,
    /// Physical value = stored × `scale`, stated in the metadata.
    pub scale: Option<f64>,
    /// Names and values for the file's metadata, in this order.
    pub tags: Vec<(String, String)>,
    /// How overviews are made.
    pub overview: Resampling,
}

impl CogSpec {
    /// A class mask: codes of [`Class`], 255 as no data, the classes' colours,
    /// and their names as the tags `CLASS_0` to `CLASS_3`.
    pub fn mask(width: usize, height: usize, georeference: Georeference) -> Self {
        let names = Class::ALL.map(|c| (format!("CLASS_{}", c as u8), c.name().to_owned()));
        Self {
            width,
            height,
            bands: 1,
            georeference,
            nodata: Some(IGNORE),
            palette: Some(Box::new(palette())),
            band_names: vec!["class".to_owned()],
            scale: None,
            tags: names.into(),
            overview: Resampling::Mode,
        }
    }

    /// Class probabilities, one band per class, called `names`: value =
    /// round(p × 250), so p = value / 250, 255 as no data. See
    /// [`probability_code`](crate::mask::probability_code).
    pub fn probabilities(
        width: usize,
        height: usize,
        names: Vec<String>,
        georeference: Georeference,
    ) -> Self {
        Self {
            width,
            height,
            bands: names.len(),
            georeference,
            nodata: Some(IGNORE),
            palette: None,
            band_names: names,
            scale: Some(1.0 / f64::from(PROBABILITY_SCALE)),
            tags: Vec::new(),
            overview: Resampling::Mean,
        }
    }

    /// Refuses what can't be written.
    ///
    /// # Errors
    /// No pixels, too many of them, or a palette or names that don't fit the bands.
    pub(super) fn check(&self) -> Result<()> {
        let Self {
            width,
            height,
            bands,
            ..
        } = *self;
        let raster = format!("a raster of {bands} × {height} × {width}");
        if width == 0 || height == 0 || bands == 0 {
            return Err(Error::usage(format!("{raster} has no pixels")));
        }
        if width.max(height) > MAX_SIDE || bands > MAX_BANDS {
            return Err(Error::limits(
                raster,
                format!("at most {MAX_SIDE} pixels per side and {MAX_BANDS} bands are written"),
            ));
        }
        if self.palette.is_some() && bands != 1 {
            return Err(Error::usage(format!("{raster} with a palette for one")));
        }
        if !self.band_names.is_empty() && self.band_names.len() != bands {
            let names = self.band_names.len();
            return Err(Error::usage(format!("{raster} with {names} band names")));
        }
        Ok(())
    }
}

/// The stored value of probability `p` in a raster of probabilities:
/// round(p × 250), 255 (no data) for NaN. Values are clamped to 0 to 1.
pub fn probability_code(p: f32) -> u8 {
    if p.is_nan() {
        IGNORE
    } else {
        (p.clamp(0.0, 1.0) * PROBABILITY_SCALE).round() as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_have_no_data_of_their_own() {
        assert_eq!([0.0, 0.5, 1.0].map(probability_code), [0, 125, 250]);
        assert_eq!(probability_code(1.0 + 1e-6), 250);
        assert_eq!(probability_code(f32::NAN), IGNORE);
    }

    #[test]
    fn invalid_specs_are_refused() {
        let good = CogSpec::mask(3, 4, Georeference::default());
        assert!(good.check().is_ok());
        let refused = |change: fn(&mut CogSpec)| {
            let mut spec = good.clone();
            change(&mut spec);
            spec.check().unwrap_err().to_string()
        };
        assert!(refused(|s| s.height = 0).contains("no pixels"));
        assert!(refused(|s| s.width = usize::MAX).contains("pixels per side"));
        assert!(refused(|s| s.bands = 2).contains("palette"));
        assert!(refused(|s| s.band_names.push("b".to_owned())).contains("2 band names"));
    }
}
