//! The decoder of Parquet tables.

use std::path::Path;

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

use super::parquet::check_length;
use crate::error::{Error, Result};
use crate::samples::table::Table;

/// Rows, and values in all of them; CloudSEN12+ has some 50 000 rows of 50 columns.
const MOST_ROWS: i64 = 1 << 22;
const MOST_VALUES: i64 = 1 << 26;

/// The rows as [`super::parquet::table`] has them.
pub fn decode(path: &Path, file: &[u8]) -> Result<Table> {
    // The decoder trusts page headers in places and panics where they lie.
    std::panic::catch_unwind(|| decode_unguarded(path, file)).unwrap_or_else(|_| {
        let message = "a broken Parquet table: its pages contradict each other";
        Err(Error::format(path, message))
    })
}

fn decode_unguarded(path: &Path, file: &[u8]) -> Result<Table> {
    let fail = |message: String| Error::format(path, format!("a broken Parquet table: {message}"));
    let reader =
        SerializedFileReader::new(Bytes::copy_from_slice(file)).map_err(|e| fail(e.to_string()))?;
    let metadata = reader.metadata();
    let file_metadata = metadata.file_metadata();
    let count = file_metadata.num_rows();
    let leaves = file_metadata.schema_descr().num_columns() as i64;
    let in_groups = metadata
        .row_groups()
        .iter()
        .try_fold(0i64, |sum, group| sum.checked_add(group.num_rows()));
    if !(0..=MOST_ROWS).contains(&count) || count.saturating_mul(leaves) > MOST_VALUES {
        let message = format!("a table of {count} rows and {leaves} columns");
        return Err(Error::limits(path.display(), message));
    }
    if in_groups != Some(count) {
        return Err(fail(format!(
            "{count} rows, but {in_groups:?} in its groups"
        )));
    }
    for group in metadata.row_groups() {
        check_length(path, group.total_byte_size().max(0) as u64)?;
        for column in group.columns() {
            check_length(path, column.uncompressed_size().max(0) as u64)?;
            let dictionary = column.dictionary_page_offset().unwrap_or(0);
            if column
                .compressed_size()
                .min(column.data_page_offset())
                .min(dictionary)
                < 0
            {
                return Err(fail("a column of negative size or place".to_owned()));
            }
        }
    }
    let columns: Vec<String> = (file_metadata.schema().get_fields().iter())
        .map(|field| field.name().to_owned())
        .collect();
    let kept: Vec<usize> = (0..columns.len())
        .filter(|column| !columns[*column].starts_with("__index_level_"))
        .collect();
    let mut rows = Vec::new();
    let iterator = reader.get_row_iter(None).map_err(|e| fail(e.to_string()))?;
    for row in iterator {
        let row = row.map_err(|e| fail(e.to_string()))?.into_columns();
        if row.len() != columns.len() {
            return Err(fail(format!(
                "a row of {} columns, not {}",
                row.len(),
                columns.len()
            )));
        }
        rows.push(kept.iter().map(|column| text(&row[*column].1)).collect());
    }
    if rows.len() as i64 != count {
        return Err(fail(format!("{} rows, not {count}", rows.len())));
    }
    let columns = kept.iter().map(|column| columns[*column].clone()).collect();
    Table::new(columns, rows).map_err(|message| fail(message.to_owned()))
}

fn text(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Str(text) => text.clone(),
        Field::Float(number) => number.to_string(),
        Field::Double(number) => number.to_string(),
        Field::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Field::ListInternal(list) => {
            let items: Vec<String> = list.elements().iter().map(text).collect();
            format!("[{}]", items.join(", "))
        }
        other => other.to_string(),
    }
}
