//! Haze: air that scatters light of its own into the picture and takes some of the
//! ground's.

use super::random::AugmentRng;
use super::view::View;
use crate::config::AugmentConfig;

/// Reflectance of haze that hides the ground.
const AIRLIGHT: f64 = 0.45;

/// Wavelength at which the configuration's share holds, in micrometres: blue.
const REFERENCE: f64 = 0.49;

/// Water vapour near 1.375 µm hides what is below it: haze is not visible there.
const BLIND: [f64; 2] = [1.33, 1.42];

/// Haze that grows evenly across the sample. Its optical thickness falls with the
/// wavelength to the power of an exponent from 0.8 to 1.8 (Ångström 1929), so that it
/// is bluish and thin in the infrared.
pub(crate) fn haze(config: &AugmentConfig, view: &mut View<'_>, rng: &mut AugmentRng) {
    let share = rng.unit() * config.haze;
    let exponent = rng.between(0.8, 1.8);
    let (angle, slope) = (rng.between(0.0, std::f64::consts::TAU), rng.unit());
    let thickness = -(1.0 - share).ln();
    let (height, width) = view.example.valid.dim();
    let (dy, dx) = angle.sin_cos();
    let middle = [height, width].map(|length| (length as f64 - 1.0) / 2.0);
    let reach = (middle[0].hypot(middle[1])).max(1.0);
    for band in 0..view.bands() {
        let Some(wavelength) = view.wavelength(band) else {
            continue;
        };
        if (BLIND[0]..BLIND[1]).contains(&wavelength) || !view.reflects(band) {
            continue;
        }
        let thickness = thickness * (wavelength / REFERENCE).powf(-exponent);
        let airlight = AIRLIGHT * f64::from(view.unit);
        view.each(band, |value, (row, col)| {
            let along = ((row as f64 - middle[0]) * dy + (col as f64 - middle[1]) * dx) / reach;
            // From `1 - slope` to 1 across the sample.
            let here = thickness * (1.0 - slope * 0.5 * (1.0 - along));
            let through = (-here).exp();
            (f64::from(value) * through + airlight * (1.0 - through)) as f32
        });
    }
}
