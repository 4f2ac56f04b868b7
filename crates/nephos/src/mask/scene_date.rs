//! Acquisition date of a scene, from its file.

use std::path::{Path, PathBuf};

use super::dates::Dates;
use crate::raster::tiff_items;
use crate::scene::SceneInfo;

/// Names under which GeoTIFFs state when the picture was taken, the surest first: GDAL's,
/// nephos's own, those of HLS, Landsat ARD, Planet and others.
const NAMES: [&str; 10] = [
    "ACQUISITIONDATETIME",
    "ACQUIRED",
    "SENSING_TIME",
    "DATATAKE_SENSING_START",
    "PRODUCT_START_TIME",
    "ACQUISITION_DATE",
    "DATE_ACQUIRED",
    "DATETIME",
    "DATE",
    "TIFFTAG_DATETIME",
];

/// When a scene was taken: as its product states it, else the date that its file
/// carries. A file's own tag (TIFFTAG_DATETIME) is the date of the picture by
/// the standard, and without a zone; it is taken as UTC.
pub fn stated_date(info: &SceneInfo) -> Option<String> {
    info.acquired.clone().or_else(|| of_file(&info.path))
}

fn of_file(path: &Path) -> Option<String> {
    let file = match path.is_dir() {
        true => first_tiff(path)?,
        false => path.to_owned(),
    };
    let items = tiff_items(&file).ok()?;
    let named = |name: &str| {
        (items.iter())
            .find(|(own, text)| own.eq_ignore_ascii_case(name) && !text.is_empty())
            .map(|(_, text)| text.as_str())
    };
    NAMES.into_iter().filter_map(named).find_map(time)
}

/// The first GeoTIFF of a folder by name.
fn first_tiff(folder: &Path) -> Option<PathBuf> {
    let is_tiff = |path: &PathBuf| {
        (path.extension())
            .is_some_and(|e| e.eq_ignore_ascii_case("tif") || e.eq_ignore_ascii_case("tiff"))
    };
    (std::fs::read_dir(folder).ok()?)
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_tiff)
        .min()
}

/// A time in ISO 8601; TIFF's own has colons in its date. HLS states several
/// of one composite, the first of which counts.
fn time(text: &str) -> Option<String> {
    let text = text.split(';').next()?.trim();
    let mut time = text.to_owned();
    let bytes = text.as_bytes();
    if bytes.len() >= 10 && bytes[4] == b':' && bytes[7] == b':' {
        time.replace_range(4..5, "-");
        time.replace_range(7..8, "-");
    }
    let dates: Dates = time.parse().ok()?;
    // An empty tag is written as zeros.
    (!dates.range()[0].starts_with("0000")).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_several_words() {
        for (text, expected) in [
            ("2022:10:05 11:54:11", Some("2022-10-05 11:54:11")),
            (
                "2022-10-05T11:54:11Z; 2022-10-05T11:54:35Z",
                Some("2022-10-05T11:54:11Z"),
            ),
            ("2022-10-05", Some("2022-10-05")),
            ("0000:00:00 00:00:00", None),
            ("é022:10:05", None),
            ("soon", None),
        ] {
            assert_eq!(time(text).as_deref(), expected, "{text}");
        }
    }
}
