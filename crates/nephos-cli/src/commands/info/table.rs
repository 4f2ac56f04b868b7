//! Report on a table.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use nephos::Error;
use nephos::text::one_line;
use serde::Serialize;

/// Values of a column that are shown.
const MOST_VALUES: usize = 4;
/// Different values of a column that are counted.
const MOST_DISTINCT: usize = 100_000;

/// A table with a row of names.
#[derive(Debug, Serialize)]
pub struct Report {
    kind: &'static str,
    rows: usize,
    columns: Vec<Column>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: String,
    /// Values that are not empty.
    filled: usize,
    /// How many different ones there are, counted up to 100,000.
    distinct: usize,
    /// Least and greatest, where all are numbers.
    range: Option<[f64; 2]>,
    /// The first different ones in the order of the table.
    values: Vec<String>,
}

/// Statistics of a column, updated row by row.
#[derive(Default)]
struct Seen {
    filled: usize,
    distinct: BTreeSet<String>,
    values: Vec<String>,
    range: Option<[f64; 2]>,
    words: bool,
}

impl Seen {
    fn add(&mut self, value: &str) {
        let value = value.trim();
        if value.is_empty() {
            return;
        }
        self.filled += 1;
        match value.parse::<f64>() {
            Ok(number) if number.is_finite() => {
                let [low, high] = self.range.unwrap_or([number; 2]);
                self.range = Some([low.min(number), high.max(number)]);
            }
            _ => self.words = true,
        }
        if self.distinct.len() < MOST_DISTINCT && !self.distinct.contains(value) {
            self.distinct.insert(value.to_owned());
            if self.values.len() < MOST_VALUES {
                self.values.push(value.to_owned());
            }
        }
    }
}

/// Reads a table of comma-separated values.
pub fn report(path: &Path) -> nephos::Result<Report> {
    let broken = |e: csv::Error| match e.into_kind() {
        csv::ErrorKind::Io(e) => Error::io(path, e),
        csv::ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => {
            let line = pos.map_or(0, |pos| pos.line());
            let message = format!("line {line}: expected {expected_len} values, got {len}");
            Error::format(path, message)
        }
        other => Error::format(path, format!("expected a table of text (CSV): {other:?}")),
    };
    let mut reader = csv::Reader::from_path(path).map_err(broken)?;
    let names: Vec<String> = (reader.headers().map_err(broken)?.iter())
        .map(|name| name.trim_start_matches('\u{feff}').trim().to_owned())
        .collect();
    if names.iter().all(String::is_empty) {
        return Err(Error::format(
            path,
            "expected a table with a row of names first",
        ));
    }
    let mut seen: Vec<Seen> = names.iter().map(|_| Seen::default()).collect();
    let mut rows = 0;
    for record in reader.records() {
        let record = record.map_err(broken)?;
        rows += 1;
        for (seen, value) in seen.iter_mut().zip(record.iter()) {
            seen.add(value);
        }
    }
    Ok(Report {
        kind: kind(&names),
        rows,
        columns: (names.into_iter().zip(seen))
            .map(|(name, seen)| Column {
                name,
                filled: seen.filled,
                distinct: seen.distinct.len(),
                range: seen.range.filter(|_| !seen.words),
                values: seen.values,
            })
            .collect(),
    })
}

/// Which of the tables that nephos writes or reads has these columns.
fn kind(names: &[String]) -> &'static str {
    let has = |requested: &[&str]| {
        requested
            .iter()
            .all(|name| names.iter().any(|own| own == name))
    };
    if has(&["split", "index", "roi_id"]) {
        "metadata of samples, as `nephos simulate` writes it and `nephos split --metadata` reads it"
    } else if has(&["epoch", "train_loss"]) || has(&["epoch", "loss"]) {
        "history of a training"
    } else {
        "table"
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            count => format!("{count} {what}s"),
        };
        writeln!(
            f,
            "{}: {}, {}",
            self.kind,
            count(self.rows, "row"),
            count(self.columns.len(), "column")
        )?;
        let names: Vec<_> = self
            .columns
            .iter()
            .map(|column| one_line(&column.name))
            .collect();
        let width = names
            .iter()
            .map(|name| name.chars().count())
            .max()
            .unwrap_or(0);
        for (name, column) in names.iter().zip(&self.columns) {
            let values = match column.range {
                Some([low, high]) => format!("{low} to {high}"),
                None => {
                    let more = column.distinct > column.values.len();
                    let more = if more { ", …" } else { "" };
                    format!("{}{more}", one_line(&column.values.join(", ")))
                }
            };
            let pad = width - name.chars().count();
            write!(
                f,
                "  {name}{:pad$}  {:>7} different  {values}",
                "", column.distinct
            )?;
            match self.rows - column.filled {
                0 => writeln!(f)?,
                empty => writeln!(f, "  ({empty} empty)")?,
            }
        }
        Ok(())
    }
}
