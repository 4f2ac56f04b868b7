//! Which samples an epoch draws.

use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{Dataset, Part, epoch_order};
use crate::class::CLASS_COUNT;
use crate::config::{DataConfig, SamplingConfig};
use crate::error::Result;

/// One sample drawn for an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    /// Position in the data set.
    pub index: usize,
    /// The class for which it was drawn, if it was.
    pub class: Option<u8>,
}

/// A container's samples, and its share of an epoch.
#[derive(Debug, Clone)]
struct PartSamples {
    samples: Range<usize>,
    share: f64,
}

/// Draws the samples of epochs: a function of the seed, the epoch and the losses alone.
///
/// Within a share of the epoch samples come up as evenly as whole numbers allow: with
/// weights `w` and `n` draws, sample `i` comes up `n wᵢ / Σ w` times, rounded down or up
/// (systematic sampling, Madow 1949).
#[derive(Debug, Clone)]
pub struct Sampler {
    config: SamplingConfig,
    seed: u64,
    parts: Vec<PartSamples>,
    /// Pixels of each class, one row per sample, sets counting as their first; empty where they
    /// are not needed.
    counts: Vec<[u64; CLASS_COUNT]>,
    length: usize,
}

impl Sampler {
    /// Draws samples of `dataset` as `data.sampling` says; to balance classes this reads
    /// all labels.
    ///
    /// # Errors
    /// A label that can't be read.
    pub fn new(dataset: &Dataset, data: &DataConfig, seed: u64) -> Result<Self> {
        let config = data.sampling.clone();
        let counts = match config.class_balance > 0.0 {
            true => (0..dataset.len())
                .into_par_iter()
                .map(|index| dataset.first_class_counts(index))
                .collect::<Result<_>>()?,
            false => Vec::new(),
        };
        let parts: Vec<PartSamples> = (dataset.parts().into_iter())
            .map(|Part { samples, share, .. }| PartSamples { samples, share })
            .collect();
        // Each sample of the first container once.
        let natural = parts[0].samples.len() as f64 / parts[0].share;
        let length = config.epoch.unwrap_or(natural.round() as usize).max(1);
        Ok(Self {
            config,
            seed,
            parts,
            counts,
            length,
        })
    }

    /// Samples of an epoch.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether an epoch has no samples: never.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The samples of epoch `epoch`, in order. `losses` are the running losses of the
    /// samples, NaN where there is none yet; missing ones count as NaN.
    pub fn epoch(&self, epoch: u64, losses: &[f64]) -> Vec<Draw> {
        if self.config.is_default() && self.parts.len() == 1 {
            let plain = |index| Draw { index, class: None };
            let order = epoch_order(self.parts[0].samples.len(), self.seed, epoch);
            return order.into_iter().map(plain).collect();
        }
        // Other numbers than those of the plain order.
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ 0x5a4d_504c_4552_0001);
        rng.set_stream(epoch);
        let mut draws = Vec::with_capacity(self.length);
        let mut share = 0.0;
        for part in &self.parts {
            let before = (share * self.length as f64).round();
            share += part.share;
            let count = ((share * self.length as f64).round() - before) as usize;
            self.draw_from(part, count, losses, &mut rng, &mut draws);
        }
        for last in (1..draws.len()).rev() {
            let other = rng.random_range(0..=last as u64) as usize;
            draws.swap(last, other);
        }
        draws
    }

    /// Draws `count` samples of one container.
    fn draw_from(
        &self,
        part: &PartSamples,
        count: usize,
        losses: &[f64],
        rng: &mut ChaCha8Rng,
        draws: &mut Vec<Draw>,
    ) {
        let hardness = self.hardness(part, losses);
        let weights = |class: Option<usize>| -> Vec<f64> {
            let pixels = |index: usize| class.map_or(1.0, |class| self.counts[index][class] as f64);
            part.samples
                .clone()
                .zip(&hardness)
                .map(|(index, hard)| pixels(index) * hard)
                .collect()
        };
        let there = |class: &usize| {
            let counts = self.counts.get(part.samples.clone());
            counts.is_some_and(|counts| counts.iter().any(|counts| counts[*class] > 0))
        };
        let classes: Vec<usize> = (0..CLASS_COUNT).filter(there).collect();
        let mut by_class = (self.config.class_balance * count as f64).round() as usize;
        if classes.is_empty() {
            by_class = 0;
        }
        let mut take = |class: Option<usize>, count: usize| {
            let chosen = systematic(&weights(class), count, rng.random::<f64>());
            draws.extend(chosen.into_iter().map(|place| Draw {
                index: part.samples.start + place,
                class: class.map(|class| class as u8),
            }));
        };
        for (place, class) in classes.iter().enumerate() {
            let upto = |place: usize| place * by_class / classes.len();
            take(Some(*class), upto(place + 1) - upto(place));
        }
        take(None, count - by_class);
    }

    /// The weight of each sample of a container by its loss; all 1 where difficulty is
    /// ignored.
    fn hardness(&self, part: &PartSamples, losses: &[f64]) -> Vec<f64> {
        let loss = |index: usize| losses.get(index).copied().filter(|loss| loss.is_finite());
        let known: Vec<f64> = part.samples.clone().filter_map(loss).collect();
        let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
        let share = self.config.difficulty;
        let weight = |index: usize| match loss(index) {
            Some(loss) if mean > 0.0 => 1.0 - share + share * loss / mean,
            _ => 1.0,
        };
        part.samples.clone().map(weight).collect()
    }
}

