//! Which samples a container has, and where.

use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

use super::parquet;
use super::section::Section;
use crate::error::{Error, Result};
use crate::samples::table::Table;
use crate::scene::TACO_LEVEL_0 as LEVEL_0;

/// Samples of a container; CloudSEN12+ has some 50 000.
const MOST_SAMPLES: usize = 1 << 22;
/// Length of a JSON header; one sample takes some 100 bytes.
const LONGEST_HEADER: usize = 1 << 29;
/// First bytes of `.mlstac` and `.tortilla`, and of `.taco`.
const TORTILLA: &[u8] = b"#y";
const TACO: &[u8] = b"WX";
/// First bytes of a Parquet file, and of a zip archive.
const PARQUET: &[u8] = b"PAR1";
const ZIP: &[u8] = b"PK";

/// A named range of bytes, within the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub range: Range<usize>,
}

/// The table of a container and its samples, one per row.
pub fn read(path: &Path, file: &[u8]) -> Result<(Table, Vec<Entry>)> {
    let (table, entries) = match file {
        _ if file.starts_with(ZIP) => {
            let table = parquet::table(path, &level_0(path, file)?)?;
            let entries = entries(path, &table, &ZIP_COLUMNS, 0, file.len())?;
            (table, entries)
        }
        [_, _, _, _, _, _, _, _, _, _, b'{', ..]
            if file.starts_with(TORTILLA) && footer(path, file, 0, file.len()).is_err() =>
        {
            mlstac(path, file)?
        }
        _ if file.starts_with(TORTILLA) || file.starts_with(TACO) => {
            tortilla(path, file, 0, file.len())?
        }
        _ => {
            let message = "neither a TACO nor a tortilla nor an mlstac container";
            return Err(Error::format_at(path, 0, message));
        }
    };
    if let Some(twice) = first_double(&entries) {
        return Err(Error::format(path, format!("two samples called `{twice}`")));
    }
    Ok((table, entries))
}

/// The files within a sample: those of a tortilla, or of a folder by its `__meta__`.
pub fn children(path: &Path, whole: &Section) -> Result<Vec<Entry>> {
    let bytes = whole.bytes();
    if bytes.starts_with(TORTILLA) || bytes.starts_with(TACO) {
        let start = whole.start();
        return Ok(tortilla(path, whole.file(), start, start + bytes.len())?.1);
    }
    if bytes.starts_with(PARQUET) {
        let table = parquet::table(path, bytes)?;
        return entries(path, &table, &ZIP_COLUMNS, 0, whole.file().len());
    }
    let message = "a sample that is neither a GeoTIFF nor a tortilla nor a folder";
    Err(Error::unsupported(path.display(), message))
}

