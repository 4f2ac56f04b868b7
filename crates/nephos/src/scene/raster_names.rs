//! Names of the bands of plain rasters: told, in the file, or in its name.

use std::path::{Path, PathBuf};

use super::tiff::TiffRaster;
use super::{DType, SceneOptions};
use crate::band;
use crate::error::{Error, Result};

/// Endings of the files in a folder that are bands.
const ENDINGS: [&str; 2] = ["tif", "tiff"];
/// Letters before the number of a Landsat satellite: its instruments.
const LANDSAT: [&str; 4] = ["LC", "LO", "LE", "LT"];

/// The bands of a raster.
pub(super) struct Named {
    /// Name and name in the product of each band.
    pub bands: Vec<[String; 2]>,
    /// The band of the file that is opacity and so no band of the scene.
    pub alpha: Option<usize>,
    pub notes: Vec<String>,
}

/// Names for the bands of one file: those given, those the file states, or those
/// usual for the number of bands.
pub(super) fn of_file(raster: &TiffRaster, options: &SceneOptions) -> Result<Named> {
    let count = raster.bands.len();
    let described = |band: usize| raster.bands[band].description.clone();
    let mut notes = Vec::new();
    // A fourth band without a name: some writers call any fourth band opacity.
    let alpha = raster.alpha.filter(|alpha| {
        let given = options
            .bands
            .as_ref()
            .is_some_and(|names| names.len() == count);
        !given && count > 1 && described(*alpha).is_none()
    });
    if let Some(alpha) = alpha {
        notes.push(format!(
            "The file says that band {} is opacity: pixels where it is 0 are no data, and it is \
             no band of the scene; --bands with {count} names makes it one.",
            alpha + 1
        ));
    }
    let own: Vec<usize> = (0..count).filter(|band| Some(*band) != alpha).collect();
    // Nothing is found any more by a name that was overruled.
    let described = |band| described(band).filter(|_| options.bands.is_none());
    let sources: Vec<String> = (own.iter())
        .map(|band| described(*band).unwrap_or_else(|| format!("band {}", band + 1)))
        .collect();
    let names = if let Some(given) = &options.bands {
        check_count(raster.path(), given, own.len())?;
        given.iter().map(|name| canonical(name, None)).collect()
    } else if own.iter().any(|band| described(*band).is_some()) {
        let spacecraft = spacecraft(raster.path());
        (sources.iter())
            .map(|name| canonical(name, spacecraft))
            .collect()
    } else if let Some((names, what)) = usual(own.len(), raster) {
        notes.push(format!(
            "The file names no bands: its {} are taken as {what}; --bands names them otherwise.",
            own.len()
        ));
        names
    } else {
        sources.clone()
    };
    let bands = names
        .into_iter()
        .zip(sources)
        .map(|(n, s)| [n, s])
        .collect();
    Ok(Named {
        bands,
        alpha,
        notes,
    })
}

/// Names for a folder's bands, one a file: those given, or those in the file names.
pub(super) fn of_folder(folder: &Path, files: &[PathBuf], options: &SceneOptions) -> Result<Named> {
    let stems: Vec<String> = files.iter().map(|file| stem(file)).collect();
    let bands: Vec<[String; 2]> = if let Some(given) = &options.bands {
        check_count(folder, given, files.len())?;
        (given.iter())
            .map(|name| [canonical(name, None), name.clone()])
            .collect()
    } else {
        (files.iter().zip(stems))
            .map(|(file, stem)| match in_file_name(&stem, spacecraft(file)) {
                Some(named) => named,
                None => [stem.clone(), stem],
            })
            .collect()
    };
    for (position, [name, _]) in bands.iter().enumerate() {
        if let Some(first) = bands[..position]
            .iter()
            .position(|[other, _]| other == name)
        {
            let message = format!(
                "band `{name}` as {} is; --bands names the folder's files otherwise, in the \
                 order of their names",
                files[first].display()
            );
            return Err(Error::format(&files[position], message));
        }
    }
    Ok(Named {
        bands,
        alpha: None,
        notes: Vec::new(),
    })
}

