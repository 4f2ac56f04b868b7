//! Farmed fields and city blocks.
//!
//! The plane is parted into districts, the cells of a jittered lattice (Worley
//! 1996, doi:10.1145/237170.237267). Each has its own direction and its own strips
//! of rectangular parcels; roads run between districts.

use rand::{Rng, RngExt};

use super::ground::Mix;
use super::noise::{hash, unit};
use super::spectra::Material;

/// Crops on the fields, most common first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Season {
    /// Mostly green.
    Growing,
    /// Stubble and green.
    Harvest,
    /// Mostly bare.
    Bare,
}

impl Season {
    /// Each season is equally likely.
    pub fn draw(rng: &mut impl Rng) -> Self {
        match rng.random_range(0..3) {
            0 => Self::Growing,
            1 => Self::Harvest,
            _ => Self::Bare,
        }
    }

    fn materials(self) -> [Material; 6] {
        use Material::{BrownSoil, Crop, DarkSoil, DryCrop, Grass, RedSoil};
        match self {
            Self::Growing => [Crop, Crop, Crop, Grass, BrownSoil, DryCrop],
            Self::Harvest => [DryCrop, DryCrop, Crop, Grass, BrownSoil, RedSoil],
            Self::Bare => [BrownSoil, DarkSoil, BrownSoil, DryCrop, Grass, Crop],
        }
    }
}

/// The districts and parcels of one scene.
#[derive(Debug, Clone)]
pub struct Parcels {
    seed: u64,
    /// Size of a district, pixels.
    district: f32,
    /// Width of a strip and mean length of a parcel, pixels.
    strip: f32,
    length: f32,
    /// Metres.
    pixel: f32,
}

/// Position of a pixel.
struct Place {
    district: u64,
    /// Metres to the border of the district, roughly.
    border: f32,
    /// Position along and across the strips, pixels.
    along: f32,
    across: f32,
}

impl Parcels {
    /// Draws districts of about 1 to 2.5 km and fields of 1 to 20 ha.
    pub fn draw(rng: &mut impl Rng, pixel: f64) -> Self {
        let pixel = pixel as f32;
        let strip = rng.random_range(80.0f32..260.0);
        Self {
            seed: rng.random(),
            district: rng.random_range(900.0..2400.0) / pixel,
            strip: strip / pixel,
            length: strip * rng.random_range(1.2..3.5) / pixel,
            pixel,
        }
    }

    fn hash(&self, a: u64, b: i64, c: i64) -> u64 {
        hash(self.seed ^ a, [b as u64, c as u64, 0x9ace])
    }

    fn place(&self, row: usize, col: usize) -> Place {
        let (x, y) = (col as f32, row as f32);
        let (u, v) = (x / self.district, y / self.district);
        let (i, j) = (u.floor() as i64, v.floor() as i64);
        let (mut nearest, mut second, mut district) = (f32::MAX, f32::MAX, 0);
        for (di, dj) in (-1..=1).flat_map(|dj| (-1..=1).map(move |di| (di, dj))) {
            let cell = self.hash(1, i + di, j + dj);
            let px = (i + di) as f32 + 0.1 + 0.8 * unit(cell);
            let py = (j + dj) as f32 + 0.1 + 0.8 * unit(cell << 24);
            let distance = (u - px).hypot(v - py);
            if distance < nearest {
                (second, nearest, district) = (nearest, distance, cell);
            } else {
                second = second.min(distance);
            }
        }
        let (sin, cos) = (unit(self.hash(district, 2, 0)) * std::f32::consts::PI).sin_cos();
        Place {
            district,
            border: 0.5 * (second - nearest) * self.district * self.pixel,
            along: x * cos + y * sin,
            across: y * cos - x * sin,
        }
    }

    /// A pixel of farmland.
    pub fn field(&self, row: usize, col: usize, season: Season) -> Mix {
        let place = self.place(row, col);
        if place.border < 8.0 {
            return Mix::of(Material::Asphalt, Material::Grass, 0.3, 1.0);
        }
        let strip = (place.across / self.strip).floor();
        // Parcels differ in length from strip to strip and don't line up.
        let lane = self.hash(place.district, strip as i64, 3);
        let length = self.length * (0.6 + 0.9 * unit(lane));
        let position = place.along / length + unit(lane << 24);
        let id = self.hash(place.district, strip as i64, position.floor() as i64);
        let edge = (place.across - strip * self.strip).min((position - position.floor()) * length)
            * self.pixel;
        if edge < 6.0 && unit(id << 3) < 0.6 {
            // Hedge or track, narrower than a pixel.
            return Mix::of(Material::Grass, Material::Broadleaf, 0.5, 0.95);
        }
        let materials = season.materials();
        let pick = (unit(id) * materials.len() as f32) as usize;
        let growth = unit(id << 24);
        // Drill lines and swaths along the strip.
        let swath = (place.across * self.pixel / 24.0).floor() as i64;
        let line = unit(self.hash(id, swath, 5)) - 0.5;
        Mix::of(
            materials[pick.min(materials.len() - 1)],
            Material::BrownSoil,
            0.45 * growth * growth,
            (0.85 + 0.3 * unit(id << 12)) * (1.0 + 0.06 * line),
        )
    }

    /// A pixel of a town.
    pub fn block(&self, row: usize, col: usize, texture: f32) -> Mix {
        let place = self.place(row, col);
        let (along, across) = (place.along * self.pixel, place.across * self.pixel);
        if place.border < 14.0 {
            return Mix::pure(Material::Asphalt, 0.9);
        }
        let (length, depth) = (130.0, 85.0);
        let (i, j) = ((along / length).floor(), (across / depth).floor());
        let (x, y) = (along - i * length, across - j * depth);
        if x < 13.0 || y < 11.0 {
            return Mix::of(Material::Asphalt, Material::Grass, 0.15, 0.95);
        }
        let block = self.hash(place.district, i as i64, j as i64);
        if unit(block) < 0.10 {
            return Mix::of(
                Material::Grass,
                Material::Broadleaf,
                0.5 + 0.4 * texture,
                1.0,
            );
        }
        let house = self.hash(block, (x / 24.0) as i64, (y / 28.0) as i64);
        let gain = 0.75 + 0.5 * unit(house << 24);
        match unit(house) {
            h if h < 0.28 => Mix::of(Material::Grass, Material::Broadleaf, 0.6, gain),
            h if h < 0.52 => Mix::of(Material::TileRoof, Material::Grass, 0.3, gain),
            h if h < 0.58 => Mix::pure(Material::BrightRoof, gain),
            h if h < 0.80 => Mix::of(Material::Asphalt, Material::Rock, 0.5, gain),
            _ => Mix::of(Material::Asphalt, Material::Grass, 0.5, gain),
        }
    }
}
