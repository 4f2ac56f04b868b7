//! Any raster that GDAL opens, with the feature `gdal`.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use gdal::raster::{GdalDataType, RasterBand};
use gdal::{Dataset, Metadata};
use ndarray::{Array2, Array3, Axis};

use super::infer_radiometry::{Sampled, infer_radiometry};
use super::nodata::{self, NoData};
use super::raster_names::given;
use super::{Origin, Radiometry, Scene, SceneBand, SceneInfo, SceneOptions};
use crate::band::{self, Before, Meaning, Product, identify};
use crate::error::{Error, Result};
use crate::raster::{DType, GeoKeys, Georeference, Window};

/// Most bytes that one call reads, as f64.
const READ_BYTES: usize = 8 << 30;

/// A raster that GDAL reads.
///
/// Bands are named by their descriptions. Reflectance is from the scale and offset that
/// GDAL finds; where there are none they are inferred from number format and range, as for
/// GeoTIFFs, and [`SceneInfo::notes`] has a sentence on it. GDAL reads one window at a time.
pub struct GdalScene {
    info: SceneInfo,
    /// GDAL's handles must not be used by two threads at once.
    dataset: Mutex<Dataset>,
    nodata: NoData,
}

impl GdalScene {
    /// Opens a raster.
    ///
    /// # Errors
    /// GDAL can't read it, in GDAL's words; no band, or one of complex numbers; an
    /// option that does not fit.
    pub fn open(path: &Path, options: &SceneOptions) -> Result<Self> {
        options.check(path)?;
        let fail = |e| broken(path, &e);
        let dataset = Dataset::open(path).map_err(fail)?;
        let (cols, rows) = dataset.raster_size();
        let count = dataset.raster_count();
        if count == 0 || rows == 0 || cols == 0 {
            let message = format!("{count} bands of {rows} rows and {cols} columns");
            return Err(Error::format(path, message));
        }
        let mut bands = Vec::with_capacity(count);
        let mut block = [1, 1];
        for position in 1..=count {
            let raster = dataset.rasterband(position).map_err(fail)?;
            let (width, height) = raster.block_size();
            block = [
                block[0].max(height.min(rows)),
                block[1].max(width.min(cols)),
            ];
            bands.push(describe(path, &raster, position, options)?);
        }
        let product = Product::first_in([crate::raster::stem(path).as_str()]);
        let mut notes = Vec::new();
        if let Some(names) = &options.bands {
            let named = given(path, names, count, &product, options)?;
            for (band, name) in bands.iter_mut().zip(named) {
                // A band that is skipped keeps a name that no model has.
                band.name = name.unwrap_or_else(|| band::SKIP.to_owned());
                band.source.clone_from(&band.name);
            }
        } else {
            let sources: Vec<String> = bands.iter().map(|band| band.source.clone()).collect();
            let found = identify(&sources, Before::Product, &product);
            notes = found.notes;
            for (band, (meaning, _)) in bands.iter_mut().zip(found.names) {
                if let Meaning::Band(common) = meaning {
                    band.name = common.to_owned();
                }
            }
        }
        let mut scene = Self {
            info: SceneInfo {
                name: crate::raster::stem(path),
                path: path.to_owned(),
                product: format!("{} raster", dataset.driver().long_name()),
                size: [rows, cols],
                block,
                georeference: georeference(&dataset, &mut notes),
                bands,
                sun: None,
                acquired: None,
                notes,
            },
            dataset: Mutex::new(dataset),
            nodata: NoData::default(),
        };
        if options.nodata.is_none() && !options.declared_only {
            let (nodata, shown) =
                nodata::recognise(&scene.info, &scene.nodata, |bands, window| {
                    scene.stored(bands, window)
                })?;
            for (band, number) in shown {
                let radiometry = &mut scene.info.bands[band].radiometry;
                radiometry.nodata = radiometry.nodata.or(Some(number));
            }
            scene.info.notes.extend(nodata.notes());
            scene.nodata = nodata;
        }
        let sampled = Sampled::of(&scene.info, |bands, window| scene.stored(bands, window))?;
        infer_radiometry(&mut scene.info, &sampled, options);
        Ok(scene)
    }

    /// Stored numbers of a window, NaN where there is no data.
    fn stored(&self, bands: &[usize], window: Window) -> Result<Array3<f64>> {
        let mut out = self.read_window(bands, window)?;
        self.nodata.blank(&self.info.bands, bands, &mut out);
        Ok(out)
    }

