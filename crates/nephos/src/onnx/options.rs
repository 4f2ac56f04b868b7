//! How a model is exported.

use crate::error::{Error, Result};

/// What QGIS's Deepness divides the numbers of a raster by.
pub const DEEPNESS: f64 = 255.0;

/// How [`export`](super::export) makes a graph of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct OnnxOptions {
    /// Names of the input's channels in order; those of the model's optional bands that are not
    /// among them are absent. `None`: all bands of the model.
    pub bands: Option<Vec<String>>,
    /// Reflectance = (number of the raster + `offset`) / `scale`, as for scenes.
    pub scale: f64,
    /// See `scale`.
    pub offset: f64,
    /// The input is the number of the raster divided by this: [`DEEPNESS`], or 1 where the
    /// numbers are given as they are.
    pub divisor: f64,
    /// Side of the window in pixels, rounded up to what the network takes; `None`: the model's.
    pub window: Option<usize>,
    /// Side of a pixel in metres, for the metadata: Deepness resamples to it.
    pub resolution: f64,
    /// Whether the output are class scores, neither calibrated nor brought to probabilities.
    pub logits: bool,
}

impl Default for OnnxOptions {
    /// For Deepness, rasters of reflectance × 10000 and pixels of 10 m.
    fn default() -> Self {
        Self {
            bands: None,
            scale: 10_000.0,
            offset: 0.0,
            divisor: DEEPNESS,
            window: None,
            resolution: 10.0,
            logits: false,
        }
    }
}

/// Longest side of a window: attention compares all pairs of its patches.
const MOST: usize = 4096;

impl OnnxOptions {
    /// # Errors
    /// A number out of its range.
    pub(super) fn validate(&self) -> Result<()> {
        let range = |option: &str, holds: bool, expected: &str| match holds {
            true => Ok(()),
            false => Err(Error::usage(format!(
                "`options.{option}` must be {expected}"
            ))),
        };
        range(
            "scale",
            self.scale.is_finite() && self.scale > 0.0,
            "a number above 0",
        )?;
        range("offset", self.offset.is_finite(), "a finite number")?;
        range(
            "divisor",
            self.divisor.is_finite() && self.divisor > 0.0,
            "a number above 0",
        )?;
        let metres = self.resolution > 0.0 && self.resolution <= 1e6;
        range("resolution", metres, "above 0 and at most 1000000 metres")?;
        let window = self.window.is_none_or(|side| (1..=MOST).contains(&side));
        range("window", window, "1 to 4096 pixels")
    }
}
