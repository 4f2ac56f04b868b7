//! Names of the bands of plain rasters: given, in the file, or in its name.

use std::path::{Path, PathBuf};

use super::SceneOptions;
use crate::band::{self, Before, Meaning, Product, identify};
use crate::error::{Error, Result};
use crate::raster::tiff::TiffRaster;
use crate::raster::{DType, stem};

/// Endings of the files in a folder that are bands.
const ENDINGS: [&str; 2] = ["tif", "tiff"];

/// The bands of a raster.
pub(super) struct Named {
    /// Name and name in the product of each band.
    pub bands: Vec<[String; 2]>,
    /// Where each is: the band of a file, or the file of a folder.
    pub places: Vec<usize>,
    /// The band of the file that is opacity and so no band of the scene.
    pub alpha: Option<usize>,
    pub notes: Vec<String>,
    /// The product by the names.
    pub product: Product,
}

/// Names for the bands of one file: those given, those the file states, or those
/// usual for the number of bands.
pub(super) fn of_file(raster: &TiffRaster, options: &SceneOptions) -> Result<Named> {
    let path = raster.path();
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
             no band of the scene; `options.bands` with {count} names makes it one.",
            alpha + 1
        ));
    }
    let own: Vec<usize> = (0..count).filter(|band| Some(*band) != alpha).collect();
    let stem = stem(path);
    let folder = path.parent().and_then(Path::file_name);
    let folder = folder.unwrap_or_default().to_string_lossy();
    let texts = std::iter::once(stem.as_str())
        .chain(raster.texts.iter().map(String::as_str))
        .chain([folder.as_ref()]);
    let product = Product::first_in(texts);
    // Nothing is found any more by a name that was overruled.
    let described = |band| described(band).filter(|_| options.bands.is_none());
    let sources: Vec<String> = (own.iter())
        .map(|band| described(*band).unwrap_or_else(|| format!("band {}", band + 1)))
        .collect();
    let mut places = own.clone();
    let bands: Vec<[String; 2]> = if let Some(names) = &options.bands {
        let named = given(path, names, own.len(), &product, options)?;
        let pairs = named.into_iter().zip(sources).zip(own);
        let chosen = pairs.filter_map(|((name, source), place)| Some(([name?, source], place)));
        let (bands, chosen): (Vec<[String; 2]>, Vec<usize>) = chosen.unzip();
        places = chosen;
        bands
    } else if own.iter().any(|band| described(*band).is_some()) {
        let mut found = identify(&sources, Before::Product, &product);
        refuse_mss(path, &product, &found.names)?;
        notes.append(&mut found.notes);
        let names = found.names.into_iter().map(|(meaning, _)| meaning);
        let bands = name_each(names, sources);
        refuse_doubles(&bands, |first, second, name| {
            let [one, other] = [first, second].map(|band| &bands[band][1]);
            let (one_place, other_place) = (own[first] + 1, own[second] + 1);
            Error::format(
                path,
                format!(
                    "bands {one_place} (`{one}`) and {other_place} (`{other}`) are both `{name}`, \
                     as where several dates are stacked; a scene has each band once. Name the \
                     bands of one date, `{}` for each of the others, as in `options.bands = {}`",
                    band::SKIP,
                    suggestion(&bands),
                ),
            )
        })?;
        bands
    } else if let Some((names, what)) = usual(own.len(), raster, &product) {
        notes.push(format!(
            "The file names no bands: its {} are taken as {what}; `options.bands` names them \
             otherwise.",
            own.len()
        ));
        names
            .into_iter()
            .zip(sources)
            .map(|(n, s)| [n, s])
            .collect()
    } else {
        refuse_mss(path, &product, &[])?;
        sources.iter().map(|s| [s.clone(), s.clone()]).collect()
    };
    Ok(Named {
        bands,
        places,
        alpha,
        notes,
        product,
    })
}

