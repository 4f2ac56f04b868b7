//! Loss and confusion of a model on one scene with a label raster.

use std::path::Path;

use ndarray::{ArrayView2, ArrayView3};
use nephos_kernel::loss::Label;

use super::SampleResult;
use super::labels::{self, Labels};
use super::scorer::Scorer;
use crate::class::IGNORE;
use crate::config::LabelConfig;
use crate::data::label_table;
use crate::error::Result;
use crate::metrics::{ConfusionMatrix, Reliability};
use crate::predict::{Prediction, RowSink};

/// What [`Prediction::score`] found on one scene.
#[derive(Debug, Clone, PartialEq)]
pub struct SceneScore {
    /// All labelled and valid pixels.
    pub confusion: ConfusionMatrix,
    /// Cross-entropy summed over them, in nats.
    pub loss: f64,
    /// How often predictions of each confidence are right.
    pub reliability: Reliability,
    /// As for a sample.
    pub result: SampleResult,
    /// Optional bands that are absent from some of the pixels, a sentence each.
    pub gaps: Vec<String>,
}

impl Prediction<'_> {
    /// Computes the scene and compares it with its label raster; stored labels become classes
    /// by `mapping`.
    ///
    /// # Errors
    /// As for [`Prediction::classes`]; labels that are no class.
    pub fn score(
        &self,
        (path, labels): (&Path, &Labels),
        mapping: &LabelConfig,
    ) -> Result<SceneScore> {
        let scene = self.scene();
        let table = label_table(mapping)?;
        let classes = self.model().config().model.classes;
        let mut sink = ScoreSink {
            labels,
            path,
            class: Box::new(move |stored| {
                let class = table.get(&stored).copied()?;
                Label::of(class)
                    .is_none_or(|label| label.last() < classes)
                    .then_some(class)
            }),
            confusion: ConfusionMatrix::new(classes),
            loss: 0.0,
            reliability: Reliability::default(),
            unannotated: mapping.unannotated(&scene.info().name),
        };
        let stats = self.run(true, &mut sink)?;
        let (confusion, loss) = (sink.confusion, sink.loss);
        let reliability = sink.reliability;
        let (pixels, scores) = (confusion.pixels(), confusion.scores());
        Ok(SceneScore {
            result: SampleResult {
                name: scene.info().name.clone(),
                pixels,
                loss: (pixels > 0).then(|| loss / pixels as f64),
                miou: scores.miou,
                overall_accuracy: scores.overall_accuracy,
            },
            confusion,
            reliability,
            loss,
            gaps: stats.gaps(),
        })
    }
}

struct ScoreSink<'a> {
    labels: &'a Labels,
    path: &'a Path,
    class: Box<dyn Fn(i64) -> Option<u8> + Send>,
    confusion: ConfusionMatrix,
    loss: f64,
    reliability: Reliability,
    /// Classes that are not annotated in this scene.
    unannotated: Vec<usize>,
}

impl RowSink for ScoreSink<'_> {
    fn rows(
        &mut self,
        first: usize,
        classes: ArrayView2<'_, u8>,
        probabilities: Option<ArrayView3<'_, f32>>,
    ) -> Result<()> {
        let (rows, cols) = classes.dim();
        let stored = self.labels.rows(first, rows, cols)?;
        let mut truth = labels::classes(self.path, &stored, &self.class)?;
        truth.zip_mut_with(&classes, |truth, predicted| {
            if *predicted == IGNORE {
                *truth = IGNORE;
            }
        });
        if let Some(probabilities) = probabilities {
            for ((row, col), class) in truth.indexed_iter().filter(|(_, class)| **class != IGNORE) {
                let allowed = |c: &usize| Label::of(*class).is_some_and(|label| label.has(*c));
                let of = |c: usize| probabilities[[c, row, col]];
                let p: f32 = (0..probabilities.dim().0).filter(allowed).map(of).sum();
                // A probability that rounds to 0 costs the most that f32 can express.
                self.loss -= f64::from(p.max(f32::MIN_POSITIVE)).ln();
            }
        }
        let confidence = probabilities.map(|probabilities| (probabilities, &mut self.reliability));
        let scorer = Scorer::new(self.confusion.classes(), &self.unannotated);
        (self.confusion).merge(&scorer.score(truth.view(), classes, confidence));
        Ok(())
    }
}
