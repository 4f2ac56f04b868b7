//! Cloudless air: scattering by molecules and aerosol, absorption by gases.
//!
//! Single scattering gives the path reflectance; of the scattered light, half
//! (molecules) or five sixths (aerosol) continues downwards (Tanré et al. 1979,
//! doi:10.1364/AO.18.003587). Enough for the blueness of haze and of shadows; no
//! substitute for a radiative transfer code.

use rand::{Rng, RngExt};

use crate::band::SENTINEL2;

use super::spectra::{BANDS, CIRRUS};

/// Scale heights of air, aerosol and water vapour, metres.
const AIR_SCALE: f32 = 8000.0;
const AEROSOL_SCALE: f32 = 1500.0;
const VAPOUR_SCALE: f32 = 2000.0;

/// Position of the water vapour band, B09.
const VAPOUR: usize = 9;

/// Asymmetry and single scattering albedo of continental aerosol.
const AEROSOL_ASYMMETRY: f32 = 0.65;
const AEROSOL_ALBEDO: f32 = 0.93;

/// Optical thickness of ozone, oxygen, carbon dioxide and weak water vapour lines
/// in each band's mean, B01 .. B12 (level of Vermote et al. 1997,
/// doi:10.1109/36.581987).
#[rustfmt::skip]
const OTHER_GASES: [f32; BANDS] = [
    0.001, 0.007, 0.032, 0.018, 0.015, 0.018, 0.010, 0.022, 0.004, 0.0, 0.0, 0.012, 0.022,
];

/// The sun and the air on one day.
#[derive(Debug, Clone, Copy)]
pub struct Air {
    /// Cosine of the sun's zenith angle.
    pub sun_cosine: f32,
    /// Aerosol optical thickness at 550 nm.
    pub aerosol: f32,
    /// Ångström exponent: thickness falls as wavelength to minus this.
    pub angstrom: f32,
    /// Column of water vapour, centimetres.
    pub vapour: f32,
    /// How strongly its lines absorb in the cirrus band, relative to the mean of
    /// Sentinel-2's: sensors' bands differ in width and place.
    pub lines: f32,
    /// The same for the water vapour band.
    pub weak_lines: f32,
    /// Reflectance that the cirrus band shows of black ground: stray light, and
    /// aerosol above the weather.
    pub stray: f32,
    /// Height of the ground above the sea, metres.
    pub altitude: f32,
}

/// The air in one band, seen by a sensor at nadir. Reflectances and shares of the
/// sun's light at the top of the atmosphere.
#[derive(Debug, Clone, Copy)]
pub struct BandAir {
    /// Optical thickness of the air and of the aerosol.
    thickness: [f32; 2],
    /// Reflectance of the air and of the aerosol, from the ground up.
    pub path: [f32; 2],
    /// Direct sunlight that reaches the ground.
    pub direct: f32,
    /// Sunlight that reaches the ground scattered by a cloudless sky.
    pub diffuse: f32,
    /// Share of the ground's light that reaches the sensor.
    pub up: f32,
    /// Reflectance of the sky seen from the ground.
    pub sky: f32,
}

impl Air {
    /// Draws the air: mostly clean, sometimes hazy.
    pub fn draw(rng: &mut impl Rng, sun_cosine: f32) -> Self {
        let hazy: f32 = rng.random_range(0.0f32..1.0).powi(3);
        Self {
            sun_cosine,
            aerosol: 0.04 + 0.5 * hazy,
            angstrom: rng.random_range(0.8..1.7),
            vapour: rng.random_range(0.6..3.5),
            lines: 1.0,
            weak_lines: 1.0,
            stray: 0.0,
            altitude: 0.0,
        }
    }

    /// The air in band `band`.
    pub fn band(&self, band: usize) -> BandAir {
        let wavelength = SENTINEL2[band].2;
        // Hansen & Travis 1974, doi:10.1007/BF00168069, eq. 2.30.
        let w2 = wavelength.powi(-2);
        let [less, cleaner] = above(self.altitude);
        let air = less * (0.008569 * w2 * w2 * (1.0 + 0.0113 * w2 + 0.00013 * w2 * w2));
        let aerosol = cleaner * (self.aerosol * (wavelength / 0.55).powf(-self.angstrom));
        let mu = self.sun_cosine;
        // Nadir view: the scattering angle is 180° minus the sun's zenith angle.
        let rayleigh = 0.75 * (1.0 + mu * mu);
        let g = AEROSOL_ASYMMETRY;
        let henyey = (1.0 - g * g) / (1.0 + g * g + 2.0 * g * mu).powf(1.5);
        let through = |mu: f32| (-(0.52 * air + 0.167 * aerosol) / mu).exp();
        let direct = (-(air + aerosol) / mu).exp();
        BandAir {
            thickness: [air, aerosol],
            path: [
                air * rayleigh / (4.0 * mu),
                AEROSOL_ALBEDO * aerosol * henyey / (4.0 * mu),
            ],
            direct,
            diffuse: (through(mu) - direct).max(0.0),
            up: through(1.0),
            sky: 0.48 * air + 0.15 * aerosol,
        }
    }

    /// Share of the light in `band` that absorbing gases leave on its way from the
    /// sun down to `height` metres and up to the sensor.
    pub fn gases(&self, band: usize, height: f32) -> f32 {
        let air_mass = 1.0 + 1.0 / self.sun_cosine;
        let height = height + self.altitude;
        // Strong lines: absorption grows with the root of the column.
        let vapour = (self.vapour * (-height / VAPOUR_SCALE).exp() * air_mass).sqrt();
        match band {
            VAPOUR => (-0.42 * self.weak_lines * vapour).exp(),
            CIRRUS => (-3.3 * self.lines * vapour).exp(),
            _ => (-OTHER_GASES[band] * air_mass * (-height / AIR_SCALE).exp()).exp(),
        }
    }
}

impl BandAir {
    /// Share of the sun's light that scattering leaves on its way down to `height`
    /// metres and up to the sensor.
    pub fn two_way_above(&self, height: f32, sun_cosine: f32) -> f32 {
        let [air, aerosol] = above(height);
        let lost = 0.52 * self.thickness[0] * air + 0.167 * self.thickness[1] * aerosol;
        (-lost * (1.0 + 1.0 / sun_cosine)).exp()
    }
}

impl BandAir {
    /// Share of the light that its aerosol leaves on the way down and up.
    pub fn through_aerosol(&self, sun_cosine: f32) -> f32 {
        (-0.167 * self.thickness[1] * (1.0 + 1.0 / sun_cosine)).exp()
    }
}

/// Share of the air and of the aerosol above `height` metres.
pub fn above(height: f32) -> [f32; 2] {
    [(-height / AIR_SCALE).exp(), (-height / AEROSOL_SCALE).exp()]
}