/// Names for a folder's bands, one for each file: those given, or those in the file
/// names. Files that are masks or angles by their names are none.
pub(super) fn of_folder(folder: &Path, files: &[PathBuf], options: &SceneOptions) -> Result<Named> {
    let stems: Vec<String> = files.iter().map(|file| stem(file)).collect();
    let own = folder.file_name().unwrap_or_default().to_string_lossy();
    let texts = stems.iter().map(String::as_str).chain([own.as_ref()]);
    let product = Product::first_in(texts);
    if let Some(names) = &options.bands {
        let named = given(folder, names, files.len(), &product, options)?;
        let pairs = named.into_iter().zip(names).enumerate();
        let chosen = pairs.filter_map(|(place, (name, text))| Some(([name?, text.clone()], place)));
        let (bands, places) = chosen.unzip();
        return Ok(Named {
            bands,
            places,
            alpha: None,
            notes: Vec::new(),
            product,
        });
    }
    let mut found = identify(&stems, Before::Anything, &product);
    refuse_mss(folder, &product, &found.names)?;
    let places: Vec<usize> = (0..files.len())
        .filter(|place| found.names[*place].0 != Meaning::Layer)
        .collect();
    let (meanings, texts): (Vec<Meaning>, Vec<String>) = (places.iter())
        .map(|place| found.names[*place].clone())
        .unzip();
    let bands = name_each(meanings.into_iter(), texts);
    refuse_doubles(&bands, |first, second, name| {
        let message = format!(
            "band `{name}` as {} is: a scene has each band once, of one date and one pixel size. \
             Move the others to another folder, or name the folder's files with `options.bands`, \
             in the order of their names, `{}` for each to skip",
            files[places[first]].display(),
            band::SKIP
        );
        Error::format(&files[places[second]], message)
    })?;
    if product.is_landsat() {
        found.notes.push(
            "These are Landsat's files without the metadata file (…_MTL.txt, .xml or .json) that \
             says how numbers become reflectance; it comes with the product."
                .to_owned(),
        );
    }
    Ok(Named {
        bands,
        places,
        alpha: None,
        notes: found.notes,
        product,
    })
}

/// Whether a file in a folder is named after a band.
pub(super) fn is_band(path: &Path) -> bool {
    let found = identify(&[stem(path)], Before::Anything, &Product::default());
    (found.names.iter())
        .any(|(meaning, _)| matches!(meaning, Meaning::Band(_) | Meaning::Ambiguous))
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
    files.sort();
    Ok(files)
}

/// The names given for `count` bands, `None` for each to skip.
pub(super) fn given(
    path: &Path,
    names: &[String],
    count: usize,
    product: &Product,
    options: &SceneOptions,
) -> Result<Vec<Option<String>>> {
    if names.len() != count {
        return Err(Error::usage(format!(
            "{}: `options.bands` gives {} names, there are {count} bands; `{}` skips one",
            path.display(),
            names.len(),
            band::SKIP
        )));
    }
    let named = band::given(names, product, &options.model_bands)?;
    match named.iter().any(Option::is_some) {
        true => Ok(named),
        false => Err(Error::usage("`options.bands`: no band is left")),
    }
}

/// Name and name in the product: the common name where there is one, else the name as
/// it is.
fn name_each(meanings: impl Iterator<Item = Meaning>, sources: Vec<String>) -> Vec<[String; 2]> {
    let mut bands: Vec<[String; 2]> = Vec::with_capacity(sources.len());
    for (meaning, source) in meanings.zip(sources) {
        let name = match meaning {
            // Landsat 7 has its thermal band in two gains; the first is the one.
            Meaning::Band(common)
                if band::is_thermal(common) && bands.iter().any(|[name, _]| name == common) =>
            {
                source.clone()
            }
            Meaning::Band(common) => common.to_owned(),
            _ => source.trim().to_owned(),
        };
        bands.push([name, source]);
    }
    bands
}

