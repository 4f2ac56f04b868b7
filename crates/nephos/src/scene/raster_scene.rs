//! GeoTIFFs as scenes: one file of several bands, or a folder of one file per band.

use std::path::{Path, PathBuf};

use ndarray::{Array3, Axis};
use rayon::prelude::*;

use super::band_file::{again, reference};
use super::hls;
use super::infer_radiometry::{self, Sampled, infer_radiometry};
use super::nodata::{self, Combination, NoData};
use super::raster_names::{self, Named};
use super::same_grid::same_grid;
use super::{Origin, Radiometry, Scene, SceneBand, SceneInfo, SceneOptions};
use crate::error::{Error, Result};
use crate::raster::Window;
use crate::raster::tiff::{TiffRaster, allocate, fit_nodata};
use crate::text::count;

/// Blocks of a band with more bytes are not decoded for each sampled window.
const LARGE_BLOCK: usize = 4 << 20;

/// A GeoTIFF, or a folder of GeoTIFFs with one band each, as a scene.
///
/// Reflectance is from the scale and offset that the file states as GDAL does; where
/// it states none they are inferred from number format and range, see
/// [`Origin::Guessed`], and [`SceneInfo::notes`] has a sentence on it. Pixels are no data where
/// they are the file's no-data number, NaN, masked by the file's own mask or the one
/// beside it (`.msk`), or fully transparent; and where they hold a fill that is not
/// declared ([`Scene::no_data`]).
pub struct RasterScene {
    info: SceneInfo,
    files: Vec<TiffRaster>,
    /// File and band in it of each of the scene's bands; file numbers past the end are
    /// those of `unusable`.
    places: Vec<[usize; 2]>,
    /// Why a file of a folder can't be read as a band of the scene.
    unusable: Vec<Error>,
    /// The band that holds opacity; only where there is one file.
    alpha: Option<usize>,
    nodata: NoData,
    /// Stored numbers of all bands in windows that are sampled while the scene is opened.
    looked_at: Vec<(Window, Array3<f64>)>,
}

impl RasterScene {
    /// One file, all its bands.
    ///
    /// # Errors
    /// The file can't be read, is no TIFF or is broken; names that are not one a
    /// band, or a scale, offset or no-data number that can't be.
    pub fn open_file(path: &Path, options: &SceneOptions) -> Result<Self> {
        Self::of(path, TiffRaster::open(path)?, options)
    }

    /// As [`Self::open_file`], of an open file; errors call it `path`.
    ///
    /// # Errors
    /// As there, but for a file that can't be read.
    pub(crate) fn of(path: &Path, raster: TiffRaster, options: &SceneOptions) -> Result<Self> {
        let named = raster_names::of_file(&raster, options)?;
        let product = format!(
            "GeoTIFF, {} of {}",
            count(named.bands.len(), "band"),
            raster.dtype().name()
        );
        let places = named.places.iter().map(|band| [0, *band]).collect();
        Self::build(
            path,
            product,
            vec![raster],
            named,
            places,
            Vec::new(),
            options,
        )
    }

