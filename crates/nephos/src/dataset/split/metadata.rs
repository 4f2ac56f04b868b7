//! A table about samples: CSV with a header, or JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::scene::SampleSource;

/// Rows of text under named columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    path: PathBuf,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Metadata {
    /// Reads a `.json` file, a list of objects with the same or fewer keys than the
    /// first; else CSV with a header.
    ///
    /// # Errors
    /// The file can't be read, or is not such a table; rows are counted from 1.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        let is_json = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let (columns, rows) = if is_json {
            json_table(path, &text)?
        } else {
            csv_table(path, &text)?
        };
        let distinct: BTreeSet<&String> = columns.iter().collect();
        if distinct.len() != columns.len() {
            return Err(Error::format(path, "two columns have the same name"));
        }
        Ok(Self {
            path: path.to_owned(),
            columns,
            rows,
        })
    }

    /// Position of a column.
    ///
    /// # Errors
    /// There is none of that name; the message lists those that are.
    pub fn column(&self, name: &str) -> Result<usize> {
        self.columns
            .iter()
            .position(|column| column == name)
            .ok_or_else(|| {
                Error::usage(format!(
                    "{} has no column `{name}`; its columns are {}",
                    self.path.display(),
                    self.columns.join(", ")
                ))
            })
    }

    /// The text in a row and column; empty where the row has none.
    pub fn value(&self, row: usize, column: usize) -> &str {
        &self.rows[row][column]
    }

    /// Rows whose columns have the values of all `filters`; numbers are compared as
    /// numbers.
    ///
    /// # Errors
    /// A column that is not there.
    pub fn matching(&self, filters: &[(String, String)]) -> Result<Vec<usize>> {
        let filters: Vec<(usize, &str)> = filters
            .iter()
            .map(|(name, value)| Ok((self.column(name)?, value.as_str())))
            .collect::<Result<_>>()?;
        Ok((0..self.rows.len())
            .filter(|row| {
                filters
                    .iter()
                    .all(|(column, value)| same(self.value(*row, *column), value))
            })
            .collect())
    }

    /// The sample of `source` that each of `rows` is about, as `(sample, row)` in the
    /// order of samples.
    ///
    /// A column `name` or `id` that holds names of samples decides; else a column
    /// `index` with positions; else rows are in the order of samples.
    ///
    /// # Errors
    /// Two rows about one sample, a position that is not there, or, with no such
    /// column, more or fewer rows than samples.
    pub fn samples(
        &self,
        source: &dyn SampleSource,
        rows: &[usize],
    ) -> Result<Vec<(usize, usize)>> {
        let names: BTreeMap<String, usize> = (0..source.len())
            .map(|index| (source.name(index), index))
            .collect();
        let named = ["name", "id"].iter().find_map(|column| {
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
                                "row {}: index `{value}` is no position of {} samples",
                                row + 1,
                                source.len()
                            ),
                        )),
                    }
                })
                .collect::<Result<_>>()?,
            (None, Err(_)) if self.rows.len() == source.len() => {
                rows.iter().map(|row| (*row, *row)).collect()
            }
            (None, Err(_)) => {
                return Err(Error::format(
                    &self.path,
                    format!(
                        "{} rows for {} samples, and no column `name`, `id` or `index` \
                         that tells which is which",
                        self.rows.len(),
                        source.len()
                    ),
                ));
            }
        };
        pairs.sort_unstable();
        if let Some(twice) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(Error::format(
                &self.path,
                format!(
                    "rows {} and {} are about the same sample, {}; choose rows with --where",
                    twice[0].1 + 1,
                    twice[1].1 + 1,
                    source.name(twice[0].0)
                ),
            ));
        }
        Ok(pairs)
    }
}

/// Equal as text or as numbers.
fn same(have: &str, want: &str) -> bool {
    have == want || matches!((have.parse::<f64>(), want.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
}

type Table = (Vec<String>, Vec<Vec<String>>);

fn csv_table(path: &Path, text: &str) -> Result<Table> {
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

fn json_table(path: &Path, text: &str) -> Result<Table> {
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
