//! Parts of a scene, in the windows of the whole: what a lazy array is computed in.

use nephos::predict::{Part, PredictOptions};
use nephos::raster::Window;
use nephos::scene::ArrayOptions;
use numpy::{IntoPyArray, PyArray2, PyArray3, PyUntypedArray};
use pyo3::prelude::*;

use crate::array::{self, Plane, Stored};
use crate::error::OrException;
use crate::model::Model;
use crate::threads::detached;

/// Row, column, rows and columns.
type Place = (usize, usize, usize, usize);

/// Classes `(y, x)`, and probabilities `(classes, y, x)` on request.
type Mask<'py> = (Bound<'py, PyArray2<u8>>, Option<Bound<'py, PyArray3<f32>>>);

fn part(model: &nephos::Model, size: [usize; 2], place: Place) -> PyResult<Part> {
    let (row, col, rows, cols) = place;
    let wanted = Window {
        row,
        col,
        rows,
        cols,
    };
    Part::new(&model.config().model, size, wanted).or_exception()
}

/// The pixels of a scene of `size` that the mask of a part of it depends on.
#[pyfunction]
pub fn needed(py: Python<'_>, model: &Model, size: [usize; 2], place: Place) -> PyResult<Place> {
    let model = model.get(py)?;
    let Window {
        row,
        col,
        rows,
        cols,
    } = part(&model, size, place)?.needed();
    Ok((row, col, rows, cols))
}

/// The mask `(y, x)`, and the probabilities on request, of a part of a scene of `size`; `x`,
/// `(1, bands, y, x)`, has the pixels that it needs. Nothing is inferred.
#[pyfunction]
#[pyo3(signature = (model, x, planes, size, place, *, probabilities, threads))]
#[allow(clippy::too_many_arguments)]
pub fn predict_part<'py>(
    py: Python<'py>,
    model: &Model,
    x: &Bound<'py, PyUntypedArray>,
    planes: Vec<Plane>,
    size: [usize; 2],
    place: Place,
    probabilities: bool,
    threads: Option<usize>,
) -> PyResult<Mask<'py>> {
    let model = model.get(py)?;
    let stored = Stored::of(x)?;
    let values = stored.values();
    let options = ArrayOptions {
        model_bands: model.bands().to_vec(),
        declared_only: true,
        ..ArrayOptions::default()
    };
    let found = detached(py, threads, |cancel| {
        let part = part(&model, size, place)?;
        let scene = array::scene(values, planes, &options)?;
        let options = PredictOptions {
            cancel: Some(cancel.clone()),
            ..PredictOptions::default()
        };
        (model.predict_part(&scene, &part, probabilities, &options)).or_exception()
    })?;
    let shares = probabilities.then(|| found.probabilities.into_pyarray(py));
    Ok((found.classes.into_pyarray(py), shares))
}
