//! Samples chosen by a list of names, and folds read from a table.

use std::collections::BTreeMap;
use std::path::Path;

use super::kinds::rows_of;
use crate::data::listed_names;
use crate::data::split::Metadata;
use crate::error::{Error, Result};

/// Positions in `samples` of the names that a file lists: one per line, the rest of a line
/// after `#` left out; of a table (.csv, .json, .parquet) those of the column `name`.
///
/// # Errors
/// A file that can't be read or lists no name, a name twice, or one that is no sample's.
pub fn listed(path: &Path, samples: &[String]) -> Result<Vec<usize>> {
    let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
    let names: Vec<String> = if ["csv", "json", "parquet"]
        .iter()
        .any(|known| ending == *known)
    {
        let table = Metadata::read(path)?;
        let column = table.column("name")?;
        let rows = table.matching(&[])?;
        rows.iter()
            .map(|row| table.value(*row, column).to_owned())
            .collect()
    } else {
        listed_names(path)?
    };
    if names.is_empty() {
        return Err(Error::format(path, "names no sample"));
    }
    let places: BTreeMap<&str, usize> = (samples.iter().enumerate())
        .map(|(index, name)| (name.as_str(), index))
        .collect();
    let mut chosen = Vec::with_capacity(names.len());
    for name in &names {
        match places.get(name.as_str()) {
            Some(index) if chosen.contains(index) => {
                return Err(Error::format(
                    path,
                    format!("names the sample {name} twice"),
                ));
            }
            Some(index) => chosen.push(*index),
            None => {
                let message = format!(
                    "names {name}, which is none of the {} samples",
                    samples.len()
                );
                return Err(Error::format(path, message));
            }
        }
    }
    chosen.sort_unstable();
    Ok(chosen)
}

/// The fold, from 0, of each sample and the number of folds, by a table with a row per
/// sample and a column `fold` with numbers from 1.
///
/// # Errors
/// A table that can't be read or does not name each sample, a fold that is no number from
/// 1, or one to which no sample belongs.
pub(super) fn folds_of_table(path: &Path, samples: &[String]) -> Result<(Vec<usize>, usize)> {
    let table = Metadata::read(path)?;
    let column = table.column("fold")?;
    let (_, rows) = rows_of(path, &table, samples)?;
    let mut fold = Vec::with_capacity(rows.len());
    for row in rows {
        let value = table.value(row, column);
        match value.parse::<usize>() {
            Ok(number) if (1..=samples.len()).contains(&number) => fold.push(number - 1),
            _ => {
                let message = format!(
                    "row {}: fold `{value}`: a number from 1 to at most the {} samples is expected",
                    row + 1,
                    samples.len()
                );
                return Err(Error::format(path, message));
            }
        }
    }
    let count = fold.iter().max().map_or(0, |last| last + 1);
    if let Some(empty) = (0..count).find(|number| !fold.contains(number)) {
        return Err(Error::format(
            path,
            format!("no sample is in fold {}", empty + 1),
        ));
    }
    if count < 2 {
        return Err(Error::format(path, "at least 2 folds are expected"));
    }
    Ok((fold, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<T>(name: &str, text: &str, read: impl Fn(&Path, &[String]) -> Result<T>) -> Result<T> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path, &["a", "b", "c"].map(str::to_owned))
    }

    #[test]
    fn lists_name_samples() {
        assert_eq!(
            of("l.txt", "# two\nc\n\na  # first\n", listed).unwrap(),
            [0, 2]
        );
        assert_eq!(of("l.csv", "fold,name\n1,b\n", listed).unwrap(), [1]);
        for (name, text, expected) in [
            ("l.txt", "# none\n", "names no sample"),
            ("l.txt", "a\nd\n", "names d"),
            ("l.txt", "a\na\n", "names the sample a twice"),
            ("l.csv", "sample\na\n", "no column `name`"),
        ] {
            let error = of(name, text, listed).unwrap_err().to_string();
            assert!(error.contains("l.") && error.contains(expected), "{error}");
        }
    }

    #[test]
    fn tables_deal_samples_into_folds() {
        let found = of("f.csv", "name,fold\nb,1\na,2\nc,2\n", folds_of_table).unwrap();
        assert_eq!(found, (vec![1, 0, 1], 2));
        for (text, expected) in [
            ("name,fold\na,1\nb,2\n", "sample c"),
            ("name,fold\na,1\nb,3\nc,3\n", "no sample is in fold 2"),
            ("name,fold\na,0\nb,1\nc,2\n", "row 1: fold `0`"),
            ("name,fold\na,1\nb,1\nc,1\n", "at least 2 folds"),
        ] {
            let error = of("f.csv", text, folds_of_table).unwrap_err().to_string();
            assert!(
                error.contains("f.csv") && error.contains(expected),
                "{error}"
            );
        }
    }
}
