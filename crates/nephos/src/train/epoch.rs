//! One epoch: its steps, its validation, and what is written after it.

use std::time::Instant;

use super::LAST_FILE;
use super::average;
use super::checkpoint::Best;
use super::history::{self, EpochRecord};
use super::observer::{BatchReport, EpochStart, TrainObserver};
use super::schedule::learning_rate;
use super::tensorboard::EPOCH;
use super::trainer::{Run, stale};
use super::validate::{Validation, validate};
use crate::config::{Precision, TrainConfig};
use crate::data::{Dataset, Draw, Loader};
use crate::error::{Error, Result};

/// Whether the run continues after an epoch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Continue,
    /// The observer asked to stop; the state is saved.
    Stop,
}

/// An optimiser step.
struct Step {
    lr: f64,
    loss: f64,
    norm: f64,
    images: usize,
}

/// Optimiser steps of an epoch of this number of samples.
pub(super) fn steps_of_epoch(samples: usize, train: &TrainConfig) -> usize {
    samples
        .div_ceil(train.batch_size)
        .div_ceil(train.accumulate)
}

impl Run {
    /// Trains to the end of the current epoch, validates, and writes.
    pub(super) fn epoch(
        &mut self,
        train: &Dataset,
        val: Option<&Dataset>,
        observer: &mut dyn TrainObserver,
    ) -> Result<Flow> {
        let started = Instant::now();
        if self.steps(val.map_or(0, Dataset::len), observer)? == Flow::Stop {
            return self.stop(observer);
        }
        let images_per_second = self.feed.len() as f64 / self.state.seconds.max(1e-9);
        if self.state.loss_weight == 0.0 {
            let message = match self.masking {
                Some(_) => "no pixel has data: there is nothing to learn from",
                None => "no pixel is labelled: there is nothing to learn from",
            };
            return Err(Error::format(train.path(), message));
        }
        let validation = match val {
            None => None,
            Some(val) => {
                let (network, step) = (self.scored_network()?, self.state.step);
                match validate(&*network, val, &self.config, step, observer)? {
                    Some(validation) => Some(validation),
                    None => return self.stop(observer),
                }
            }
        };
        let record = self.record(validation, images_per_second, started);
        self.finish(record, observer)?;
        let last = self.state.stopped_early || self.state.epochs >= self.config.train.epochs;
        Ok(if !last && observer.should_stop() {
            Flow::Stop
        } else {
            Flow::Continue
        })
    }

    fn stop(&mut self, observer: &mut dyn TrainObserver) -> Result<Flow> {
        self.save_bundle(LAST_FILE)?;
        self.save(observer)?;
        Ok(Flow::Stop)
    }

    /// The steps of the epoch that are not done yet.
    fn steps(&mut self, val_images: usize, observer: &mut dyn TrainObserver) -> Result<Flow> {
        let settings = self.config.train.clone();
        let images = self.feed.len();
        let steps = steps_of_epoch(images, &settings);
        let mut images_done = (self.state.epoch_step)
            .saturating_mul(settings.batch_size * settings.accumulate)
            .min(images);
        observer.epoch_started(&EpochStart {
            epoch: self.state.epochs + 1,
            epochs: settings.epochs,
            images,
            images_done,
            val_images,
        });
        let epoch = self.state.epochs as u64;
        let visits = self.feed.epoch(epoch, &self.state.losses);
        let (size, ahead) = (settings.batch_size, settings.prefetch);
        let mut loader =
            Loader::start_epoch(&self.feed, epoch, visits.clone(), images_done, size, ahead)?;
        let (started, before) = (Instant::now(), images_done);
        let earlier = self.state.seconds;
        while self.state.epoch_step < steps {
            if observer.should_stop() {
                return Ok(Flow::Stop);
            }
            let visits = &visits[images_done.min(visits.len())..];
            let step = self.step(&mut loader, visits, steps * settings.epochs)?;
            images_done += step.images;
            self.state.step += 1;
            self.state.epoch_step += 1;
            let seconds = started.elapsed().as_secs_f64();
            self.state.seconds = earlier + seconds;
            let scalars = [
                ("train/loss", step.loss),
                ("train/lr", step.lr),
                ("train/gradient_norm", step.norm),
            ];
            self.events.scalars(self.state.step as u64, &scalars)?;
            observer.batch(&BatchReport {
                step: self.state.step,
                images_done,
                loss: step.loss,
                mean_loss: self.mean_loss(),
                images_per_second: (images_done - before) as f64 / seconds.max(1e-9),
                lr: step.lr,
            });
            if self
                .checkpoint_every
                .is_some_and(|n| self.state.step.is_multiple_of(n))
            {
                self.save(observer)?;
            }
        }
        Ok(Flow::Continue)
    }

    /// Training loss of the epoch so far.
    fn mean_loss(&self) -> f64 {
        if self.state.loss_weight > 0.0 {
            self.state.loss_sum / self.state.loss_weight
        } else {
            0.0
        }
    }

