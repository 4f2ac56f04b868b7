//! Splits that a data set's own metadata name.

use std::path::{Path, PathBuf};

use super::Metadata;
use super::leakage::{Leakage, Member, leakage};
use crate::config::Filter;
use crate::data::SPLIT_NAMES;
use crate::error::{Error, Result};
use crate::samples::{self, Part, SampleList, SampleSource};

/// The splits that a data set's own metadata name, and their spatial leakage.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnSplit {
    /// The list of train, validation and test samples that was written, where there are
    /// any, and how many they are.
    pub lists: [Option<(PathBuf, usize)>; 3],
    /// Leakage between splits.
    pub leakage: Leakage,
}

/// When samples of several splits count as neighbours.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbourhood {
    /// Column of the metadata whose values must not be in two splits.
    pub group_by: String,
    /// Distance of centres in kilometres up to which samples are neighbours.
    pub distance: f64,
}

impl Default for Neighbourhood {
    /// Regions of interest of CloudSEN12+ (`roi_id`), and twice the side of its patches of
    /// 509 pixels of 10 m: closer ones nearly touch.
    fn default() -> Self {
        Self {
            group_by: "roi_id".to_owned(),
            distance: 10.0,
        }
    }
}

/// Which split a value of the column means.
fn place(value: &str) -> Option<usize> {
    match value.to_ascii_lowercase().as_str() {
        "train" => Some(0),
        "val" | "validation" => Some(1),
        "test" => Some(2),
        _ => None,
    }
}

/// The samples of `containers` in the splits that `column` of their own metadata names
/// (`train`, `val` or `validation`, `test`), those that fit all `filters`; written as
/// lists ([`SampleList`]) `train_split.json`, `val_split.json` and `test_split.json` to
/// `folder`. A split without samples is not written, and an old list of it is removed.
/// No pixel is read.
///
/// # Errors
/// A container that can't be opened or has no metadata, or lacks `column` or a filter's
/// column; a sample whose split is another word; two samples of one name; no sample at
/// all; a list that can't be written.
pub fn split_by(
    containers: &[PathBuf],
    column: &str,
    filters: &[Filter],
    near: &Neighbourhood,
    folder: &Path,
) -> Result<OwnSplit> {
    let mut parts: [Vec<Part>; 3] = Default::default();
    let mut members: [Vec<Member>; 3] = Default::default();
    for path in containers {
        let source = samples::open(path)?;
        let metadata = own_metadata(source.as_ref(), path)?;
        let split = metadata.column(column)?;
        let mut names: [Vec<String>; 3] = Default::default();
        for row in metadata.matching(filters)? {
            let value = metadata.value(row, split);
            let place = place(value).ok_or_else(|| {
                let what = format!(
                    "sample {}: `{value}` in column `{column}` is no split; expected train, val \
                     (or validation) or test",
                    source.name(row)
                );
                Error::format(path, what)
            })?;
            names[place].push(source.name(row));
            members[place].push(Member::new(source.name(row), &metadata, row, near));
        }
        // Lists may be in another folder than the containers.
        let container = path.canonicalize().map_err(|e| Error::io(path, e))?;
        for (part, names) in parts.iter_mut().zip(names) {
            if !names.is_empty() {
                let container = container.clone();
                part.push(Part { container, names });
            }
        }
    }
    if parts.iter().all(Vec::is_empty) {
        return Err(Error::usage("no sample fits the filters"));
    }
    refuse_doubles(&members)?;
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
    let mut lists = [None, None, None];
    for (place, name) in SPLIT_NAMES.iter().enumerate() {
        let path = folder.join(format!("{name}_split.json"));
        if parts[place].is_empty() {
            match std::fs::remove_file(&path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::io(&path, e));
                }
                _ => continue,
            }
        }
        SampleList::write(&path, &parts[place])?;
        lists[place] = Some((path, members[place].len()));
    }
    let named: Vec<(&str, &[Member])> = (SPLIT_NAMES.iter().zip(&members))
        .map(|(name, members)| (*name, members.as_slice()))
        .collect();
    Ok(OwnSplit {
        lists,
        leakage: leakage(&named, near),
    })
}

/// What the containers `splits`, each a split, share, of the samples that fit all
/// `filters`.
///
/// # Errors
/// A container that can't be opened, or has no metadata, or lacks a filter's column.
pub fn check_leakage(
    splits: &[PathBuf],
    filters: &[Filter],
    near: &Neighbourhood,
) -> Result<Leakage> {
    let mut members = Vec::new();
    for path in splits {
        let source = samples::open(path)?;
        let metadata = own_metadata(source.as_ref(), path)?;
        let samples: Vec<Member> = (metadata.matching(filters)?.into_iter())
            .map(|row| Member::new(source.name(row), &metadata, row, near))
            .collect();
        members.push((path.display().to_string(), samples));
    }
    let named: Vec<(&str, &[Member])> = (members.iter())
        .map(|(name, members)| (name.as_str(), members.as_slice()))
        .collect();
    Ok(leakage(&named, near))
}

/// The metadata of a container, one row per sample.
fn own_metadata(source: &dyn SampleSource, path: &Path) -> Result<Metadata> {
    let rows = source.metadata().map(samples::Table::len);
    match Metadata::of(source, path) {
        Some(metadata) if rows == Some(source.len()) => Ok(metadata),
        _ => Err(Error::usage(format!(
            "{}: it says nothing of its samples; a CloudSEN12+ container (.taco, .tortilla, \
             .tacozip) does, and a list of samples of such",
            path.display()
        ))),
    }
}

/// A sample that is in two containers would be in two splits, or twice in one.
fn refuse_doubles(members: &[Vec<Member>; 3]) -> Result<()> {
    let mut names: Vec<&str> = (members.iter().flatten())
        .map(|member| member.name.as_str())
        .collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => Err(Error::usage(format!(
            "the containers have two samples called `{}`",
            pair[0]
        ))),
    }
}
