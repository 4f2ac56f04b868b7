//! Progress of a training run: one bar per epoch that stays, or plain lines where
//! the output is no terminal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use nephos::text;
use nephos::train::{BatchReport, EpochRecord, EpochStart, TrainObserver};

use crate::ui::Ui;

/// Interval between plain lines within an epoch.
const PLAIN_INTERVAL: Duration = Duration::from_secs(30);

/// Bars of a training run.
pub struct EpochBars<'a> {
    ui: &'a Ui,
    stop: &'a AtomicBool,
    bar: Option<ProgressBar>,
    start: Option<EpochStart>,
    loss: f64,
    last_line: Instant,
}

impl<'a> EpochBars<'a> {
    /// Bars on `ui`; the run stops once `stop` is set.
    pub fn new(ui: &'a Ui, stop: &'a AtomicBool) -> Self {
        Self {
            ui,
            stop,
            bar: None,
            start: None,
            loss: 0.0,
            last_line: Instant::now(),
        }
    }

    fn show(&mut self, done: usize, message: String) {
        if let Some(bar) = &self.bar {
            bar.set_position(done as u64);
            bar.set_message(message.clone());
        }
        if !self.ui.is_terminal() && self.last_line.elapsed() >= PLAIN_INTERVAL {
            self.last_line = Instant::now();
            if let Some(start) = &self.start {
                let total = start.images + start.val_images;
                self.ui.status(format!(
                    "epoch {}/{}: {done} of {}, {message}",
                    start.epoch,
                    start.epochs,
                    text::count(total, "image")
                ));
            }
        }
    }
}

impl TrainObserver for EpochBars<'_> {
    fn note(&mut self, text: &str) {
        self.ui.status(format!("  note: {text}"));
    }

    fn epoch_started(&mut self, start: &EpochStart) {
        // Validation images count too, so that the bar ends with the epoch.
        let bar = ProgressBar::new((start.images + start.val_images) as u64);
        let template = "{prefix} {bar:24} {pos}/{len} {elapsed}<{eta} {wide_msg}";
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = self.ui.bars().add(bar.with_style(style));
        bar.set_prefix(format!("epoch {}/{}", start.epoch, start.epochs));
        bar.set_position(start.images_done as u64);
        bar.reset_eta();
        self.bar = Some(bar);
        self.start = Some(start.clone());
    }

    fn batch(&mut self, report: &BatchReport) {
        self.loss = report.mean_loss;
        let speed = text::rate(report.images_per_second, "images");
        let message = format!("loss {:.4}, {speed}", report.mean_loss);
        self.show(report.images_done, message);
    }

    fn validation_batch(&mut self, report: &BatchReport) {
        let trained = self.start.as_ref().map_or(0, |s| s.images);
        let message = format!("loss {:.4}, validation {:.4}", self.loss, report.mean_loss);
        self.show(trained + report.images_done, message);
    }

    fn epoch_finished(&mut self, record: &EpochRecord, best: bool) {
        let mut message = format!("loss {:.4}", record.train_loss);
        if let Some(loss) = record.val_loss {
            message += &format!(", validation {loss:.4}");
        }
        if let Some(miou) = record.val_miou {
            message += &format!(", mIoU {miou:.4}");
        }
        let speed = text::rate(record.images_per_second, "images");
        message += &format!(", {speed}");
        let best = if best { " (best so far)" } else { "" };
        if !self.ui.is_terminal() {
            let epochs = self.start.as_ref().map_or(0, |s| s.epochs);
            self.ui.status(format!(
                "epoch {}/{epochs}: {message}, {}{best}",
                record.epoch,
                text::duration(record.seconds)
            ));
        }
        if let Some(bar) = self.bar.take() {
            bar.finish_with_message(message + best);
        }
    }

    fn should_stop(&mut self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

impl Drop for EpochBars<'_> {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.abandon();
        }
    }
}
