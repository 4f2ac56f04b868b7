//! Landsat 4 to 9, Level-1 and Level-2 products of Collection 2, and Level-1 of before.

mod bands;
mod files;
mod mtl;
mod radiometry;

pub use files::is_landsat;
pub use mtl::Mtl;

use std::path::{Path, PathBuf};

use ndarray::{Array3, Axis};
use rayon::prelude::*;

use self::bands::{Band, Quantity, Sensor, processing};
use self::files::Folder;
use self::mtl::{CONTENTS, FILE_INFO, IMAGE};
use super::band_file::{again, reference};
use super::nodata::NoData;
use super::raster_names::given;
use super::same_grid::same_grid;
use super::{Scene, SceneBand, SceneInfo, SceneOptions, SunAngles};
use crate::band::{self, Product};
use crate::error::{Error, Result};
use crate::raster::tiff::{TiffRaster, fit_nodata};
use crate::raster::{DType, Window};

/// Metres of a pixel of every band but the panchromatic, which is not read.
const RESOLUTION: f64 = 30.0;

/// A Landsat product: a folder with one GeoTIFF per band and a metadata file.
///
/// Reflectance of Level-1 is that at the top of the atmosphere, divided by the sine of
/// the sun's elevation at the scene's centre; of Level-2 that of the surface. Gains are
/// the metadata's. Thermal bands are brightness temperature (Level-2: surface
/// temperature) / 100 K. Pixels that are 0, the fill of all products, the no-data number
/// of a band's file, or masked by it have no data.
pub struct LandsatScene {
    info: SceneInfo,
    /// One for each band; or why it can't be read.
    files: Vec<Result<TiffRaster>>,
    nodata: NoData,
}

impl LandsatScene {
    /// Opens the product of a folder, or of an `*_MTL.txt`, `*_MTL.json` or `*_MTL.xml` in
    /// it. Bands whose file is not there are left out, with a note, and so are thermal
    /// bands without constants. A file that can't be read or has another grid than red
    /// is an error when its band is read, and not before.
    ///
    /// # Errors
    /// No metadata file or no band; a key that a reflective band needs, named; an option
    /// that does not fit.
    pub fn open(path: &Path, options: &SceneOptions) -> Result<Self> {
        let (mtl, folder) = locate(path)?;
        let sensor = Sensor::of(&mtl)?;
        if let Some(resolution) = options.resolution
            && resolution != RESOLUTION
        {
            return Err(Error::usage(format!(
                "{}: a resolution of {resolution} m is requested; Landsat is read at {RESOLUTION} m",
                path.display()
            )));
        }
        let mut notes = Vec::new();
        let found = find_bands(&mtl, sensor, &folder, &mut notes)?;
        let mut bands = Vec::new();
        let mut files = Vec::new();
        for (band, path) in &found {
            let file = open_band(path);
            let dtype = file.as_ref().map_or(DType::U16, TiffRaster::dtype);
            match describe(&mtl, sensor, *band, dtype, options) {
                Ok(band) => {
                    bands.push(band);
                    files.push(file);
                }
                // From December 2014 to 2015 the gain is 0: the sensor was off.
                Err(error) if band.quantity == Quantity::Temperature => notes.push(format!(
                    "Band {} ({}) is left out: {error}.",
                    sensor.source(*band),
                    sensor.name(*band)
                )),
                Err(error) => return Err(error),
            }
        }
        let names: Vec<&str> = bands.iter().map(|band| band.name.as_str()).collect();
        let Some(reference) = reference(&files, &names) else {
            let none = "no file of a band that the metadata describe";
            let broken = files.into_iter().find_map(Result::err);
            return Err(broken.unwrap_or_else(|| Error::format(path, none)));
        };
        let fits: Vec<Result<()>> = (files.iter())
            .map(|file| match (&files[reference], file) {
                (Ok(first), Ok(file)) => same_grid(first, file),
                _ => Ok(()),
            })
            .collect();
        for ((file, fits), band) in files.iter_mut().zip(fits).zip(&bands) {
            if let Err(error) = fits {
                *file = Err(error);
            }
            if let Err(error) = file {
                notes.push(format!(
                    "Band {} can't be read, which stops models that need it: {error}.",
                    band.label()
                ));
            }
        }
        let Some(Ok(first)) = files.get(reference) else {
            return Err(Error::format(path, "no file of a band can be read"));
        };
        let first = (first.size(), first.block(), first.georeference.clone());
        let sun = sun(&mtl);
        if sensor.level == 1
            && options.scale.is_none()
            && bands.iter().any(|band| !band::is_thermal(&band.name))
            && let Some(sun) = sun
        {
            notes.push(format!(
                "Reflectance is divided by the sine of the sun's elevation, {}°, which \
                 `options.scale` would replace.",
                sun.elevation
            ));
        }
        let mut info = SceneInfo {
            name: name(&mtl, path),
            path: path.to_owned(),
            product: product(&mtl, sensor)?,
            size: first.0,
            block: first.1,
            georeference: first.2,
            bands,
            sun,
            acquired: acquired(&mtl),
            notes,
        };
        if options.bands.is_some() {
            rename(&mut info, &mut files, sensor, options)?;
        }
        let nodata = declared(&mut info, &files, options);
        Ok(Self {
            info,
            files,
            nodata,
        })
    }
}

