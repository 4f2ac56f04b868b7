//! Sentinel-2 products as ESA delivers them: SAFE folders and their zips, Level-1C
//! and Level-2A, every processing baseline.

mod bands;
mod files;
mod georeference;
mod images;
mod product;
mod resample;
mod tile;
mod unpacked;

use std::path::{Path, PathBuf};

use ndarray::{Array3, ArrayViewMut2, s};
use rayon::prelude::*;

use self::files::Files;
pub(crate) use self::files::{is_main, is_product};
use self::images::{Image, Opened};
use self::product::{Product, is_local};
use self::resample::Fit;
use self::tile::{Tile, TileGrid};
pub(crate) use self::unpacked::has_bands;
use super::band_file::again;
use super::{Origin, Radiometry, Scene, SceneBand, SceneInfo, SceneOptions};
use crate::band::SENTINEL2;
use crate::error::{Error, Result};
use crate::raster::jp2::Rect;
use crate::raster::{DType, Window};

/// A Sentinel-2 product on one grid.
///
/// Bands are B01 to B12 as far as the product has them. A band comes from the
/// image of the grid's pixel size, else from a finer one by the mean of the valid
/// pixels, else from a coarser one by replication. Images are decoded tile by
/// tile; of each, at most two rows of tiles that were read in part are kept.
pub struct SafeScene {
    info: SceneInfo,
    files: Files,
    images: Vec<Image>,
    /// One for each band of [`SceneInfo::bands`]; or why it can't be read.
    sources: Vec<Result<Source>>,
}

/// Where a band is from.
#[derive(Clone, Copy)]
struct Source {
    /// Position in the images.
    image: usize,
    fit: Fit,
}

/// What a scene is built of.
struct Parts {
    files: Files,
    /// Name of the metadata in messages.
    main: PathBuf,
    product: Product,
    opened: Opened,
    tile: Tile,
    grid: TileGrid,
}

impl SafeScene {
    /// Opens `NAME.SAFE`, its `MTD_MSIL1C.xml`, `MTD_MSIL2A.xml` or
    /// `manifest.safe`, or a zip that holds one product. Stored entries of a zip are
    /// read in place; compressed ones are unpacked to a temporary file when the band
    /// is first read.
    ///
    /// Options: [`SceneOptions::resolution`] is one of the product's pixel sizes (10,
    /// 20 or 60 m; without it 10 m, or the finest there is); scale, offset and no-data
    /// value replace the metadata's.
    ///
    /// # Errors
    /// Metadata or images that are missing or broken, named with the XML element; a
    /// product of several tiles; names for the bands, which a product has itself.
    pub fn open(path: &Path, options: &SceneOptions) -> Result<Self> {
        if options.bands.is_some() {
            let message = "`options.bands`: a Sentinel-2 product names its bands itself";
            return Err(Error::usage(format!("{}: {message}", path.display())));
        }
        let files = Files::open(path)?;
        let mut notes = Vec::new();
        let main = files.path(&files.main);
        let product = Product::parse(&main, &files.xml(&files.main)?)?;
        let (names, granule) = images::names(&files, &product, &mut notes)?;
        let tile_name = tile_metadata(&files, &granule)?;
        let tile = Tile::parse(&files.path(&tile_name), &files.xml(&tile_name)?)?;
        let opened = images::open(&files, names, &product, &tile)?;
        let grid = images::grid(options.resolution, &tile, &opened.images, &mut notes)?;
        let name = (files.folder_name())
            .filter(|name| name.to_ascii_uppercase().ends_with(".SAFE"))
            .or_else(|| product.uri.clone())
            .or_else(|| files.folder_name())
            .unwrap_or_default();
        notes.extend(odd_offsets(&product, &name));
        let words = format!(
            "{} {}, processing baseline {}",
            product.spacecraft,
            product.level.name(),
            product.baseline
        );
        let parts = Parts {
            files,
            main,
            product,
            opened,
            tile,
            grid,
        };
        Self::build(path, stem(&name).to_owned(), words, parts, notes, options)
    }

