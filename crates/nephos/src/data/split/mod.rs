//! Choosing train, validation and test samples, and detecting leakage between them.
//!
//! Samples are drawn at random with a seed, so that each split has the same shares of
//! samples with one, two, three and four distinct classes. Samples of one group, as a
//! region of interest, can be kept within one split: scores on regions that were trained
//! on are optimistic.

mod allocate;
mod by_column;
mod leakage;
mod metadata;
mod write;

pub use by_column::{Neighbourhood, OwnSplit, check_leakage, split_by};

pub use leakage::{Leakage, Neighbours};
pub use metadata::Metadata;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ndarray::Axis;

use crate::class::{CLASS_COUNT, Class, IGNORE};
use crate::config::Filter;
use crate::error::{Error, Result};
use crate::samples::{self, SampleSource};
use crate::text;

use allocate::Item;

/// Value that CloudSEN12 gives pixels without a label, beside [`IGNORE`].
const UNLABELLED: i64 = 99;

/// What to choose, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitOptions {
    /// Samples for training, validation and test.
    pub counts: [usize; 3],
    /// Seed of the choice.
    pub seed: u64,
    /// Channel of the label, in samples that carry it beside the bands.
    pub label_channel: usize,
    /// What a sample's metadata must fit.
    pub filters: Vec<Filter>,
    /// Column of the metadata whose values must not be in two splits.
    pub group_by: Option<String>,
}

/// One sample to choose from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Position in its container.
    pub index: usize,
    /// Name in its container.
    pub name: String,
    /// Group, where the metadata gives one.
    pub group: Option<String>,
    /// Pixels of each class.
    pub pixels: [u64; CLASS_COUNT],
}

/// Which samples go where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Train, validation and test samples, in the order of their container.
    pub parts: [Vec<Candidate>; 3],
    /// Samples that were to choose from.
    pub available: usize,
    /// Groups that are in more than one split; none with grouping.
    pub shared_groups: Vec<String>,
    /// Where the metadata are of several files, the split whose rows were taken because the
    /// samples' file has its name ([`Metadata::rows_of_file`]).
    pub rows_of: Option<String>,
}

impl Candidate {
    /// Number of distinct classes in the label, 0..=4.
    pub fn distinct(&self) -> usize {
        self.pixels.iter().filter(|count| **count > 0).count()
    }
}

/// Chooses samples of `source` (opened from `path`) by their labels and `metadata`.
///
/// One label is in memory at a time; `progress` is called with `(done, total)` after each.
/// Without [`SplitOptions::group_by`], a metadata column `roi_id` fills
/// [`Split::shared_groups`].
///
/// # Errors
/// [`Error::Usage`] when there are too few samples or groups (the message says what is
/// possible), a filter or group column is missing, or metadata don't fit the samples;
/// [`Error::Format`] for a sample without a label or with one that is no class.
pub fn choose(
    source: &dyn SampleSource,
    path: &Path,
    metadata: Option<&Metadata>,
    options: &SplitOptions,
    mut progress: impl FnMut(usize, usize),
) -> Result<Split> {
    if options.counts == [0; 3] {
        return Err(Error::usage("no sample was requested"));
    }
    let (members, rows_of) = members(source, path, metadata, options)?;
    let requested = (options.counts.iter()).fold(0usize, |sum, count| sum.saturating_add(*count));
    if requested > members.len() {
        return Err(Error::usage(format!(
            "{} requested, but {} {} to choose from",
            match requested {
                1 => "1 sample was".to_owned(),
                _ => format!("{requested} samples were"),
            },
            path.display(),
            match (members.len(), options.filters.is_empty()) {
                (count, true) => format!("has {count}"),
                (count, false) => format!("has {count} that fit the filters"),
            }
        )));
    }
    let mut candidates = Vec::with_capacity(members.len());
    for (done, (index, group)) in members.iter().enumerate() {
        candidates.push(Candidate {
            index: *index,
            name: source.name(*index),
            group: group.clone(),
            pixels: class_pixels(source, path, *index, options.label_channel)?,
        });
        progress(done + 1, members.len());
    }
    let items: Vec<Item> = candidates
        .iter()
        .map(|candidate| Item {
            stratum: candidate.distinct(),
            group: candidate.group.clone(),
        })
        .collect();
    let parts = match &options.group_by {
        None => allocate::stratified(&items, options.counts, options.seed),
        Some(column) => {
            allocate::grouped(&items, options.counts, options.seed).map_err(|possible| {
                Error::usage(format!("`options.group_by = {column}`: {possible}"))
            })?
        }
    }
    .map(|part| part.into_iter().map(|k| candidates[k].clone()).collect());
    Ok(Split {
        shared_groups: shared_groups(&parts),
        parts,
        available: candidates.len(),
        rows_of,
    })
}

/// Positions of the samples that fit the filters, each with its group.
type Members = Vec<(usize, Option<String>)>;