impl Scene for LandsatScene {
    fn info(&self) -> &SceneInfo {
        &self.info
    }

    fn read(&self, bands: &[usize], window: Window) -> Result<Array3<f32>> {
        self.info.check(bands, window)?;
        let mut out = Array3::zeros((bands.len(), window.rows, window.cols));
        let planes: Vec<_> = out.axis_iter_mut(Axis(0)).zip(bands).collect();
        planes.into_par_iter().try_for_each(|(mut plane, band)| {
            let radiometry = &self.info.bands[*band].radiometry;
            let file = self.files[*band].as_ref().map_err(again)?;
            let convert = |_, stored| match self.nodata.holds(*band, stored) {
                true => f32::NAN,
                false => radiometry.apply(stored),
            };
            let mut values = file.read(&[0], window, convert)?;
            // A fresh array is contiguous.
            let pixels = values.as_slice_mut().unwrap_or_default();
            file.blank(&[0], window, pixels, f32::NAN)?;
            plane.assign(&values.index_axis(Axis(0), 0));
            Ok::<(), Error>(())
        })?;
        Ok(out)
    }
}

/// What the bands' files say of no data themselves, which goes beside the fill of all
/// products. Where the user says what it is, that alone is.
fn declared(info: &mut SceneInfo, files: &[Result<TiffRaster>], options: &SceneOptions) -> NoData {
    let mut nodata = NoData::default();
    let mut numbers: Vec<f64> = Vec::new();
    let usable = || files.iter().enumerate();
    let usable = || usable().filter_map(|(band, file)| Some((band, file.as_ref().ok()?)));
    for (band, file) in usable() {
        let number = file.bands[0].nodata.filter(|_| options.nodata.is_none());
        let number = number.and_then(|number| fit_nodata(number, file.dtype()));
        if let Some(number) = number.filter(|n| info.bands[band].radiometry.nodata != Some(*n)) {
            nodata.declare(band, number);
            if !numbers.contains(&number) {
                numbers.push(number);
            }
        }
    }
    if !numbers.is_empty() {
        let numbers: Vec<String> = numbers.iter().map(f64::to_string).collect();
        info.notes.push(format!(
            "The bands' files say that {} is no data, and so it is beside 0; `options.nodata` \
             says otherwise.",
            numbers.join(", ")
        ));
    }
    for note in usable().flat_map(|(_, file)| &file.sidecars) {
        if !info.notes.contains(note) {
            info.notes.push(note.clone());
        }
    }
    nodata
}