    /// A folder of files with one band each, named after their bands.
    ///
    /// A file that can't be read, has several bands or has another grid than red (or
    /// else most of the files) is an error when its band is read, and not before: it must
    /// not stop a model that does without.
    ///
    /// # Errors
    /// No GeoTIFF in the folder that can be a band, or two of one band; and as
    /// [`Self::open_file`].
    pub fn open_folder(path: &Path, options: &SceneOptions) -> Result<Self> {
        let paths = raster_names::files_of(path)?;
        let mut named = raster_names::of_folder(path, &paths, options)?;
        let opened: Vec<Result<TiffRaster>> = (named.places.par_iter())
            .map(|place| open_band(&paths[*place]))
            .collect();
        let names: Vec<&str> = named.bands.iter().map(|[name, _]| name.as_str()).collect();
        let Some(reference) = reference(&opened, &names) else {
            let none = "a folder without a GeoTIFF that can be a band of a scene";
            let first = opened.into_iter().find_map(Result::err);
            return Err(first.unwrap_or_else(|| Error::unsupported(path.display(), none)));
        };
        let mut files = Vec::new();
        let mut unusable = Vec::new();
        let fits: Vec<Result<()>> = (opened.iter())
            .map(|file| match (file, &opened[reference]) {
                (Ok(file), Ok(first)) => same_grid(first, file),
                _ => Ok(()),
            })
            .collect();
        let mut good = Vec::new();
        for (position, (file, fits)) in opened.into_iter().zip(fits).enumerate() {
            match file.and_then(|file| fits.map(|()| file)) {
                Ok(file) => {
                    good.push((position, files.len()));
                    files.push(file);
                }
                Err(error) => unusable.push((position, error)),
            }
        }
        let mut places = vec![[0, 0]; named.bands.len()];
        for (position, file) in good {
            places[position][0] = file;
        }
        for (number, (position, error)) in unusable.iter().enumerate() {
            places[*position][0] = files.len() + number;
            named.notes.push(format!(
                "{} can't be read, which stops models that need it: {error}.",
                named.bands[*position][0]
            ));
        }
        let unusable = unusable.into_iter().map(|(_, error)| error).collect();
        let hls = if named.product.is_hls { "HLS, " } else { "" };
        let product = format!("{hls}folder of {}", count(places.len(), "GeoTIFF"));
        Self::build(path, product, files, named, places, unusable, options)
    }