/// The GeoTIFFs of a folder, sorted by name.
pub(super) fn files_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let fail = |e| Error::io(folder, e);
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let known = (path.extension())
            .is_some_and(|e| ENDINGS.iter().any(|known| e.eq_ignore_ascii_case(known)));
        if known && !stem(&path).starts_with('.') && path.is_file() {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(Error::unsupported(
            folder.display(),
            "a folder without GeoTIFFs, and neither a Sentinel-2 SAFE product nor a Landsat \
             product with its MTL file",
        ));
    }
    files.sort();
    Ok(files)
}

pub(super) fn check_count(path: &Path, given: &[String], count: usize) -> Result<()> {
    if given.len() == count {
        return Ok(());
    }
    Err(Error::usage(format!(
        "{}: --bands gives {} names, there are {count} bands",
        path.display(),
        given.len()
    )))
}

/// The common name where there is one; else the name as it stands.
fn canonical(name: &str, spacecraft: Option<u8>) -> String {
    let landsat = spacecraft.and_then(|number| band::landsat(number, name));
    match landsat {
        Some(common) => common.to_owned(),
        None if band::is_known(name) => band::canonical(name),
        None => name.trim().to_owned(),
    }
}

/// Names usual for a number of bands without names, and what they are called.
fn usual(count: usize, raster: &TiffRaster) -> Option<(Vec<String>, &'static str)> {
    let sentinel2 = band::SENTINEL2
        .iter()
        .map(|(_, common, _)| (*common).to_owned());
    match count {
        3 if raster.is_rgb => {
            let names = ["red", "green", "blue"].map(String::from);
            Some((names.to_vec(), "red, green and blue, as its colours say"))
        }
        13 => Some((sentinel2.collect(), "those of Sentinel-2 L1C, B01 to B12")),
        12 if raster.dtype() != DType::U8 => Some((
            sentinel2.filter(|name| name != "cirrus").collect(),
            "those of Sentinel-2 L2A, B01 to B12 without B10",
        )),
        _ => None,
    }
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

/// The Landsat satellite, 4 to 9, that a file of USGS is named after: `LC08_…`.
fn spacecraft(path: &Path) -> Option<u8> {
    let name = stem(path).to_ascii_uppercase();
    let number = LANDSAT
        .iter()
        .find_map(|sensor| name.strip_prefix(sensor))?;
    let number = number.strip_prefix('0').unwrap_or(number);
    let digit = number.bytes().next()?;
    (b'4'..=b'9').contains(&digit).then(|| digit - b'0')
}

/// Name and agency name of the band that a file is named after: the last part that
/// is one, as in `T31TCJ_20200101T000000_B02_10m`, `LE07_…_B6_VCID_1`, `red`.
fn in_file_name(stem: &str, spacecraft: Option<u8>) -> Option<[String; 2]> {
    let parts: Vec<&str> = stem.split(['_', '-', '.', ' ']).collect();
    if let Some(number) = spacecraft {
        // The agency's name may have several parts.
        return (0..parts.len())
            .map(|first| parts[first..].join("_"))
            .find_map(|agency| Some([band::landsat(number, &agency)?.to_owned(), agency]));
    }
    let last = parts.iter().rev().find(|part| band::is_known(part))?;
    Some([band::canonical(last), (*last).to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_found_in_file_names() {
        let named = |stem: &str| {
            let found = in_file_name(stem, spacecraft(Path::new(&format!("{stem}.TIF"))));
            found.map(|[name, source]| format!("{name} {source}"))
        };
        assert_eq!(named("T31TCJ_20200101T105441_B02_10m").unwrap(), "blue B02");
        assert_eq!(named("S2A_B8A").unwrap(), "nir08 B8A");
        assert_eq!(named("scene.red").unwrap(), "red red");
        let landsat = |end: &str| named(&format!("LC08_L1TP_190024_20200101_20200113_02_T1_{end}"));
        assert_eq!(landsat("B4").unwrap(), "red B4");
        assert_eq!(landsat("SR_B5").unwrap(), "nir08 SR_B5");
        assert_eq!(landsat("QA_PIXEL"), None);
        let etm = "LE07_L1TP_190024_20200101_20200113_02_T1_B6_VCID_1";
        assert_eq!(named(etm).unwrap(), "lwir B6_VCID_1");
        assert_eq!(named("elevation"), None);
    }
}