    /// The scene of opened images.
    fn build(
        path: &Path,
        name: String,
        words: String,
        parts: Parts,
        mut notes: Vec<String>,
        options: &SceneOptions,
    ) -> Result<Self> {
        let Parts {
            files,
            main,
            product,
            opened: Opened { images, mut broken },
            tile,
            grid,
        } = parts;
        let mut bands = Vec::new();
        let mut sources = Vec::new();
        for (number, (agency, common, _)) in SENTINEL2.iter().enumerate() {
            // No other image of the band replaces a broken one.
            let wrong = broken.iter().position(|(band, _)| *band == number);
            let (source, resolution) = match wrong.map(|position| broken.swap_remove(position).1) {
                Some(error) => {
                    notes.push(format!(
                        "Band {common} ({agency}) can't be read, which stops models that need it: \
                         {error}."
                    ));
                    (Err(error), None)
                }
                None => {
                    let Some(image) = images::choose(&images, number, grid.resolution) else {
                        continue;
                    };
                    let chosen = &images[image];
                    let fit = Fit::new(chosen.info.size, grid.size).ok_or_else(|| {
                        let message = format!(
                            "{:?} pixels can't be brought to {:?} by a whole factor",
                            chosen.info.size, grid.size
                        );
                        Error::format(files.path(&chosen.name), message)
                    })?;
                    let resolution = Some(f64::from(chosen.resolution));
                    (Ok(Source { image, fit }), resolution)
                }
            };
            bands.push(SceneBand {
                name: (*common).to_owned(),
                source: (*agency).to_owned(),
                dtype: DType::U16,
                resolution,
                radiometry: radiometry(&main, &product, number, options)?,
            });
            sources.push(source);
        }
        let info = SceneInfo {
            name,
            path: path.to_owned(),
            product: words,
            size: grid.size,
            block: block(&images, &sources, &grid),
            georeference: tile.georeference(&grid),
            bands,
            sun: tile.sun,
            acquired: tile.sensed.or(product.start),
            notes,
        };
        Ok(Self {
            info,
            files,
            images,
            sources,
        })
    }

    /// One band of a window, a few rows of the image's tiles at a time, so that
    /// memory does not grow with the window's stored numbers.
    fn read_band(&self, band: usize, window: &Rect, mut out: ArrayViewMut2<'_, f32>) -> Result<()> {
        let Source { image, fit } = *self.sources[band].as_ref().map_err(again)?;
        let image = self.images[image].get(&self.files)?;
        let radiometry = &self.info.bands[band].radiometry;
        let step = fit.rows(image.info().tile[0]);
        let mut row = window.start[0];
        while row < window.end[0] {
            // Up to the next row of tiles, so that none is read twice.
            let next = ((row / step + 1) * step).min(window.end[0]);
            let part = Rect {
                start: [row, window.start[1]],
                end: [next, window.end[1]],
            };
            let stored = image.read(&fit.source(&part))?;
            let rows = row - window.start[0]..next - window.start[0];
            fit.apply(&stored, &part, radiometry, out.slice_mut(s![rows, ..]));
            row = next;
        }
        Ok(())
    }
}

impl Scene for SafeScene {
    fn info(&self) -> &SceneInfo {
        &self.info
    }

    fn read(&self, bands: &[usize], window: Window) -> Result<Array3<f32>> {
        self.info.check(bands, window)?;
        let rect = Rect {
            start: [window.row, window.col],
            end: [window.row + window.rows, window.col + window.cols],
        };
        let mut out = Array3::zeros((bands.len(), window.rows, window.cols));
        if !out.is_empty() {
            let planes: Vec<_> = bands.iter().zip(out.outer_iter_mut()).collect();
            planes
                .into_par_iter()
                .try_for_each(|(band, plane)| self.read_band(*band, &rect, plane))?;
        }
        Ok(out)
    }
}

/// Agency's name of the band that an image file is named after.
pub(crate) fn band_of_file(name: &str) -> Option<&'static str> {
    let is_image = name.to_ascii_lowercase().ends_with(".jp2");
    let (band, _) = bands::of_file(name).filter(|_| is_image)?;
    Some(SENTINEL2[band].0)
}

