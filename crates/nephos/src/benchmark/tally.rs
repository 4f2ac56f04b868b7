//! Counts of predictions on scenes, and the scores over them.

use nephos_kernel::loss::Label;
use serde::Serialize;

use crate::class::{CLASS_COUNT, Class, IGNORE};
use crate::metrics::{ConfusionMatrix, Reliability};

/// Share of cloud from which a scene is called overcast.
const OVERCAST: f64 = 0.99;

/// Pixels by whether they are cloud in label and prediction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct CloudCounts {
    /// Cloud in both.
    pub hits: u64,
    /// Cloud in the label alone.
    pub missed: u64,
    /// Cloud in the prediction alone.
    pub false_cloud: u64,
    /// Cloud in neither.
    pub clear: u64,
}

impl CloudCounts {
    /// Counts a pixel.
    pub fn add(&mut self, label: bool, predicted: bool) {
        match (label, predicted) {
            (true, true) => self.hits += 1,
            (true, false) => self.missed += 1,
            (false, true) => self.false_cloud += 1,
            (false, false) => self.clear += 1,
        }
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.hits += other.hits;
        self.missed += other.missed;
        self.false_cloud += other.false_cloud;
        self.clear += other.clear;
    }

    /// Pixels that are wrong.
    pub fn wrong(&self) -> u64 {
        self.missed + self.false_cloud
    }

    /// All pixels.
    pub fn pixels(&self) -> u64 {
        self.wrong() + self.hits + self.clear
    }

    /// Intersection over union of cloud; `None` where the label has none.
    pub fn iou(&self) -> Option<f64> {
        (self.hits + self.missed > 0).then(|| ratio(self.hits, self.hits + self.wrong()))?
    }

    /// Share of the pixels labelled not cloud that are predicted as cloud.
    pub fn false_share(&self) -> Option<f64> {
        ratio(self.false_cloud, self.false_cloud + self.clear)
    }

    /// Share of the pixels labelled cloud that are not predicted as cloud.
    pub fn missed_share(&self) -> Option<f64> {
        ratio(self.missed, self.missed + self.hits)
    }

    /// Share of the pixels that are labelled cloud.
    pub fn cover(&self) -> Option<f64> {
        ratio(self.hits + self.missed, self.pixels())
    }
}

/// Whether a label is cloud; `None` where it is ignored, or a set of classes of which
/// some are cloud and some are not.
pub(super) fn is_cloud(label: u8) -> Option<bool> {
    let label = Label::of(label)?;
    let mut of = Class::ALL
        .into_iter()
        .filter(|class| label.has(*class as usize))
        .map(Class::is_cloud);
    let first = of.next()?;
    of.all(|other| other == first).then_some(first)
}

/// Predictions on one scene against its label.
#[derive(Debug, Clone, PartialEq)]
pub struct SceneTally {
    /// Name in its container.
    pub name: String,
    /// The fold, from 0, where the samples are dealt into folds.
    pub fold: Option<usize>,
    /// Labelled pixels that were predicted, by class.
    pub confusion: ConfusionMatrix,
    /// The same, by cloud or not.
    pub cloud: CloudCounts,
    /// Labelled pixels, predicted or not.
    pub labelled: u64,
    /// Reliability of the probabilities; empty for masks.
    pub reliability: Reliability,
    /// The same of cloud or not; the confidence of cloud is the sum of its classes'.
    pub cloud_reliability: Reliability,
}

impl SceneTally {
    /// Nothing yet of the scene.
    pub fn new(name: String, fold: Option<usize>) -> Self {
        Self {
            name,
            fold,
            confusion: ConfusionMatrix::new(CLASS_COUNT),
            cloud: CloudCounts::default(),
            labelled: 0,
            reliability: Reliability::default(),
            cloud_reliability: Reliability::default(),
        }
    }

