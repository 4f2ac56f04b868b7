//! The full-screen view of a training run: Burn's terminal renderer, fed by our loop.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use burn_train::Interrupter;
use burn_train::logger::TrainingProgressLogger;
use burn_train::metric::{
    MetricAttributes, MetricDefinition, MetricEntry, MetricId, NumericAttributes, NumericEntry,
    SerializedEntry,
};
use burn_train::renderer::tui::TuiMetricsRendererWrapper;
use burn_train::renderer::{MetricState, MetricsRenderer, MetricsRendererTraining};
use nephos::train::{BatchReport, EpochRecord, EpochStart, TrainObserver};

const LOSS: &str = "Loss";
const MIOU: &str = "mIoU";
const RATE: &str = "Learning rate";
const SPEED: &str = "Images a second";

/// Burn's dashboard of a run; dropping it gives the terminal back.
pub struct FullScreen<'a> {
    renderer: TuiMetricsRendererWrapper,
    /// Set by the dashboard's own "stop the training".
    interrupter: Interrupter,
    stop: &'a AtomicBool,
    started: bool,
    validating: bool,
    val_images: usize,
    /// After the renderer: fields are dropped in this order.
    notes: Notes,
}

/// What is said once the terminal is given back.
#[derive(Default)]
struct Notes(Vec<String>);

impl Drop for Notes {
    fn drop(&mut self) {
        for note in &self.0 {
            tracing::info!("{note}");
        }
    }
}

impl<'a> FullScreen<'a> {
    /// Takes over the terminal; the run stops once `stop` is set or the user asks.
    ///
    /// # Errors
    /// Standard output is no terminal.
    pub fn new(stop: &'a AtomicBool) -> anyhow::Result<Self> {
        if !std::io::stdout().is_terminal() {
            bail!("--tui needs a terminal; leave it out for plain lines");
        }
        let interrupter = Interrupter::new();
        let mut renderer = TuiMetricsRendererWrapper::new(interrupter.clone(), None);
        for (name, unit, higher_is_better) in [
            (LOSS, None, false),
            (MIOU, None, true),
            (RATE, None, false),
            (SPEED, Some("images/s"), true),
        ] {
            renderer.register_metric(MetricDefinition {
                metric_id: MetricId::new(Arc::new(name.to_owned())),
                name: Arc::new(name.to_owned()),
                description: None,
                attributes: MetricAttributes::Numeric(NumericAttributes {
                    unit: unit.map(str::to_owned),
                    higher_is_better,
                }),
            });
        }
        Ok(Self {
            renderer,
            interrupter,
            stop,
            started: false,
            validating: false,
            val_images: 0,
            notes: Notes::default(),
        })
    }
}

/// A value of metric `name`, with the mean of the pass beside it where it has one.
fn value(name: &str, value: f64, mean: Option<f64>) -> MetricState {
    let formatted = match mean {
        Some(mean) => format!("epoch {mean:.4} - batch {value:.4}"),
        None if value != 0.0 && value.abs() < 1e-2 => format!("{value:.3e}"),
        None => format!("{value:.3}"),
    };
    let entry = SerializedEntry::new(formatted, value.to_string());
    let id = MetricId::new(Arc::new(name.to_owned()));
    let number = NumericEntry::Value(value);
    MetricState::Numeric(MetricEntry::new(id, entry), Some(number))
}

impl TrainObserver for FullScreen<'_> {
    fn note(&mut self, text: &str) {
        self.notes.0.push(text.to_owned());
    }

    fn epoch_started(&mut self, start: &EpochStart) {
        if !self.started {
            self.started = true;
            self.renderer
                .start(start.epochs, start.epoch, Some(start.images), None);
        }
        self.renderer.start_split("train", start.images);
        self.renderer.update_split(start.images_done);
        self.validating = false;
        self.val_images = start.val_images;
    }

    fn batch(&mut self, report: &BatchReport) {
        let loss = value(LOSS, report.loss, Some(report.mean_loss));
        self.renderer.update_train(loss);
        self.renderer.update_train(value(RATE, report.lr, None));
        self.renderer
            .update_train(value(SPEED, report.images_per_second, None));
        self.renderer.update_split(report.images_done);
    }

    fn validation_batch(&mut self, report: &BatchReport) {
        if !self.validating {
            self.validating = true;
            self.renderer.end_split();
            self.renderer.start_split("valid", self.val_images);
        }
        let loss = value(LOSS, report.loss, Some(report.mean_loss));
        self.renderer.update_valid(loss);
        self.renderer.update_split(report.images_done);
    }

    fn epoch_finished(&mut self, record: &EpochRecord, _best: bool) {
        if let Some(miou) = record.val_miou {
            self.renderer.update_valid(value(MIOU, miou, None));
        }
        self.renderer.end_split();
        self.renderer.update_epoch(record.epoch);
    }

    fn should_stop(&mut self) -> bool {
        self.interrupter.should_stop() || self.stop.load(Ordering::SeqCst)
    }
}
