//! A table about samples: CSV with a header, JSON, Parquet, or a container's own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::config::Filter;
use crate::error::{Error, Result};
use crate::samples::{self, SampleSource, Table};
use crate::text;

/// Columns that may hold the names of samples.
const NAMING: [&str; 4] = ["name", "id", "scene", "sample"];

/// Rows of text under named columns, and the file they are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    path: PathBuf,
    table: Table,
    /// Whether the rows are those of a container, in the order of its samples.
    own: bool,
}

impl Metadata {
    /// Reads a `.json` file, a list of objects with the same or fewer keys than the
    /// first; a `.parquet` file, as comes with `.mlstac` containers; else CSV with a
    /// header.
    ///
    /// # Errors
    /// The file can't be read, or is not such a table; rows are counted from 1.
    pub fn read(path: &Path) -> Result<Self> {
        let named = |name: &str| {
            path.extension()
                .is_some_and(|extension| extension.eq_ignore_ascii_case(name))
        };
        let text = || std::fs::read_to_string(path).map_err(|e| Error::io(path, e));
        let table = if named("parquet") {
            samples::parquet_table(path)?
        } else {
            let (columns, rows) = match named("json") {
                true => json_table(path, &text()?)?,
                false => csv_table(path, &text()?)?,
            };
            Table::new(columns, rows).map_err(|message| Error::format(path, message))?
        };
        Ok(Self {
            path: path.to_owned(),
            table,
            own: false,
        })
    }

    /// The metadata of the container at `path` about its own samples; `None` where it has
    /// none.
    pub fn of(source: &dyn SampleSource, path: &Path) -> Option<Self> {
        Some(Self {
            path: path.to_owned(),
            table: source.metadata()?.clone(),
            own: true,
        })
    }

    /// Names of the columns.
    pub fn columns(&self) -> &[String] {
        self.table.columns()
    }

    /// Position of a column, as [`Table::position`].
    ///
    /// # Errors
    /// There is none of that name; the message lists those that are.
    pub fn column(&self, name: &str) -> Result<usize> {
        self.table.position(name).ok_or_else(|| {
            Error::usage(format!(
                "{} has no column `{name}`; its columns are {}",
                self.path.display(),
                self.table.columns().join(", ")
            ))
        })
    }

    /// The text in a row and column; empty where the row has none.
    pub fn value(&self, row: usize, column: usize) -> &str {
        self.table.value(row, column)
    }

    /// Rows that fit all `filters`.
    ///
    /// # Errors
    /// A column that is not there.
    pub fn matching(&self, filters: &[Filter]) -> Result<Vec<usize>> {
        let filters: Vec<(usize, &Filter)> = filters
            .iter()
            .map(|filter| Ok((self.column(filter.column())?, filter)))
            .collect::<Result<_>>()?;
        let fits = |row: &usize| {
            (filters.iter()).all(|(column, filter)| filter.fits(self.value(*row, *column)))
        };
        Ok((0..self.table.len()).filter(fits).collect())
    }

    /// The split whose rows are about the samples of the file at `path`, and those rows, where
    /// the table is of several files, as that of `nephos simulate` is: it has columns `split`
    /// and `index`, and the file is called as a split, or `SPLIT_split`. `None` where it is
    /// of one file, or is ambiguous.
    pub fn rows_of_file(&self, path: &Path) -> Option<(String, Vec<usize>)> {
        let (split, _) = (self.column("split").ok()?, self.column("index").ok()?);
        let stem = path.file_stem()?.to_str()?;
        let name = stem.strip_suffix("_split").unwrap_or(stem);
        let of_name = |row: &usize| self.value(*row, split) == name;
        let rows: Vec<usize> = (0..self.table.len()).filter(of_name).collect();
        (!self.own && !rows.is_empty() && rows.len() < self.table.len())
            .then(|| (name.to_owned(), rows))
    }

    /// As [`Metadata::samples`] of a table that may have rows of other samples: rows
    /// about those are left out where the table names samples.
    ///
    /// # Errors
    /// As for [`Metadata::samples`].
    pub fn samples_among(
        &self,
        source: &dyn SampleSource,
        rows: &[usize],
    ) -> Result<Vec<(usize, usize)>> {
        let names: BTreeSet<String> = (0..source.len()).map(|index| source.name(index)).collect();
        let there = |row: usize, column: usize| names.contains(self.value(row, column));
        let naming = (NAMING.iter())
            .filter_map(|name| self.column(name).ok())
            .find(|column| (0..self.table.len()).any(|row| there(row, *column)));
        match naming {
            Some(column) => {
                let about: Vec<usize> = (rows.iter().copied())
                    .filter(|row| there(*row, column))
                    .collect();
                self.samples(source, &about)
            }
            None => self.samples(source, rows),
        }
    }

