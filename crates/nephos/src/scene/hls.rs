//! What NASA's Harmonized Landsat Sentinel-2 products state for all of their files.

use super::{Origin, Radiometry, SceneBand, SceneOptions};
use crate::band;
use crate::raster::DType;

/// Fill of all bands (HLS user guide v2.0, table 9).
const FILL: f64 = -9999.0;
/// Stored numbers per unit of reflectance.
const REFLECTANCE: f64 = 10_000.0;
/// Stored numbers per degree Celsius.
const CELSIUS: f64 = 100.0;
/// Kelvin at 0 degrees Celsius.
const ZERO: f64 = 273.15;
/// Kelvin of one unit of a thermal band.
const UNIT: f64 = 100.0;

/// Gives bands of an HLS product the scale and the fill that their tags lack, and
/// thermal bands, which are degrees Celsius, kelvin. A note where a scale or fill was
/// taken from the specification.
pub(super) fn complete(bands: &mut [SceneBand], options: &SceneOptions) -> Option<String> {
    let mut scaled = false;
    let mut filled = false;
    for band in bands {
        if band.dtype != DType::I16 || !band::is_known(&band.name) {
            continue;
        }
        let nodata = band.radiometry.nodata;
        let is_guessed = band.radiometry.origin == Origin::Guessed;
        if options.scale.is_none() && band::is_thermal(&band.name) {
            let origin = match is_guessed {
                true => Origin::Specification,
                false => band.radiometry.origin,
            };
            let kelvin = Radiometry::scaled(CELSIUS * UNIT, ZERO * CELSIUS, origin);
            band.radiometry = kelvin.with_nodata(nodata);
        } else if is_guessed && options.offset.is_none() {
            let specified = Radiometry::scaled(REFLECTANCE, 0.0, Origin::Specification);
            band.radiometry = specified.with_nodata(nodata);
            scaled = true;
        }
        if nodata.is_none() && options.nodata.is_none() {
            band.radiometry.nodata = Some(FILL);
            filled = true;
        }
    }
    let what = match (scaled, filled) {
        (true, true) => "scale and fill",
        (true, false) => "scale",
        (false, true) => "fill",
        (false, false) => return None,
    };
    Some(format!(
        "The files' tags state no {what}: those of the HLS specification are taken, reflectance × \
         10000 and -9999 for no data."
    ))
}
