//! Numbers of a sensor: gains, offsets, noise, saturation and blur.

use super::random::AugmentRng;
use super::smooth::Smoothing;
use super::view::View;
use crate::config::AugmentConfig;

/// One factor for all reflectances, then a factor and an offset per band.
pub(crate) fn gains(config: &AugmentConfig, view: &mut View<'_>, rng: &mut AugmentRng) {
    let common = 1.0 + rng.around(config.gain);
    for band in 0..view.bands() {
        // Drawn for every band, so that an absent band does not change the others.
        let factor = common * (1.0 + rng.around(config.band_gain));
        let offset = rng.around(config.band_offset) * f64::from(view.unit);
        if view.reflects(band) {
            let (factor, offset) = (factor as f32, offset as f32);
            view.each(band, |value, _| value * factor + offset);
        }
    }
}

/// Gaussian noise of one standard deviation in all bands, drawn up to that of the
/// configuration.
pub(crate) fn noise(config: &AugmentConfig, view: &mut View<'_>, rng: &mut AugmentRng) {
    let deviation = rng.unit() * config.noise * f64::from(view.unit);
    for band in 0..view.bands() {
        let mut second = None;
        let mut normal = || match second.take() {
            Some(value) => value,
            None => {
                let [first, other] = rng.normals();
                second = Some(other);
                first
            }
        };
        view.each_pixel(band, |value| value + (deviation * normal()) as f32);
    }
}

/// Reflectances end at one level, as where a sensor saturates.
pub(crate) fn saturation(config: &AugmentConfig, view: &mut View<'_>, rng: &mut AugmentRng) {
    let [low, high] = config.saturation[..] else {
        return;
    };
    let level = (rng.between(low, high) * f64::from(view.unit)) as f32;
    for band in (0..view.bands())
        .filter(|band| view.reflects(*band))
        .collect::<Vec<_>>()
    {
        view.each(band, |value, _| value.min(level));
    }
}

/// A Gaussian blur of all bands among the valid pixels.
pub(crate) fn blur(config: &AugmentConfig, view: &mut View<'_>, rng: &mut AugmentRng) {
    let sigma = rng.unit() * config.blur;
    let weight = view
        .example
        .valid
        .mapv(|valid| if valid { 1.0 } else { 0.0 });
    let smoothing = Smoothing::gaussian(&weight, sigma);
    for band in 0..view.bands() {
        if view.example.absent[band] {
            continue;
        }
        let plane = view.plane(band);
        let blurred = match plane.iter().any(|value| value.is_nan()) {
            false => smoothing.of(&plane),
            // What has no data in this band counts as little as what has none at all.
            true => {
                let mut weight = weight.clone();
                weight.zip_mut_with(&plane, |weight, value| {
                    if value.is_nan() {
                        *weight = 0.0;
                    }
                });
                let known = plane.mapv(|value| if value.is_nan() { 0.0 } else { value });
                Smoothing::gaussian(&weight, sigma).of(&known)
            }
        };
        view.each(band, |_, place| blurred[place]);
    }
}
