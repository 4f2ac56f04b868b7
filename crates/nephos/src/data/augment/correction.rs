//! Atmospheric correction: what molecules and aerosol scattered into the picture is taken
//! away, as a processor to surface reflectance does, a little too much or too little.

use super::random::AugmentRng;
use super::view::View;

/// Share of the clear air that a processor takes away.
const STRENGTH: [f64; 2] = [0.5, 1.2];

/// Optical thickness of the aerosol that it takes away at 0.55 µm, at most.
const AEROSOL: f64 = 0.25;

/// Subtracts path reflectance and divides by transmittance: of
/// molecules (Hansen & Travis 1974, doi:10.1007/BF00168069, eq. 2.30) and of aerosol
/// (Ångström 1929), single scattering towards the zenith.
pub(crate) fn correction(view: &mut View<'_>, rng: &mut AugmentRng) {
    let strength = rng.between(STRENGTH[0], STRENGTH[1]);
    let aerosol = rng.unit() * AEROSOL;
    let exponent = rng.between(0.8, 1.8);
    let sun = rng.between(0.4, 0.95);
    for band in 0..view.bands() {
        let Some(wavelength) = view.wavelength(band).filter(|_| view.reflects(band)) else {
            continue;
        };
        let w2 = wavelength.powi(-2);
        let molecules = 0.008569 * w2 * w2 * (1.0 + 0.0113 * w2 + 0.00013 * w2 * w2);
        let aerosol = aerosol * (wavelength / 0.55).powf(-exponent);
        // A phase function of 3/4 (1 + cos²) and, for aerosol seen from behind, about 0.15.
        let path = (molecules * 0.75 * (1.0 + sun * sun) + 0.15 * aerosol) / (4.0 * sun);
        let through = (-(0.5 * molecules + 0.17 * aerosol) * (1.0 + 1.0 / sun)).exp();
        let path = strength * path * f64::from(view.unit);
        let through = 1.0 - strength * (1.0 - through);
        view.each(band, |value, _| {
            ((f64::from(value) - path) / through) as f32
        });
    }
}
