//! Numbers of samples whose file declares no radiometry: whether the configuration's scale
//! is plausible for them, and the scale that they suggest.

use super::infer_radiometry::{ENOUGH, Range, reflectance, short};
use crate::raster::DType;

/// Upper bound of the 99th percentile of reflectance.
const BRIGHTEST: f64 = 2.1;
/// Lower bound of the 99th percentile, except at night.
const DARKEST: f64 = 0.005;
/// Numbers of 8 bits, and fractions, reach more: hardly any sensor's brightest band is
/// darker.
const DIM: f64 = 0.02;

/// The numbers of some bands of one or several samples of one number format, without
/// zeros.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UndeclaredRadiometry {
    dtype: DType,
    range: Range,
    /// Whether no number has a fraction.
    whole: bool,
}

impl UndeclaredRadiometry {
    /// `None` where there are too few numbers.
    pub fn of(dtype: DType, values: impl Iterator<Item = f32>) -> Option<Self> {
        let values: Vec<f64> = values
            .filter(|value| value.is_finite() && *value != 0.0)
            .map(f64::from)
            .collect();
        if values.len() < ENOUGH {
            return None;
        }
        let whole = values.iter().all(|value| value.fract() == 0.0);
        let range = Range::of(values)?;
        Some(Self {
            dtype,
            range,
            whole,
        })
    }

    /// Whether (number + `offset`) / `scale` can be reflectance.
    pub fn fits(&self, scale: f64, offset: f64) -> bool {
        let of = |number: f64| (number + offset) / scale;
        let (high, max) = (of(self.range.high), of(self.range.max));
        let eight_bits = matches!(self.dtype, DType::U8 | DType::I8 | DType::Bool);
        let dim = match () {
            () if eight_bits => of(255.0) < 0.2,
            () if self.is_float() && !self.whole => high < DIM,
            // As 8-bit brightness in a wider format.
            () if self.range.max <= 255.0 => max < 2.0 * DIM,
            () => high < DARKEST,
        };
        !dim && high <= BRIGHTEST
    }

    /// The scale that the numbers suggest, and its name.
    pub fn guess(&self) -> (f64, &'static str) {
        if self.is_float() && self.whole && self.range.high > 3.0 {
            // Whole numbers in a format for fractions are counts as others are.
            return reflectance(DType::I32, Some(self.range), false);
        }
        reflectance(self.dtype, Some(self.range), false)
    }

    /// As in `float32 numbers, mostly from 0.02 to 0.53`.
    pub fn describe(&self) -> String {
        format!(
            "{} numbers, mostly from {} to {}",
            self.dtype.name(),
            short(self.range.low),
            short(self.range.high)
        )
    }

    fn is_float(&self) -> bool {
        matches!(self.dtype, DType::F16 | DType::F32 | DType::F64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(dtype: DType, low: f32, high: f32) -> UndeclaredRadiometry {
        let step = (high - low) / 999.0;
        let round = |value: f32| match dtype {
            DType::F32 => value,
            _ => value.round(),
        };
        UndeclaredRadiometry::of(dtype, (0..1000).map(|k| round(low + k as f32 * step))).unwrap()
    }

    #[test]
    fn plausible_scales_of_a_configuration_are_kept() {
        for (dtype, low, high, scale) in [
            (DType::U16, 200.0, 9000.0, 10_000.0),
            // Water under a low sun, and a night.
            (DType::U16, 20.0, 400.0, 10_000.0),
            (DType::U16, 3.0, 300.0, 10_000.0),
            (DType::I16, -40.0, 18_000.0, 10_000.0),
            (DType::F32, 150.5, 7000.5, 10_000.0),
            (DType::F32, 0.01, 0.9, 1.0),
            (DType::U8, 2.0, 250.0, 357.0),
            (DType::U8, 2.0, 250.0, 255.0),
        ] {
            assert!(ramp(dtype, low, high).fits(scale, 0.0), "{dtype:?} {high}");
        }
    }

    #[test]
    fn implausible_scales_are_replaced_by_a_guess() {
        for (dtype, low, high, scale, guess) in [
            (DType::F32, 0.01, 0.9, 10_000.0, 1.0),
            (DType::F32, 1.0, 90.0, 10_000.0, 100.0),
            (DType::U8, 2.0, 250.0, 10_000.0, 255.0),
            (DType::U16, 2.0, 250.0, 10_000.0, 255.0),
            (DType::U16, 200.0, 9000.0, 1.0, 10_000.0),
            (DType::F32, 150.0, 7000.0, 1.0, 10_000.0),
        ] {
            let numbers = ramp(dtype, low, high);
            assert!(!numbers.fits(scale, 0.0), "{dtype:?} {high}");
            assert_eq!(numbers.guess().0, guess, "{dtype:?} {high}");
        }
        assert!(UndeclaredRadiometry::of(DType::F32, [0.5; 10].into_iter()).is_none());
    }
}
