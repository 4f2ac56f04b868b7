//! LayerNorm (Ba et al. 2016), with the residual sum before it in the same pass.

mod backward;
mod forward;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use backward::backward;
pub use forward::{forward, forward_in_place};

/// Rows that one task takes: results depend on it, never on the number of threads.
const ROWS: usize = 32;

/// The weights of a LayerNorm.
#[derive(Debug, Clone, Copy)]
pub struct LayerNorm<'a> {
    /// `[width]`, what a normalised feature is multiplied with.
    pub scale: &'a [f32],
    /// `[width]`, what is added to it then.
    pub shift: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
}

impl LayerNorm<'_> {
    /// Features of a row.
    fn width(&self) -> usize {
        assert_eq!(self.scale.len(), self.shift.len(), "scale and shift");
        self.scale.len()
    }
}
