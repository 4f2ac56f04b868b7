//! Containers one after another, as one.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Dataset;
use crate::config::{DataConfig, MixConfig};
use crate::error::{Error, Result};
use crate::scene::{Routed, SampleSource};

/// One container among those of a mixed [`Dataset`].
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The container.
    pub path: PathBuf,
    /// Positions of its samples in the mixed data set.
    pub samples: Range<usize>,
    /// Share of an epoch's samples that is drawn from it.
    pub share: f64,
    /// Whether all classes were drawn in all of its samples, as far as is known; else
    /// `data.labels.drawn` says in which.
    pub drawn: bool,
}

impl Dataset {
    /// This data set with others after it, each with its share of an epoch; the rest of
    /// the epoch is this one's. All are read as this one is.
    pub fn mixed(self, others: Vec<(Dataset, MixConfig)>) -> Self {
        if others.is_empty() {
            return self;
        }
        let rest = 1.0 - others.iter().map(|(_, mix)| mix.share).sum::<f64>();
        let own = (self.clone(), rest, false);
        let others = others
            .into_iter()
            .map(|(set, mix)| (set, mix.share, mix.drawn));
        self.chained(std::iter::once(own).chain(others))
    }

    /// Containers of `data.mix` by themselves, in the proportion of their shares; `None`
    /// where there are none.
    pub(crate) fn of_mix(containers: &[(Dataset, MixConfig)]) -> Option<Self> {
        let total: f64 = containers.iter().map(|(_, mix)| mix.share).sum();
        let (first, _) = containers.first()?;
        let parts = containers
            .iter()
            .map(|(set, mix)| (set.clone(), mix.share / total, mix.drawn));
        Some(first.clone().chained(parts))
    }

    /// Parts one after another, read as this data set is: each with its share of an epoch,
    /// and whether all classes were drawn in it.
    fn chained(mut self, parts: impl Iterator<Item = (Dataset, f64, bool)>) -> Self {
        let (mut chain, mut notes) = (Chain::default(), Vec::new());
        self.parts = parts
            .map(|(dataset, share, drawn)| {
                let start = chain.len();
                chain.push(dataset.source.clone());
                if !drawn {
                    notes.extend(dataset.notes.iter().cloned());
                }
                Part {
                    path: dataset.path().to_owned(),
                    samples: start..chain.len(),
                    share,
                    drawn: drawn || dataset.all_drawn,
                }
            })
            .collect();
        self.notes = notes;
        self.source = Arc::new(chain);
        self.readings = Arc::default();
        self
    }

    /// The containers of a mixed data set; of any other, itself alone.
    pub fn parts(&self) -> Vec<Part> {
        if !self.parts.is_empty() {
            return self.parts.clone();
        }
        vec![Part {
            path: self.path().to_owned(),
            samples: 0..self.len(),
            share: 1.0,
            drawn: self.all_drawn,
        }]
    }

    /// The container that holds sample `index`.
    pub(super) fn origin(&self, index: usize) -> &Path {
        self.part(index).map_or(self.path(), |part| &part.path)
    }

    /// Of a mixed data set, the container that holds sample `index`.
    pub(super) fn part(&self, index: usize) -> Option<&Part> {
        self.parts.iter().find(|part| part.samples.contains(&index))
    }
}

/// Opens the containers of `data.mix`.
///
/// # Errors
/// One that can't be opened or is empty.
pub(crate) fn open_mix(data: &DataConfig) -> Result<Vec<(Dataset, MixConfig)>> {
    let open = |mix: &MixConfig| {
        let dataset = Dataset::open(&mix.train, data)?;
        match dataset.is_empty() {
            true => Err(Error::format(
                &mix.train,
                "there are no samples in it to mix in",
            )),
            false => Ok((dataset, mix.clone())),
        }
    };
    data.mix.iter().map(open).collect()
}

/// Sources one after another.
#[derive(Default)]
pub(super) struct Chain {
    sources: Vec<Arc<dyn SampleSource>>,
    /// The position after the last sample of each.
    ends: Vec<usize>,
}

impl Chain {
    pub(super) fn push(&mut self, source: Arc<dyn SampleSource>) {
        self.ends.push(self.len() + source.len());
        self.sources.push(source);
    }
}

impl Routed for Chain {
    fn count(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// One past the end is past the end of the last source, which says so.
    fn route(&self, index: usize) -> Result<(&dyn SampleSource, usize)> {
        let part = self
            .ends
            .partition_point(|end| *end <= index)
            .min(self.sources.len() - 1);
        let start = part.checked_sub(1).map_or(0, |before| self.ends[before]);
        Ok((self.sources[part].as_ref(), index - start))
    }
}
