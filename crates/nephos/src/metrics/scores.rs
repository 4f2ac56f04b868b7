//! Scores of a segmentation, per class and over all.
//!
//! Notation: tp, fp and fn are the true positives, false positives
//! and false negatives of a class. A score whose denominator is 0 is `None`, not 0: a class
//! that is absent does not count.

use serde::{Deserialize, Serialize};

use super::confusion::ConfusionMatrix;
use crate::class::{CLASS_COUNT, Class};

/// Scores over all pixels of a [`ConfusionMatrix`], each in [0, 1].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Labelled pixels that were scored.
    pub pixels: u64,
    /// Mean IoU over the classes present in truth or prediction.
    pub miou: Option<f64>,
    /// Share of pixels whose class is right.
    pub overall_accuracy: Option<f64>,
    /// Balanced accuracy: mean recall over the classes present in the truth.
    pub balanced_accuracy: Option<f64>,
    /// The mIoU of the majority-class baseline on the same truth.
    #[serde(rename = "constant_miou")]
    pub majority_class_miou: Option<f64>,
    /// Scores of each class, in the order of the codes.
    pub classes: Vec<ClassScores>,
    /// Cloud (thick or thin) against no cloud (clear or shadow); `None` unless
    /// the classes are those of [`Class`].
    pub cloud: Option<CloudScores>,
}

/// Scores of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// The class.
    pub name: String,
    /// Pixels of the class in the truth.
    pub pixels: u64,
    /// Intersection over union, tp / (tp + fp + fn); `None` where the class is
    /// in neither truth nor prediction.
    pub iou: Option<f64>,
    /// 2 tp / (2 tp + fp + fn); `None` as for `iou`.
    pub f1: Option<f64>,
    /// User's accuracy, tp / (tp + fp); `None` where it is never predicted.
    pub precision: Option<f64>,
    /// Producer's accuracy, tp / (tp + fn); `None` where the truth lacks it.
    pub recall: Option<f64>,
}

/// Scores of cloud as one class, with shadow counted as not cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CloudScores {
    /// Cloudy pixels in the truth.
    pub pixels: u64,
    /// Intersection over union of cloud.
    pub iou: Option<f64>,
    /// F1 of cloud.
    pub f1: Option<f64>,
    /// User's accuracy of cloud.
    pub precision: Option<f64>,
    /// Producer's accuracy of cloud.
    pub recall: Option<f64>,
    /// Balanced accuracy: mean recall of cloud and no cloud, over those present in the truth.
    pub balanced_accuracy: Option<f64>,
}

impl Scores {
    pub(crate) fn new(matrix: &ConfusionMatrix) -> Self {
        let tallies: Vec<Tally> = (0..matrix.classes())
            .map(|class| Tally {
                found: matrix.counts()[[class, class]],
                truth: matrix.truth(class),
                predicted: matrix.predicted(class),
            })
            .collect();
        let right = tallies.iter().map(|tally| tally.found).sum();
        Self {
            pixels: matrix.pixels(),
            miou: mean(tallies.iter().map(Tally::iou)),
            overall_accuracy: ratio(right, matrix.pixels()),
            balanced_accuracy: mean(tallies.iter().map(Tally::recall)),
            majority_class_miou: matrix.majority_class_miou(),
            classes: tallies
                .iter()
                .zip(names(matrix.classes()))
                .map(|(tally, name)| ClassScores {
                    name,
                    pixels: tally.truth,
                    iou: tally.iou(),
                    f1: tally.f1(),
                    precision: tally.precision(),
                    recall: tally.recall(),
                })
                .collect(),
            cloud: (matrix.classes() == CLASS_COUNT).then(|| cloud(matrix)),
        }
    }
}

/// Names of `classes` classes: those of [`Class`] where there are as many.
pub fn names(classes: usize) -> Vec<String> {
    if classes == CLASS_COUNT {
        Class::ALL.map(|class| class.name().to_owned()).to_vec()
    } else {
        (0..classes).map(|code| format!("class {code}")).collect()
    }
}

/// What every score of one class is made of, in pixels.
struct Tally {
    found: u64,
    truth: u64,
    predicted: u64,
}

impl Tally {
    fn iou(&self) -> Option<f64> {
        ratio(self.found, self.truth + self.predicted - self.found)
    }

    fn f1(&self) -> Option<f64> {
        ratio(2 * self.found, self.truth + self.predicted)
    }

    fn precision(&self) -> Option<f64> {
        ratio(self.found, self.predicted)
    }

    fn recall(&self) -> Option<f64> {
        ratio(self.found, self.truth)
    }
}

