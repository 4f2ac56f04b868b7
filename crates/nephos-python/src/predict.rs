//! Masks of arrays.

use ndarray::{Array3, Array4, Axis};
use nephos::predict::{PredictOptions, SceneInput, Segmentation};
use nephos::scene::{ArrayOptions, Scene};
use numpy::{IntoPyArray, PyArray3, PyArray4, PyUntypedArray};
use pyo3::prelude::*;

use crate::array::{self, Plane, Stored};
use crate::error::OrException;
use crate::model::Model;
use crate::threads::detached;
use crate::words::in_words_of_python;

/// Classes `(images, y, x)`, probabilities `(images, classes, y, x)` on request, and what a user
/// should read.
type Masks<'py> = (
    Bound<'py, PyArray3<u8>>,
    Option<Bound<'py, PyArray4<f32>>>,
    Vec<String>,
);

/// Masks of the images of `x`, `(images, bands, y, x)`; `planes` says what each band is. What is
/// not stated is inferred for all images together.
#[pyfunction]
#[pyo3(signature = (model, x, planes, *, resolution, assume_reflectance, probabilities, dilate, threads))]
#[allow(clippy::too_many_arguments)]
pub fn predict<'py>(
    py: Python<'py>,
    model: &Model,
    x: &Bound<'py, PyUntypedArray>,
    planes: Vec<Plane>,
    resolution: Option<f64>,
    assume_reflectance: bool,
    probabilities: bool,
    dilate: Option<f64>,
    threads: Option<usize>,
) -> PyResult<Masks<'py>> {
    let model = model.get(py)?;
    let stored = Stored::of(x)?;
    let values = stored.values();
    let [images, _, height, width] = values.shape();
    let options = ArrayOptions {
        model_bands: model.bands().to_vec(),
        resolution,
        assume_reflectance,
        declared_only: false,
    };
    let classes = if probabilities {
        model.config().model.classes
    } else {
        0
    };
    let (masks, shares, notes) = detached(py, threads, |cancel| {
        let scene = array::scene(values, planes, &options)?;
        let input = SceneInput::of(&scene, &model.config().data).or_exception()?;
        let notes = notes(&scene, &input);
        let options = PredictOptions {
            dilate,
            on_this_thread: true,
            cancel: Some(cancel.clone()),
            ..PredictOptions::default()
        };
        let segment = |scene: &dyn Scene| -> nephos::Result<Segmentation> {
            let prediction = model.predict_input(scene, input.clone(), &options)?;
            match probabilities {
                true => prediction.probabilities(),
                false => Ok(Segmentation {
                    classes: prediction.classes()?,
                    probabilities: Array3::zeros((0, height, width)),
                }),
            }
        };
        if images == 1 {
            let found = segment(&scene).or_exception()?;
            let masks = found.classes.insert_axis(Axis(0));
            return Ok((masks, found.probabilities.insert_axis(Axis(0)), notes));
        }
        let mut masks = Array3::from_elem((images, height, width), u8::MAX);
        let mut shares = Array4::zeros((images, classes, height, width));
        // One after another: a network's buffers are locked while its loops are shared, and a thread
        // that takes up another image meanwhile would wait for itself.
        let places = masks.outer_iter_mut().zip(shares.outer_iter_mut());
        for (image, (mut mask, mut shares)) in places.enumerate() {
            let Some(scene) = scene.image(image) else {
                break;
            };
            let found = segment(&scene).or_exception()?;
            mask.assign(&found.classes);
            shares.assign(&found.probabilities);
        }
        Ok((masks, shares, notes))
    })?;
    let shares = probabilities.then(|| shares.into_pyarray(py));
    Ok((masks.into_pyarray(py), shares, notes))
}

/// What was assumed of an array, and what is odd about its numbers: for warnings.
fn notes(scene: &dyn Scene, input: &SceneInput) -> Vec<String> {
    let (info, inputs) = (scene.info(), &input.inputs);
    // That an array has no georeference, or a sensor one near infrared, is nothing new.
    let mut usual = info.substitutes(&inputs.present(), &inputs.positions());
    usual.extend(info.georeference.note());
    let mut notes: Vec<String> = (input.notes.iter())
        .filter(|note| !usual.contains(note))
        .map(|note| in_words_of_python(note))
        .collect();
    if let Some(doubt) = &input.doubt {
        notes.push(format!(
            "The numbers can hardly be reflectance as they are read: {}. scale_factor= and \
             add_offset= say how they become it, reflectance = stored × scale_factor + add_offset.",
            in_words_of_python(&doubt.to_string())
        ));
    }
    notes
}
