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
use super::tiff::TiffRaster;
use super::{DType, Scene, SceneBand, SceneInfo, SceneOptions, SunAngles, Window};
use crate::error::{Error, Result};

/// Metres of a pixel of every band but the panchromatic, which is not read.
const RESOLUTION: f64 = 30.0;

/// A Landsat product: a folder with one GeoTIFF a band and a metadata file.
///
/// Reflectance of Level-1 is that at the top of the atmosphere, divided by the sine of
/// the sun's elevation at the scene's centre; of Level-2 that of the surface. Gains are
/// the metadata's. Thermal bands are brightness temperature (Level-2: surface
/// temperature) / 100 K.
pub struct LandsatScene {
    info: SceneInfo,
    files: Vec<TiffRaster>,
}

impl LandsatScene {
    /// Opens the product of a folder, or of an `*_MTL.txt` or `*_MTL.json` in it.
    /// Bands whose file is not there are left out, with a note.
    ///
    /// # Errors
    /// No metadata file or no band; a key that a band needs, named; files of different
    /// sizes or places; an option that does not fit.
    pub fn open(path: &Path, options: &SceneOptions) -> Result<Self> {
        let (mtl, folder) = locate(path)?;
        let sensor = Sensor::of(&mtl)?;
        if let Some(resolution) = options.resolution
            && resolution != RESOLUTION
        {
            return Err(Error::usage(format!(
                "{}: a resolution of {resolution} m is asked for; Landsat is read at {RESOLUTION} m",
                path.display()
            )));
        }
        let mut notes = Vec::new();
        let found = find_bands(&mtl, sensor, &folder, &mut notes)?;
        let files = (found.iter())
            .map(|(_, file)| open_band(file))
            .collect::<Result<Vec<_>>>()?;
        let Some(first) = files.first() else {
            let message = "no file of a band that the metadata describe";
            return Err(Error::format(path, message));
        };
        for file in &files {
            if file.size() != first.size() || file.georeference != first.georeference {
                let message = format!("not on the same grid as {}", first.path().display());
                return Err(Error::format(file.path(), message));
            }
        }
        let bands = (found.iter().zip(&files))
            .map(|((band, _), file)| describe(&mtl, sensor, *band, file.dtype(), options))
            .collect::<Result<Vec<_>>>()?;
        let sun = sun(&mtl)?;
        if sensor.level == 1
            && options.scale.is_none()
            && (found.iter()).any(|(band, _)| band.quantity == Quantity::Reflectance)
            && let Some(sun) = sun
        {
            notes.push(format!(
                "Reflectance is divided by the sine of the sun's elevation, {}°, which a --scale \
                 would replace.",
                sun.elevation
            ));
        }
        let mut info = SceneInfo {
            name: name(&mtl, path),
            path: path.to_owned(),
            product: product(&mtl, sensor)?,
            size: first.size(),
            block: first.block(),
            georeference: first.georeference.clone(),
            bands,
            sun,
            acquired: acquired(&mtl),
            notes,
        };
        if let Some(names) = &options.bands {
            rename(&mut info, names)?;
        }
        Ok(Self { info, files })
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
            let convert = |_, stored| radiometry.apply(stored);
            let values = self.files[*band].read(&[0], window, convert)?;
            plane.assign(&values.index_axis(Axis(0), 0));
            Ok::<(), Error>(())
        })?;
        Ok(out)
    }
}

/// The metadata file of a path, and the folder it is in.
fn locate(path: &Path) -> Result<(Mtl, Folder)> {
    if std::fs::metadata(path)
        .map_err(|e| Error::io(path, e))?
        .is_dir()
    {
        let folder = Folder::list(path)?;
        let mtl = folder.metadata()?.ok_or_else(|| {
            let message = "no file that ends in _MTL.txt or _MTL.json; a Landsat folder has one";
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
                "{} bands of {}; a Landsat file has one of uint8 or uint16",
                raster.bands.len(),
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
fn rename(info: &mut SceneInfo, names: &[String]) -> Result<()> {
    if names.len() != info.bands.len() {
        let have: Vec<&str> = info.bands.iter().map(|band| band.source.as_str()).collect();
        return Err(Error::usage(format!(
            "{}: {} names of bands are given; the scene has {}: {}",
            info.path.display(),
            names.len(),
            have.len(),
            have.join(", ")
        )));
    }
    for (band, name) in info.bands.iter_mut().zip(names) {
        band.name.clone_from(name);
        band.source.clone_from(name);
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
        .map_or_else(|| super::stem(path), str::to_owned)
}

fn sun(mtl: &Mtl) -> Result<Option<SunAngles>> {
    if mtl.get(IMAGE, "SUN_ELEVATION").is_none() || mtl.get(IMAGE, "SUN_AZIMUTH").is_none() {
        return Ok(None);
    }
    Ok(Some(SunAngles {
        elevation: mtl.number(IMAGE, "SUN_ELEVATION")?,
        azimuth: mtl.number(IMAGE, "SUN_AZIMUTH")?,
    }))
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
