//! How stored numbers become reflectance.

use std::fmt;

/// Reflectance given to saturated pixels: they are as bright as clouds get, and a
/// number at the sensor's maximum is only a lower bound.
pub const SATURATED_REFLECTANCE: f32 = 2.0;

/// How one band's stored numbers become reflectance (thermal bands: brightness
/// temperature / 100 K): stored × `gain` + `bias`, or, where `thermal` is given, the
/// temperature of that radiance.
#[derive(Debug, Clone, PartialEq)]
pub struct Radiometry {
    /// Factor, not 0.
    pub gain: f64,
    /// Summand, reflectance.
    pub bias: f64,
    /// Stored number that means no data. NaN and infinities always do.
    pub nodata: Option<f64>,
    /// Stored number that means saturated: such pixels are valid and become
    /// [`SATURATED_REFLECTANCE`].
    pub saturated: Option<f64>,
    /// Where it is given, stored × `gain` + `bias` is radiance in W/(m² sr µm).
    pub thermal: Option<Planck>,
    /// Where gain and bias are from.
    pub origin: Origin,
}

/// Constants of a thermal band: a radiance L is that of a black body of temperature
/// `k2` / ln(`k1` / L + 1).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Planck {
    /// In W/(m² sr µm), above 0.
    pub k1: f64,
    /// In kelvin, above 0.
    pub k2: f64,
}

impl Planck {
    /// Temperature in kelvin of a radiance; NaN where that is not above 0.
    pub fn temperature(&self, radiance: f64) -> f64 {
        match radiance > 0.0 {
            true => self.k2 / (self.k1 / radiance).ln_1p(),
            false => f64::NAN,
        }
    }
}

/// Where a radiometry is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The product's own metadata.
    Metadata,
    /// The same, where the user accepts implausible numbers.
    MetadataAssumed,
    /// The user's options.
    Given,
    /// The configuration's `data.scale`, `data.offset` and `data.quantification`.
    Configuration,
    /// What the product's specification states for all products of its kind.
    Specification,
    /// Inferred from number format and range.
    Guessed,
    /// The same, where the user accepts implausible numbers.
    Assumed,
}

impl Origin {
    /// Whether no source states how these numbers become reflectance.
    pub fn is_unstated(self) -> bool {
        matches!(self, Self::Configuration | Self::Guessed | Self::Assumed)
    }
}

impl Radiometry {
    /// From `scale` and `offset` as agencies and users state them:
    /// reflectance = (stored + offset) / scale.
    pub fn scaled(scale: f64, offset: f64, origin: Origin) -> Self {
        Self {
            gain: 1.0 / scale,
            bias: offset / scale,
            nodata: None,
            saturated: None,
            thermal: None,
            origin,
        }
    }

    /// The same with another no-data value; NaN, which always is none, says that no
    /// number is.
    #[must_use]
    pub fn with_nodata(self, nodata: Option<f64>) -> Self {
        let nodata = nodata.filter(|number| !number.is_nan());
        Self { nodata, ..self }
    }

    /// Reflectance of a stored number; NaN where it means no data.
    pub fn apply(&self, stored: f64) -> f32 {
        if !stored.is_finite() || self.nodata == Some(stored) {
            f32::NAN
        } else if self.saturated == Some(stored) {
            SATURATED_REFLECTANCE
        } else {
            let linear = stored * self.gain + self.bias;
            let value = match self.thermal {
                Some(planck) => planck.temperature(linear) / 100.0,
                None => linear,
            };
            // One rounding, at the end: exact to half a unit of f32.
            let value = value as f32;
            // Beyond f32: fill values such as f64::MAX, no reflectance.
            if value.is_finite() { value } else { f32::NAN }
        }
    }
}

/// As in `stored × 0.0001 − 0.1, no data 0, saturated 65535 (metadata)`.
impl fmt::Display for Radiometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stored × {}", short(self.gain))?;
        if self.bias != 0.0 {
            let sign = if self.bias < 0.0 { '−' } else { '+' };
            write!(f, " {sign} {}", short(self.bias.abs()))?;
        }
        if let Some(Planck { k1, k2 }) = self.thermal {
            write!(f, " = L, {k2} / ln({k1} / L + 1) / 100")?;
        }
        if let Some(nodata) = self.nodata {
            match nodata.abs() >= 1e15 {
                true => write!(f, ", no data {nodata:e}")?,
                false => write!(f, ", no data {nodata}")?,
            }
        }
        if let Some(saturated) = self.saturated {
            write!(f, ", saturated {saturated}")?;
        }
        let origin = match self.origin {
            Origin::Metadata => "metadata",
            Origin::MetadataAssumed => "metadata, assumed to be right",
            Origin::Given => "given",
            Origin::Configuration => "configuration",
            Origin::Specification => "the product's specification",
            Origin::Guessed => "guessed",
            Origin::Assumed => "guessed, assumed to be right",
        };
        write!(f, " ({origin})")
    }
}

/// A number in at most ten significant digits: 1 / 10000 is 0.0001.
fn short(value: f64) -> String {
    let rounded: f64 = format!("{value:.9e}").parse().unwrap_or(value);
    rounded.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_values_come_before_the_scale() {
        let radiometry = Radiometry {
            saturated: Some(65535.0),
            ..Radiometry::scaled(10000.0, -1000.0, Origin::Metadata).with_nodata(Some(0.0))
        };
        assert_eq!(radiometry.apply(3500.0), 0.25);
        assert_eq!(radiometry.apply(65535.0), SATURATED_REFLECTANCE);
        assert!(radiometry.apply(0.0).is_nan());
        assert!(radiometry.apply(f64::INFINITY).is_nan());
        assert_eq!(
            radiometry.to_string(),
            "stored × 0.0001 − 0.1, no data 0, saturated 65535 (metadata)"
        );
        let lowest = radiometry.with_nodata(Some(-1e38));
        assert!(lowest.to_string().contains("no data -1e38,"), "{lowest}");
    }
}