/// `count` positions in `weights`, ascending, each in proportion to its weight, rounded
/// down or up depending on `start` in [0, 1).
fn systematic(weights: &[f64], count: usize, start: f64) -> Vec<usize> {
    let total: f64 = weights.iter().sum();
    let mut chosen = Vec::with_capacity(count);
    let (mut place, mut reached) = (0, weights.first().copied().unwrap_or(0.0));
    for step in 0..count {
        let point = (start + step as f64) / count as f64 * total;
        while reached <= point && place + 1 < weights.len() {
            place += 1;
            reached += weights[place];
        }
        chosen.push(place);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(config: SamplingConfig, parts: &[(usize, f64)], length: usize) -> Sampler {
        let mut start = 0;
        let parts = parts.iter().map(|(len, share)| {
            let samples = start..start + len;
            start += len;
            PartSamples {
                samples,
                share: *share,
            }
        });
        Sampler {
            config,
            seed: 1,
            parts: parts.collect(),
            counts: Vec::new(),
            length,
        }
    }

    fn times(draws: &[Draw], len: usize) -> Vec<usize> {
        let mut times = vec![0; len];
        draws.iter().for_each(|draw| times[draw.index] += 1);
        times
    }

    #[test]
    fn plain_epochs_are_the_permutations_of_epoch_order() {
        let sampler = sampler(SamplingConfig::default(), &[(9, 1.0)], 9);
        let order: Vec<usize> = sampler
            .epoch(2, &[])
            .iter()
            .map(|draw| draw.index)
            .collect();
        assert_eq!(order, epoch_order(9, 1, 2));
    }

    #[test]
    fn even_weights_give_each_sample_once() {
        for start in [0.0, 0.3, 0.999] {
            assert_eq!(systematic(&[1.0; 7], 7, start), (0..7).collect::<Vec<_>>());
        }
        assert_eq!(
            systematic(&[3.0, 0.0, 1.0], 8, 0.5),
            [0, 0, 0, 0, 0, 0, 2, 2]
        );
    }

    #[test]
    fn shares_of_a_mixture_are_kept() {
        let sampler = sampler(SamplingConfig::default(), &[(10, 0.5), (100, 0.5)], 20);
        let epochs: Vec<Vec<Draw>> = (0..10).map(|epoch| sampler.epoch(epoch, &[])).collect();
        for draws in &epochs {
            let times = times(draws, 110);
            assert_eq!(times[..10], [1; 10]);
            assert_eq!(times[10..].iter().sum::<usize>(), 10);
        }
        assert_ne!(epochs[0], epochs[1]);
        assert_eq!(epochs[3], sampler.epoch(3, &[]));
    }

    #[test]
    fn rare_classes_come_up_as_often_as_others() {
        let config = SamplingConfig {
            class_balance: 1.0,
            ..SamplingConfig::default()
        };
        let mut sampler = sampler(config, &[(10, 1.0)], 40);
        // Class 3 is in one sample alone, class 2 in none.
        sampler.counts = vec![[90, 10, 0, 0]; 10];
        sampler.counts[4] = [90, 0, 0, 10];
        let draws = sampler.epoch(0, &[]);
        let drawn = |class: u8| {
            draws
                .iter()
                .filter(|draw| draw.class == Some(class))
                .count()
        };
        assert_eq!([drawn(0), drawn(1), drawn(2), drawn(3)], [13, 13, 0, 14]);
        assert!(times(&draws, 10)[4] >= 14);
    }

    #[test]
    fn hard_samples_come_up_more_often() {
        let config = SamplingConfig {
            difficulty: 1.0,
            ..SamplingConfig::default()
        };
        let sampler = sampler(config, &[(4, 1.0)], 8);
        let draws = sampler.epoch(0, &[1.0, 1.0, 2.0, f64::NAN]);
        let times = times(&draws, 4);
        assert!(times[2] > times[0] && times[2] >= 3, "{times:?}");
        assert!(times[3] >= 1);
    }
}
