//! Losses of a configuration, and the labels they compare scores with.

use std::borrow::Cow;

use ndarray::{Array3, s};
use nephos_kernel::loss::{Kind, Objective};

use crate::class::IGNORE;
use crate::config::{LossConfig, LossKind};

/// The loss of `config`.
pub fn objective(config: &LossConfig) -> Objective {
    let smoothing = config.label_smoothing;
    let (kind, weighted) = match config.kind {
        LossKind::CrossEntropy => (Kind::CrossEntropy(smoothing), true),
        LossKind::Focal => (Kind::Focal(config.focal_gamma), true),
        LossKind::Dice => (Kind::Dice, false),
        LossKind::CrossEntropyDice => (Kind::CrossEntropyDice(smoothing), true),
    };
    Objective {
        kind,
        class_weights: match weighted {
            true => config.class_weights.clone(),
            false => Vec::new(),
        },
    }
}

/// Weight of a batch with `counts` pixels of each of `classes` when losses of batches are
/// averaged: with it, the average of a cross-entropy is that of all pixels at once.
pub fn batch_weight(config: &LossConfig, classes: usize, counts: &[u64]) -> f64 {
    let pixels = |class: usize| counts.get(class).copied().unwrap_or(0) as f64;
    let weights = &config.class_weights;
    if config.kind == LossKind::Dice || weights.is_empty() {
        (0..classes).map(pixels).sum()
    } else {
        let pairs = weights.iter().enumerate();
        pairs.map(|(class, w)| f64::from(*w) * pixels(class)).sum()
    }
}

/// Labels side by side in memory.
pub(crate) struct Codes<'a> {
    codes: Cow<'a, [u8]>,
    size: [usize; 2],
}

impl<'a> Codes<'a> {
    /// Of `[B, H, W]`.
    pub fn of(labels: &'a Array3<u8>) -> Self {
        let (_, height, width) = labels.dim();
        Self {
            codes: match labels.as_slice() {
                Some(codes) => Cow::Borrowed(codes),
                None => Cow::Owned(labels.iter().copied().collect()),
            },
            size: [height, width],
        }
    }

    /// Scores of `cells`, `[B, classes, rows, cols]`, and the pixels they are upsampled to.
    ///
    /// # Panics
    /// As [`Target::new`](nephos_kernel::loss::Target::new).
    pub fn target<'b>(
        &'b self,
        scores: &'b [f32],
        classes: usize,
        cells: [usize; 2],
        aligned: bool,
    ) -> nephos_kernel::loss::Target<'b> {
        nephos_kernel::loss::Target::new(scores, &self.codes, classes, cells, self.size, aligned)
    }
}

/// Labels of an image that the network pads to `size`: what it adds counts nowhere.
pub(crate) fn ignore_padding(
    codes: &Array3<u8>,
    [height, width]: [usize; 2],
) -> Cow<'_, Array3<u8>> {
    let (count, rows, cols) = codes.dim();
    if (rows, cols) == (height, width) {
        return Cow::Borrowed(codes);
    }
    let mut padded = Array3::from_elem((count, height, width), IGNORE);
    padded.slice_mut(s![.., ..rows, ..cols]).assign(codes);
    Cow::Owned(padded)
}