    /// Counts cloud or not, pixel by pixel; `cloud_probability` is that of a pixel by its
    /// position.
    ///
    /// # Panics
    /// The slices differ in length.
    pub fn add_cloud(
        &mut self,
        label: &[u8],
        predicted: &[u8],
        cloud_probability: Option<&dyn Fn(usize) -> f32>,
    ) {
        assert_eq!(label.len(), predicted.len(), "label and prediction differ");
        for (pixel, (label, predicted)) in label.iter().zip(predicted).enumerate() {
            if Label::of(*label).is_none() {
                continue;
            }
            self.labelled += 1;
            let predicted = match Class::from_code(*predicted) {
                Some(class) if *predicted != IGNORE => class.is_cloud(),
                _ => continue,
            };
            let Some(truth) = is_cloud(*label) else {
                continue;
            };
            self.cloud.add(truth, predicted);
            if let Some(probability) = cloud_probability {
                let p = probability(pixel);
                let confidence = if predicted { p } else { 1.0 - p };
                self.cloud_reliability.add(confidence, truth == predicted);
            }
        }
    }

    /// Labelled pixels without a prediction.
    pub fn not_predicted(&self) -> u64 {
        self.labelled.saturating_sub(self.confusion.pixels())
    }

    /// Whether no pixel is labelled cloud.
    pub fn is_cloud_free(&self) -> bool {
        self.cloud.pixels() > 0 && self.cloud.hits + self.cloud.missed == 0
    }

    /// Whether all but one in a hundred pixels are labelled cloud.
    pub fn is_overcast(&self) -> bool {
        self.cloud.cover().is_some_and(|cover| cover >= OVERCAST)
    }
}

/// Scores over some scenes, each share in [0, 1]; `None` where one has no meaning.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summed {
    /// Scenes.
    pub scenes: usize,
    /// Pixels by cloud or not.
    pub cloud: CloudCounts,
    /// IoU of cloud over all pixels; `None` where no label has any.
    pub cloud_iou: Option<f64>,
    /// Share of what is labelled not cloud that is predicted as cloud, over all pixels.
    pub false_cloud: Option<f64>,
    /// Share of what is labelled cloud that is not predicted as cloud, over all pixels.
    pub missed_cloud: Option<f64>,
    /// IoU of shadow over all pixels; `None` where no label has any.
    pub shadow_iou: Option<f64>,
    /// Mean IoU of the classes over all pixels.
    pub miou: Option<f64>,
    /// Mean over scenes of the scenes' own IoU of cloud, over those with cloud in the label.
    pub mean_cloud_iou: Option<f64>,
    /// Mean over scenes of their share of false cloud.
    pub mean_false_cloud: Option<f64>,
    /// Mean over scenes of their share of missed cloud.
    pub mean_missed_cloud: Option<f64>,
    /// Scenes in which nothing is labelled cloud.
    pub cloud_free_scenes: usize,
    /// Share of the pixels of these that are predicted as cloud.
    pub cloud_free_false: Option<f64>,
    /// Share of the labelled pixels that were not predicted.
    pub not_predicted: Option<f64>,
    /// Expected calibration error of the likeliest class.
    pub calibration_error: Option<f64>,
    /// Expected calibration error of cloud or not.
    pub cloud_calibration_error: Option<f64>,
}