fn cloud(matrix: &ConfusionMatrix) -> CloudScores {
    // Pixels by whether they are cloud in truth and in prediction.
    let mut counts = [[0u64; 2]; 2];
    for ((truth, predicted), count) in matrix.counts().indexed_iter() {
        let is_cloud = |code: usize| usize::from(Class::ALL[code].is_cloud());
        counts[is_cloud(truth)][is_cloud(predicted)] += count;
    }
    let [cloudless, cloudy] = [0, 1].map(|class| Tally {
        found: counts[class][class],
        truth: counts[class].iter().sum(),
        predicted: counts.iter().map(|row| row[class]).sum(),
    });
    CloudScores {
        pixels: cloudy.truth,
        iou: cloudy.iou(),
        f1: cloudy.f1(),
        precision: cloudy.precision(),
        recall: cloudy.recall(),
        balanced_accuracy: mean([cloudless.recall(), cloudy.recall()].into_iter()),
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Mean of those that are there.
fn mean(values: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let (sum, count) = values
        .flatten()
        .fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;
    use crate::class::IGNORE;

    fn close(score: Option<f64>, expected: f64) {
        let score = score.unwrap();
        assert!((score - expected).abs() < 1e-12, "{score} for {expected}");
    }

    #[test]
    fn scores_by_hand() {
        // Rows are truth: 60 clear, 30 thick, 10 thin, no shadow (but 5 claimed).
        let matrix = ConfusionMatrix::from_counts(array![
            [50, 5, 0, 5],
            [2, 24, 4, 0],
            [3, 2, 5, 0],
            [0, 0, 0, 0]
        ]);
        let scores = matrix.scores();
        assert_eq!(scores.pixels, 100);
        close(scores.overall_accuracy, 0.79);
        close(scores.classes[0].iou, 50.0 / 65.0);
        close(scores.classes[1].iou, 24.0 / 37.0);
        close(scores.classes[2].f1, 10.0 / 19.0);
        close(scores.classes[1].precision, 24.0 / 31.0);
        close(scores.classes[1].recall, 0.8);
        close(scores.classes[3].iou, 0.0);
        close(scores.classes[3].precision, 0.0);
        assert_eq!(scores.classes[3].recall, None);
        close(
            scores.miou,
            (50.0 / 65.0 + 24.0 / 37.0 + 5.0 / 14.0 + 0.0) / 4.0,
        );
        close(scores.balanced_accuracy, (50.0 / 60.0 + 0.8 + 0.5) / 3.0);
        let cloud = scores.cloud.unwrap();
        // Cloud: 35 found of 40, 5 claimed beside them; 55 of 60 cloudless.
        assert_eq!(cloud.pixels, 40);
        close(cloud.iou, 35.0 / 45.0);
        close(cloud.f1, 70.0 / 80.0);
        close(cloud.precision, 35.0 / 40.0);
        close(cloud.recall, 35.0 / 40.0);
        close(cloud.balanced_accuracy, (35.0 / 40.0 + 55.0 / 60.0) / 2.0);
    }

    #[test]
    fn a_class_in_neither_is_left_out_of_the_mean() {
        let mut matrix = ConfusionMatrix::new(4);
        matrix.add(&[0, 0, 1, 1], &[0, 0, 1, 1]);
        let scores = matrix.scores();
        assert_eq!(scores.miou, Some(1.0));
        assert_eq!(scores.classes[2].iou, None);
    }

    #[test]
    fn no_pixels_give_no_scores() {
        let scores = ConfusionMatrix::new(4).scores();
        assert_eq!((scores.pixels, scores.miou), (0, None));
        assert_eq!(scores.overall_accuracy, None);
        assert!(ConfusionMatrix::new(2).scores().cloud.is_none());
    }

    /// The textbook definition, pixel by pixel: (tp, fp, fn) of `is` pixels.
    fn naive(truth: &[u8], predicted: &[u8], is: impl Fn(u8) -> bool) -> [f64; 3] {
        let mut tally = [0.0; 3];
        for (&t, &p) in truth.iter().zip(predicted) {
            if t == IGNORE || p == IGNORE {
                continue;
            }
            match (is(t), is(p)) {
                (true, true) => tally[0] += 1.0,
                (false, true) => tally[1] += 1.0,
                (true, false) => tally[2] += 1.0,
                (false, false) => {}
            }
        }
        tally
    }

    fn agrees(score: Option<f64>, part: f64, whole: f64) {
        match score {
            Some(score) => assert!((score - part / whole).abs() < 1e-12),
            None => assert_eq!(whole, 0.0),
        }
    }

    proptest! {
        #[test]
        fn scores_are_those_of_the_definition(
            pixels in prop::collection::vec(
                (prop_oneof![0u8..4, Just(IGNORE)], prop_oneof![4 => 0u8..4, 1 => Just(IGNORE)]),
                0..200,
            ),
            cut in 0usize..200,
        ) {
            let (truth, predicted): (Vec<u8>, Vec<u8>) = pixels.into_iter().unzip();
            let cut = cut.min(truth.len());
            let mut matrix = ConfusionMatrix::new(4);
            matrix.add(&truth[..cut], &predicted[..cut]);
            let mut rest = ConfusionMatrix::new(4);
            rest.add(&truth[cut..], &predicted[cut..]);
            matrix.merge(&rest);
            let scores = matrix.scores();
            let (mut ious, mut recalls) = (Vec::new(), Vec::new());
            for (code, class) in (0u8..).zip(&scores.classes) {
                let [tp, fp, miss] = naive(&truth, &predicted, |c| c == code);
                agrees(class.iou, tp, tp + fp + miss);
                agrees(class.f1, 2.0 * tp, 2.0 * tp + fp + miss);
                agrees(class.precision, tp, tp + fp);
                agrees(class.recall, tp, tp + miss);
                ious.extend(class.iou);
                recalls.extend(class.recall);
            }
            agrees(scores.miou, ious.iter().sum(), ious.len() as f64);
            agrees(scores.balanced_accuracy, recalls.iter().sum(), recalls.len() as f64);
            let cloud = scores.cloud.unwrap();
            let [tp, fp, miss] = naive(&truth, &predicted, |c| c == 1 || c == 2);
            agrees(cloud.iou, tp, tp + fp + miss);
            agrees(cloud.precision, tp, tp + fp);
            agrees(cloud.recall, tp, tp + miss);
        }
    }
}