/// Parses bytes as the metadata of a product and of a tile; one must succeed.
pub(super) fn parse_metadata(path: &Path, bytes: &[u8]) -> Result<()> {
    let product = Product::parse(path, bytes).map(|_| ());
    let tile = Tile::parse(path, bytes).map(|_| ());
    product.or(tile)
}

/// Name of the metadata file of a granule's folder.
fn tile_metadata(files: &Files, granule: &str) -> Result<String> {
    let within = |name: &&String| {
        (name.strip_prefix(granule))
            .and_then(|rest| rest.strip_prefix('/'))
            // Before the end of 2016 as in S2A_OPER_MTD_L1C_TL_EPA_….xml.
            .is_some_and(|file| file == "MTD_TL.xml" || file.contains("_MTD_L"))
    };
    files.names.iter().find(within).cloned().ok_or_else(|| {
        let path = files.path(&format!("{granule}/MTD_TL.xml"));
        Error::io(path, std::io::ErrorKind::NotFound.into())
    })
}

/// A product's name without `.SAFE`.
fn stem(name: &str) -> &str {
    match name
        .len()
        .checked_sub(5)
        .and_then(|at| name.split_at_checked(at))
    {
        Some((stem, extension)) if extension.eq_ignore_ascii_case(".SAFE") => stem,
        _ => name,
    }
}

/// Notes on odd offsets: the metadata decide, not the name.
fn odd_offsets(product: &Product, name: &str) -> Option<String> {
    if product.offsets.is_none() && is_local(&product.baseline) {
        return Some(format!(
            "Processing baseline {} is not ESA's but a local one; its metadata list no offset \
             (element `{}`), and none is taken.",
            product.baseline,
            product.level.offset()
        ));
    }
    if product.offsets.is_none() && product.should_have_offsets() {
        return Some(format!(
            "WARNING: processing baseline {} adds an offset to the stored numbers, but the \
             metadata list none (element `{}`); 0 is taken as they say. If the image looks too \
             bright by 0.1, give `options.offset = -1000`.",
            product.baseline,
            product.level.offset()
        ));
    }
    let named = name.split('_').find_map(|part| {
        let digits = part.strip_prefix('N')?;
        let is_number = digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_digit());
        is_number.then(|| format!("{}.{}", &digits[..2], &digits[2..]))
    })?;
    // N9999 is the name of all of them.
    let is_same = named == product.baseline || is_local(&named) && is_local(&product.baseline);
    (!is_same).then(|| {
        format!(
            "The name says processing baseline {named}, the metadata say {}: the metadata's \
             radiometry is taken.",
            product.baseline
        )
    })
}

/// Of one band: the metadata's, as far as the options do not say otherwise.
fn radiometry(
    main: &Path,
    product: &Product,
    band: usize,
    options: &SceneOptions,
) -> Result<Radiometry> {
    let is_given = options.scale.is_some() || options.offset.is_some();
    let origin = if is_given {
        Origin::Given
    } else {
        Origin::Metadata
    };
    let scale = options.scale.unwrap_or(product.quantification);
    let offset = match options.offset {
        Some(offset) => offset,
        None => product.offset(main, band)?,
    };
    if scale == 0.0 || !scale.is_finite() || !offset.is_finite() {
        let message = format!(
            "`options.scale = {scale}` and `options.offset = {offset}`: finite numbers, no scale \
             of 0"
        );
        return Err(Error::usage(message));
    }
    Ok(Radiometry {
        saturated: product.saturated,
        ..Radiometry::scaled(scale, offset, origin).with_nodata(options.nodata.or(product.nodata))
    })
}

/// Pixels of the grid that are decoded as one: a tile of the finest image used.
fn block(images: &[Image], sources: &[Result<Source>], grid: &TileGrid) -> [usize; 2] {
    let good = sources.iter().flatten();
    let finest = good.min_by_key(|source| images[source.image].resolution);
    finest.map_or(grid.size, |source| {
        let tile = images[source.image].info.tile;
        [0, 1].map(|axis| source.fit.rows(tile[axis]).min(grid.size[axis]))
    })
}
