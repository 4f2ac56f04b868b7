//! Masks and probabilities as GeoTIFF.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use geotiff_reader::GeoTiffFile;
use geotiff_writer::{
    ColorMap, Compression, GeoKeyDirectory, GeoTiffBuilder, GeoTransform,
    PhotometricInterpretation, PlanarConfiguration, Predictor,
};
use ndarray::{Array2, Array3, ArrayView3, Ix2};
use tiff_reader::{TiffError, TiffFile};

use super::format::MaskFormat;
use super::numpy;
use super::palette::palette;
use crate::class::IGNORE;
use crate::error::{Error, Result};
use crate::output;

/// Side of a tile in files larger than one, in pixels.
const TILE: u32 = 256;

/// Where a raster lies: coordinate system and transform, as its GeoTIFF has them.
#[derive(Debug, Clone)]
pub struct Georeference {
    keys: GeoKeyDirectory,
    transform: GeoTransform,
}

impl Georeference {
    /// Reads that of a GeoTIFF; `None` where the file has none.
    ///
    /// # Errors
    /// The file is no TIFF or is broken.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        // The reader's own error does not tell a missing file from a broken one.
        File::open(path).map_err(|e| Error::io(path, e))?;
        let file = match GeoTiffFile::open(path) {
            Ok(file) => file,
            Err(geotiff_reader::Error::NotGeoTiff) => return Ok(None),
            Err(error) => return Err(Error::format(path, error.to_string())),
        };
        Ok(file.transform().map(|transform| Self {
            keys: file.geokeys().clone(),
            transform: *transform,
        }))
    }
}

pub(super) fn write_mask(
    path: &Path,
    mask: &Array2<u8>,
    place: Option<&Georeference>,
) -> Result<()> {
    let (height, width) = mask.dim();
    let colours = palette();
    // TIFF palettes have 16 bits a channel.
    let plane = |channel: usize| {
        colours
            .iter()
            .map(|c| u16::from(c[channel]) * 257)
            .collect()
    };
    let colour_map = ColorMap::new(plane(0), plane(1), plane(2))
        .map_err(|e| Error::unsupported(path.display(), e))?;
    let builder = builder(path, height, width, place)?
        .nodata(&IGNORE.to_string())
        .photometric(PhotometricInterpretation::Palette)
        .color_map(colour_map);
    write_with(path, |writer| builder.write_2d_to(writer, mask.view()))
}

pub(super) fn read_mask(path: &Path) -> Result<Array2<u8>> {
    // Not `geotiff-reader`, which refuses files without a georeference.
    let fail = |error: TiffError| match error {
        TiffError::Io(error, _) => Error::io(path, error),
        other => Error::format(path, format!("expected one uint8 band: {other}")),
    };
    let file = TiffFile::open(path).map_err(fail)?;
    file.read_band::<u8>(0, 0)
        .map_err(fail)?
        .into_dimensionality::<Ix2>()
        .map_err(|e| Error::format(path, format!("expected one uint8 band: {e}")))
}

/// Writes class probabilities `[classes, height, width]` as float32, one band a
/// class, NaN (no data) where not valid: GeoTIFF or `.npy` by the extension.
///
/// # Errors
/// Another extension, an empty array, or the file can't be written.
pub fn write_probabilities(
    path: &Path,
    probabilities: &Array3<f32>,
    place: Option<&Georeference>,
) -> Result<()> {
    let (classes, height, width) = probabilities.dim();
    if probabilities.is_empty() {
        let message = format!("{}: no probabilities", path.display());
        return Err(Error::usage(message));
    }
    match MaskFormat::of(path) {
        Ok(MaskFormat::Numpy) => numpy::write(path, &probabilities.view()),
        Ok(MaskFormat::GeoTiff) => {
            let bands = u32::try_from(classes)
                .map_err(|_| Error::limits(path.display(), "too many classes"))?;
            let builder = builder(path, height, width, place)?
                .bands(bands)
                .planar_configuration(PlanarConfiguration::Planar)
                .predictor(Predictor::FloatingPoint)
                .nodata("nan");
            let by_pixel: ArrayView3<'_, f32> = probabilities.view().permuted_axes([1, 2, 0]);
            write_with(path, |writer| builder.write_3d_to(writer, by_pixel))
        }
        _ => Err(Error::unsupported(
            path.display(),
            "probabilities are written as .tif or .npy",
        )),
    }
}

fn builder(
    path: &Path,
    height: usize,
    width: usize,
    place: Option<&Georeference>,
) -> Result<GeoTiffBuilder> {
    let side = |pixels: usize| {
        u32::try_from(pixels)
            .map_err(|_| Error::limits(path.display(), "more than 2³² − 1 pixels on a side"))
    };
    let (rows, columns) = (side(height)?, side(width)?);
    let mut builder = GeoTiffBuilder::new(columns, rows).compression(Compression::Deflate);
    if rows > TILE || columns > TILE {
        builder = builder.tile_size(TILE, TILE);
    }
    if let Some(place) = place {
        for key in &place.keys.keys {
            builder = builder.geokey(key.id, key.value.clone());
        }
        builder = builder.transform(place.transform);
    }
    Ok(builder)
}

fn write_with(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> geotiff_writer::Result<()>,
) -> Result<()> {
    output::write_atomic(path, |writer| {
        write(writer).map_err(|error| match io_error(&error) {
            Some(cause) => Error::io(path, cause),
            None => Error::unsupported(path.display(), error.to_string()),
        })
    })
}

/// The system's own error under an error of the writer.
fn io_error(error: &(dyn std::error::Error + 'static)) -> Option<std::io::Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return Some(match io.raw_os_error() {
                Some(code) => std::io::Error::from_raw_os_error(code),
                None => std::io::Error::new(io.kind(), io.to_string()),
            });
        }
        cause = error.source();
    }
    None
}