    fn read_window(&self, bands: &[usize], window: Window) -> Result<Array3<f64>> {
        self.info.check(bands, window)?;
        let Window {
            row,
            col,
            rows,
            cols,
        } = window;
        let most = READ_BYTES / size_of::<f64>();
        let count = (rows.checked_mul(cols)).and_then(|plane| plane.checked_mul(bands.len()));
        if count.is_none_or(|count| count > most) {
            let message = format!("{} bands of {window:?} are requested at once", bands.len());
            return Err(Error::limits(self.info.path.display(), message));
        }
        let fail = |e| broken(&self.info.path, &e);
        let dataset = self.dataset.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = Array3::zeros((bands.len(), rows, cols));
        for (position, band) in bands.iter().enumerate() {
            let raster = dataset.rasterband(band + 1).map_err(fail)?;
            let corner = (col as isize, row as isize);
            let buffer = raster
                .read_as::<f64>(corner, (cols, rows), (cols, rows), None)
                .map_err(fail)?;
            let (_, values) = buffer.into_shape_and_vec();
            let plane = Array2::from_shape_vec((rows, cols), values)
                .map_err(|e| Error::format(&self.info.path, e.to_string()))?;
            out.index_axis_mut(Axis(0), position).assign(&plane);
        }
        Ok(out)
    }
}

impl Scene for GdalScene {
    fn info(&self) -> &SceneInfo {
        &self.info
    }

    fn read(&self, bands: &[usize], window: Window) -> Result<Array3<f32>> {
        self.nodata
            .reflectance(&self.info.bands, bands, |bands, converter| {
                let stored = self.read_window(bands, window)?;
                let mut out = Array3::zeros(stored.dim());
                for (position, band) in bands.iter().enumerate() {
                    out.index_axis_mut(Axis(0), position)
                        .zip_mut_with(&stored.index_axis(Axis(0), position), |out, stored| {
                            *out = converter.convert(*band, *stored)
                        });
                }
                Ok(out)
            })
    }

    fn no_data(&self) -> &[String] {
        &self.nodata.found
    }
}

fn broken(path: &Path, error: &gdal::errors::GdalError) -> Error {
    Error::format(path, format!("GDAL: {error}"))
}

fn describe(
    path: &Path,
    raster: &RasterBand<'_>,
    position: usize,
    options: &SceneOptions,
) -> Result<SceneBand> {
    let dtype = match raster.band_type() {
        GdalDataType::UInt8 => DType::U8,
        GdalDataType::UInt16 => DType::U16,
        GdalDataType::Int16 => DType::I16,
        GdalDataType::UInt32 => DType::U32,
        GdalDataType::Int32 => DType::I32,
        GdalDataType::Float32 => DType::F32,
        GdalDataType::Float64 => DType::F64,
        other => {
            let message = format!("band {position} holds numbers of type {other:?}");
            return Err(Error::unsupported(path.display(), message));
        }
    };
    let source = match raster.description() {
        Ok(text) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => format!("band {position}"),
    };
    // GDAL gives 1 and 0 for drivers without a scale.
    let (gain, bias) = (
        raster.scale().unwrap_or(1.0),
        raster.offset().unwrap_or(0.0),
    );
    let radiometry = match (options.scale, options.offset) {
        (Some(scale), offset) => Radiometry::scaled(scale, offset.unwrap_or(0.0), Origin::Given),
        (None, offset) if (gain, bias) != (1.0, 0.0) => Radiometry {
            gain,
            bias: offset.map_or(bias, |offset| offset * gain),
            ..Radiometry::scaled(1.0, 0.0, offset.map_or(Origin::Metadata, |_| Origin::Given))
        },
        (None, offset) => Radiometry::scaled(1.0, offset.unwrap_or(0.0), Origin::Guessed),
    };
    Ok(SceneBand {
        name: source.clone(),
        source,
        dtype,
        resolution: None,
        radiometry: radiometry.with_nodata(options.nodata.or(raster.no_data_value())),
    })
}

/// The coordinate system by its EPSG code, which is all that nephos can keep of it.
fn georeference(dataset: &Dataset, notes: &mut Vec<String>) -> Georeference {
    let keys = dataset.spatial_ref().ok().and_then(|system| {
        let code = (system.auth_name().as_deref() == Some("EPSG"))
            .then(|| {
                system
                    .auth_code()
                    .ok()
                    .and_then(|code| u16::try_from(code).ok())
            })
            .flatten();
        let keys = match code {
            // The keys are in metres.
            Some(code) if system.is_projected() && system.linear_units() == 1.0 => {
                Some(GeoKeys::projected(code))
            }
            Some(code) if system.is_geographic() => Some(GeoKeys::geographic(code)),
            _ => None,
        };
        if keys.is_none() {
            notes.push(
                "The coordinate system has no EPSG code, or is not in metres or degrees, and is not kept; translate the raster to \
                 a GeoTIFF with gdal_translate to keep it."
                    .to_owned(),
            );
        }
        keys
    });
    Georeference::new(dataset.geo_transform().ok(), keys)
}
