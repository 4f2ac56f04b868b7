//! Predictions against labels, which may have fewer classes.

use ndarray::{ArrayView2, ArrayView3};
use nephos_kernel::loss::Label;

use crate::class::IGNORE;
use crate::metrics::{ConfusionMatrix, Reliability};

/// The class that an unannotated one counts as.
const CLEAR: usize = 0;

/// Scores predictions on one image.
pub(crate) struct Scorer<'a> {
    classes: usize,
    /// Classes that the labels do not have: they count as clear.
    unannotated: &'a [usize],
}

impl<'a> Scorer<'a> {
    /// Of a model of `classes` classes; numbers in `unannotated` that are no class are
    /// left out.
    pub(crate) fn new(classes: usize, unannotated: &'a [usize]) -> Self {
        Self {
            classes,
            unannotated,
        }
    }

    /// The confusion of the labelled pixels; with probabilities, `confidence` also counts how
    /// often predictions of each confidence are right. The confidence of clear is that of clear
    /// and all that counts as it; where the truth is a set of classes the prediction is whether
    /// the pixel has one of them, and its confidence the sum over all classes on that side.
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
        matrix.add_sample(&flat(truth), &flat(predicted), self.unannotated);
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
                // Which of the classes that the label distinguishes is predicted.
                let (p, right): (f32, bool) = match Label::of(*truth) {
                    Some(set @ Label::Either(_)) => {
                        let right = set.has(predicted);
                        (sum(&|class| set.has(class) == right), right)
                    }
                    _ => {
                        let clear = |class| class == CLEAR || self.unannotated.contains(&class);
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
    fn an_unannotated_class_counts_as_clear() {
        let truth = array![[0, 0, 1, 255]];
        let predicted = array![[3, 0, 3, 3]];
        let mut probabilities = Array3::from_elem((4, 1, 4), 0.1);
        for (col, class) in [(0, 3), (1, 0), (2, 3), (3, 3)] {
            probabilities[[class, 0, col]] = 0.7;
        }
        let scored = |unannotated: &[usize]| {
            let mut reliability = Reliability::default();
            let confidence = Some((probabilities.view(), &mut reliability));
            let scorer = Scorer::new(4, unannotated);
            let matrix = scorer.score(truth.view(), predicted.view(), confidence);
            (matrix, reliability)
        };
        let (matrix, reliability) = scored(&[]);
        assert_eq!((matrix.predicted(3), matrix.predicted(0)), (2, 1));
        assert_eq!(
            reliability.points().len(),
            1,
            "all have a confidence of 0.7"
        );
        let (matrix, reliability) = scored(&[3]);
        assert_eq!((matrix.predicted(3), matrix.predicted(0)), (0, 3));
        assert_eq!(matrix.counts()[[0, 0]], 2);
        assert_eq!(matrix.counts()[[1, 0]], 1, "shadow on cloud stays wrong");
        let points = reliability.points();
        assert!((points[0][0] - 0.8).abs() < 1e-6 && (points[0][1] - 2.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn a_label_that_is_a_set_is_scored_as_membership() {
        let cloud = 128 + 2 + 4;
        let probabilities = array![[[0.1, 0.5]], [[0.3, 0.1]], [[0.4, 0.2]], [[0.2, 0.2]]];
        let mut reliability = Reliability::default();
        let scorer = Scorer::new(4, &[]);
        let truth = array![[cloud, cloud]];
        let confidence = Some((probabilities.view(), &mut reliability));
        let matrix = scorer.score(truth.view(), array![[2, 0]].view(), confidence);
        assert_eq!((matrix.counts()[[1, 1]], matrix.counts()[[1, 0]]), (1, 1));
        // Cloud by 0.7, which is right; not cloud by 0.7, which is wrong.
        let points = reliability.points();
        assert_eq!(points.len(), 1, "{points:?}");
        assert!((points[0][0] - 0.7).abs() < 1e-6 && (points[0][1] - 0.5).abs() < 1e-6);
    }
}
