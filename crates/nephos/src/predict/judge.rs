//! Predictions against labels, where labels may know fewer classes.

use ndarray::{ArrayView2, ArrayView3};

use crate::class::IGNORE;
use crate::report::{ConfusionMatrix, Reliability};

/// What stands for a class where it was not drawn.
const CLEAR: usize = 0;

/// Scores predictions on one image.
pub(crate) struct Judge<'a> {
    classes: usize,
    /// Classes that the labels do not know: they count as clear.
    undrawn: &'a [usize],
}

impl<'a> Judge<'a> {
    /// Of a model of `classes` classes; numbers in `undrawn` that are no class are
    /// left out.
    pub(crate) fn new(classes: usize, undrawn: &'a [usize]) -> Self {
        Self { classes, undrawn }
    }

    /// The pixels whose truth is known, and, with probabilities, how often answers of
    /// each confidence are right. The confidence of clear is that of clear and all that
    /// counts as it.
    ///
    /// # Shapes
    /// - truth, predicted: `[rows, cols]`, class codes or 255
    /// - probabilities: `[classes, rows, cols]`
    pub(crate) fn score(
        &self,
        truth: ArrayView2<'_, u8>,
        predicted: ArrayView2<'_, u8>,
        confidence: Option<(ArrayView3<'_, f32>, &mut Reliability)>,
    ) -> ConfusionMatrix {
        let mut matrix = ConfusionMatrix::new(self.classes);
        let flat = |mask: ArrayView2<'_, u8>| mask.iter().copied().collect::<Vec<u8>>();
        matrix.add_sample(&flat(truth), &flat(predicted), self.undrawn);
        let undrawn = || self.undrawn.iter().filter(|class| **class < self.classes);
        if let Some((probabilities, reliability)) = confidence {
            for ((row, col), truth) in truth.indexed_iter() {
                let predicted = usize::from(predicted[[row, col]]);
                if *truth == IGNORE || predicted >= self.classes {
                    continue;
                }
                let of = |class: usize| probabilities[[class, row, col]];
                let (answer, p) = if predicted == CLEAR || self.undrawn.contains(&predicted) {
                    (
                        CLEAR,
                        undrawn().fold(of(CLEAR), |sum, class| sum + of(*class)),
                    )
                } else {
                    (predicted, of(predicted))
                };
                reliability.add(p, answer == usize::from(*truth));
            }
        }
        matrix
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};

    use super::*;

    #[test]
    fn a_class_that_was_not_drawn_counts_as_clear() {
        let truth = array![[0, 0, 1, 255]];
        let predicted = array![[3, 0, 3, 3]];
        let mut probabilities = Array3::from_elem((4, 1, 4), 0.1);
        for (col, class) in [(0, 3), (1, 0), (2, 3), (3, 3)] {
            probabilities[[class, 0, col]] = 0.7;
        }
        let judged = |undrawn: &[usize]| {
            let mut reliability = Reliability::default();
            let confidence = Some((probabilities.view(), &mut reliability));
            let judge = Judge::new(4, undrawn);
            let matrix = judge.score(truth.view(), predicted.view(), confidence);
            (matrix, reliability)
        };
        let (matrix, reliability) = judged(&[]);
        assert_eq!((matrix.predicted(3), matrix.predicted(0)), (2, 1));
        assert_eq!(reliability.points().len(), 1, "all are sure by 0.7");
        let (matrix, reliability) = judged(&[3]);
        assert_eq!((matrix.predicted(3), matrix.predicted(0)), (0, 3));
        assert_eq!(matrix.counts()[[0, 0]], 2);
        assert_eq!(matrix.counts()[[1, 0]], 1, "shadow on cloud stays wrong");
        let points = reliability.points();
        assert!((points[0][0] - 0.8).abs() < 1e-6 && (points[0][1] - 2.0 / 3.0).abs() < 1e-6);
    }
}