fn first_double(entries: &[Entry]) -> Option<&str> {
    let mut names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    names.sort_unstable();
    (names.windows(2))
        .find(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
}

/// Columns of a table that list files: name, offset, length.
type Columns = [&'static str; 3];

const TORTILLA_COLUMNS: Columns = ["tortilla:id", "tortilla:offset", "tortilla:length"];
const ZIP_COLUMNS: Columns = ["id", "internal:offset", "internal:size"];

/// The files that a table names. Offsets count from `start`; no file ends past `end`.
fn entries(
    path: &Path,
    table: &Table,
    names: &Columns,
    start: usize,
    end: usize,
) -> Result<Vec<Entry>> {
    let column = |name: &str| {
        (table.columns().iter().position(|column| column == name))
            .ok_or_else(|| Error::format(path, format!("the table has no column `{name}`")))
    };
    let [id, offset, length] = [column(names[0])?, column(names[1])?, column(names[2])?];
    let number = |row: usize, column: usize| table.value(row, column).parse::<u64>().ok();
    (0..table.len())
        .map(|row| {
            let name = table.value(row, id).to_owned();
            let range = number(row, offset)
                .zip(number(row, length))
                .and_then(|(offset, length)| range(start, end, offset, length))
                .filter(|_| !name.is_empty());
            let range = range.ok_or_else(|| {
                let what = format!(
                    "row {} of the table: `{name}` at {} with {} bytes is not within the {} bytes \
                     there are",
                    row + 1,
                    table.value(row, offset),
                    table.value(row, length),
                    end - start
                );
                Error::format(path, what)
            })?;
            Ok(Entry { name, range })
        })
        .collect()
}

/// `length` bytes, at least one, from `offset` after `start`, where they are before `end`.
fn range(start: usize, end: usize, offset: u64, length: u64) -> Option<Range<usize>> {
    let first = start.checked_add(usize::try_from(offset).ok()?)?;
    let last = first.checked_add(usize::try_from(length).ok()?)?;
    (first < last && last <= end).then_some(first..last)
}

/// The little-endian number at `place`.
fn number(file: &[u8], place: usize) -> Option<u64> {
    let bytes = file.get(place..place.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

/// Where the footer of the tortilla in `start..end` of the file is.
fn footer(path: &Path, file: &[u8], start: usize, end: usize) -> Result<Range<usize>> {
    let place = start + TORTILLA.len();
    let within = &file[..end];
    let found = number(within, place)
        .zip(number(within, place + 8))
        .and_then(|(offset, length)| range(start, end, offset, length))
        .filter(|footer| file[footer.clone()].starts_with(PARQUET));
    found.ok_or_else(|| {
        let message =
            "no Parquet table where the header says the footer is; the file may be cut off";
        Error::format_at(path, place as u64, message)
    })
}

fn tortilla(path: &Path, file: &[u8], start: usize, end: usize) -> Result<(Table, Vec<Entry>)> {
    let footer = footer(path, file, start, end)?;
    let table = parquet::table(path, &file[footer])?;
    let entries = entries(path, &table, &TORTILLA_COLUMNS, start, end)?;
    Ok((table, entries))
}

fn mlstac(path: &Path, file: &[u8]) -> Result<(Table, Vec<Entry>)> {
    const START: usize = TORTILLA.len() + 8;
    let fail = |message: String| Error::format_at(path, START as u64, message);
    let header = number(file, TORTILLA.len())
        .filter(|length| *length <= LONGEST_HEADER as u64)
        .and_then(|length| range(START, file.len(), 0, length))
        .ok_or_else(|| fail("a JSON header that is longer than the file or 512 MiB".to_owned()))?;
    let json: serde_json::Value =
        serde_json::from_slice(&file[header.clone()]).map_err(|e| fail(e.to_string()))?;
    let samples = (json.as_object())
        .filter(|samples| samples.len() <= MOST_SAMPLES)
        .ok_or_else(|| fail("the JSON header is no object of samples".to_owned()))?;
    let mut entries = Vec::with_capacity(samples.len());
    let mut rows = Vec::with_capacity(samples.len());
    for (name, place) in samples {
        let number = |position: usize| place.get(position)?.as_u64();
        let range = number(0)
            .zip(number(1))
            .and_then(|(begin, length)| range(header.end, file.len(), begin, length))
            .ok_or_else(|| fail(format!("sample `{name}` is not within the file: {place}")))?;
        rows.push(vec![name.clone()]);
        entries.push(Entry {
            name: name.clone(),
            range,
        });
    }
    let table =
        Table::new(vec!["id".to_owned()], rows).map_err(|message| fail(message.to_owned()))?;
    Ok((table, entries))
}

/// The bytes of the table of samples in a zip archive.
fn level_0(path: &Path, file: &[u8]) -> Result<Vec<u8>> {
    let broken =
        |e: zip::result::ZipError| Error::format(path, format!("a broken zip archive: {e}"));
    let mut archive = zip::ZipArchive::new(Cursor::new(file)).map_err(broken)?;
    let entry = archive.by_name(LEVEL_0).map_err(broken)?;
    parquet::check_length(path, entry.size())?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(
        &mut std::io::Read::take(entry, parquet::LONGEST),
        &mut bytes,
    )
    .map_err(|e| Error::format(path, format!("{LEVEL_0}: {e}")))?;
    Ok(bytes)
}
