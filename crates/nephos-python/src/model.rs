//! Trained models, by name or path.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use nephos::weights::Shipped;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;

use crate::error::OrException;
use crate::threads::pool;

/// Most models that are kept in memory for others of the same name.
const MOST_KEPT: usize = 4;

/// A model as it was read: of which process, and from which state of the file.
struct Kept {
    process: u32,
    file: Option<(SystemTime, u64)>,
    model: Arc<nephos::Model>,
}

/// Models by path. Locked only by a thread that is attached to the interpreter and stays so.
static KEPT: Mutex<Option<HashMap<PathBuf, Kept>>> = Mutex::new(None);

/// A trained model, ready to predict.
///
/// Args:
///     model: `"tiny"`, which comes with nephos, or the path of a `.nephos` bundle.
///     sha256: refuse a file with another SHA-256.
///
/// A model is read once in a process, whoever names it. Its pickle holds the path and the SHA-256,
/// not the weights.
///
/// >>> import nephos
/// >>> model = nephos.Model("tiny")
/// >>> model.bands[:4]
/// ('blue', 'green', 'red', 'nir')
/// >>> model.classes
/// ('clear', 'thick_cloud', 'thin_cloud', 'cloud_shadow')
#[pyclass(frozen, module = "nephos")]
pub struct Model {
    path: PathBuf,
    loaded: Mutex<(u32, Arc<nephos::Model>)>,
    sha256: String,
    name: String,
    bands: Vec<String>,
    classes: usize,
}

#[pymethods]
impl Model {
    #[new]
    #[pyo3(signature = (model="tiny".into(), sha256=None, /))]
    fn new(py: Python<'_>, model: PathBuf, sha256: Option<String>) -> PyResult<Self> {
        // A worker in another folder finds the same file.
        let path = match Shipped::find(&model) {
            Some(_) => model,
            None => std::path::absolute(&model)?,
        };
        let loaded = load(py, &path)?;
        let found = loaded.identity().clone();
        if let Some(expected) = sha256.filter(|expected| *expected != found.sha256) {
            return Err(PyValueError::new_err(format!(
                "{}: another model than the one that was pickled: its SHA-256 is {}, not {expected}",
                path.display(),
                found.sha256
            )));
        }
        Ok(Self {
            bands: loaded.bands().to_vec(),
            classes: loaded.config().model.classes,
            loaded: Mutex::new((std::process::id(), loaded)),
            path,
            sha256: found.sha256,
            name: found.name,
        })
    }

    /// The name or path that it was read from.
    #[getter]
    fn path(&self) -> String {
        self.path.display().to_string()
    }

    /// As masks record it.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of its file, 64 hexadecimal digits.
    #[getter]
    fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Names of its bands, in the order of its input.
    #[getter]
    fn bands<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.bands)
    }

    /// Names of its classes, in the order of their codes.
    #[getter]
    fn classes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let names = nephos::metrics::names(self.classes);
        PyTuple::new(py, names.iter().map(|name| name.replace(' ', "_")))
    }

    /// Its model card (Markdown), or its configuration (TOML) where it has none.
    #[getter]
    fn card(&self, py: Python<'_>) -> PyResult<String> {
        if let Some(shipped) = Shipped::find(&self.path) {
            return Ok(shipped.card.to_owned());
        }
        self.get(py)?.config().to_toml().or_exception()
    }

    fn __repr__(&self) -> String {
        format!("nephos.Model({:?})", self.path)
    }

    fn __eq__(&self, other: &Self) -> bool {
        self.sha256 == other.sha256
    }

    fn __hash__(&self) -> u64 {
        u64::from_str_radix(&self.sha256[..self.sha256.len().min(15)], 16).unwrap_or_default()
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> (Bound<'py, pyo3::types::PyType>, (PathBuf, String)) {
        let own = slf.get();
        (slf.get_type(), (own.path.clone(), own.sha256.clone()))
    }

    /// The same model is the same token in Dask's graphs.
    fn __dask_tokenize__(&self) -> (&'static str, &str) {
        ("nephos.Model", &self.sha256)
    }
}

impl Model {
    /// The name or path that it was read from.
    pub fn origin(&self) -> &Path {
        &self.path
    }

    /// The model itself, in this process: what a parent's threads held when it forked may be
    /// locked for ever, so a child reads the file again.
    ///
    /// # Errors
    /// As when it was made; another file is there now.
    pub fn get(&self, py: Python<'_>) -> PyResult<Arc<nephos::Model>> {
        let process = std::process::id();
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.0 != process {
            let again = load(py, &self.path)?;
            if again.identity().sha256 != self.sha256 {
                let message = format!("{}: the file changed meanwhile", self.path.display());
                return Err(PyValueError::new_err(message));
            }
            std::mem::forget(std::mem::replace(&mut *loaded, (process, again)));
        }
        Ok(Arc::clone(&loaded.1))
    }
}

/// The model at `path`, which is read once for all that name it.
fn load(py: Python<'_>, path: &Path) -> PyResult<Arc<nephos::Model>> {
    let process = std::process::id();
    let state = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    let file = state(path);
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let kept = kept.get_or_insert_default();
    if let Some(known) = kept.get(path)
        && known.process == process
        && known.file == file
    {
        return Ok(Arc::clone(&known.model));
    }
    // Packing the weights has loops, which in a forked child no thread of rayon's own pool takes up;
    // one thread is enough, and a prediction may ask for no more.
    let model = (pool(py, Some(1))?.install(|| nephos::Model::load(path))).or_exception()?;
    let model = Arc::new(model);
    if kept.len() >= MOST_KEPT
        && let Some(other) = kept.keys().next().cloned()
    {
        std::mem::forget(kept.remove(&other).filter(|known| known.process != process));
    }
    let known = Kept {
        process,
        file,
        model: Arc::clone(&model),
    };
    let before = kept.insert(path.to_owned(), known);
    std::mem::forget(before.filter(|before| before.process != process));
    Ok(model)
}
