//! Random numbers of one augmentation of one sample.

use nephos_kernel::dropout::mix;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The seed of one augmented sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AugmentSeed {
    /// Seed of the run.
    pub seed: u64,
    /// Epoch, from 0.
    pub epoch: u64,
    /// Position of the sample in the epoch, from 0: a sample that comes up twice is varied
    /// twice.
    pub slot: u64,
}

/// The augmentations, each with random numbers of its own: switching one on or off
/// leaves the others as they are.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Frame = 1,
    Paste,
    PastedFrame,
    Haze,
    Blur,
    Radiometry,
    Noise,
    Saturation,
    Edge,
    Bands,
    Correction,
    Teacher,
}

/// Numbers for one step.
#[derive(Debug)]
pub(crate) struct AugmentRng {
    rng: ChaCha8Rng,
}

impl AugmentSeed {
    /// The number in [0, 1) by which a teacher's probabilities become a target.
    pub(crate) fn level(self) -> f64 {
        self.rng(Step::Teacher).unit()
    }

    /// The numbers of `step`: a function of the seed and the step alone.
    pub(crate) fn rng(self, step: Step) -> AugmentRng {
        let mut rng = ChaCha8Rng::seed_from_u64(mix(mix(mix(self.seed) ^ self.epoch) ^ self.slot));
        rng.set_stream(step as u64);
        AugmentRng { rng }
    }
}

impl AugmentRng {
    /// Even in [0, 1).
    pub fn unit(&mut self) -> f64 {
        self.rng.random::<f64>()
    }

    /// True in a share of the cases.
    pub fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// Even in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Even in [-range, range).
    pub fn around(&mut self, range: f64) -> f64 {
        self.between(-range, range)
    }

    /// One of `0..count`; 0 where `count` is 0.
    pub fn below(&mut self, count: usize) -> usize {
        // u64 and not usize, so that 32-bit machines draw the same numbers.
        self.rng.random_range(0..count.max(1) as u64) as usize
    }

    /// Two numbers of the normal distribution (Box & Muller 1958).
    pub fn normals(&mut self) -> [f64; 2] {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        let angle = std::f64::consts::TAU * self.unit();
        [radius * angle.cos(), radius * angle.sin()]
    }
}