/// Refuses a known band that is there twice; `error` gets both and their name.
fn refuse_doubles(
    bands: &[[String; 2]],
    error: impl Fn(usize, usize, &str) -> Error,
) -> Result<()> {
    for (position, [name, _]) in bands.iter().enumerate() {
        let first = bands[..position]
            .iter()
            .position(|[other, _]| other == name);
        if let Some(first) = first.filter(|_| band::is_known(name)) {
            return Err(error(first, position, name));
        }
    }
    Ok(())
}

/// The first of each band, and `-` for what is there again or is none.
fn suggestion(bands: &[[String; 2]]) -> String {
    let names = bands.iter().enumerate().map(|(position, [name, _])| {
        let again = bands[..position].iter().any(|[other, _]| other == name);
        match again || !band::is_known(name) {
            true => band::SKIP,
            false => name.as_str(),
        }
    });
    names.collect::<Vec<_>>().join(",")
}

/// What a Multispectral Scanner lacks.
pub(super) const MSS: &str = "Landsat's Multispectral Scanner (MSS) has no blue band and no \
    shortwave infrared: its bands are green, red and two of near infrared (B1 to B4 on Landsat 4 \
    and 5, B4 to B7 on Landsat 1 to 3). nephos reads TM, ETM+ and OLI of Landsat 4 to 9";

/// Refuses the Multispectral Scanner, unless the names say themselves what the bands are.
fn refuse_mss(path: &Path, product: &Product, names: &[(Meaning, String)]) -> Result<()> {
    let is_named = |(meaning, _): &(Meaning, String)| matches!(meaning, Meaning::Band(_));
    match product.is_mss() && !names.iter().any(is_named) {
        true => Err(Error::unsupported(path.display(), MSS)),
        false => Ok(()),
    }
}

/// Names usual for a number of bands without names, and what they are called.
fn usual(
    count: usize,
    raster: &TiffRaster,
    product: &Product,
) -> Option<(Vec<String>, &'static str)> {
    let sentinel2 = band::SENTINEL2
        .iter()
        .map(|(_, common, _)| (*common).to_owned());
    match count {
        3 if raster.is_rgb => {
            let names = ["red", "green", "blue"].map(String::from);
            Some((names.to_vec(), "red, green and blue, as its colours say"))
        }
        12 | 13 if product.is_landsat() => None,
        13 => Some((sentinel2.collect(), "those of Sentinel-2 L1C, B01 to B12")),
        12 if raster.dtype() != DType::U8 => Some((
            sentinel2.filter(|name| name != "cirrus").collect(),
            "those of Sentinel-2 L2A, B01 to B12 without B10",
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_found_in_file_names() {
        let named = |stem: &str| {
            let file = PathBuf::from(format!("{stem}.TIF"));
            let named = of_folder(Path::new("x"), &[file], &SceneOptions::default()).unwrap();
            let [name, source] = named.bands.first()?.clone();
            Some(format!("{name} {source}"))
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
        assert_eq!(named("elevation").unwrap(), "elevation elevation");
        let hls = |end: &str| named(&format!("HLS.L30.T29UNU.2022278T115411.v2.0.{end}"));
        assert_eq!(hls("B05").unwrap(), "nir08 B05");
        assert_eq!(hls("Fmask"), None);
        assert!(is_band(Path::new("T31TCJ_B02_10m.tif")) && !is_band(Path::new("mask.tif")));
    }

    #[test]
    fn the_thermal_band_may_come_in_two_gains() {
        let files = ["B3", "B6_VCID_1", "B6_VCID_2"].map(|band| {
            PathBuf::from(format!(
                "LE07_L1TP_190024_20200101_20200113_02_T1_{band}.TIF"
            ))
        });
        let named = of_folder(Path::new("x"), &files, &SceneOptions::default()).unwrap();
        let names: Vec<&str> = named.bands.iter().map(|[name, _]| name.as_str()).collect();
        assert_eq!(names, ["red", "lwir", "B6_VCID_2"]);
    }
}
