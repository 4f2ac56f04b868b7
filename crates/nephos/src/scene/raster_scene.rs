//! GeoTIFFs as scenes: one file of several bands, or a folder of one file a band.

use std::path::{Path, PathBuf};

use ndarray::Array3;
use rayon::prelude::*;

use super::judge::{self, Sampled};
use super::raster_names::{self, Named};
use super::same_grid::same_grid;
use super::tiff::{TiffRaster, allocate, fit_nodata};
use super::{DType, Origin, Radiometry, Scene, SceneBand, SceneInfo, SceneOptions, Window};
use crate::error::{Error, Result};

/// A GeoTIFF, or a folder of GeoTIFFs with one band each, as a scene.
///
/// Reflectance is from the scale and offset that the file states as GDAL does; where
/// it states none they are judged by number format and range, see
/// [`Origin::Guessed`], and [`SceneInfo::notes`] says so. Pixels are no data where
/// they are the file's no-data number, NaN, masked by the file's own mask, or fully
/// transparent.
pub struct RasterScene {
    info: SceneInfo,
    files: Vec<TiffRaster>,
    /// File and band in it of each of the scene's bands.
    places: Vec<[usize; 2]>,
    /// The band that holds opacity; only where there is one file.
    alpha: Option<usize>,
}

impl RasterScene {
    /// One file, all its bands.
    ///
    /// # Errors
    /// The file can't be read, is no TIFF or is broken; names that are not one a
    /// band, or a scale, offset or no-data number that can't be.
    pub fn open_file(path: &Path, options: &SceneOptions) -> Result<Self> {
        let raster = TiffRaster::open(path)?;
        let Named {
            bands,
            alpha,
            notes,
        } = raster_names::of_file(&raster, options)?;
        let product = format!(
            "GeoTIFF, {} of {}",
            counted(bands.len(), "band"),
            raster.dtype().name()
        );
        let places = (0..raster.bands.len())
            .filter(|band| Some(*band) != alpha)
            .map(|band| [0, band])
            .collect();
        Self::build(
            path,
            product,
            vec![raster],
            bands,
            places,
            alpha,
            notes,
            options,
        )
    }

    /// A folder of files with one band each, named after their bands.
    ///
    /// # Errors
    /// No GeoTIFF in the folder, one that can't be read or has several bands, two of
    /// one band or of different size or place; and as [`Self::open_file`].
    pub fn open_folder(path: &Path, options: &SceneOptions) -> Result<Self> {
        let paths = raster_names::files_of(path)?;
        let files: Vec<TiffRaster> = (paths.par_iter())
            .map(|path| TiffRaster::open(path))
            .collect::<Result<_>>()?;
        for file in &files {
            same_grid(&files[0], file)?;
            if file.bands.len() != 1 {
                let message = format!(
                    "{} bands; in a folder each file is one band of the scene. Give the file \
                     itself if it is the scene",
                    file.bands.len()
                );
                return Err(Error::format(file.path(), message));
            }
        }
        let Named { bands, notes, .. } = raster_names::of_folder(path, &paths, options)?;
        let product = format!("folder of {}", counted(files.len(), "GeoTIFF"));
        let places = (0..files.len()).map(|file| [file, 0]).collect();
        Self::build(path, product, files, bands, places, None, notes, options)
    }

    #[allow(clippy::too_many_arguments)]
    fn build(
        path: &Path,
        product: String,
        files: Vec<TiffRaster>,
        names: Vec<[String; 2]>,
        places: Vec<[usize; 2]>,
        alpha: Option<usize>,
        notes: Vec<String>,
        options: &SceneOptions,
    ) -> Result<Self> {
        options.check(path)?;
        let first = &files[0];
        let mut block = first.block();
        for file in &files {
            let [rows, cols] = file.block();
            block = [block[0].max(rows), block[1].max(cols)];
        }
        let mut bands = Vec::with_capacity(places.len());
        for ([name, source], [file, band]) in names.into_iter().zip(&places) {
            let file = &files[*file];
            bands.push(SceneBand {
                name,
                source,
                dtype: file.dtype(),
                resolution: None,
                radiometry: stated(file, *band, options)?,
            });
        }
        let mut scene = Self {
            info: SceneInfo {
                name: name_of(path),
                path: path.to_owned(),
                product,
                size: first.size(),
                block,
                georeference: first.georeference.clone(),
                bands,
                sun: None,
                acquired: None,
                notes,
            },
            files,
            places,
            alpha,
        };
        scene.judge(options)?;
        Ok(scene)
    }

    /// Replaces what no one stated by what the numbers look like.
    fn judge(&mut self, options: &SceneOptions) -> Result<()> {
        let unknown = |band: &SceneBand| band.radiometry.origin == Origin::Guessed;
        let zero_known = self
            .info
            .bands
            .iter()
            .all(|b| b.radiometry.nodata.is_some());
        if zero_known && !self.info.bands.iter().any(unknown) {
            return Ok(());
        }
        let sampled = Sampled::of(&self.info, |bands, window| self.stored(bands, window))?;
        judge::apply(&mut self.info, &sampled, options);
        Ok(())
    }

    /// Stored numbers, NaN where there is no data.
    fn stored(&self, bands: &[usize], window: Window) -> Result<Array3<f64>> {
        let valid = |band: usize, stored: f64| {
            let radiometry = &self.info.bands[band].radiometry;
            match radiometry.nodata == Some(stored) || !stored.is_finite() {
                true => f64::NAN,
                false => stored,
            }
        };
        self.gather(bands, window, f64::NAN, valid)
    }

