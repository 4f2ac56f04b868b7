//! Kinds of samples, read from a table about them.

use std::collections::BTreeSet;
use std::path::Path;

use crate::data::split::Metadata;
use crate::error::{Error, Result};

/// Most values of a column that become kinds each.
const MOST_VALUES: usize = 24;

/// Which of some samples are of which kind; a sample may be of several.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kinds {
    /// Name, and whether each sample is of it.
    kinds: Vec<(String, Vec<bool>)>,
}

impl Kinds {
    /// Reads a table ([`Metadata::read`]) in which a column holds the names of `samples`.
    ///
    /// A column of 0 and 1 is a kind; one of text is a kind per value, `COLUMN=VALUE`. With
    /// `columns` these, numbers too; without any all columns of 0 and 1 or of text.
    ///
    /// # Errors
    /// A table that can't be read or does not name each sample once, or a column that is
    /// not there or has too many values.
    pub fn read(path: &Path, columns: &[String], samples: &[String]) -> Result<Self> {
        let table = Metadata::read(path)?;
        let (key, rows) = rows_of(path, &table, samples)?;
        let requested: Vec<usize> = match columns {
            [] => (0..table.columns().len())
                .filter(|column| *column != key)
                .collect(),
            named => (named.iter().map(|name| table.column(name))).collect::<Result<_>>()?,
        };
        let mut kinds = Vec::new();
        for column in requested {
            let name = &table.columns()[column];
            let values: Vec<&str> = rows.iter().map(|row| table.value(*row, column)).collect();
            let flags = |value: &&str| matches!(*value, "0" | "1" | "");
            if values.iter().all(flags) && values.iter().any(|value| !value.is_empty()) {
                kinds.push((
                    name.clone(),
                    values.iter().map(|value| *value == "1").collect(),
                ));
                continue;
            }
            let number = |value: &str| value.is_empty() || value.parse::<f64>().is_ok();
            if columns.is_empty() && values.iter().all(|value| number(value)) {
                continue;
            }
            let distinct: BTreeSet<&str> =
                values.iter().copied().filter(|v| !v.is_empty()).collect();
            if distinct.len() > MOST_VALUES {
                if columns.is_empty() {
                    continue;
                }
                return Err(Error::usage(format!(
                    "{}: column `{name}` has {} values for these samples, more than the \
                     {MOST_VALUES} that become kinds",
                    path.display(),
                    distinct.len()
                )));
            }
            for value in distinct {
                let of = values.iter().map(|other| *other == value).collect();
                kinds.push((format!("{name}={value}"), of));
            }
        }
        if kinds.is_empty() {
            return Err(Error::usage(format!(
                "{}: no column of 0 and 1 or of text, so no kinds; name columns, as in TABLE:COLUMN",
                path.display()
            )));
        }
        Ok(Self { kinds })
    }

    /// Each kind, and whether each sample is of it.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[bool])> {
        (self.kinds.iter()).map(|(name, of)| (name.as_str(), of.as_slice()))
    }

    /// Names of the kinds of a sample.
    pub fn of(&self, sample: usize) -> Vec<&str> {
        (self.iter())
            .filter(|(_, of)| of.get(sample).copied().unwrap_or(false))
            .map(|(name, _)| name)
            .collect()
    }
}

/// The column of a table that names `samples`, and the row of each.
///
/// # Errors
/// No column names them all; or one is named twice.
pub(super) fn rows_of(
    path: &Path,
    table: &Metadata,
    samples: &[String],
) -> Result<(usize, Vec<usize>)> {
    let all = table.matching(&[])?;
    let mut best: (usize, Option<&String>) = (0, samples.first());
    for column in 0..table.columns().len() {
        let mut rows = std::collections::BTreeMap::new();
        let mut twice = BTreeSet::new();
        for row in &all {
            let name = table.value(*row, column);
            if rows.insert(name, *row).is_some() {
                twice.insert(name);
            }
        }
        let found: Vec<Option<usize>> = samples
            .iter()
            .map(|name| rows.get(name.as_str()).copied())
            .collect();
        let count = found.iter().flatten().count();
        if count == samples.len() {
            if let Some(name) = samples.iter().find(|name| twice.contains(name.as_str())) {
                let message = format!("the sample {name} has several rows");
                return Err(Error::format(path, message));
            }
            return Ok((column, found.into_iter().flatten().collect()));
        }
        if count > best.0 {
            best = (
                count,
                samples
                    .iter()
                    .zip(&found)
                    .find(|(_, row)| row.is_none())
                    .map(|(n, _)| n),
            );
        }
    }
    Err(Error::format(
        path,
        format!(
            "no row names the sample {}; a column with the names of the samples is expected",
            best.1.map_or("", String::as_str)
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
scene,difficulty,share,snow,sea,ground
a,1,0.5,1,0,rock
b,2,0.25,0,1,
c,1,0.75,1,1,ice
d,1,0.75,1,1,ice
";

    fn read(columns: &[&str], samples: &[&str]) -> Result<Kinds> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tags.csv");
        std::fs::write(&path, TABLE).unwrap();
        let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        Kinds::read(&path, &owned(columns), &owned(samples))
    }

    #[test]
    fn columns_become_kinds() {
        let kinds = read(&[], &["b", "a", "c"]).unwrap();
        let found: Vec<(&str, &[bool])> = kinds.iter().collect();
        let expected: [(&str, &[bool]); 4] = [
            ("snow", &[false, true, true]),
            ("sea", &[true, false, true]),
            ("ground=ice", &[false, false, true]),
            ("ground=rock", &[false, true, false]),
        ];
        assert_eq!(found, expected);
        assert_eq!(kinds.of(2), ["snow", "sea", "ground=ice"]);
        let named = read(&["difficulty"], &["b", "a"]).unwrap();
        let names: Vec<&str> = named.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["difficulty=1", "difficulty=2"]);
    }

    #[test]
    fn samples_and_columns_that_are_missing_are_errors() {
        let missing = read(&[], &["a", "x"]).unwrap_err().to_string();
        assert!(
            missing.contains("tags.csv") && missing.contains("sample x"),
            "{missing}"
        );
        let column = read(&["snot"], &["a"]).unwrap_err().to_string();
        assert!(
            column.contains("`snot`") && column.contains("snow"),
            "{column}"
        );
    }
}
