//! Dynamic loss scaling for half precision.

use serde::{Deserialize, Serialize};

/// First scale, and steps without overflow after which it doubles (PyTorch's
/// `GradScaler`).
const FIRST: f64 = 65536.0;
const GROWTH_INTERVAL: u32 = 2000;
/// Below this the gradients overflow whatever the scale.
const SMALLEST: f64 = 1.0 / 65536.0;

/// The factor on the loss that keeps small half-precision gradients from
/// vanishing (Micikevicius et al. 2018): halved when gradients overflow, doubled
/// after many steps without.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LossScale {
    scale: f64,
    good_steps: u32,
}

impl Default for LossScale {
    fn default() -> Self {
        Self {
            scale: FIRST,
            good_steps: 0,
        }
    }
}

impl LossScale {
    /// The factor.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Notes a step with finite gradients.
    pub fn stepped(&mut self) {
        self.good_steps += 1;
        if self.good_steps == GROWTH_INTERVAL {
            self.scale *= 2.0;
            self.good_steps = 0;
        }
    }

    /// Notes a step whose gradients overflowed; whether a smaller scale can help.
    pub fn overflowed(&mut self) -> bool {
        self.scale *= 0.5;
        self.good_steps = 0;
        self.scale >= SMALLEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_halves_and_patience_doubles() {
        let mut scale = LossScale::default();
        assert!(scale.overflowed());
        assert_eq!(scale.scale(), 32768.0);
        for _ in 0..1999 {
            scale.stepped();
        }
        assert_eq!(scale.scale(), 32768.0);
        scale.stepped();
        assert_eq!(scale.scale(), 65536.0);
        assert!((0..40).any(|_| !scale.overflowed()), "never gives up");
    }
}