/// The samples that fit the filters, and [`Split::rows_of`].
fn members(
    source: &dyn SampleSource,
    path: &Path,
    metadata: Option<&Metadata>,
    options: &SplitOptions,
) -> Result<(Members, Option<String>)> {
    let Some(metadata) = metadata else {
        if !options.filters.is_empty() || options.group_by.is_some() {
            return Err(Error::usage(
                "filters and groups need `options.metadata`: the samples have none of their own",
            ));
        }
        return Ok(((0..source.len()).map(|index| (index, None)).collect(), None));
    };
    let group = match &options.group_by {
        Some(column) => Some(metadata.column(column)?),
        None => metadata.column("roi_id").ok(),
    };
    let mut rows = metadata.matching(&options.filters)?;
    let chosen = options
        .filters
        .iter()
        .any(|filter| filter.column() == "split");
    let mut rows_of = None;
    if let Some((name, of_file)) = metadata.rows_of_file(path).filter(|_| !chosen) {
        rows.retain(|row| of_file.contains(row));
        rows_of = Some(name);
    }
    let rows = metadata.samples(source, &rows)?;
    let members = rows
        .into_iter()
        .map(|(index, row)| {
            let group = group.map(|column| metadata.value(row, column).to_owned());
            match group {
                Some(name) if name.is_empty() && options.group_by.is_some() => {
                    Err(Error::usage(format!(
                        "the metadata of sample {} have no group",
                        source.name(index)
                    )))
                }
                group => Ok((index, group)),
            }
        })
        .collect::<Result<_>>()?;
    Ok((members, rows_of))
}

/// Pixels of each class in a sample's label.
fn class_pixels(
    source: &dyn SampleSource,
    path: &Path,
    index: usize,
    channel: usize,
) -> Result<[u64; CLASS_COUNT]> {
    let mut pixels = [0; CLASS_COUNT];
    let mut count = |value: f64| match u8::try_from(value as i64).ok().and_then(Class::from_code) {
        Some(class) if value.fract() == 0.0 => {
            pixels[class as usize] += 1;
            true
        }
        _ => value == f64::from(IGNORE) || value == UNLABELLED as f64,
    };
    let stray = match source.read_label(index)? {
        Some(label) => label.iter().map(|v| *v as f64).find(|v| !count(*v)),
        None => {
            let channels = source.shape(index)?[0];
            if channel >= channels {
                return Err(Error::format(
                    path,
                    format!(
                        "sample {} has {}, so no label in channel {channel}",
                        source.name(index),
                        text::count(channels, "channel")
                    ),
                ));
            }
            let plane = source.read(index, &[channel])?;
            let plane = plane.index_axis(Axis(0), 0);
            plane.iter().map(|v| f64::from(*v)).find(|v| !count(*v))
        }
    };
    match stray {
        None => Ok(pixels),
        Some(value) => Err(Error::format(
            path,
            format!(
                "sample {}: label {value} is no class 0..=3 and not 99 or 255 (no label)",
                source.name(index)
            ),
        )),
    }
}

/// Groups with samples in more than one part.
fn shared_groups(parts: &[Vec<Candidate>; 3]) -> Vec<String> {
    let mut homes: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (part, samples) in parts.iter().enumerate() {
        for group in samples.iter().filter_map(|sample| sample.group.as_deref()) {
            homes.entry(group).or_default().insert(part);
        }
    }
    homes
        .into_iter()
        .filter(|(_, parts)| parts.len() > 1)
        .map(|(group, _)| group.to_owned())
        .collect()
}

/// Opens `samples`, as [`samples::open`], and `metadata`, without which the container's
/// own are taken, where it has any; chooses; writes to `folder`
/// `train_split.pkl`, `val_split.pkl`, `test_split.pkl` (a split of no samples is not
/// written) and `split.json`, which records the seed, the sources and every choice.
///
/// Samples are copied number by number; a separate label becomes channel
/// [`SplitOptions::label_channel`], after zeros where that is past the bands, or the
/// channel after the bands where they reach further.
///
/// # Errors
/// As for [`choose`], or a file that can't be read or written, or a folder that is the
/// samples' own with a split that would replace them.
pub fn split(
    samples: &Path,
    metadata: Option<&Path>,
    folder: &Path,
    options: &SplitOptions,
    mut progress: impl FnMut(&str, usize, usize),
) -> Result<Split> {
    let source = samples::open(samples)?;
    let table = match metadata {
        Some(path) => Some(Metadata::read(path)?),
        None => Metadata::of(source.as_ref(), samples),
    };
    write::refuse_to_replace(samples, folder)?;
    let split = choose(
        source.as_ref(),
        samples,
        table.as_ref(),
        options,
        |done, total| {
            progress("labels", done, total);
        },
    )?;
    write::pickles(source.as_ref(), &split, folder, options, |done, total| {
        progress("samples", done, total);
    })?;
    write::record(samples, metadata, &split, folder, options)?;
    Ok(split)
}

#[cfg(test)]
mod tests;
