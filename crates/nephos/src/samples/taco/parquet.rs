//! Parquet tables as text.

use std::path::Path;

use crate::error::{Error, Result};
use crate::samples::table::Table;

/// Longest table that is read, as stored and as decoded.
pub const LONGEST: u64 = 1 << 30;

/// Refuses a table of more than a GiB.
pub fn check_length(path: &Path, length: u64) -> Result<()> {
    if length <= LONGEST {
        return Ok(());
    }
    let message = format!("a table of {length} bytes; at most {LONGEST} are read");
    Err(Error::limits(path.display(), message))
}

/// The rows of a Parquet file as text: nothing for null, lists in brackets. The row
/// numbers that pandas adds (`__index_level_0__`) are left out.
pub fn table(path: &Path, file: &[u8]) -> Result<Table> {
    check_length(path, file.len() as u64)?;
    #[cfg(feature = "taco")]
    return super::decode::decode(path, file);
    #[cfg(not(feature = "taco"))]
    Err(Error::unsupported(
        path.display(),
        "Parquet tables, as TACO containers have, need nephos built with the feature `taco`",
    ))
}
