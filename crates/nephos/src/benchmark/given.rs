//! Predictions that are scored as they are: of existing weights, or external masks.

use std::path::{Path, PathBuf};

use crate::device::Device;
use ndarray::{Array2, Array3, Axis};
use serde::Serialize;

use super::mask_folder::MaskFolder;
use super::tally::SceneTally;
use crate::class::{CLASS_COUNT, Class};
use crate::config::DataConfig;
use crate::data::{Dataset, Example};
use crate::error::{Error, Result};
use crate::evaluate::Scorer;
use crate::predict::Model;
use crate::weights::Bundle;

/// Placeholder for the number of a fold, from 1, in the path of weights.
pub const FOLD: &str = "{fold}";

/// Something whose predictions are scored without training.
#[derive(Debug, Clone)]
pub struct Given {
    /// Its name in tables.
    pub name: String,
    /// What predicts.
    pub by: GivenBy,
}

/// What predicts.
#[derive(Debug, Clone)]
pub enum GivenBy {
    /// Weights, and how they read the samples. Where the path has [`FOLD`] in it, each
    /// sample is predicted by the weights of its own fold.
    Weights {
        /// A bundle, or the name of one that comes with nephos.
        path: PathBuf,
        /// How the samples are read.
        reading: Box<DataConfig>,
    },
    /// Masks in files.
    Masks(MaskFolder),
}

/// Where predictions are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Weights trained by this benchmark.
    Trained,
    /// Existing weights.
    Weights,
    /// External masks.
    Masks,
}

/// What is ready to predict.
pub(super) enum Predictor {
    /// One model, or one per fold.
    Models(Vec<Model>),
    Masks(MaskFolder),
}

/// Classes of a sample, 255 where not predicted, and probabilities where there are any.
type Predicted = (Array2<u8>, Option<Array3<f32>>);

impl Predictor {
    /// Of weights at each of `paths`: one, or one per fold.
    ///
    /// # Errors
    /// One that can't be read, or is of other classes or other bands than `reading`.
    pub(super) fn of_weights(
        paths: &[PathBuf],
        reading: &DataConfig,
        device: &Device,
    ) -> Result<Self> {
        let load = |path: &PathBuf| {
            let bundle = Bundle::load(path)?;
            let config = bundle.config.clone();
            if config.model.classes != CLASS_COUNT {
                let message = format!(
                    "a model of {} classes; those of the {CLASS_COUNT} classes of masks are scored",
                    config.model.classes
                );
                return Err(Error::unsupported(path.display(), message));
            }
            let read = |data: &DataConfig| (data.bands.clone(), data.optional_bands.clone());
            if read(&config.data) != read(reading) {
                let message = format!(
                    "a model of the bands {}, not {} as the others of its name",
                    config.data.bands.join(", "),
                    reading.bands.join(", ")
                );
                return Err(Error::usage(format!("{}: {message}", path.display())));
            }
            Model::new(bundle, device)
        };
        Ok(Self::Models(paths.iter().map(load).collect::<Result<_>>()?))
    }

    /// Predicts sample `index` of `dataset`, read as `example`, which is in `fold`.
    ///
    /// # Errors
    /// What the model or the mask's file returns.
    pub(super) fn predict(
        &self,
        dataset: &Dataset,
        example: &Example,
        fold: Option<usize>,
    ) -> Result<Predicted> {
        match self {
            Self::Models(models) => {
                let own = fold.filter(|_| models.len() > 1).unwrap_or(0);
                let model = models.get(own).ok_or_else(|| {
                    Error::usage(format!("no weights of fold {} were given", own + 1))
                })?;
                let prediction =
                    (model.predict_image(&example.image, &example.valid)).map_err(|error| {
                        match error {
                            Error::Usage(message) | Error::Model(message) => Error::format(
                                dataset.path(),
                                format!("sample {}: {message}", example.name),
                            ),
                            other => other,
                        }
                    })?;
                Ok((prediction.classes, Some(prediction.probabilities)))
            }
            Self::Masks(masks) => {
                let (rows, cols) = example.label.dim();
                let names = mask_names(dataset, &example.name);
                Ok((masks.read(&names, [rows, cols])?, None))
            }
        }
    }
}

/// Names that the mask of a sample may have, without extension: its own, or that under which
/// `nephos predict` writes it where that is a number.
fn mask_names(dataset: &Dataset, name: &str) -> Vec<String> {
    let safe = name.replace(['/', '\\'], "_");
    let stem = dataset.path().file_stem().unwrap_or_default();
    let mut names = vec![safe.clone()];
    if safe.parse::<usize>().is_ok() && !dataset.path().is_dir() {
        names.push(format!("{}_{safe}", stem.to_string_lossy()));
    }
    names
}

/// Paths of weights: as it is, or with each fold's number in place of [`FOLD`].
pub(super) fn weights_paths(path: &Path, folds: Option<usize>) -> Result<Vec<PathBuf>> {
    let text = path.to_string_lossy();
    if !text.contains(FOLD) {
        return Ok(vec![path.to_owned()]);
    }
    let count = folds.ok_or_else(|| {
        Error::usage(format!(
            "{text}: weights per fold need `options.folds` or `options.fold_table`"
        ))
    })?;
    Ok((1..=count)
        .map(|fold| PathBuf::from(text.replace(FOLD, &fold.to_string())))
        .collect())
}

/// Scores a prediction of sample `index` of `dataset`.
pub(super) fn tally(
    dataset: &Dataset,
    index: usize,
    example: &Example,
    fold: Option<usize>,
    (classes, probabilities): &Predicted,
) -> SceneTally {
    let mut tally = SceneTally::new(example.name.clone(), fold);
    let unannotated = dataset.unannotated(index);
    let scorer = Scorer::new(CLASS_COUNT, &unannotated);
    let reliability = &mut tally.reliability;
    let confidence = (probabilities.as_ref()).map(|p| (p.view(), reliability));
    tally.confusion = scorer.score(example.label.view(), classes.view(), confidence);
    let flat = |mask: &Array2<u8>| mask.iter().copied().collect::<Vec<u8>>();
    let cloud = (probabilities.as_ref()).map(|p| {
        let of = |class: Class| p.index_axis(Axis(0), class as usize);
        (&of(Class::Thick) + &of(Class::Thin))
            .into_raw_vec_and_offset()
            .0
    });
    let probability = cloud.as_ref().map(|cloud| |pixel: usize| cloud[pixel]);
    tally.add_cloud(
        &flat(&example.label),
        &flat(classes),
        probability.as_ref().map(|p| p as &dyn Fn(usize) -> f32),
    );
    tally
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_of_folds_are_numbered() {
        let paths = weights_paths(Path::new("run/fold-{fold}/last.nephos"), Some(2)).unwrap();
        assert_eq!(
            paths,
            ["run/fold-1/last.nephos", "run/fold-2/last.nephos"].map(PathBuf::from)
        );
        assert_eq!(
            weights_paths(Path::new("tiny"), None).unwrap(),
            [PathBuf::from("tiny")]
        );
        assert!(weights_paths(Path::new("{fold}"), None).is_err());
    }
}