    /// Bands of a window; `convert` gets the scene's band and the stored number, and
    /// `missing` goes where the files' masks or opacity say that nothing is.
    fn gather<T: Copy + Default + Send + Sync>(
        &self,
        bands: &[usize],
        window: Window,
        missing: T,
        convert: impl Fn(usize, f64) -> T + Sync,
    ) -> Result<Array3<T>> {
        self.info.check(bands, window)?;
        let shape = [bands.len(), window.rows, window.cols];
        let mut out = allocate(&self.info.path, shape)?;
        let plane = window.rows * window.cols;
        if let [file] = &self.files[..] {
            let own: Vec<usize> = bands.iter().map(|band| self.places[*band][1]).collect();
            let convert = |position: usize, stored| convert(bands[position], stored);
            file.read_into(&own, window, &mut out, convert)?;
            let opaque = match self.alpha {
                Some(alpha) => Some(file.read(&[alpha], window, |_, stored| stored != 0.0)?),
                None => None,
            };
            let opaque = opaque.map(|opaque| opaque.into_raw_vec_and_offset().0);
            for valid in [opaque, file.read_mask(window)?].into_iter().flatten() {
                out.chunks_exact_mut(plane.max(1))
                    .for_each(|out| blank(out, &valid, missing));
            }
        } else {
            out.par_chunks_mut(plane.max(1))
                .zip(bands)
                .try_for_each(|(out, band)| {
                    let [file, own] = self.places[*band];
                    let file = &self.files[file];
                    file.read_into(&[own], window, out, |_, stored| convert(*band, stored))?;
                    if let Some(valid) = file.read_mask(window)? {
                        blank(out, &valid, missing);
                    }
                    Ok::<(), Error>(())
                })?;
        }
        Array3::from_shape_vec((bands.len(), window.rows, window.cols), out)
            .map_err(|e| Error::format(&self.info.path, e.to_string()))
    }
}

impl Scene for RasterScene {
    fn info(&self) -> &SceneInfo {
        &self.info
    }

    fn read(&self, bands: &[usize], window: Window) -> Result<Array3<f32>> {
        self.gather(bands, window, f32::NAN, |band, stored| {
            self.info.bands[band].radiometry.apply(stored)
        })
    }
}

impl SceneOptions {
    /// Refuses numbers that can't be meant.
    pub(crate) fn check(&self, path: &Path) -> Result<()> {
        let wrong = |option: &str, value: f64, expected: &str| {
            let path = path.display();
            let message = format!("{path}: --{option} is {value}; {expected} is expected");
            Err(Error::usage(message))
        };
        match (self.scale, self.offset) {
            (Some(scale), _) if !(scale.is_finite() && scale > 0.0) => {
                wrong("scale", scale, "a number above 0")
            }
            (_, Some(offset)) if !offset.is_finite() => wrong("offset", offset, "a finite number"),
            _ => Ok(()),
        }
    }
}

/// What the options and the file say of a band; [`Origin::Guessed`] with a scale of
/// 1 where neither states a scale.
fn stated(file: &TiffRaster, band: usize, options: &SceneOptions) -> Result<Radiometry> {
    let metadata = file.bands[band].scaling();
    let offset = options.offset;
    let radiometry = match (options.scale, metadata) {
        (Some(scale), _) => Radiometry::scaled(scale, offset.unwrap_or(0.0), Origin::Given),
        (None, Some((gain, bias))) => Radiometry {
            gain,
            bias: offset.map_or(bias, |offset| offset * gain),
            nodata: None,
            saturated: None,
            origin: offset.map_or(Origin::Metadata, |_| Origin::Given),
            thermal: None,
        },
        (None, None) => Radiometry::scaled(1.0, offset.unwrap_or(0.0), Origin::Guessed),
    };
    let dtype = file.dtype();
    let nodata = match options.nodata {
        Some(number) => given_nodata(file.path(), number, dtype)?,
        None => file.nodata.and_then(|number| fit_nodata(number, dtype)),
    };
    Ok(radiometry.with_nodata(nodata))
}

/// A number that the user says is no data must be one that pixels can have.
fn given_nodata(path: &Path, number: f64, dtype: DType) -> Result<Option<f64>> {
    let fitting = fit_nodata(number, dtype);
    if fitting.is_some() || number.is_nan() {
        return Ok(fitting);
    }
    Err(Error::usage(format!(
        "{}: --nodata {number} is no {} number, which is what the pixels are",
        path.display(),
        dtype.name()
    )))
}

fn blank<T: Copy>(out: &mut [T], valid: &[bool], missing: T) {
    for (out, valid) in out.iter_mut().zip(valid) {
        if !valid {
            *out = missing;
        }
    }
}

/// The stem of a file, the name of a folder.
pub(super) fn name_of(path: &Path) -> String {
    // `.` and `..` have no name of their own.
    let whole: PathBuf = match path.file_name() {
        Some(_) => path.to_owned(),
        None => path.canonicalize().unwrap_or_else(|_| path.to_owned()),
    };
    let name = match whole.is_dir() {
        true => whole.file_name(),
        false => whole.file_stem(),
    };
    name.map_or("scene".into(), |name| name.to_string_lossy().into_owned())
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
