//! Counts of truth against prediction, from which every score follows.

use ndarray::Array2;
use nephos_kernel::loss::Label;
use serde::{Deserialize, Serialize};

use super::scores::Scores;
use crate::class::{Class, IGNORE};

/// Pixels counted by true and predicted class.
///
/// Matrices of parts of a data set add up to that of the whole, so all scores
/// are taken over pixels, never averaged over images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<Vec<u64>>", try_from = "Vec<Vec<u64>>")]
pub struct ConfusionMatrix {
    /// `[classes, classes]`, truth by row, prediction by column.
    counts: Array2<u64>,
}

impl ConfusionMatrix {
    /// No pixels yet, of `classes` classes.
    ///
    /// # Panics
    /// `classes` is 0 or more than 255, the code of pixels that don't count.
    pub fn new(classes: usize) -> Self {
        assert!(
            (1..=usize::from(IGNORE)).contains(&classes),
            "a confusion matrix needs 1 to 255 classes, got {classes}"
        );
        Self {
            counts: Array2::zeros((classes, classes)),
        }
    }

    /// A matrix of these counts, truth by row.
    ///
    /// # Panics
    /// `counts` is not square, or has no or more than 255 classes.
    pub fn from_counts(counts: Array2<u64>) -> Self {
        let mut matrix = Self::new(counts.nrows());
        matrix.counts.assign(&counts);
        matrix
    }

    /// Counts pixels; those that are 255 in `truth` (not labelled) or in
    /// `predicted` (not valid) are skipped. Where `truth` is a set of classes
    /// ([`Label::of`]) the pixel counts for the first of them, and so does what is predicted
    /// if the set has it.
    ///
    /// # Panics
    /// The slices differ in length, or a code other than 255 is no class.
    pub fn add(&mut self, truth: &[u8], predicted: &[u8]) {
        assert_eq!(
            truth.len(),
            predicted.len(),
            "truth and prediction differ in size"
        );
        for (&truth, &predicted) in truth.iter().zip(predicted) {
            if truth != IGNORE && predicted != IGNORE {
                let at = self.place(truth, usize::from(predicted));
                self.counts[at] += 1;
            }
        }
    }

    /// Row and column of a pixel.
    fn place(&self, truth: u8, predicted: usize) -> [usize; 2] {
        match Label::of(truth) {
            Some(label @ Label::Either(_)) if usize::from(truth) >= self.classes() => {
                let first = label.first();
                [
                    first,
                    if label.has(predicted) {
                        first
                    } else {
                        predicted
                    },
                ]
            }
            _ => [usize::from(truth), predicted],
        }
    }

    /// Counts the pixels of a sample in which the classes of `unannotated` were not annotated:
    /// pixels predicted as one of them count as clear. Numbers that are no class are left
    /// out.
    ///
    /// # Panics
    /// As for [`ConfusionMatrix::add`].
    pub fn add_sample(&mut self, truth: &[u8], predicted: &[u8], unannotated: &[usize]) {
        let mut sample = Self::new(self.classes());
        sample.add(truth, predicted);
        let classes = self.classes();
        for class in unannotated.iter().filter(|class| **class < classes) {
            let moved = sample.counts.column(*class).to_owned();
            sample.counts.column_mut(*class).fill(0);
            let mut clear = sample.counts.column_mut(Class::Clear as usize);
            clear += &moved;
        }
        self.merge(&sample);
    }

    /// Adds the counts of `other`.
    ///
    /// # Panics
    /// `other` has another number of classes.
    pub fn merge(&mut self, other: &Self) {
        assert_eq!(self.classes(), other.classes(), "numbers of classes differ");
        self.counts += &other.counts;
    }

    /// `[classes, classes]`, truth by row, prediction by column.
    pub fn counts(&self) -> &Array2<u64> {
        &self.counts
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.counts.nrows()
    }

    /// Number of pixels counted.
    pub fn pixels(&self) -> u64 {
        self.counts.sum()
    }

    /// Pixels truly of class `class`.
    ///
    /// # Panics
    /// There is no such class.
    pub fn truth(&self, class: usize) -> u64 {
        self.counts.row(class).sum()
    }

    /// Pixels predicted as class `class`.
    ///
    /// # Panics
    /// There is no such class.
    pub fn predicted(&self, class: usize) -> u64 {
        self.counts.column(class).sum()
    }

    /// All scores.
    pub fn scores(&self) -> Scores {
        Scores::new(self)
    }