    fn build(
        path: &Path,
        product: String,
        files: Vec<TiffRaster>,
        named: Named,
        places: Vec<[usize; 2]>,
        unusable: Vec<Error>,
        options: &SceneOptions,
    ) -> Result<Self> {
        options.check(path)?;
        let Named {
            bands: names,
            alpha,
            mut notes,
            product: known,
            ..
        } = named;
        for note in files.iter().flat_map(|file| &file.sidecars) {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        if files.iter().any(|file| file.has_palette) && !options.declared_only {
            notes.push(
                "The file has a palette: its numbers are palette indices, not brightness; \
                 gdal_translate -expand rgb makes colours of them."
                    .to_owned(),
            );
        }
        let first = &files[0];
        let mut block = first.block();
        for file in &files {
            let [rows, cols] = file.block();
            block = [block[0].max(rows), block[1].max(cols)];
        }
        let mut bands = Vec::with_capacity(places.len());
        for ([name, source], [file, band]) in names.into_iter().zip(&places) {
            let file = files.get(*file).unwrap_or(first);
            bands.push(SceneBand {
                name,
                source,
                dtype: file.dtype(),
                resolution: None,
                radiometry: stated(file, *band, options)?,
            });
        }
        if known.is_hls {
            notes.extend(hls::complete(&mut bands, options));
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
            unusable,
            alpha,
            nodata: NoData::default(),
            looked_at: Vec::new(),
        };
        scene.read_samples()?;
        scene.recognise(options)?;
        scene.infer_scale(options)?;
        scene.looked_at = Vec::new();
        Ok(scene)
    }

    /// Reads windows that will be sampled ahead, file by file and band by band, so
    /// that a block is not decoded for each window.
    fn read_samples(&mut self) -> Result<()> {
        let info = &self.info;
        let number = info.bands.iter().map(|band| band.dtype.size()).max();
        let block = info.block[0].saturating_mul(info.block[1]);
        // Windows in which fills are searched for and the scale is inferred; of large blocks
        // also those that are sampled only where these have almost no data.
        let mut windows = nodata::places(info);
        if block.saturating_mul(number.unwrap_or(1)) > LARGE_BLOCK {
            for window in infer_radiometry::places(info) {
                if !windows.contains(&window) {
                    windows.push(window);
                }
            }
        }
        let bands: Vec<usize> = (0..info.bands.len()).collect();
        // Bands that are in the same blocks are read together.
        let together = match &self.files[..] {
            [file] if file.is_interleaved() => bands.len().max(1),
            _ => 1,
        };
        let mut found: Vec<(Window, Vec<Array3<f64>>)> = windows
            .into_iter()
            .map(|window| (window, Vec::new()))
            .collect();
        for bands in bands.chunks(together) {
            for (window, parts) in &mut found {
                parts.push(self.usable(bands, *window)?);
            }
        }
        for (window, parts) in found {
            let parts: Vec<_> = parts.iter().map(|part| part.view()).collect();
            let all = ndarray::concatenate(Axis(0), &parts)
                .map_err(|e| Error::format(&self.info.path, e.to_string()))?;
            self.looked_at.push((window, all));
        }
        Ok(())
    }

    /// Finds no-data numbers beside the declared ones.
    fn recognise(&mut self, options: &SceneOptions) -> Result<()> {
        if options.nodata.is_some() {
            return Ok(());
        }
        if let ([file], Some(numbers)) = (&self.files[..], &self.files[0].nodata_values) {
            // All bands of the file are bands of the scene, but for opacity.
            let number = |place: &[usize; 2]| fit_nodata(numbers[place[1]], file.dtype());
            let parts = (self.places.iter().enumerate())
                .filter_map(|(band, place)| Some((band, number(place)?)))
                .collect();
            self.nodata.combine(Combination { parts });
        }
        if options.declared_only {
            return Ok(());
        }
        let (nodata, shown) = nodata::recognise(&self.info, &self.nodata, |bands, window| {
            self.stored(bands, window)
        })?;
        self.nodata = nodata;
        for (band, number) in shown {
            let radiometry = &mut self.info.bands[band].radiometry;
            radiometry.nodata = radiometry.nodata.or(Some(number));
        }
        self.info.notes.extend(self.nodata.notes());
        Ok(())
    }

    /// Replaces what is not stated by what is inferred from the numbers.
    fn infer_scale(&mut self, options: &SceneOptions) -> Result<()> {
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
        infer_radiometry(&mut self.info, &sampled, options);
        Ok(())
    }

    /// The file of a band, and the band in it.
    ///
    /// # Errors
    /// Why the file can't be used.
    fn place(&self, band: usize) -> Result<(&TiffRaster, usize)> {
        let [file, own] = self.places[band];
        match self.files.get(file) {
            Some(raster) => Ok((raster, own)),
            None => Err(again(&self.unusable[file - self.files.len()])),
        }
    }

    /// Stored numbers, NaN where there is no data, as everywhere in files of a folder that
    /// can't be read: that is an error when their band is requested.
    fn stored(&self, bands: &[usize], window: Window) -> Result<Array3<f64>> {
        let known = self.looked_at.iter().find(|(own, _)| *own == window);
        let mut stored = match known {
            Some((_, all)) => all.select(Axis(0), bands),
            None => self.usable(bands, window)?,
        };
        self.nodata.blank(&self.info.bands, bands, &mut stored);
        Ok(stored)
    }

    /// Stored numbers, NaN where masks or opacity say that nothing is, and everywhere in
    /// bands whose file can't be read.
    fn usable(&self, bands: &[usize], window: Window) -> Result<Array3<f64>> {
        let gather = |bands: &[usize]| self.gather(bands, window, f64::NAN, |_, stored| stored);
        if self.files.len() + self.unusable.len() == 1 {
            return gather(bands);
        }
        let mut out = Array3::from_elem((bands.len(), window.rows, window.cols), f64::NAN);
        for (mut plane, band) in out.outer_iter_mut().zip(bands) {
            if let Ok(stored) = gather(&[*band]) {
                plane.assign(&stored.index_axis(Axis(0), 0));
            }
        }
        Ok(out)
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
        if let ([file], []) = (&self.files[..], &self.unusable[..]) {
            let own: Vec<usize> = bands.iter().map(|band| self.places[*band][1]).collect();
            let convert = |position: usize, stored| convert(bands[position], stored);
            file.read_into(&own, window, &mut out, convert)?;
            let opaque = match self.alpha {
                Some(alpha) => Some(file.read(&[alpha], window, |_, stored| stored != 0.0)?),
                None => None,
            };
            if let Some(opaque) = opaque.map(|opaque| opaque.into_raw_vec_and_offset().0) {
                out.chunks_exact_mut(plane.max(1))
                    .for_each(|out| blank(out, &opaque, missing));
            }
            file.blank(&own, window, &mut out, missing)?;
        } else {
            out.par_chunks_mut(plane.max(1))
                .zip(bands)
                .try_for_each(|(out, band)| {
                    let (file, own) = self.place(*band)?;
                    file.read_into(&[own], window, out, |_, stored| convert(*band, stored))?;
                    file.blank(&[own], window, out, missing)
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
        self.nodata
            .reflectance(&self.info.bands, bands, |bands, converter| {
                let convert = |band, stored| converter.convert(band, stored);
                self.gather(bands, window, f32::NAN, convert)
            })
    }

    fn no_data(&self) -> &[String] {
        &self.nodata.found
    }
}

impl SceneOptions {
    /// Refuses numbers that can't be meant.
    pub(crate) fn check(&self, path: &Path) -> Result<()> {
        let wrong = |option: &str, value: f64, expected: &str| {
            let path = path.display();
            let message = format!("{path}: `options.{option} = {value}`; {expected} is expected");
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

/// The file of one band.
fn open_band(path: &Path) -> Result<TiffRaster> {
    let file = TiffRaster::open(path)?;
    match file.bands.len() {
        1 => Ok(file),
        count => {
            let message = format!(
                "{count} bands; in a folder each file is one band of the scene. Give the file \
                 itself if it is the scene"
            );
            Err(Error::format(path, message))
        }
    }
}

/// What the options and the file say of a band; [`Origin::Guessed`] with a scale of
/// 1 where neither states a scale.
fn stated(file: &TiffRaster, band: usize, options: &SceneOptions) -> Result<Radiometry> {
    let metadata = file.bands[band].scaling();
    let offset = options.offset;
    let stated = match options.assume_reflectance {
        true => Origin::MetadataAssumed,
        false => Origin::Metadata,
    };
    let radiometry = match (options.scale, metadata) {
        (Some(scale), _) => Radiometry::scaled(scale, offset.unwrap_or(0.0), Origin::Given),
        (None, Some((gain, bias))) => Radiometry {
            gain,
            bias: offset.map_or(bias, |offset| offset * gain),
            nodata: None,
            saturated: None,
            origin: offset.map_or(stated, |_| Origin::Given),
            thermal: None,
        },
        (None, None) => Radiometry::scaled(1.0, offset.unwrap_or(0.0), Origin::Guessed),
    };
    let dtype = file.dtype();
    let nodata = match options.nodata {
        Some(number) => nodata::given(file.path(), number, dtype)?,
        None => (file.bands[band].nodata).and_then(|number| fit_nodata(number, dtype)),
    };
    Ok(radiometry.with_nodata(nodata))
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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::scene::implausible;

    /// A TIFF of one band of 8 bits, all 0, in one strip that is deflated.
    fn one_strip(side: usize) -> Vec<u8> {
        let mut deflated = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        deflated.write_all(&vec![0; side * side]).unwrap();
        let strip = deflated.finish().unwrap();
        let tags: [(u16, u32); 9] = [
            (256, side as u32),
            (257, side as u32),
            (258, 8),
            (259, 8),
            (262, 1),
            (273, 8),
            (277, 1),
            (278, side as u32),
            (279, strip.len() as u32),
        ];
        let mut file = b"II\x2a\0".to_vec();
        file.extend((8 + strip.len() as u32).to_le_bytes());
        file.extend(&strip);
        file.extend((tags.len() as u16).to_le_bytes());
        for (tag, value) in tags {
            file.extend(tag.to_le_bytes());
            file.extend(4u16.to_le_bytes());
            file.extend(1u32.to_le_bytes());
            file.extend(value.to_le_bytes());
        }
        file.extend([0; 4]);
        file
    }

    #[test]
    fn a_large_block_is_decoded_once() {
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("a.tif");
        // More than an open file keeps of its blocks.
        std::fs::write(&path, one_strip(4200)).unwrap();
        let scene = RasterScene::open_file(&path, &SceneOptions::default()).unwrap();
        implausible(&scene, &[0]).unwrap();
        for row in 0..20 {
            let window = Window {
                row: 200 * row,
                col: 7,
                rows: 100,
                cols: 50,
            };
            scene.read(&[0], window).unwrap();
        }
        assert_eq!(scene.files[0].decoded(), 1);
    }
}
