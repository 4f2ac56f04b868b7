//! Training samples as an epoch sees them: chosen, then varied.

use rayon::prelude::*;

use super::augment::{Augmenter, Draw};
use super::teacher;
use super::{Dataset, Example, Sampler, Visit, leave_open};
use crate::class::IGNORE;
use crate::config::Config;
use crate::error::Result;

/// The samples of a training run.
pub struct Feed {
    dataset: Dataset,
    sampler: Sampler,
    /// `None` where samples are taken as they are.
    augmenter: Option<Augmenter>,
    seed: u64,
    classes: usize,
    /// By sample: what its clear pixels may be.
    hidden: Vec<Vec<usize>>,
}

impl Feed {
    /// Samples of `dataset`, chosen by `data.sampling` and varied by `data.augment`.
    ///
    /// # Errors
    /// Labels that can't be read where they decide; samples to take
    /// clouds from that can't be opened or hold none.
    pub fn new(dataset: &Dataset, config: &Config) -> Result<Self> {
        let data = &config.data;
        let augmenter = match data.augment.is_default() {
            true => None,
            false => Some(Augmenter::new(dataset, data)?),
        };
        Ok(Self {
            hidden: (0..dataset.len())
                .into_par_iter()
                .map(|index| dataset.hidden(index))
                .collect::<Result<_>>()?,
            sampler: Sampler::new(dataset, data, config.seed)?,
            dataset: dataset.clone(),
            augmenter,
            seed: config.seed,
            classes: config.model.classes,
        })
    }

    /// Samples of an epoch.
    pub fn len(&self) -> usize {
        self.sampler.len()
    }

    /// Whether an epoch has no samples: never.
    pub fn is_empty(&self) -> bool {
        self.sampler.is_empty()
    }

    /// The samples of an epoch, see [`Sampler::epoch`].
    pub fn epoch(&self, epoch: u64, losses: &[f64]) -> Vec<Visit> {
        self.sampler.epoch(epoch, losses)
    }

    /// Reads the sample at place `slot` of an epoch. Where classes were not drawn in it,
    /// what is clear may be one of them ([`nephos_kernel::loss::Label`]); where its label
    /// leaves classes open, a teacher's target may narrow it.
    ///
    /// # Errors
    /// As for [`Dataset::get`].
    pub fn get(&self, visit: Visit, epoch: u64, slot: usize) -> Result<Example> {
        let mut example = self.varied(visit, epoch, slot)?;
        // Last: clouds and shadows of other samples may have come over what is clear.
        let hidden = &self.hidden[visit.index];
        leave_open(example.label.view_mut(), hidden, self.classes);
        if let Some(probabilities) = &example.teacher {
            let level = self.draw(epoch, slot).level();
            teacher::narrow(
                example.label.view_mut(),
                probabilities.view(),
                level,
                self.classes,
            );
            // A teacher gives probabilities of no data, too.
            let (label, valid) = (&mut example.label, &example.valid);
            label.zip_mut_with(valid, |label, valid| {
                if !valid {
                    *label = IGNORE;
                }
            });
        }
        Ok(example)
    }

    fn draw(&self, epoch: u64, slot: usize) -> Draw {
        Draw {
            seed: self.seed,
            epoch,
            slot: slot as u64,
        }
    }

    fn varied(&self, visit: Visit, epoch: u64, slot: usize) -> Result<Example> {
        match &self.augmenter {
            None => {
                let example = self.dataset.labelled_bands(visit.index)?;
                Ok(self.dataset.declare(self.dataset.fit(example)))
            }
            Some(augmenter) => {
                let draw = self.draw(epoch, slot);
                augmenter.get(&self.dataset, visit.index, draw, visit.class)
            }
        }
    }
}