    /// The mIoU of the majority-class baseline on the same truth: the
    /// lower bound of a useful model. `None` without pixels.
    ///
    /// Predicting class c everywhere gives c the IoU (pixels of c / all pixels)
    /// and every other class of the truth 0, so the commonest class is best.
    pub fn majority_class_miou(&self) -> Option<f64> {
        let truth: Vec<u64> = (0..self.classes()).map(|class| self.truth(class)).collect();
        let present = truth.iter().filter(|count| **count > 0).count();
        let commonest = truth.iter().max().copied().unwrap_or(0);
        (present > 0).then(|| commonest as f64 / self.pixels() as f64 / present as f64)
    }

    /// Shares of the truth, `[classes, classes]`: each row sums to 1, or is all
    /// 0 where the class is absent.
    pub fn normalised(&self) -> Array2<f64> {
        let mut shares = self.counts.mapv(|count| count as f64);
        for mut row in shares.rows_mut() {
            let total = row.sum();
            if total > 0.0 {
                row /= total;
            }
        }
        shares
    }
}

impl From<ConfusionMatrix> for Vec<Vec<u64>> {
    fn from(matrix: ConfusionMatrix) -> Self {
        matrix.counts.outer_iter().map(|row| row.to_vec()).collect()
    }
}

impl TryFrom<Vec<Vec<u64>>> for ConfusionMatrix {
    type Error = String;

    fn try_from(rows: Vec<Vec<u64>>) -> Result<Self, String> {
        let classes = rows.len();
        if !(1..=usize::from(IGNORE)).contains(&classes)
            || rows.iter().any(|row| row.len() != classes)
        {
            return Err(format!(
                "a confusion matrix is square with 1 to 255 rows, got {classes} rows"
            ));
        }
        let counts = Array2::from_shape_fn((classes, classes), |(row, col)| rows[row][col]);
        Ok(Self { counts })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn labels_that_are_sets_count_for_their_first_class() {
        let (dark, cloud) = (128 + 1 + 8, 128 + 2 + 4);
        let mut matrix = ConfusionMatrix::new(4);
        matrix.add(&[dark, dark, cloud, cloud, cloud, 3], &[3, 2, 2, 0, 1, 3]);
        let counts = matrix.counts();
        assert_eq!([counts[[0, 0]], counts[[0, 2]]], [1, 1]);
        assert_eq!([counts[[1, 1]], counts[[1, 0]]], [2, 1]);
        assert_eq!((counts[[3, 3]], matrix.pixels()), (1, 6));
    }

    #[test]
    fn counts_by_hand() {
        let mut matrix = ConfusionMatrix::new(4);
        matrix.add(&[0, 0, 1, 2, 255, 3], &[0, 1, 1, 1, 2, 255]);
        assert_eq!(
            matrix.counts(),
            &array![[1, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
        );
        assert_eq!(matrix.pixels(), 4);
        assert_eq!((matrix.truth(0), matrix.predicted(1)), (2, 3));
        assert_eq!(matrix.normalised().row(0).to_vec(), [0.5, 0.5, 0.0, 0.0]);
        assert_eq!(matrix.normalised().row(3).to_vec(), [0.0; 4]);
    }

    #[test]
    fn the_majority_class_is_the_best_constant_prediction() {
        let truth = [0, 0, 0, 1, 2, 255];
        let mut matrix = ConfusionMatrix::new(4);
        matrix.add(&truth, &[3; 6]);
        assert_eq!(matrix.majority_class_miou(), Some(3.0 / 5.0 / 3.0));
        // The definition: score every constant prediction.
        let best = (0..4u8)
            .map(|class| {
                let mut constant = ConfusionMatrix::new(4);
                constant.add(&truth, &[class; 6]);
                constant.scores().miou.unwrap()
            })
            .fold(0.0, f64::max);
        assert!((matrix.majority_class_miou().unwrap() - best).abs() < 1e-15);
        assert_eq!(ConfusionMatrix::new(4).majority_class_miou(), None);
    }

    #[test]
    fn json_and_back() {
        let matrix = ConfusionMatrix::from_counts(array![[1, 2], [3, 4]]);
        let json = serde_json::to_string(&matrix).unwrap();
        assert_eq!(json, "[[1,2],[3,4]]");
        assert_eq!(
            serde_json::from_str::<ConfusionMatrix>(&json).unwrap(),
            matrix
        );
        assert!(serde_json::from_str::<ConfusionMatrix>("[[1,2],[3]]").is_err());
    }

    #[test]
    #[should_panic(expected = "differ in size")]
    fn sizes_must_agree() {
        ConfusionMatrix::new(4).add(&[0], &[0, 1]);
    }
}
