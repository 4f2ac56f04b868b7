//! From stored numbers to reflectance and temperature, by the metadata.
//!
//! Level-1: reflectance = (stored × REFLECTANCE_MULT + REFLECTANCE_ADD) / sin(sun
//! elevation); radiance L = stored × RADIANCE_MULT + RADIANCE_ADD, temperature =
//! K2 / ln(K1 / L + 1). Level-2: surface reflectance and temperature are linear.
//! (USGS, Landsat 8-9 Calibration and Validation Algorithm Description Document,
//! LSDS-1747; Collection 2 Level 2 Science Product Guide, LSDS-1619.)

use super::bands::{Band, Quantity, Sensor};
use super::mtl::{
    IMAGE, Mtl, RESCALING, SURFACE_REFLECTANCE, SURFACE_TEMPERATURE, Section, THERMAL,
};
use crate::error::{Error, Result};
use crate::raster::DType;
use crate::scene::{Origin, Planck, Radiometry, SceneOptions};

/// Kelvin per unit of a thermal band.
const KELVIN: f64 = 100.0;
/// Stored number of pixels outside the scene, in all products.
const FILL: f64 = 0.0;

/// The radiometry of a band whose file has numbers of type `dtype`.
pub fn of(
    mtl: &Mtl,
    sensor: Sensor,
    band: Band,
    dtype: DType,
    options: &SceneOptions,
) -> Result<Radiometry> {
    let reflective = band.quantity == Quantity::Reflectance;
    let radiometry = match (sensor.level, band.quantity) {
        (_, Quantity::Reflectance) if options.scale.is_some() => Radiometry::scaled(
            options.scale.unwrap_or(1.0),
            options.offset.unwrap_or(0.0),
            Origin::Given,
        ),
        (1, Quantity::Reflectance) => {
            let sine = sine_of_elevation(mtl)?;
            let (gain, bias) = pair(mtl, sensor, band, RESCALING, "REFLECTANCE")?;
            linear(gain / sine, bias / sine)
        }
        (1, Quantity::Temperature) => {
            let (gain, bias) = pair(mtl, sensor, band, RESCALING, "RADIANCE")?;
            let constant = |name: &str| {
                let key = format!("{name}_CONSTANT_BAND_{}", sensor.suffix(band));
                positive(mtl, &key, mtl.number(THERMAL, &key)?)
            };
            Radiometry {
                thermal: Some(Planck {
                    k1: constant("K1")?,
                    k2: constant("K2")?,
                }),
                ..linear(gain, bias)
            }
        }
        (_, Quantity::Reflectance) => {
            let (gain, bias) = pair(mtl, sensor, band, SURFACE_REFLECTANCE, "REFLECTANCE")?;
            linear(gain, bias)
        }
        (_, Quantity::Temperature) => {
            let (gain, bias) = pair(mtl, sensor, band, SURFACE_TEMPERATURE, "TEMPERATURE")?;
            linear(gain / KELVIN, bias / KELVIN)
        }
    };
    let radiometry = match (options.scale, options.offset) {
        (None, Some(offset)) if reflective => Radiometry {
            bias: offset * radiometry.gain,
            origin: Origin::Given,
            ..radiometry
        },
        _ => radiometry,
    };
    // The highest number says that a bright surface was brighter still; in a thermal
    // band it is an ordinary, hot pixel.
    let saturated = match (band.quantity, dtype) {
        (Quantity::Reflectance, DType::U8) => Some(f64::from(u8::MAX)),
        (Quantity::Reflectance, _) => Some(f64::from(u16::MAX)),
        (Quantity::Temperature, _) => None,
    };
    Ok(Radiometry {
        saturated,
        ..radiometry.with_nodata(Some(options.nodata.unwrap_or(FILL)))
    })
}

fn linear(gain: f64, bias: f64) -> Radiometry {
    Radiometry {
        gain,
        bias,
        ..Radiometry::scaled(1.0, 0.0, Origin::Metadata)
    }
}

/// `…_MULT_BAND_…` and `…_ADD_BAND_…`.
fn pair(
    mtl: &Mtl,
    sensor: Sensor,
    band: Band,
    section: Section,
    quantity: &str,
) -> Result<(f64, f64)> {
    let suffix = sensor.suffix(band);
    let gain = format!("{quantity}_MULT_BAND_{suffix}");
    let bias = format!("{quantity}_ADD_BAND_{suffix}");
    Ok((
        positive(mtl, &gain, mtl.number(section, &gain)?)?,
        mtl.number(section, &bias)?,
    ))
}

fn sine_of_elevation(mtl: &Mtl) -> Result<f64> {
    let key = "SUN_ELEVATION";
    let elevation = mtl.number(IMAGE, key)?;
    if elevation <= 0.0 || elevation > 90.0 {
        return Err(Error::format(
            mtl.path(),
            format!(
                "{key} is {elevation}°; reflectance is known where the sun is above the horizon"
            ),
        ));
    }
    Ok(elevation.to_radians().sin())
}

fn positive(mtl: &Mtl, key: &str, value: f64) -> Result<f64> {
    if value > 0.0 {
        return Ok(value);
    }
    let message = format!("{key} is {value}, not above 0");
    Err(Error::format(mtl.path(), message))
}
