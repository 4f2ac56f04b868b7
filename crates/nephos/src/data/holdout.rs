//! Training and validation samples as a configuration names them.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::mix::without;
use super::split::Metadata;
use super::{Dataset, epoch_order, open_mix};
use crate::config::{Config, Filter};
use crate::error::{Error, Result};
use crate::samples::{self, SampleSource, SubsetOf, Table};
use crate::text;

/// Some samples of another source, in a chosen order.
pub struct Subset {
    source: Arc<dyn SampleSource>,
    indices: Vec<usize>,
    metadata: Option<Table>,
}

impl Subset {
    /// The samples of `source` at `indices`.
    ///
    /// # Errors
    /// An index past the end.
    pub fn new(source: Arc<dyn SampleSource>, indices: Vec<usize>) -> Result<Self> {
        let len = source.len();
        match indices.iter().find(|index| **index >= len) {
            Some(index) => Err(Error::usage(format!(
                "sample {index} was requested, but there are only {len}"
            ))),
            None => Ok(Self {
                // A table without exactly one row per sample is ignored.
                metadata: (source.metadata())
                    .filter(|table| table.len() == len)
                    .map(|table| table.select(&indices)),
                source,
                indices,
            }),
        }
    }
}

impl Dataset {
    /// The samples at `indices`, in this order; one may be there several times.
    ///
    /// # Errors
    /// An index past the end.
    pub fn subset(&self, indices: Vec<usize>) -> Result<Self> {
        let subset = Subset::new(Arc::clone(&self.source), indices)?;
        let mut chosen = self.clone();
        chosen.source = Arc::new(subset);
        chosen.parts.clear();
        // Readings are by position.
        chosen.readings = Arc::default();
        Ok(chosen)
    }

    /// The samples that fit all of `filters`, as [`open_filtered`].
    fn filtered(&self, filters: &[Filter]) -> Result<Self> {
        match fitting(self.source.as_ref(), self.path(), filters)? {
            Some(fit) => self.subset(fit),
            None => Ok(self.clone()),
        }
    }

    /// The samples' metadata in the column of that name, one per sample.
    ///
    /// # Errors
    /// The samples have no metadata, or no such column.
    pub fn column(&self, name: &str) -> Result<Vec<String>> {
        let metadata = Metadata::of(self.source.as_ref(), self.path()).ok_or_else(|| {
            Error::usage(format!(
                "{}: its samples have no metadata, so there is no column `{name}`",
                self.path().display()
            ))
        })?;
        let column = metadata.column(name)?;
        let value = |row| metadata.value(row, column).to_owned();
        Ok((0..self.len()).map(value).collect())
    }
}

impl SubsetOf for Subset {
    fn count(&self) -> usize {
        self.indices.len()
    }

    fn route(&self, index: usize) -> Result<(&dyn SampleSource, usize)> {
        Ok((self.source.as_ref(), self.indices[index]))
    }

    fn table(&self) -> Option<&Table> {
        self.metadata.as_ref()
    }
}

/// Opens the training samples of `config` and, where it names any, the
/// validation samples: `data.val`, or those that `data.val_names` or
/// `data.val_fraction` hold out of `data.train`. Of both only those that fit
/// `data.filter`, and of `data.train` none that `data.without` names. Then come the containers
/// of `data.mix`.
///
/// # Errors
/// No `data.train`, a container that can't be opened or is empty, a filter on what has
/// no metadata, a name that is not there, or a hold-out that leaves nothing to train on.
pub fn open_training(config: &Config) -> Result<(Dataset, Option<Dataset>)> {
    let data = &config.data;
    let path = data.train.as_deref().ok_or_else(|| {
        Error::usage("no training samples: set data.train, as in data.train = \"train_split.pkl\"")
    })?;
    let filters: Vec<Filter> = (data.filter.iter())
        .map(|filter| filter.parse())
        .collect::<Result<_>>()?;
    // `data.labels.annotated_in` is about the container, not about a part of it.
    let open = |path: &Path| Dataset::open(path, data)?.filtered(&filters);
    let mut whole = open(path)?;
    if let Some(list) = &data.without {
        whole = without(whole, list)?;
    }
    let held = held_out(config, whole.source.as_ref())?;
    let (train, val) = if held.is_empty() {
        (whole, data.val.as_deref().map(open).transpose()?)
    } else {
        let (held, kept): (Vec<usize>, Vec<usize>) =
            (0..whole.len()).partition(|index| held.contains(index));
        (whole.subset(kept)?, Some(whole.subset(held)?))
    };
    let mix = open_mix(data)?;
    if train.is_empty() {
        return Err(Error::format(path, "no samples are left to train on"));
    }
    if let Some(val) = &val
        && val.is_empty()
    {
        return Err(Error::format(
            val.path(),
            "there are no samples to validate on",
        ));
    }
    Ok((train.mixed(mix), val))
}

/// Opens the container at `path`; of its samples those whose metadata, as the
/// container itself has them, fit all of `filters`.
///
/// # Errors
/// A container that can't be opened, or one without metadata or without a column that
/// a filter is on.
pub fn open_filtered(path: &Path, filters: &[Filter]) -> Result<Arc<dyn SampleSource>> {
    let source: Arc<dyn SampleSource> = Arc::from(samples::open(path)?);
    match fitting(source.as_ref(), path, filters)? {
        Some(fit) => Ok(Arc::new(Subset::new(source, fit)?)),
        None => Ok(source),
    }
}

/// Positions of the samples that fit all of `filters`; `None` where there are no filters.
fn fitting(
    source: &dyn SampleSource,
    path: &Path,
    filters: &[Filter],
) -> Result<Option<Vec<usize>>> {
    if filters.is_empty() {
        return Ok(None);
    }
    let metadata = Metadata::of(source, path).ok_or_else(|| {
        Error::usage(format!(
            "{}: samples are to be chosen by their metadata, which only a CloudSEN12+ container \
             has; `nephos split` chooses among others, by a table",
            path.display()
        ))
    })?;
    metadata.matching(filters).map(Some)
}

/// Positions of the training samples that are held out for validation.
fn held_out(config: &Config, source: &dyn SampleSource) -> Result<BTreeSet<usize>> {
    let data = &config.data;
    if !data.val_names.is_empty() {
        let names: Vec<String> = (0..source.len()).map(|index| source.name(index)).collect();
        return data
            .val_names
            .iter()
            .map(|name| {
                names.iter().position(|n| n == name).ok_or_else(|| {
                    Error::usage(format!(
                        "data.val_names: there is no sample `{name}` among the {} of \
                         data.train; for other samples name others, or draw some with \
                         data.val_names = [] and data.val_fraction = 0.2",
                        text::count(names.len(), "training sample")
                    ))
                })
            })
            .collect();
    }
    let count = data.val_fraction.map_or(0, |fraction| {
        ((source.len() as f64 * fraction).round() as usize).max(1)
    });
    // A stream of its own: epochs count up from 0.
    let order = epoch_order(source.len(), config.seed, u64::MAX);
    Ok(order.into_iter().take(count).collect())
}
