//! Training runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use nephos::data::open_training;
use nephos::train::{BatchReport, Ending, EpochRecord, EpochStart, TrainObserver};
use nephos::{Config, Device, Trainer};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::error::OrException;
use crate::threads::detached;
use crate::words::in_words_of_python;

/// The process that trained first.
static TRAINS: AtomicU32 = AtomicU32::new(0);

/// Trains as the configuration `config` says, with the `KEY=VALUE`s of `set`, in the folder `out`;
/// returns how it ended (`finished`, `stopped early` or `interrupted`) and the history as JSON.
/// `progress` is called with a `dict` for each batch and epoch.
#[pyfunction]
#[pyo3(signature = (config, out, *, set, init, resume, progress, threads))]
#[allow(clippy::too_many_arguments)]
pub fn train(
    py: Python<'_>,
    config: PathBuf,
    out: PathBuf,
    set: Vec<String>,
    init: Option<PathBuf>,
    resume: bool,
    progress: Option<Py<PyAny>>,
    threads: Option<usize>,
) -> PyResult<(&'static str, String)> {
    // Batches are read on rayon's global pool, whose threads a forked process lacks.
    let process = std::process::id();
    let first = TRAINS.compare_exchange(0, process, Ordering::Relaxed, Ordering::Relaxed);
    if first.is_err_and(|first| first != process) {
        return Err(PyRuntimeError::new_err(
            "training in a process that was forked from one that trained: start a new process \
             (multiprocessing's start method \"spawn\")",
        ));
    }
    detached(py, threads, |cancel| {
        let config = Config::open(&config, &set).or_exception()?;
        let (train, val) = open_training(&config).or_exception()?;
        let weights = match &init {
            Some(path) => Some(nephos::weights::initial(&config, path).or_exception()?.0),
            None => None,
        };
        let mut observer = Observer {
            progress,
            cancel: Arc::clone(cancel),
            raised: None,
            epoch: 0,
        };
        for note in train.notes() {
            observer.note(note);
        }
        let trainer = Trainer::new(config, &out, Device::cpu())
            .init(weights)
            .resume(resume);
        let outcome = trainer.run(&train, val.as_ref(), &mut observer);
        if let Some(raised) = observer.raised {
            return Err(raised);
        }
        let outcome = outcome.or_exception()?;
        let ending = match outcome.ending {
            Ending::Finished => "finished",
            Ending::StoppedEarly => "stopped early",
            Ending::Interrupted => "interrupted",
        };
        let history = serde_json::to_string(&outcome.history);
        let history = history.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok((ending, history))
    })
}

/// Hands the progress of a run to a callable; what it raises stops the run, which can be resumed.
struct Observer {
    progress: Option<Py<PyAny>>,
    cancel: Arc<AtomicBool>,
    raised: Option<PyErr>,
    epoch: usize,
}

impl Observer {
    fn call(&mut self, fill: impl FnOnce(&Bound<'_, PyDict>) -> PyResult<()>) {
        let (Some(progress), None) = (&self.progress, &self.raised) else {
            return;
        };
        let called = Python::attach(|py| {
            let event = PyDict::new(py);
            fill(&event)?;
            progress.call1(py, (event,)).map(drop)
        });
        self.raised = called.err();
    }

    fn of_batch(&mut self, event: &str, report: &BatchReport) {
        let epoch = self.epoch;
        self.call(|dict| {
            dict.set_item("event", event)?;
            dict.set_item("epoch", epoch)?;
            dict.set_item("step", report.step)?;
            dict.set_item("images_done", report.images_done)?;
            dict.set_item("loss", report.loss)?;
            dict.set_item("mean_loss", report.mean_loss)?;
            dict.set_item("images_per_second", report.images_per_second)?;
            dict.set_item("lr", report.lr)
        });
    }
}

impl TrainObserver for Observer {
    fn note(&mut self, text: &str) {
        let text = in_words_of_python(text);
        self.call(|dict| {
            dict.set_item("event", "note")?;
            dict.set_item("text", text)
        });
    }

    fn epoch_started(&mut self, start: &EpochStart) {
        self.epoch = start.epoch;
    }

    fn batch(&mut self, report: &BatchReport) {
        self.of_batch("batch", report);
    }

    fn validation_batch(&mut self, report: &BatchReport) {
        self.of_batch("validation_batch", report);
    }

    fn epoch_finished(&mut self, record: &EpochRecord, best: bool) {
        self.call(|dict| {
            dict.set_item("event", "epoch")?;
            dict.set_item("epoch", record.epoch)?;
            dict.set_item("step", record.step)?;
            dict.set_item("train_loss", record.train_loss)?;
            dict.set_item("val_loss", record.val_loss)?;
            dict.set_item("val_miou", record.val_miou)?;
            dict.set_item("seconds", record.seconds)?;
            dict.set_item("best", best)
        });
    }

    fn should_stop(&mut self) -> bool {
        self.raised.is_some() || self.cancel.load(Ordering::Relaxed)
    }
}