/// The metadata file of a path, and the folder it is in.
fn locate(path: &Path) -> Result<(Mtl, Folder)> {
    if std::fs::metadata(path)
        .map_err(|e| Error::io(path, e))?
        .is_dir()
    {
        let folder = Folder::list(path)?;
        let mtl = folder.metadata()?.ok_or_else(|| {
            let message =
                "no file that ends in _MTL.txt, _MTL.json or _MTL.xml; a Landsat folder has one";
            Error::format(path, message)
        })?;
        return Ok((Mtl::read(&mtl)?, folder));
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    Ok((Mtl::read(path)?, Folder::list(parent)?))
}

/// The raster of a band: one of 8 or 16 bits without sign.
fn open_band(path: &Path) -> Result<TiffRaster> {
    let raster = TiffRaster::open(path)?;
    if raster.bands.len() != 1 || !matches!(raster.dtype(), DType::U8 | DType::U16) {
        return Err(Error::format(
            path,
            format!(
                "{} of {}; a Landsat file has one of uint8 or uint16",
                crate::text::count(raster.bands.len(), "band"),
                raster.dtype().name()
            ),
        ));
    }
    Ok(raster)
}

/// The bands that have a file, in the sensor's order. The Enhanced Thematic Mapper's
/// thermal band may be there under more than one key, of which the first is taken.
fn find_bands(
    mtl: &Mtl,
    sensor: Sensor,
    folder: &Folder,
    notes: &mut Vec<String>,
) -> Result<Vec<(Band, PathBuf)>> {
    let mut found: Vec<(Band, PathBuf)> = Vec::new();
    for band in sensor.bands {
        let name = sensor.name(*band);
        if found.iter().any(|(other, _)| sensor.name(*other) == name) {
            continue;
        }
        let declared = mtl.get(
            CONTENTS,
            &format!("FILE_NAME_BAND_{}", sensor.suffix(*band)),
        );
        let source = sensor.source(*band);
        match (folder.band(declared, &source)?, declared) {
            (Some(file), _) => found.push((*band, file)),
            (None, Some(declared)) => notes.push(format!(
                "Band {source} ({name}) is left out: {declared} is not in the folder."
            )),
            (None, None) => {}
        }
    }
    Ok(found)
}

fn describe(
    mtl: &Mtl,
    sensor: Sensor,
    band: Band,
    dtype: DType,
    options: &SceneOptions,
) -> Result<SceneBand> {
    Ok(SceneBand {
        name: sensor.name(band),
        source: sensor.source(band),
        dtype,
        resolution: Some(RESOLUTION),
        radiometry: radiometry::of(mtl, sensor, band, dtype, options)?,
    })
}

/// Names of the bands in the order in which they were found, in place of their own.
fn rename(
    info: &mut SceneInfo,
    files: &mut Vec<Result<TiffRaster>>,
    sensor: Sensor,
    options: &SceneOptions,
) -> Result<()> {
    let names = options.bands.as_deref().unwrap_or_default();
    if names.len() != info.bands.len() {
        let have: Vec<&str> = info.bands.iter().map(|band| band.source.as_str()).collect();
        return Err(Error::usage(format!(
            "{}: `options.bands` gives {}; the scene has {}: {}",
            info.path.display(),
            crate::text::count(names.len(), "name"),
            crate::text::count(have.len(), "band"),
            have.join(", ")
        )));
    }
    let product = Product::first_in([format!("landsat{}", sensor.satellite).as_str()]);
    let named = given(&info.path, names, names.len(), &product, options)?;
    let own = std::mem::take(&mut info.bands).into_iter();
    let all = own
        .zip(std::mem::take(files))
        .zip(named.into_iter().zip(names));
    for ((band, file), (name, source)) in all {
        if let Some(name) = name {
            let source = source.clone();
            info.bands.push(SceneBand {
                name,
                source,
                ..band
            });
            files.push(file);
        }
    }
    Ok(())
}

/// As in `Landsat 8 Collection 2 Level-1 (L1TP)`.
fn product(mtl: &Mtl, sensor: Sensor) -> Result<String> {
    let collection = (mtl.get(CONTENTS, "COLLECTION_NUMBER"))
        .or(mtl.get(FILE_INFO, "COLLECTION_NUMBER"))
        .and_then(|number| number.parse::<u8>().ok())
        .map_or("pre-collection".to_owned(), |n| format!("Collection {n}"));
    Ok(format!(
        "Landsat {} {collection} Level-{} ({})",
        sensor.satellite,
        sensor.level,
        processing(mtl)?
    ))
}

/// The product's identifier, where it can be a file's name.
fn name(mtl: &Mtl, path: &Path) -> String {
    let plain = |name: &&str| {
        let known = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        (1..=100).contains(&name.len()) && name.chars().all(known)
    };
    (mtl.get(CONTENTS, "LANDSAT_PRODUCT_ID"))
        .or(mtl.get(FILE_INFO, "LANDSAT_PRODUCT_ID"))
        .or(mtl.get(FILE_INFO, "LANDSAT_SCENE_ID"))
        .filter(plain)
        .map_or_else(|| crate::raster::stem(path), str::to_owned)
}

/// Sun angles; reflectance reads the elevation itself.
fn sun(mtl: &Mtl) -> Option<SunAngles> {
    Some(SunAngles {
        elevation: mtl.number(IMAGE, "SUN_ELEVATION").ok()?,
        azimuth: mtl.number(IMAGE, "SUN_AZIMUTH").ok()?,
    })
}

/// Date and time of the scene's centre, which end in `Z` in the metadata.
fn acquired(mtl: &Mtl) -> Option<String> {
    let either = |key: &str| mtl.get(IMAGE, key).or(mtl.get(CONTENTS, key));
    let plain = |text: &&str| {
        let known = |c: char| c.is_ascii_digit() || "-:.Z".contains(c);
        !text.is_empty() && text.len() <= 32 && text.chars().all(known)
    };
    let date = either("DATE_ACQUIRED").filter(plain)?;
    let time = either("SCENE_CENTER_TIME").filter(plain)?;
    Some(format!("{date}T{time}"))
}