    /// One optimiser step over up to `train.accumulate` batches.
    fn step(&mut self, loader: &mut Loader, visits: &[Draw], total_steps: usize) -> Result<Step> {
        let settings = self.config.train.clone();
        let lr = learning_rate(
            &settings.schedule,
            settings.optimizer.lr,
            self.state.step,
            total_steps,
        );
        let half = settings.precision == Precision::F16;
        let scale = if half {
            self.state.loss_scale.scale()
        } else {
            1.0
        };
        let (mut names, mut losses) = (Vec::new(), Vec::new());
        for (part, batch) in loader.by_ref().take(settings.accumulate).enumerate() {
            let batch = batch?;
            let visits = &visits[names.len()..];
            names.extend(batch.names.iter().cloned());
            let forward = self.forward(batch, part, scale)?;
            self.remember(visits, &forward.each);
            // Half precision may overflow: the step is skipped, the loss not counted.
            if forward.loss.is_finite() {
                self.state.loss_sum += forward.loss * forward.weight;
                self.state.loss_weight += forward.weight;
            }
            losses.push(forward.loss);
        }
        let loss = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
        let factor = 1.0 / (scale * losses.len().max(1) as f64);
        let norm = self.learner.gradient_norm()? * factor;
        let step = Step {
            lr,
            loss,
            norm,
            images: names.len(),
        };
        if !norm.is_finite() || !loss.is_finite() {
            self.learner.clear();
            if half && self.state.loss_scale.overflowed() {
                return Ok(step);
            }
            return Err(self.diverged(&step, &names));
        }
        if half {
            self.state.loss_scale.stepped();
        }
        let clip = settings.clip_norm.map_or(1.0, |limit| {
            // PyTorch's clip_grad_norm_.
            (f64::from(limit) / (norm + 1e-6)).min(1.0)
        });
        self.learner.step(factor * clip, lr)?;
        if let (Some(most), Some(average)) = (settings.ema, &mut self.average) {
            let decay = average::decay(most, self.state.step);
            average::update(average, &self.learner.parameters()?, decay);
        }
        Ok(step)
    }

    /// Takes the losses of samples into their running means, for the next epoch.
    fn remember(&mut self, visits: &[Draw], losses: &[f64]) {
        for (visit, loss) in visits.iter().zip(losses) {
            let known = &mut self.state.next_losses;
            if known.len() <= visit.index {
                known.resize(visit.index + 1, f64::NAN);
            }
            let mean = &mut known[visit.index];
            if loss.is_finite() {
                *mean = if mean.is_finite() {
                    0.5 * (*mean + loss)
                } else {
                    *loss
                };
            }
        }
    }

    fn diverged(&self, step: &Step, names: &[String]) -> Error {
        Error::usage(format!(
            "training diverged at step {}: loss {}, gradient norm {}, samples {}; \
             no later checkpoint was written. Try a smaller train.optimizer.lr or train.clip_norm",
            self.state.step + 1,
            step.loss,
            step.norm,
            names.join(", ")
        ))
    }

    fn record(
        &mut self,
        validation: Option<Validation>,
        images_per_second: f64,
        started: Instant,
    ) -> EpochRecord {
        let state = &mut self.state;
        let settings = &self.config.train;
        // Of the last step, not of the next.
        let steps = state.epoch_step * settings.epochs;
        let lr = learning_rate(
            &settings.schedule,
            settings.optimizer.lr,
            state.step.saturating_sub(1),
            steps,
        );
        let scores = validation.as_ref().map(|v| v.confusion.scores());
        if let Some(scores) = &scores {
            state.majority_class_miou = scores.majority_class_miou;
        }
        EpochRecord {
            epoch: state.epochs + 1,
            step: state.step,
            lr,
            train_loss: state.loss_sum / state.loss_weight,
            val_loss: validation.map(|v| v.loss),
            val_miou: scores.as_ref().and_then(|s| s.miou),
            val_iou: scores.map_or_else(Vec::new, |s| {
                s.classes
                    .iter()
                    .map(|c| c.iou.unwrap_or(f64::NAN))
                    .collect()
            }),
            images_per_second,
            seconds: started.elapsed().as_secs_f64(),
        }
    }

    /// Counts the epoch as done and writes everything. The checkpoint comes
    /// last: a process killed before it repeats the epoch and writes the same.
    fn finish(&mut self, record: EpochRecord, observer: &mut dyn TrainObserver) -> Result<()> {
        let loss = record.deciding_loss();
        let better = self.state.best.as_ref().is_none_or(|best| loss < best.loss);
        self.state.stale = if better { 0 } else { self.state.stale + 1 };
        if better {
            self.state.best = Some(Best {
                epoch: record.epoch,
                loss,
                val_miou: record.val_miou,
            });
        }
        self.state.history.push(record.clone());
        self.state.epochs += 1;
        self.state.epoch_step = 0;
        self.state.losses.clone_from(&self.state.next_losses);
        (
            self.state.loss_sum,
            self.state.loss_weight,
            self.state.seconds,
        ) = (0.0, 0.0, 0.0);
        self.state.stopped_early = stale(&self.state, &self.config);
        if better {
            self.save_bundle("best.nephos")?;
        }
        self.save_bundle(LAST_FILE)?;
        let history = &self.state.history;
        history::write_csv(&self.folder.join("history.csv"), history, &self.classes)?;
        #[cfg(feature = "figures")]
        history::draw_curves(&self.folder, history, &self.classes)?;
        self.log(&record)?;
        self.save(observer)?;
        observer.epoch_finished(&record, better);
        Ok(())
    }

    fn log(&mut self, record: &EpochRecord) -> Result<()> {
        let mut scalars = vec![
            (format!("{EPOCH}train_loss"), record.train_loss),
            (
                format!("{EPOCH}images_per_second"),
                record.images_per_second,
            ),
        ];
        scalars.extend(record.val_loss.map(|v| (format!("{EPOCH}val_loss"), v)));
        scalars.extend(record.val_miou.map(|v| (format!("{EPOCH}val_miou"), v)));
        for (name, iou) in self.classes.iter().zip(&record.val_iou) {
            if iou.is_finite() {
                scalars.push((format!("{EPOCH}iou/{name}"), *iou));
            }
        }
        let scalars: Vec<(&str, f64)> = scalars.iter().map(|(t, v)| (t.as_str(), *v)).collect();
        self.events.scalars(record.step as u64, &scalars)
    }
}