    /// The sample of `source` that each of `rows` is about, as `(sample, row)` in the
    /// order of samples.
    ///
    /// The rows of a container's own table are in the order of its samples. In another
    /// table a column `name`, `id`, `scene` or `sample` that holds names of samples decides;
    /// else a column `index` with positions; else rows are in the order of samples.
    ///
    /// # Errors
    /// Two rows about one sample, a position that is not there, or, with no such
    /// column, more or fewer rows than samples.
    pub fn samples(
        &self,
        source: &dyn SampleSource,
        rows: &[usize],
    ) -> Result<Vec<(usize, usize)>> {
        if self.own && self.table.len() == source.len() {
            return Ok(rows.iter().map(|row| (*row, *row)).collect());
        }
        let names: BTreeMap<String, usize> = (0..source.len())
            .map(|index| (source.name(index), index))
            .collect();
        let named = NAMING.iter().find_map(|column| {
            let column = self.column(column).ok()?;
            rows.iter()
                .map(|row| {
                    names
                        .get(self.value(*row, column))
                        .map(|index| (*index, *row))
                })
                .collect::<Option<Vec<_>>>()
        });
        let mut pairs = match (named, self.column("index")) {
            (Some(pairs), _) => pairs,
            (None, Ok(column)) => rows
                .iter()
                .map(|row| {
                    let value = self.value(*row, column);
                    match value.parse::<usize>() {
                        Ok(index) if index < source.len() => Ok((index, *row)),
                        _ => Err(Error::format(
                            &self.path,
                            format!(
                                "row {}: index `{value}` is no position of {}",
                                row + 1,
                                text::count(source.len(), "sample")
                            ),
                        )),
                    }
                })
                .collect::<Result<_>>()?,
            (None, Err(_)) if self.table.len() == source.len() => {
                rows.iter().map(|row| (*row, *row)).collect()
            }
            (None, Err(_)) => {
                return Err(Error::format(
                    &self.path,
                    format!(
                        "{} for {}, and no column `name`, `id`, `scene`, \
                         `sample` or `index` that matches rows to samples",
                        text::count(self.table.len(), "row"),
                        text::count(source.len(), "sample")
                    ),
                ));
            }
        };
        pairs.sort_unstable();
        if let Some(twice) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(Error::format(
                &self.path,
                format!(
                    "rows {} and {} are about the same sample, {}; choose rows with \
                     `options.filters`{}",
                    twice[0].1 + 1,
                    twice[1].1 + 1,
                    source.name(twice[0].0),
                    match self.column("split") {
                        Ok(_) => {
                            ", as in `options.filters = split=train`: the table is of several files"
                        }
                        Err(_) => "",
                    }
                ),
            ));
        }
        Ok(pairs)
    }
}

type Rows = (Vec<String>, Vec<Vec<String>>);

fn csv_table(path: &Path, text: &str) -> Result<Rows> {
    let fail = |e: csv::Error| Error::format(path, e.to_string());
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        // A byte order mark is no part of the first column's name.
        .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
    let columns = reader
        .headers()
        .map_err(fail)?
        .iter()
        .map(str::to_owned)
        .collect();
    let rows = reader
        .records()
        .map(|record| Ok(record.map_err(fail)?.iter().map(str::to_owned).collect()))
        .collect::<Result<_>>()?;
    Ok((columns, rows))
}

fn json_table(path: &Path, text: &str) -> Result<Rows> {
    let value: Value =
        serde_json::from_str(text).map_err(|e| Error::format(path, e.to_string()))?;
    let objects = value
        .as_array()
        .ok_or_else(|| Error::format(path, "expected a list of objects"))?;
    let mut columns: Vec<String> = Vec::new();
    let mut rows = Vec::with_capacity(objects.len());
    for (row, object) in objects.iter().enumerate() {
        let object = object
            .as_object()
            .ok_or_else(|| Error::format(path, format!("row {}: expected an object", row + 1)))?;
        if row == 0 {
            columns = object.keys().cloned().collect();
        } else if let Some(key) = object.keys().find(|key| !columns.contains(key)) {
            return Err(Error::format(
                path,
                format!("row {}: the first row has no `{key}`", row + 1),
            ));
        }
        rows.push(
            columns
                .iter()
                .map(|column| match object.get(column) {
                    None | Some(Value::Null) => String::new(),
                    Some(Value::String(text)) => text.clone(),
                    Some(other) => other.to_string(),
                })
                .collect(),
        );
    }
    Ok((columns, rows))
}
