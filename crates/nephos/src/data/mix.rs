//! Data sets of several containers.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Dataset;
use super::annotation::Annotation;
use crate::config::{DataConfig, MixConfig};
use crate::error::{Error, Result};
use crate::samples::{SampleSource, SubsetOf};

/// One container among those of a mixed [`Dataset`].
#[derive(Clone)]
pub struct Part {
    /// The container.
    pub path: PathBuf,
    /// Positions of its samples in the mixed data set.
    pub samples: Range<usize>,
    /// Share of an epoch's samples that is drawn from it.
    pub share: f64,
    /// What its labels mean.
    pub(crate) annotation: Arc<Annotation>,
}

impl Dataset {
    /// Concatenates this data set with others, each with its share of an epoch; the rest of
    /// the epoch is this one's. All are read as this one is, but for what labels mean.
    pub fn mixed(self, others: Vec<(Dataset, MixConfig)>) -> Self {
        if others.is_empty() {
            return self;
        }
        let total: f64 = others.iter().map(|(_, mix)| mix.share).sum();
        let (rest, scale) = match self.config.share {
            Some(share) => (share, (1.0 - share) / total),
            None => (1.0 - total, 1.0),
        };
        let own = (self.clone(), rest);
        let others = (others.into_iter()).map(|(set, mix)| (set, mix.share * scale));
        self.concat(std::iter::once(own).chain(others))
    }

    /// Concatenates the containers of `data.mix`, in the proportion of their shares; `None`
    /// where there are none.
    pub(crate) fn concatenated(containers: &[(Dataset, MixConfig)]) -> Option<Self> {
        let total: f64 = containers.iter().map(|(_, mix)| mix.share).sum();
        let (first, _) = containers.first()?;
        let parts = containers
            .iter()
            .map(|(set, mix)| (set.clone(), mix.share / total));
        Some(first.clone().concat(parts))
    }

    /// Concatenates parts, read as this data set is: each with its share of an epoch.
    fn concat(mut self, parts: impl Iterator<Item = (Dataset, f64)>) -> Self {
        let (mut source, mut notes) = (ConcatDataset::default(), Vec::new());
        self.parts = parts
            .map(|(dataset, share)| {
                let start = source.len();
                source.push(dataset.source.clone());
                notes.extend(dataset.notes.iter().cloned());
                Part {
                    path: dataset.path().to_owned(),
                    samples: start..source.len(),
                    share,
                    annotation: dataset.annotation.clone(),
                }
            })
            .collect();
        self.notes = notes;
        self.source = Arc::new(source);
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
            annotation: self.annotation.clone(),
        }]
    }

    /// The container that holds sample `index`.
    pub(crate) fn origin(&self, index: usize) -> &Path {
        self.part(index).map_or(self.path(), |part| &part.path)
    }

    /// Of a mixed data set, the container that holds sample `index`.
    pub(crate) fn part(&self, index: usize) -> Option<&Part> {
        self.parts.iter().find(|part| part.samples.contains(&index))
    }
}

/// Opens the containers of `data.mix`.
///
/// # Errors
/// One that can't be opened or has no sample to train on.
pub(crate) fn open_mix(data: &DataConfig) -> Result<Vec<(Dataset, MixConfig)>> {
    let open = |mix: &MixConfig| {
        let mut own = data.clone();
        match &mix.labels {
            Some(labels) => own.labels = labels.clone(),
            None if mix.fully_annotated => own.labels.annotated_in.clear(),
            None => {}
        }
        own.teacher = mix.teacher.clone();
        own.pixel_size = mix.pixel_size;
        let mut dataset = Dataset::open(&mix.train, &own)?;
        if let Some(list) = &mix.without {
            dataset = without(dataset, list)?;
        }
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

/// The names in a list: one per line, what follows `#` being a comment.
///
/// # Errors
/// The file can't be read.
pub(crate) fn listed_names(list: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(list).map_err(|e| Error::io(list, e))?;
    let name = |line: &str| line.split('#').next().unwrap_or_default().trim().to_owned();
    Ok((text.lines().map(name))
        .filter(|name| !name.is_empty())
        .collect())
}

/// The samples of `dataset` that the file does not name, see [`listed_names`].
///
/// # Errors
/// A file that can't be read, or a name that is no sample's.
pub(crate) fn without(dataset: Dataset, list: &Path) -> Result<Dataset> {
    let mut named: BTreeSet<String> = listed_names(list)?.into_iter().collect();
    let kept = (0..dataset.len()).filter(|index| !named.remove(&dataset.name(*index)));
    let kept: Vec<usize> = kept.collect();
    match named.first() {
        None => dataset.subset(kept),
        Some(name) => Err(Error::format(
            list,
            format!("`{name}` is no sample of {}", dataset.path().display()),
        )),
    }
}

/// Concatenated sources.
#[derive(Default)]
pub(crate) struct ConcatDataset {
    sources: Vec<Arc<dyn SampleSource>>,
    /// The position after the last sample of each.
    ends: Vec<usize>,
}

impl ConcatDataset {
    pub(crate) fn push(&mut self, source: Arc<dyn SampleSource>) {
        self.ends.push(self.len() + source.len());
        self.sources.push(source);
    }
}

impl SubsetOf for ConcatDataset {
    fn count(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// An index past the end is passed to the last source, which returns the error.
    fn route(&self, index: usize) -> Result<(&dyn SampleSource, usize)> {
        let part = self
            .ends
            .partition_point(|end| *end <= index)
            .min(self.sources.len() - 1);
        let start = part.checked_sub(1).map_or(0, |before| self.ends[before]);
        Ok((self.sources[part].as_ref(), index - start))
    }
}
