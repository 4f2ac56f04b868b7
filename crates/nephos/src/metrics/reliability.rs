//! Reliability of probabilities.

use serde::{Deserialize, Serialize};

/// Bins of confidence, all of one width.
const BINS: usize = 15;

/// How often predictions of a given confidence are right (DeGroot & Fienberg 1983; Guo et
/// al. 2017, doi:10.48550/arXiv.1706.04599). Those of parts of a data set add up to
/// that of the whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Ascending; bin `i` of `n` holds confidences from `i / n` to `(i + 1) / n`.
    pub(crate) bins: Vec<Bin>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bin {
    pub(crate) pixels: u64,
    pub(crate) right: u64,
    /// Sum of the confidences.
    pub(crate) confidence: f64,
}

impl Default for Reliability {
    fn default() -> Self {
        Self {
            bins: vec![Bin::default(); BINS],
        }
    }
}

impl Reliability {
    /// Counts a pixel whose predicted class has the probability `confidence`, in [0, 1].
    pub fn add(&mut self, confidence: f32, right: bool) {
        let bins = self.bins.len();
        let place = ((f64::from(confidence) * bins as f64) as usize).min(bins.saturating_sub(1));
        if let Some(bin) = self.bins.get_mut(place) {
            bin.pixels += 1;
            bin.right += u64::from(right);
            bin.confidence += f64::from(confidence);
        }
    }

    /// Adds the pixels of `other`; what has another number of bins adds nothing.
    pub fn merge(&mut self, other: &Self) {
        if self.bins.len() != other.bins.len() {
            return;
        }
        for (bin, other) in self.bins.iter_mut().zip(&other.bins) {
            bin.pixels += other.pixels;
            bin.right += other.right;
            bin.confidence += other.confidence;
        }
    }

    /// Pixels counted.
    pub fn pixels(&self) -> u64 {
        self.bins.iter().map(|bin| bin.pixels).sum()
    }

    /// The expected calibration error, in [0, 1]: the mean distance of confidence and
    /// accuracy over the bins, by their pixels. `None` without pixels.
    pub fn expected_calibration_error(&self) -> Option<f64> {
        let pixels = self.pixels();
        let distance = |bin: &Bin| (bin.right as f64 - bin.confidence).abs();
        (pixels > 0).then(|| self.bins.iter().map(distance).sum::<f64>() / pixels as f64)
    }

    /// Of each bin with pixels: mean confidence, accuracy, share of all
    /// pixels.
    pub fn points(&self) -> Vec<[f64; 3]> {
        let all = self.pixels().max(1) as f64;
        (self.bins.iter().filter(|bin| bin.pixels > 0))
            .map(|bin| {
                let pixels = bin.pixels as f64;
                [
                    bin.confidence / pixels,
                    bin.right as f64 / pixels,
                    pixels / all,
                ]
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_by_hand() {
        let mut reliability = Reliability::default();
        assert_eq!(reliability.expected_calibration_error(), None);
        // Four predictions of 0.9, three of them right; two of 0.5, one of them right.
        for right in [true, true, true, false] {
            reliability.add(0.9, right);
        }
        let mut other = Reliability::default();
        other.add(0.5, true);
        other.add(0.5, false);
        reliability.merge(&other);
        assert_eq!(reliability.pixels(), 6);
        let error = reliability.expected_calibration_error().unwrap();
        assert!((error - 0.6 / 6.0).abs() < 1e-6, "{error}");
        // The ends belong to the first and the last bin.
        reliability.add(0.0, false);
        reliability.add(1.0, true);
        assert_eq!(reliability.points().len(), 4);
    }
}
