//! A sample under way through its augmentations.

use ndarray::{Array2, Axis};

use crate::band;
use crate::data::Example;

/// A sample whose image is its bands alone, and what its numbers are. Pixels that are
/// not valid stay 0, absent bands too; where a band has no data it stays NaN.
pub(crate) struct View<'a> {
    pub example: &'a mut Example,
    pub names: &'a [String],
    /// Number of the input for reflectance 1.
    pub unit: f32,
}

impl View<'_> {
    pub fn bands(&self) -> usize {
        self.example.image.len_of(Axis(0))
    }

    /// Whether a band is there and holds reflectance.
    pub fn reflects(&self, band: usize) -> bool {
        !self.example.absent[band] && !band::is_thermal(&self.names[band])
    }

    /// Wavelength of a band in micrometres, where it is known and reflects.
    pub fn wavelength(&self, band: usize) -> Option<f64> {
        band::wavelength(&self.names[band]).map(f64::from)
    }

    pub fn plane(&self, band: usize) -> Array2<f32> {
        self.example.image.index_axis(Axis(0), band).to_owned()
    }

    /// Sets the valid pixels of a band that is there, where it has data.
    pub fn each(&mut self, band: usize, change: impl Fn(f32, (usize, usize)) -> f32) {
        if self.example.absent[band] {
            return;
        }
        let mut plane = self.example.image.index_axis_mut(Axis(0), band);
        for (place, value) in plane.indexed_iter_mut() {
            if self.example.valid[place] && !value.is_nan() {
                *value = change(*value, place);
            }
        }
    }

    /// As [`View::each`], `change` being called for every pixel, valid or not.
    pub fn each_pixel(&mut self, band: usize, mut change: impl FnMut(f32) -> f32) {
        let keep = self.example.absent[band];
        let mut plane = self.example.image.index_axis_mut(Axis(0), band);
        for (value, valid) in plane.iter_mut().zip(&self.example.valid) {
            let changed = change(*value);
            if *valid && !keep && !value.is_nan() {
                *value = changed;
            }
        }
    }
}
