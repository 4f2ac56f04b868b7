//! Training samples of an epoch: drawn, then augmented.

use rayon::prelude::*;

use super::augment::{AugmentSeed, Augmenter};
use super::teacher;
use super::{Dataset, Draw, Example, Sampler, set_possible_classes};
use crate::class::IGNORE;
use crate::config::Config;
use crate::error::Result;

/// The training samples of a run, drawn and augmented per epoch.
pub struct DataSource {
    dataset: Dataset,
    sampler: Sampler,
    /// `None` where samples are taken as they are.
    augmenter: Option<Augmenter>,
    seed: u64,
    classes: usize,
    /// Of each sample: classes that its clear pixels may be, since they were not annotated.
    possible: Vec<Vec<usize>>,
}

impl DataSource {
    /// Samples of `dataset`, chosen by `data.sampling` and varied by `data.augment`.
    ///
    /// # Errors
    /// Labels that can't be read where they are needed; samples to take
    /// clouds from that can't be opened or hold none.
    pub fn new(dataset: &Dataset, config: &Config) -> Result<Self> {
        let data = &config.data;
        let augmenter = match data.augment.is_default() {
            true => None,
            false => Some(Augmenter::new(dataset, data)?),
        };
        Ok(Self {
            possible: (0..dataset.len())
                .into_par_iter()
                .map(|index| dataset.possible_classes(index))
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

    /// The samples of an epoch.
    pub fn epoch(&self, epoch: u64, losses: &[f64]) -> Vec<Draw> {
        self.sampler.epoch(epoch, losses)
    }

    /// Reads the sample at position `slot` of an epoch. Where classes were not annotated in it,
    /// clear pixels may be one of them ([`nephos_kernel::loss::Label`]); where its label
    /// is a set of classes, a teacher's target may narrow it.
    ///
    /// # Errors
    /// As for [`Dataset::get`].
    pub fn get(&self, draw: Draw, epoch: u64, slot: usize) -> Result<Example> {
        let mut example = self.varied(draw, epoch, slot)?;
        // Last: clouds and shadows of other samples may have come over what is clear.
        let possible = &self.possible[draw.index];
        set_possible_classes(example.label.view_mut(), possible, self.classes);
        if let Some(probabilities) = &example.teacher {
            let level = self.seed_of(epoch, slot).level();
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

    fn seed_of(&self, epoch: u64, slot: usize) -> AugmentSeed {
        AugmentSeed {
            seed: self.seed,
            epoch,
            slot: slot as u64,
        }
    }

    fn varied(&self, draw: Draw, epoch: u64, slot: usize) -> Result<Example> {
        match &self.augmenter {
            None => {
                let example = self.dataset.labelled_bands(draw.index)?;
                Ok(self.dataset.declare(self.dataset.fit(example)))
            }
            Some(augmenter) => {
                let seed = self.seed_of(epoch, slot);
                augmenter.get(&self.dataset, draw.index, seed, draw.class)
            }
        }
    }
}
