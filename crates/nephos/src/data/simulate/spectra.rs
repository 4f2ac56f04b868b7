//! Reflectance of land covers in the bands of Sentinel-2.

use rand::{Rng, RngExt};

use crate::band::SENTINEL2;

/// Number of Sentinel-2 bands.
pub const BANDS: usize = SENTINEL2.len();

/// Position of the cirrus band, B10.
pub const CIRRUS: usize = 10;

/// Position of the red band, B04.
pub const RED: usize = 3;

/// What a surface is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Material {
    Crop,
    DryCrop,
    Grass,
    Broadleaf,
    Conifer,
    BrownSoil,
    DarkSoil,
    RedSoil,
    Sand,
    Rock,
    Asphalt,
    BrightRoof,
    TileRoof,
    ClearWater,
    TurbidWater,
    FreshSnow,
    OldSnow,
    /// Mirror image of the sky and sun on water.
    Glint,
    // From here on only [realistic](super::Simulator::realistic) lands.
    /// Salt flats and playas: bright, dark where water is bound.
    Salt,
    /// Woods without leaves, dry or burnt.
    DryWood,
    /// Basalt, slate, lava.
    DarkRock,
    /// Water full of silt.
    MuddyWater,
    /// Water full of algae, or plants just below it.
    GreenWater,
    /// Reeds, rice and mangroves.
    Marsh,
}

/// Number of materials.
const MATERIALS: usize = Material::Marsh as usize + 1;

/// Those of them that all lands are made of; their draws come first.
const COMMON: usize = Material::Glint as usize + 1;

/// Surface reflectance of each material, B01 .. B12.
///
/// Rounded by hand to the level and shape of such surfaces in the spectral
/// libraries of ECOSTRESS (Meerdink et al. 2019, doi:10.1016/j.rse.2019.05.015) and
/// USGS (Kokaly et al. 2017, doi:10.3133/ds1035); not copied from any one sample.
#[rustfmt::skip]
const REFLECTANCE: [[f32; BANDS]; MATERIALS] = [
    //  B01    B02    B03    B04    B05    B06    B07    B08    B8A    B09    B10    B11    B12
    [0.020, 0.028, 0.063, 0.033, 0.095, 0.290, 0.385, 0.410, 0.435, 0.430, 0.300, 0.210, 0.095],
    [0.050, 0.070, 0.110, 0.150, 0.185, 0.220, 0.250, 0.275, 0.300, 0.310, 0.340, 0.350, 0.250],
    [0.024, 0.036, 0.070, 0.054, 0.110, 0.235, 0.290, 0.310, 0.335, 0.335, 0.270, 0.235, 0.125],
    [0.014, 0.020, 0.042, 0.024, 0.065, 0.190, 0.250, 0.270, 0.290, 0.285, 0.200, 0.130, 0.058],
    [0.011, 0.015, 0.027, 0.019, 0.045, 0.110, 0.140, 0.152, 0.165, 0.165, 0.120, 0.070, 0.032],
    [0.055, 0.075, 0.105, 0.140, 0.160, 0.180, 0.200, 0.222, 0.245, 0.260, 0.310, 0.335, 0.285],
    [0.040, 0.050, 0.065, 0.080, 0.090, 0.100, 0.114, 0.128, 0.140, 0.150, 0.195, 0.215, 0.195],
    [0.040, 0.050, 0.080, 0.150, 0.180, 0.200, 0.214, 0.228, 0.240, 0.250, 0.300, 0.335, 0.305],
    [0.140, 0.195, 0.285, 0.365, 0.395, 0.418, 0.440, 0.460, 0.478, 0.485, 0.510, 0.555, 0.515],
    [0.080, 0.098, 0.120, 0.140, 0.148, 0.155, 0.162, 0.170, 0.176, 0.180, 0.200, 0.220, 0.200],
    [0.080, 0.090, 0.105, 0.118, 0.124, 0.130, 0.136, 0.145, 0.152, 0.156, 0.165, 0.178, 0.168],
    [0.250, 0.290, 0.330, 0.355, 0.365, 0.370, 0.380, 0.388, 0.396, 0.398, 0.390, 0.380, 0.345],
    [0.050, 0.060, 0.090, 0.170, 0.205, 0.228, 0.248, 0.265, 0.278, 0.284, 0.310, 0.330, 0.290],
    [0.030, 0.026, 0.018, 0.008, 0.006, 0.004, 0.003, 0.002, 0.002, 0.001, 0.001, 0.001, 0.001],
    [0.045, 0.056, 0.085, 0.068, 0.058, 0.030, 0.028, 0.020, 0.018, 0.010, 0.002, 0.002, 0.001],
    [0.930, 0.940, 0.940, 0.930, 0.920, 0.910, 0.900, 0.880, 0.860, 0.820, 0.350, 0.100, 0.080],
    [0.690, 0.710, 0.710, 0.700, 0.690, 0.670, 0.650, 0.620, 0.590, 0.540, 0.200, 0.050, 0.035],
    [0.300, 0.300, 0.300, 0.300, 0.300, 0.300, 0.300, 0.300, 0.300, 0.300, 0.300, 0.300, 0.300],
    [0.330, 0.390, 0.450, 0.490, 0.500, 0.505, 0.510, 0.510, 0.505, 0.490, 0.440, 0.260, 0.160],
    [0.030, 0.038, 0.058, 0.075, 0.105, 0.160, 0.185, 0.200, 0.220, 0.230, 0.250, 0.255, 0.160],
    [0.060, 0.068, 0.080, 0.092, 0.096, 0.100, 0.104, 0.108, 0.112, 0.114, 0.118, 0.122, 0.115],
    [0.055, 0.075, 0.125, 0.155, 0.150, 0.105, 0.100, 0.085, 0.070, 0.040, 0.006, 0.008, 0.005],
    [0.025, 0.030, 0.060, 0.042, 0.075, 0.140, 0.160, 0.165, 0.170, 0.120, 0.030, 0.050, 0.025],
    [0.022, 0.030, 0.055, 0.050, 0.080, 0.140, 0.175, 0.190, 0.205, 0.200, 0.140, 0.120, 0.060],
];

