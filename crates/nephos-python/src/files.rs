//! Masks of files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use nephos::predict::{PredictOptions, SceneInput, SideOutput};
use nephos::scene::{SceneOptions, open_scene, refuse_remote};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::OrException;
use crate::model::Model;
use crate::threads::detached;
use crate::words::in_words_of_python;

/// Predicts the scene at `scene` and writes its mask, and files beside it; returns the summary as
/// JSON, and what a user should read.
#[pyfunction]
#[pyo3(signature = (model, scene, out, *, bands, scale_factor, add_offset, nodata, resolution,
    assume_reflectance, side_outputs, dilate, overwrite, threads))]
#[allow(clippy::too_many_arguments)]
pub fn predict_file(
    py: Python<'_>,
    model: &Model,
    scene: PathBuf,
    out: PathBuf,
    bands: Option<Vec<String>>,
    scale_factor: Option<f64>,
    add_offset: Option<f64>,
    nodata: Option<f64>,
    resolution: Option<f64>,
    assume_reflectance: bool,
    side_outputs: Vec<String>,
    dilate: Option<f64>,
    overwrite: bool,
    threads: Option<usize>,
) -> PyResult<(String, Vec<String>)> {
    let model = model.get(py)?;
    // The library's scale divides, and its offset is in stored numbers.
    let scale = scale_factor.map(|factor| 1.0 / factor);
    let offset = match (add_offset, scale) {
        (None, _) => None,
        (Some(offset), Some(scale)) => Some(offset * scale),
        (Some(_), None) => {
            let message = "add_offset= of a file takes scale_factor= with it";
            return Err(PyValueError::new_err(message));
        }
    };
    let scene_options = SceneOptions {
        resolution,
        bands,
        model_bands: model.bands().to_vec(),
        scale,
        offset,
        nodata,
        assume_reflectance,
        declared_only: false,
    };
    let side_outputs = side_outputs
        .iter()
        .map(|name| side_output(name))
        .collect::<PyResult<_>>()?;
    detached(py, threads, |cancel| {
        refuse_remote(&scene).or_exception()?;
        let scene = open_scene(&scene, &scene_options).or_exception()?;
        let input = SceneInput::of(&scene, &model.config().data).or_exception()?;
        let mut notes: Vec<String> = input.notes.iter().map(|n| in_words_of_python(n)).collect();
        if let Some(doubt) = &input.doubt {
            notes.push(format!(
                "The numbers can hardly be reflectance as they are read: {}.",
                in_words_of_python(&doubt.to_string())
            ));
        }
        let options = PredictOptions {
            dilate,
            side_outputs,
            overwrite,
            on_this_thread: true,
            cancel: Some(cancel.clone()),
            ..PredictOptions::default()
        };
        let summary = (model.predict_input(&scene, input, &options))
            .and_then(|prediction| prediction.write(&out))
            .or_exception()?;
        let json = serde_json::to_string(&summary);
        let json = json.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok((json, notes))
    })
}

fn side_output(name: &str) -> PyResult<SideOutput> {
    let known = SideOutput::ALL
        .into_iter()
        .find(|output| output.name() == name);
    known.ok_or_else(|| {
        let names: BTreeSet<&str> = SideOutput::ALL.into_iter().map(SideOutput::name).collect();
        let names: Vec<&str> = names.into_iter().collect();
        PyValueError::new_err(format!(
            "side_outputs: `{name}` is none of {}",
            names.join(", ")
        ))
    })
}
