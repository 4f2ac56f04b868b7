//! What the labels of one container mean.

use std::collections::BTreeMap;
use std::path::Path;

use super::split::Metadata;
use super::teacher::Teacher;
use crate::class::{CLASS_COUNT, IGNORE};
use crate::config::{ClassSet, DataConfig, Filter, LabelConfig};
use crate::error::{Error, Result};
use crate::samples::SampleSource;

/// Stored label to the code of a class, of a set of classes, or 255.
type Codes = BTreeMap<i64, u8>;

/// What the labels of a container mean, by sample.
#[derive(Clone)]
pub(crate) struct Annotation {
    labels: LabelConfig,
    codes: Codes,
    /// By name, of the samples whose labels a table narrows.
    narrowed: BTreeMap<String, Codes>,
    /// Whether all classes were annotated in all samples, or `data.labels.annotated_in` is about
    /// another container.
    pub(crate) all_annotated: bool,
    pub(crate) teacher: Option<Teacher>,
    /// Side of a pixel in metres.
    pub(crate) pixel_size: Option<f64>,
}

impl Annotation {
    /// Of the samples of `source`, which errors call `path`; with notes for the user.
    ///
    /// # Errors
    /// A label that is keyed by no number, a table or a teacher's folder that can't be read,
    /// or a table whose rows can't be matched to samples.
    pub(crate) fn new(
        source: &dyn SampleSource,
        path: &Path,
        config: &DataConfig,
    ) -> Result<(Self, Vec<String>)> {
        let labels = &config.labels;
        let (mut all_annotated, mut notes) = (labels.annotated_in.is_empty(), Vec::new());
        if !all_annotated {
            let names: Vec<String> = (0..source.len()).map(|index| source.name(index)).collect();
            if !labels.is_about(names.iter().map(String::as_str)) {
                all_annotated = true;
                notes.push(labels.not_about(path.display()));
            }
        }
        let codes = label_table(labels)?;
        let annotation = Self {
            narrowed: narrowed(labels, &codes, source)?,
            labels: labels.clone(),
            codes,
            all_annotated,
            teacher: config.teacher.as_deref().map(Teacher::open).transpose()?,
            pixel_size: config.pixel_size,
        };
        Ok((annotation, notes))
    }

    /// What stored labels mean in the sample of that name.
    pub(crate) fn codes(&self, sample: &str) -> &BTreeMap<i64, u8> {
        self.narrowed.get(sample).unwrap_or(&self.codes)
    }

    /// The classes that were not annotated in the sample of that name.
    pub(crate) fn unannotated(&self, sample: &str) -> Vec<usize> {
        match self.all_annotated {
            true => Vec::new(),
            false => self.labels.unannotated(sample),
        }
    }
}

/// The codes in the samples of which a rule of `data.labels.narrow` is about.
fn narrowed(
    labels: &LabelConfig,
    codes: &Codes,
    source: &dyn SampleSource,
) -> Result<BTreeMap<String, Codes>> {
    let mut narrowed: BTreeMap<String, Codes> = BTreeMap::new();
    let Some(path) = labels
        .table
        .as_deref()
        .filter(|_| !labels.narrow.is_empty())
    else {
        return Ok(narrowed);
    };
    let table = Metadata::read(path)?;
    for rule in &labels.narrow {
        let filters: Vec<Filter> = (rule.conditions.iter())
            .map(|text| text.parse())
            .collect::<Result<_>>()?;
        let rows = table.matching(&filters)?;
        for (sample, _) in table.samples_among(source, &rows)? {
            let codes = narrowed
                .entry(source.name(sample))
                .or_insert_with(|| codes.clone());
            insert(codes, &rule.map, "data.labels.narrow.map")?;
        }
    }
    Ok(narrowed)
}

/// Stored label to class: the classes themselves, then `ignore`, then `map`.
///
/// # Errors
/// A key that is no whole number.
pub(crate) fn label_table(config: &LabelConfig) -> Result<BTreeMap<i64, u8>> {
    let mut table: Codes = (0..CLASS_COUNT as u8)
        .map(|code| (i64::from(code), code))
        .collect();
    table.extend(config.ignore.iter().map(|value| (*value, IGNORE)));
    insert(&mut table, &config.map, "data.labels.map")?;
    Ok(table)
}

fn insert(table: &mut Codes, map: &BTreeMap<String, ClassSet>, section: &str) -> Result<()> {
    for (key, classes) in map {
        let value = key.parse().map_err(|_| {
            Error::usage(format!("{section}.{key} must be keyed by a whole number"))
        })?;
        table.insert(value, classes.code());
    }
    Ok(())
}
