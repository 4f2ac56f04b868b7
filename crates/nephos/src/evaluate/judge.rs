//! Predictions against labels, where labels may know fewer classes.

use ndarray::{ArrayView2, ArrayView3};
use nephos_kernel::loss::Label;

use crate::class::IGNORE;
use crate::metrics::{ConfusionMatrix, Reliability};

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
    /// counts as it; where the truth is a set of classes the answer is whether the pixel has
    /// one of them, and the confidence that of all classes on the answer's side.
    ///
    /// # Shapes
    /// - truth: `[rows, cols]`, class codes, sets of classes or 255
    /// - predicted: `[rows, cols]`, class codes or 255
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
        if let Some((probabilities, reliability)) = confidence {
            for ((row, col), truth) in truth.indexed_iter() {
                let predicted = usize::from(predicted[[row, col]]);
                if *truth == IGNORE || predicted >= self.classes {
                    continue;
                }
                let of = |class: usize| probabilities[[class, row, col]];
                let sum = |inside: &dyn Fn(usize) -> bool| {
                    (0..self.classes)
                        .filter(|class| inside(*class))
                        .map(of)
                        .sum()
                };
                // Which of the classes that the label tells apart is the answer.
                let (p, right): (f32, bool) = match Label::of(*truth) {
                    Some(set @ Label::Either(_)) => {
                        let right = set.has(predicted);
                        (sum(&|class| set.has(class) == right), right)
                    }
                    _ => {
                        let clear = |class| class == CLEAR || self.undrawn.contains(&class);
                        match clear(predicted) {
                            true => (sum(&clear), *truth == CLEAR as u8),
                            false => (of(predicted), predicted == usize::from(*truth)),
                        }
                    }
                };
                reliability.add(p, right);
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

    #[test]
    fn where_labels_are_sets_the_question_is_whether_a_pixel_is_in_them() {
        let cloud = 128 + 2 + 4;
        let probabilities = array![[[0.1, 0.5]], [[0.3, 0.1]], [[0.4, 0.2]], [[0.2, 0.2]]];
        let mut reliability = Reliability::default();
        let judge = Judge::new(4, &[]);
        let truth = array![[cloud, cloud]];
        let confidence = Some((probabilities.view(), &mut reliability));
        let matrix = judge.score(truth.view(), array![[2, 0]].view(), confidence);
        assert_eq!((matrix.counts()[[1, 1]], matrix.counts()[[1, 0]]), (1, 1));
        // Cloud by 0.7, which is right; not cloud by 0.7, which is wrong.
        let points = reliability.points();
        assert_eq!(points.len(), 1, "{points:?}");
        assert!((points[0][0] - 0.7).abs() < 1e-6 && (points[0][1] - 0.5).abs() < 1e-6);
    }
}
