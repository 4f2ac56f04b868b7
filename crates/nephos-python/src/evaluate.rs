//! Scores on labelled samples, and how much of a mask is cloud.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use nephos::data::Dataset;
use nephos::mask::{MaskCounts, MaskSummary};
use nephos::weights::Bundle;
use numpy::PyReadonlyArray2;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::OrException;
use crate::model::Model;
use crate::threads::detached;
use crate::words::in_words_of_python;

/// Scores of a model on the samples of a container, as JSON, and what a user should read.
#[pyfunction]
pub fn evaluate(
    py: Python<'_>,
    model: &Model,
    samples: PathBuf,
    threads: Option<usize>,
) -> PyResult<(String, Vec<String>)> {
    let origin = PathBuf::from(model.origin());
    detached(py, threads, |cancel| {
        let bundle = Bundle::load(&origin).or_exception()?;
        let dataset = Dataset::open(&samples, &bundle.config.data).or_exception()?;
        if dataset.is_empty() {
            let message = format!("{}: no samples", samples.display());
            return Err(PyValueError::new_err(message));
        }
        let notes = dataset
            .notes()
            .iter()
            .map(|note| in_words_of_python(note))
            .collect();
        let device = nephos::Device::cpu();
        let found = nephos::evaluate::evaluate(&bundle, &dataset, &device, |_| {
            match cancel.load(Ordering::Relaxed) {
                true => Err(nephos::Error::Cancelled),
                false => Ok(()),
            }
        });
        let found = found.or_exception()?;
        let json = serde_json::json!({
            "loss": found.loss,
            "scores": found.confusion.scores(),
            "confusion": found.confusion,
            "expected_calibration_error": found.reliability.expected_calibration_error(),
            "samples": found.samples,
        });
        Ok((json.to_string(), notes))
    })
}

/// The classes of a mask and their shares, as JSON; any other code is no data.
#[pyfunction]
pub fn summary(mask: PyReadonlyArray2<'_, u8>, scene: &str, model: &str) -> PyResult<String> {
    let mut counts = MaskCounts::default();
    counts.add(mask.as_array());
    let summary = MaskSummary::new(scene, model, &counts);
    serde_json::to_string(&summary).map_err(|error| PyValueError::new_err(error.to_string()))
}