/// How far the level of each material varies from land to land beyond that (standard
/// deviation of its logarithm), fitted to the spread of labelled Sentinel-2 pixels.
#[rustfmt::skip]
const SPREAD: [f32; MATERIALS] = [
    0.25, 0.25, 0.25, 0.22, 0.28, 0.30, 0.35, 0.28, 0.25, 0.35, 0.30, 0.25, 0.25,
    0.40, 0.40, 0.02, 0.08, 0.30, 0.30, 0.30, 0.40, 0.40, 0.35, 0.30,
];

/// The materials of one scene: the table, varied as soils and plants vary from
/// place to place.
#[derive(Debug, Clone)]
pub struct Palette([[f32; BANDS]; MATERIALS]);

impl Palette {
    /// Each material's level varies by about 12 % and its slope by about 10 % per
    /// micrometre.
    pub fn draw(rng: &mut impl Rng) -> Self {
        let mut table = REFLECTANCE;
        for spectrum in &mut table[..COMMON] {
            let level: f32 = 1.0 + 0.12 * rng.random_range(-1.5..1.5);
            let slope: f32 = 0.10 * rng.random_range(-1.5..1.5);
            for (value, (_, _, wavelength)) in spectrum.iter_mut().zip(SENTINEL2) {
                let factor = level * (1.0 + slope * (wavelength - 0.8));
                *value = (*value * factor).clamp(0.0, 0.96);
            }
        }
        Self(table)
    }

    /// Spreads the materials as far as they are from land to land on real images.
    pub fn spread(&mut self, rng: &mut impl Rng) {
        for (spectrum, spread) in self.0.iter_mut().zip(SPREAD) {
            // Three uniform draws: nearly normal, without far outliers.
            let normal: f32 = (0..3).map(|_| rng.random_range(-1.0f32..1.0)).sum();
            let slope: f32 = rng.random_range(-0.5 * spread..0.5 * spread);
            for (value, (_, _, wavelength)) in spectrum.iter_mut().zip(SENTINEL2) {
                let factor = (spread * normal + slope * (wavelength - 0.8)).exp();
                *value = (*value * factor).min(0.97);
            }
        }
        // Beyond 1.2 µm real soils are moister than the libraries' dried samples.
        use Material as M;
        for soil in [M::BrownSoil, M::DarkSoil, M::RedSoil, M::DryCrop] {
            let spectrum = &mut self.0[soil as usize];
            for (value, (_, _, wavelength)) in spectrum.iter_mut().zip(SENTINEL2) {
                if wavelength > 1.2 {
                    *value *= 0.8;
                }
            }
        }
    }

    /// Draws the size of the snow's grains: the coarser, the darker in the infrared
    /// (Warren 1982, doi:10.1029/RG020i001p00067).
    pub fn vary_snow(&mut self, rng: &mut impl Rng) {
        for snow in [Material::FreshSnow, Material::OldSnow] {
            let coarse: f32 = rng.random_range(-0.5..1.2);
            let spectrum = &mut self.0[snow as usize];
            for (value, (_, _, wavelength)) in spectrum.iter_mut().zip(SENTINEL2) {
                let dark = match wavelength {
                    w if w > 1.2 => 1.0,
                    w if w > 0.75 => 0.1,
                    _ => 0.0,
                };
                *value = (*value * (-coarse * dark).exp()).min(0.96);
            }
        }
    }

    /// Reflectance of every material in one band, indexed by the material's number.
    pub fn band(&self, band: usize) -> [f32; MATERIALS] {
        self.0.map(|spectrum| spectrum[band])
    }
}