impl Summed {
    /// Over `scenes`.
    pub fn over(scenes: &[&SceneTally]) -> Self {
        let mut confusion = ConfusionMatrix::new(CLASS_COUNT);
        let (mut cloud, mut cloud_free) = (CloudCounts::default(), CloudCounts::default());
        let mut reliability = Reliability::default();
        let mut cloud_reliability = Reliability::default();
        for scene in scenes {
            confusion.merge(&scene.confusion);
            cloud.merge(&scene.cloud);
            reliability.merge(&scene.reliability);
            cloud_reliability.merge(&scene.cloud_reliability);
            if scene.is_cloud_free() {
                cloud_free.merge(&scene.cloud);
            }
        }
        let mean = |value: &dyn Fn(&CloudCounts) -> Option<f64>| {
            let values: Vec<f64> =
                (scenes.iter().filter_map(|scene| value(&scene.cloud))).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        let sum = |count: &dyn Fn(&SceneTally) -> u64| scenes.iter().map(|s| count(s)).sum();
        Self {
            scenes: scenes.len(),
            cloud,
            cloud_iou: cloud.iou(),
            false_cloud: cloud.false_share(),
            missed_cloud: cloud.missed_share(),
            shadow_iou: shadow_iou(&confusion),
            miou: confusion.scores().miou,
            mean_cloud_iou: mean(&CloudCounts::iou),
            mean_false_cloud: mean(&CloudCounts::false_share),
            mean_missed_cloud: mean(&CloudCounts::missed_share),
            cloud_free_scenes: scenes.iter().filter(|scene| scene.is_cloud_free()).count(),
            cloud_free_false: cloud_free.false_share(),
            not_predicted: ratio(
                sum(&SceneTally::not_predicted),
                sum(&|scene| scene.labelled),
            ),
            calibration_error: reliability.expected_calibration_error(),
            cloud_calibration_error: cloud_reliability.expected_calibration_error(),
        }
    }
}

/// IoU of shadow; `None` where the label has none.
fn shadow_iou(confusion: &ConfusionMatrix) -> Option<f64> {
    let shadow = Class::Shadow as usize;
    (confusion.truth(shadow) > 0).then(|| confusion.scores().classes[shadow].iou)?
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use nephos_kernel::loss::either;

    use super::*;

    fn scene(label: &[u8], predicted: &[u8]) -> SceneTally {
        let mut scene = SceneTally::new("a".to_owned(), None);
        scene.add_cloud(label, predicted, None);
        scene.confusion.add(label, predicted);
        scene
    }

    #[test]
    fn cloud_by_hand() {
        // Thin for thick is cloud; shadow is not; 255 counts nowhere.
        let tally = scene(&[0, 0, 3, 1, 1, 2, 255, 1], &[0, 1, 2, 2, 0, 1, 1, 255]);
        let expected = CloudCounts {
            hits: 2,
            missed: 1,
            false_cloud: 2,
            clear: 1,
        };
        assert_eq!(tally.cloud, expected);
        assert_eq!((tally.labelled, tally.not_predicted()), (7, 1));
        assert_eq!(tally.cloud.iou(), Some(0.4));
        assert_eq!(tally.cloud.false_share(), Some(2.0 / 3.0));
        assert_eq!(tally.cloud.missed_share(), Some(1.0 / 3.0));
        assert_eq!(tally.cloud.cover(), Some(0.5));
        assert_eq!(shadow_iou(&tally.confusion), Some(0.0));
    }

    #[test]
    fn sets_of_classes_are_cloud_where_all_members_are() {
        assert_eq!(is_cloud(either(&[0, 3])), Some(false));
        assert_eq!(is_cloud(either(&[1, 2])), Some(true));
        assert_eq!(is_cloud(either(&[0, 2])), None);
        assert_eq!(
            (is_cloud(255), is_cloud(1), is_cloud(3)),
            (None, Some(true), Some(false))
        );
    }

    #[test]
    fn sums_and_means_over_scenes() {
        // Half of the first scene's cloud is found, three of the other's four clear pixels.
        let one = scene(&[1, 1, 0, 0], &[1, 0, 0, 0]);
        let two = scene(&[0, 0, 0, 0], &[0, 0, 0, 2]);
        let sum = Summed::over(&[&one, &two]);
        assert_eq!((sum.scenes, sum.cloud_free_scenes), (2, 1));
        assert_eq!(sum.cloud_iou, Some(1.0 / 3.0));
        assert_eq!(sum.false_cloud, Some(1.0 / 6.0));
        assert_eq!(
            (sum.missed_cloud, sum.mean_missed_cloud),
            (Some(0.5), Some(0.5))
        );
        assert_eq!(sum.mean_cloud_iou, Some(0.5), "the second has no cloud");
        assert_eq!(two.cloud.iou(), None);
        assert_eq!(sum.mean_false_cloud, Some(0.125));
        assert_eq!(sum.cloud_free_false, Some(0.25));
        assert_eq!((sum.shadow_iou, sum.calibration_error), (None, None));
        assert!(two.is_cloud_free() && !one.is_cloud_free() && !one.is_overcast());
        assert!(scene(&[1, 2], &[0, 0]).is_overcast());
        assert_eq!(Summed::over(&[]).cloud_iou, None);
    }

    #[test]
    fn the_confidence_of_cloud_is_that_of_its_classes() {
        let mut tally = SceneTally::new("a".to_owned(), None);
        tally.add_cloud(&[1, 0], &[2, 0], Some(&|pixel| [0.9, 0.3][pixel]));
        // 0.9 and 0.7, both right.
        let error = tally
            .cloud_reliability
            .expected_calibration_error()
            .unwrap();
        assert!((error - 0.2).abs() < 1e-6, "{error}");
    }
}
