//! Masked reconstruction, learned from images alone: the bands of masked blocks are predicted
//! from their surroundings.

use ndarray::{Array2, Array3, Array4, Axis, s};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::class::IGNORE;
use crate::config::PretrainConfig;

/// Of the μ-law of the targets: ratios count, and dark ground as much as cloud.
const MU: f32 = 50.0;

/// Masks blocks of images.
#[derive(Debug, Clone)]
pub(super) struct Masking {
    config: PretrainConfig,
    /// Channels that are bands; the others declare which are absent.
    bands: usize,
    /// The band that each of the others is of.
    optional: Vec<usize>,
}

/// A batch with masked blocks.
pub(super) struct Masked {
    /// `[B, channels, H, W]`: 0 in all channels, as without data, where masked.
    pub images: Array4<f32>,
    /// `[B, bands, H, W]`: the target, companded to [0, 1] for inputs of [0, 1].
    pub target: Array4<f32>,
    /// `[B, bands, H, W]`: 1 where a number was masked, else 0.
    pub counts: Array4<f32>,
}

impl Masking {
    pub fn new(config: &PretrainConfig, bands: usize, optional: Vec<usize>) -> Self {
        Self {
            config: config.clone(),
            bands,
            optional,
        }
    }

    /// Masks blocks of `images`, different ones in each; pixels labelled 255 have no data. A
    /// function of the images and `seed` alone.
    pub fn mask(&self, mut images: Array4<f32>, labels: &Array3<u8>, seed: u64) -> Masked {
        let bands = images.slice(s![.., ..self.bands, .., ..]).to_owned();
        let compand = |value: f32| (MU * value.max(0.0)).ln_1p() / MU.ln_1p();
        let mut counts = Array4::zeros(bands.dim());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (_, _, height, width) = images.dim();
        for (sample, mut image) in images.outer_iter_mut().enumerate() {
            let is_masked = self.blocks([height, width], &mut rng);
            for (band, plane) in bands.index_axis(Axis(0), sample).outer_iter().enumerate() {
                // A band without a number other than 0 is absent.
                if plane.iter().all(|value| *value == 0.0) {
                    continue;
                }
                let flag = self.optional.iter().position(|optional| *optional == band);
                let absent = flag.map(|flag| image.index_axis(Axis(0), self.bands + flag));
                let mut counted = counts.slice_mut(s![sample, band, .., ..]);
                for (place, count) in counted.indexed_iter_mut() {
                    let absent = absent.as_ref().is_some_and(|absent| absent[place] != 0.0);
                    let data = !absent && labels[[sample, place.0, place.1]] != IGNORE;
                    *count = if is_masked[place] && data { 1.0 } else { 0.0 };
                }
            }
            for mut plane in image.outer_iter_mut() {
                plane.zip_mut_with(&is_masked, |value, is_masked| {
                    if *is_masked {
                        *value = 0.0;
                    }
                });
            }
        }
        Masked {
            images,
            target: bands.mapv(compand),
            counts,
        }
    }

    /// Which pixels of an image are masked: whole blocks, as near to the share as possible, at
    /// least one, and never all where there are several.
    fn blocks(&self, [height, width]: [usize; 2], rng: &mut ChaCha8Rng) -> Array2<bool> {
        let side = self.config.block;
        let (rows, cols) = (height.div_ceil(side), width.div_ceil(side));
        let all = rows * cols;
        let most = all.saturating_sub(1).max(1);
        let count = ((self.config.share * all as f64).round() as usize).clamp(1, most);
        let mut masked: Vec<bool> = (0..all).map(|block| block < count).collect();
        masked.shuffle(rng);
        Array2::from_shape_fn((height, width), |(row, col)| {
            masked[row / side * cols + col / side]
        })
    }
}

impl Masked {
    /// Number of masked values.
    pub fn count(&self) -> f64 {
        self.counts.iter().map(|count| f64::from(*count)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masking(share: f64, block: usize) -> Masking {
        Masking::new(
            &PretrainConfig {
                share,
                block,
                active: true,
            },
            2,
            Vec::new(),
        )
    }

    #[test]
    fn masked_numbers_are_0_and_are_those_that_count() {
        let mut images = Array4::from_elem((2, 3, 8, 10), 0.5f32);
        images.slice_mut(s![1, 1, .., ..]).fill(0.0);
        let mut labels = Array3::zeros((2, 8, 10));
        labels[[0, 0, 0]] = IGNORE;
        let masked = masking(0.5, 4).mask(images.clone(), &labels, 7);
        for ((sample, band, row, col), count) in masked.counts.indexed_iter() {
            let is_masked = masked.images[[sample, 2, row, col]] == 0.0;
            let data = labels[[sample, row, col]] != IGNORE;
            let there = (sample, band) != (1, 1);
            assert_eq!(*count == 1.0, is_masked && data && there);
            assert!(!is_masked || masked.images[[sample, band, row, col]] == 0.0);
        }
        // Two rows and three columns of blocks, half of them masked.
        let blocks = |sample: usize| {
            let corner = |r: usize, c: usize| masked.images[[sample, 2, 4 * r, 4 * c]] == 0.0;
            (0..2)
                .flat_map(|r| (0..3).map(move |c| (r, c)))
                .filter(|(r, c)| corner(*r, *c))
                .count()
        };
        assert_eq!((blocks(0), blocks(1)), (3, 3));
        let again = masking(0.5, 4).mask(images.clone(), &labels, 7);
        assert_eq!(again.images, masked.images);
        assert_ne!(
            masking(0.5, 4).mask(images, &labels, 8).images,
            masked.images
        );
    }
}
