//! LayerNorm (Ba et al. 2016).

mod backward;
mod forward;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use backward::backward;
pub use forward::forward;

use std::borrow::Cow;

use crate::scratch::{Buffer, Scratch};

/// Rows that one task takes: results depend on it, never on the number of threads.
const ROWS: usize = 32;

/// The weights of a LayerNorm.
#[derive(Debug, Clone)]
pub struct LayerNorm<'a> {
    /// `[width]`, what a normalised feature is multiplied with.
    pub scale: Cow<'a, [f32]>,
    /// `[width]`, what is added to it then.
    pub shift: Cow<'a, [f32]>,
    /// Added to the variance.
    pub epsilon: f32,
}

impl LayerNorm<'_> {
    /// Features of a row.
    pub(crate) fn width(&self) -> usize {
        assert_eq!(self.scale.len(), self.shift.len(), "scale and shift");
        self.scale.len()
    }

    /// Normalised rows, `[rows, width]`, and, if `saves`, their moments, `[rows, 2]`.
    ///
    /// # Panics
    /// `x` has no whole number of rows.
    pub fn forward(&self, x: &[f32], saves: bool, scratch: &mut Scratch) -> [Buffer; 2] {
        let mut out = scratch.take(x.len());
        let rows = x.len() / self.width();
        let mut moments = scratch.take(if saves { 2 * rows } else { 0 });
        forward(x, self, &mut out, saves.then_some(&mut moments[..]));
        [out, moments]
    }

    /// The gradient by `x`, and those by scale and shift, from input, moments and the gradient
    /// by the output.
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn backward(&self, known: [&[f32]; 3]) -> (Vec<f32>, [Vec<f32>; 2]) {
        let mut of_x = vec![0.0; known[0].len()];
        let [mut scale, mut shift] = [0; 2].map(|_| vec![0.0; self.width()]);
        backward(known, self, &mut of_x, [&mut scale, &mut shift]);
        (of_x, [scale, shift])
    }
}
