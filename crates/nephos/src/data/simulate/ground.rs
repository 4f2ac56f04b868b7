//! The land under the clouds: land cover, and the terrain's slopes towards the sun.

use ndarray::Array2;
use rand::{Rng, RngExt};

use super::noise::{Fractal, Window};
use super::parcels::{Parcels, Season};
use super::spectra::{Material, Palette};

/// Kinds of land.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Landscape {
    Farmland,
    Forest,
    Hills,
    Desert,
    Urban,
    Snow,
    Coast,
    Lakes,
    /// Nothing but snow.
    Snowfield,
    /// Floes on the sea.
    SeaIce,
    /// Nothing but water.
    Sea,
}

impl Landscape {
    /// The name in `metadata.csv`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Farmland => "farmland",
            Self::Forest => "forest",
            Self::Hills => "hills",
            Self::Desert => "desert",
            Self::Urban => "urban",
            Self::Snow => "snow",
            Self::Coast => "coast",
            Self::Lakes => "lakes",
            Self::Snowfield => "snowfield",
            Self::SeaIce => "sea-ice",
            Self::Sea => "sea",
        }
    }

    /// Water vapour over it, relative to that over fields.
    pub fn humidity(self) -> f32 {
        match self {
            Self::Snowfield | Self::SeaIce => 0.15,
            Self::Snow => 0.3,
            Self::Desert => 0.5,
            Self::Hills => 0.7,
            _ => 1.0,
        }
    }

    fn draw(rng: &mut impl Rng) -> Self {
        match rng.random_range(0..100) {
            0..30 => Self::Farmland,
            30..42 => Self::Forest,
            42..54 => Self::Hills,
            54..65 => Self::Desert,
            65..75 => Self::Urban,
            75..84 => Self::Snow,
            84..93 => Self::Coast,
            _ => Self::Lakes,
        }
    }

    /// A landscape that is often confused with cloud, or is homogeneous.
    fn draw_hard(rng: &mut impl Rng) -> Self {
        match rng.random_range(0..100) {
            0..22 => Self::Snowfield,
            22..34 => Self::Snow,
            34..47 => Self::Desert,
            47..58 => Self::Sea,
            58..66 => Self::SeaIce,
            66..74 => Self::Lakes,
            _ => Self::draw(rng),
        }
    }
}

/// What one pixel is made of: `share` of `second`, the rest `first`, all times `gain`.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    /// Main material.
    pub first: Material,
    /// What is mixed into it.
    pub second: Material,
    /// Of `second`, 0..=1.
    pub share: f32,
    /// Brightness relative to the materials' own.
    pub gain: f32,
}

impl Mix {
    /// Nothing but `material`.
    pub fn pure(material: Material, gain: f32) -> Self {
        Self {
            first: material,
            second: material,
            share: 0.0,
            gain,
        }
    }

    /// Two materials.
    pub fn of(first: Material, second: Material, share: f32, gain: f32) -> Self {
        Self {
            first,
            second,
            share: share.clamp(0.0, 1.0),
            gain,
        }
    }
}

/// The land of one scene.
#[derive(Debug, Clone)]
pub struct Ground {
    /// What kind of land.
    pub landscape: Landscape,
    /// Reflectance of the materials.
    pub palette: Palette,
    /// Composition of each pixel.
    pub cover: Array2<Mix>,
    /// Height of the terrain in metres, from the land's mean.
    pub terrain: Array2<f32>,
    /// Mean height above the sea in metres.
    pub altitude: f32,
}

/// Which lands and skies are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kind {
    /// Difficult ones, see [`Simulator::hard`](super::Simulator::hard).
    pub hard: bool,
    /// As varied as real ones, see [`Simulator::realistic`](super::Simulator::realistic).
    pub realistic: bool,
}

/// The fields of noise that shape the land, each of mean 0 and variance 1.
struct Fields {
    /// Kilometres: where woods, water and towns are.
    region: Array2<f32>,
    /// A second one, for what does not follow the first.
    other: Array2<f32>,
    /// Tens of metres: texture.
    texture: Array2<f32>,
    /// Kilometres, smooth: rivers run where it is 0.
    course: Array2<f32>,
}

impl Ground {
    /// Draws land of `size` × `size` pixels of `pixel` metres.
    pub fn draw(rng: &mut impl Rng, size: usize, pixel: f64, kind: Kind) -> Self {
        let hard = kind.hard;
        let window = Window::square(size);
        let landscape = match hard {
            false => Landscape::draw(rng),
            true => Landscape::draw_hard(rng),
        };
        let mut field = |metres: f64, finest: f64, gain: f32| {
            Fractal::new(rng.random(), metres / pixel, finest, gain).window(window)
        };
        let fields = Fields {
            region: field(2200.0, 2.0, 0.6),
            other: field(900.0, 2.0, 0.55),
            texture: field(160.0, 1.5, 0.8),
            course: field(3500.0, 20.0, 0.42),
        };
        let roughness = match landscape {
            Landscape::Hills => 160.0,
            Landscape::Snow | Landscape::Snowfield => 70.0,
            Landscape::Sea | Landscape::SeaIce => 0.0,
            Landscape::Forest => 30.0,
            Landscape::Desert => 22.0,
            _ => 5.0,
        };
        let terrain = field(2500.0, 4.0, 0.47) * roughness;
        let mut palette = Palette::draw(rng);
        if hard {
            palette.vary_snow(rng);
        }
        let season = Season::draw(rng);
        let parcels = Parcels::draw(rng, pixel);
        let mut painter = Painter {
            landscape,
            season,
            parcels,
            pixel: pixel as f32,
            river: rng
                .random_bool(0.35)
                .then(|| rng.random_range(0.010..0.035)),
            glint: if rng.random_bool(0.25) {
                rng.random_range(0.05..0.35)
            } else {
                0.0
            },
            level: rng.random_range(-0.7..0.6),
            snow_line: rng.random_range(-1.0..0.4),
            wet: match hard && rng.random_bool(0.4) {
                true => rng.random_range(0.1..0.75),
                false => 0.0,
            },
            frozen: hard && rng.random_bool(0.3),
            variety: None,
            fields,
        };
        // Last, so that the other draws do not change.
        let mut altitude = 0.0;
        if kind.realistic {
            palette.spread(rng);
            let variety = Variety::draw(rng, landscape);
            altitude = variety.altitude;
            painter.glint = variety.glint;
            painter.wet *= variety.dirt;
            painter.level = variety.level.unwrap_or(painter.level);
            painter.variety = Some(variety);
        }
        Self {
            landscape,
            palette,
            cover: Array2::from_shape_fn((size, size), |(row, col)| painter.pixel(row, col)),
            terrain,
            altitude,
        }
    }

    /// Sunlight on each pixel's slope relative to level ground, direct beam only;
    /// x east, y south, `to_sun` the horizontal unit vector towards the sun.
    pub fn relief(&self, to_sun: [f64; 2], sun_zenith: f32, pixel: f64) -> Array2<f32> {
        let (height, width) = self.terrain.dim();
        let tan = sun_zenith.to_radians().tan();
        let [x, y] = to_sun.map(|v| v as f32);
        let run = 2.0 * pixel as f32;
        Array2::from_shape_fn((height, width), |(row, col)| {
            let (up, down) = (row.saturating_sub(1), (row + 1).min(height - 1));
            let (left, right) = (col.saturating_sub(1), (col + 1).min(width - 1));
            let east = (self.terrain[[row, right]] - self.terrain[[row, left]]) / run;
            let south = (self.terrain[[down, col]] - self.terrain[[up, col]]) / run;
            // Cosine of the angle to the slope's normal over that to the vertical.
            let steep = (1.0 + east * east + south * south).sqrt();
            ((1.0 - tan * (east * x + south * y)) / steep).clamp(0.15, 1.9)
        })
    }
}

/// Decides what each pixel is.
struct Painter {
    landscape: Landscape,
    season: Season,
    parcels: Parcels,
    fields: Fields,
    /// Metres.
    pixel: f32,
    /// Half width of a river in units of the course field.
    river: Option<f32>,
    /// Sun glint mixed into water.
    glint: f32,
    /// Level of `region` that parts one kind of cover from another.
    level: f32,
    /// Level of `other` above which snow covers the ground wholly.
    snow_line: f32,
    /// How far melt and dirt darken snow and ice, in [0, 1).
    wet: f32,
    /// Whether lakes and rivers are frozen.
    frozen: bool,
    /// What real lands have beyond the common ones.
    variety: Option<Variety>,
}

impl Painter {
    fn pixel(&self, row: usize, col: usize) -> Mix {
        let at = [row, col];
        let texture = self.fields.texture[at];
        let (region, other) = (self.fields.region[at], self.fields.other[at]);
        if let Some(water) = self.water(at) {
            return water;
        }
        let gain = 1.0 + 0.07 * texture;
        let fields = || {
            let mut mix = self.parcels.field(row, col, self.season);
            mix.gain *= 1.0 + 0.045 * texture;
            mix
        };
        if let Some(mix) = self.varied(region, other, texture) {
            return mix;
        }
        match self.landscape {
            Landscape::Farmland | Landscape::Lakes | Landscape::Coast => {
                if region + 0.25 * texture > self.level + 1.0 {
                    self.wood(other, texture)
                } else {
                    fields()
                }
            }
            Landscape::Forest => {
                if region > self.level + 0.9 {
                    fields()
                } else {
                    self.wood(other, texture)
                }
            }
            Landscape::Hills => match region - self.level {
                r if r > 1.1 => Mix::of(Material::Rock, Material::Grass, 0.7 - 0.5 * other, gain),
                r if r > 0.2 => {
                    Mix::of(Material::Grass, Material::DryCrop, 0.3 + 0.3 * other, gain)
                }
                _ => self.wood(other, texture),
            },
            Landscape::Desert => {
                let dunes = 1.0 - (2.0 * self.fields.other[at]).abs().min(1.0);
                let sand = 0.5 + 0.5 * (region - self.level);
                let soil = if other > 0.9 {
                    Material::Rock
                } else {
                    Material::RedSoil
                };
                Mix::of(soil, Material::Sand, sand, gain * (0.92 + 0.14 * dunes))
            }
            Landscape::Urban => {
                if region + 0.3 * other > self.level - 0.3 {
                    let mut mix = self.parcels.block(row, col, texture);
                    if let (Some(variety), Material::BrightRoof) = (&self.variety, mix.first) {
                        mix.gain *= variety.roof;
                    }
                    mix
                } else {
                    fields()
                }
            }
            Landscape::Snow => {
                let wooded = region > self.level + 0.3;
                let below = if wooded {
                    self.wood(other, texture)
                } else {
                    fields()
                };
                // Real snow has a narrow edge: most of it covers the ground wholly.
                let steep = if self.variety.is_some() { 4.0 } else { 1.5 };
                let depth = steep * (other - self.snow_line) + 0.6 + 0.15 * texture;
                let cover = depth.clamp(0.0, if wooded { 0.35 } else { 0.97 });
                let snow = if self.level > 0.0 {
                    Material::FreshSnow
                } else {
                    Material::OldSnow
                };
                Mix::of(below.first, snow, cover, 1.0 + 0.02 * texture)
            }
            // Drifts of new snow over old; bare rock where the wind removes it.
            Landscape::Snowfield if other > self.snow_line + 2.2 => {
                Mix::of(Material::Rock, Material::OldSnow, 0.5 + 0.3 * texture, gain)
            }
            Landscape::Snowfield => {
                let fresh = 0.5 - self.level + 0.3 * region + 0.1 * texture;
                let gain = self.old(other) + 0.02 * texture;
                Mix::of(Material::OldSnow, Material::FreshSnow, fresh, gain)
            }
            // Water between floes, where `water` leaves none.
            Landscape::Sea | Landscape::SeaIce => {
                let fresh = 0.5 + 0.4 * other;
                let gain = 0.8 * self.old(other) + 0.03 * texture;
                Mix::of(Material::OldSnow, Material::FreshSnow, fresh, gain)
            }
        }
    }

    /// Brightness of snow and ice that melt and dirt have darkened, relative to clean.
    fn old(&self, other: f32) -> f32 {
        1.0 - self.wet * (1.0 + 0.12 * other).clamp(0.0, 1.3)
    }

    fn wood(&self, other: f32, texture: f32) -> Mix {
        // Crowns and the shade between them.
        let gain = 1.0 + 0.11 * texture;
        if let Some(variety) = self.variety.as_ref().filter(|v| v.dry > 0.05) {
            let leaves = if other + self.level > 0.0 {
                Material::Conifer
            } else {
                Material::Broadleaf
            };
            return Mix::of(leaves, Material::DryWood, variety.dry + 0.1 * other, gain);
        }
        Mix::of(
            Material::Broadleaf,
            Material::Conifer,
            0.5 + 0.5 * (other + self.level),
            gain,
        )
    }

    /// Sea, lake or river, with its shore; `None` on dry land.
    fn water(&self, at: [usize; 2]) -> Option<Mix> {
        let course = self.fields.course[at];
        // Sea on one side of a level of the course field, lakes in its hollows.
        let depth = match self.landscape {
            Landscape::Coast => course - 0.5 * self.level,
            Landscape::Lakes => course + 0.12 * self.fields.other[at] - 0.75,
            Landscape::Desert | Landscape::Snowfield => return None,
            Landscape::Sea => f32::MAX,
            Landscape::SeaIce => {
                course.abs() - 0.5 + 0.6 * self.level + 0.3 * self.fields.other[at]
            }
            _ => f32::MIN,
        };
        let texture = self.fields.texture[at];
        let lake = !matches!(self.landscape, Landscape::Sea | Landscape::SeaIce);
        if depth > 0.0 && self.frozen && lake {
            let gain = self.old(self.fields.other[at]) + 0.03 * texture;
            let bare = 0.25 + 0.4 * self.fields.region[at];
            return Some(Mix::of(Material::OldSnow, Material::ClearWater, bare, gain));
        }
        if depth > 0.0 {
            let shallow = (-depth / 0.12).exp();
            let mix = Mix::of(Material::ClearWater, Material::TurbidWater, shallow, 1.0);
            return Some(if self.glint > 0.0 {
                let share = self.glint * (1.0 + 0.3 * texture).max(0.0);
                let water = self
                    .variety
                    .as_ref()
                    .map_or(Material::ClearWater, |v| v.water);
                Mix::of(water, Material::Glint, share, 1.0)
            } else {
                mix
            });
        }
        if self.landscape == Landscape::Coast && depth > -0.02 * (20.0 / self.pixel).min(1.0) {
            return Some(Mix::pure(Material::Sand, 0.9 + 0.05 * texture));
        }
        if self.landscape == Landscape::SeaIce {
            return None;
        }
        let half_width = self.river?;
        let distance = (course + 0.3).abs() / half_width;
        match distance {
            d if d < 1.0 => Some(Mix::pure(Material::TurbidWater, 1.0)),
            d if d < 1.5 => Some(Mix::pure(Material::Broadleaf, 1.0 + 0.1 * texture)),
            _ => None,
        }
    }
}

/// Variation between real landscapes.
#[derive(Debug, Clone)]
struct Variety {
    /// Mean height above the sea, metres.
    altitude: f32,
    /// Share of sun and sky mirrored by water.
    glint: f32,
    /// Water away from the shore.
    water: Material,
    /// How dry plants are, in [0, 1].
    dry: f32,
    /// Brightness of bright roofs relative to the common ones.
    roof: f32,
    /// What bare land is made of.
    bare: [Material; 2],
    /// Share of reeds among the fields.
    marsh: f32,
    /// Of melt and dirt on snow, how much is left.
    dirt: f32,
    /// In place of the painter's, for snow.
    level: Option<f32>,
}

impl Variety {
    fn draw(rng: &mut impl Rng, landscape: Landscape) -> Self {
        use Material as M;
        let high = match landscape {
            Landscape::Desert => 0.45,
            Landscape::Hills | Landscape::Snow | Landscape::Snowfield => 0.4,
            _ => 0.0,
        };
        let altitude = if rng.random_bool(high) {
            rng.random_range(1200.0..5200.0)
        } else {
            rng.random_range(0.0..400.0)
        };
        // Every water mirrors some of the sky; few are in sun glint.
        let glint = if rng.random_bool(0.08) {
            rng.random_range(0.08..0.9)
        } else {
            0.008 + 0.08 * rng.random_range(0.0f32..1.0).powi(2)
        };
        let water = match rng.random_range(0..100) {
            0..68 => M::ClearWater,
            68..86 => M::TurbidWater,
            86..93 => M::MuddyWater,
            _ => M::GreenWater,
        };
        let bare = match rng.random_range(0..100) {
            0..28 => [M::RedSoil, M::Sand],
            28..46 => [M::Rock, M::Sand],
            46..55 => [M::DarkRock, M::Rock],
            55..70 => [M::BrownSoil, M::Salt],
            70..88 => [M::BrownSoil, M::Rock],
            _ => [M::DarkRock, M::RedSoil],
        };
        Self {
            altitude,
            glint,
            water,
            dry: rng.random_range(-0.25f32..1.0).max(0.0),
            roof: rng.random_range(0.8..2.6),
            bare,
            marsh: if rng.random_bool(0.2) {
                rng.random_range(0.3..1.0)
            } else {
                0.0
            },
            level: match landscape {
                Landscape::Snowfield => Some(rng.random_range(-2.2..-0.3)),
                Landscape::Snow => Some(rng.random_range(-0.1..0.8)),
                _ => None,
            },
            dirt: if rng.random_bool(0.25) { 1.0 } else { 0.1 },
        }
    }
}

impl Painter {
    /// Bare land, pasture and wetland as varied as real ones; `None` for the other lands.
    fn varied(&self, region: f32, other: f32, texture: f32) -> Option<Mix> {
        let variety = self.variety.as_ref()?;
        let gain = 1.0 + 0.08 * texture;
        match self.landscape {
            Landscape::Desert => {
                let [soil, bright] = variety.bare;
                let share = 0.5 + 0.5 * (region - self.level) + 0.1 * other;
                Some(Mix::of(soil, bright, share, gain))
            }
            Landscape::Hills if region - self.level > 0.2 && region - self.level <= 1.1 => {
                let share = variety.dry + 0.15 * other;
                Some(if share > 0.6 {
                    Mix::of(
                        Material::DryCrop,
                        variety.bare[0],
                        2.0 * (share - 0.6),
                        gain,
                    )
                } else {
                    Mix::of(Material::Grass, Material::DryCrop, share / 0.6, gain)
                })
            }
            Landscape::Lakes | Landscape::Coast if variety.marsh > 0.0 && other > 0.2 => {
                let share = variety.marsh * (0.6 + 0.3 * texture);
                let other = if variety.dry > 0.25 {
                    Material::DryCrop
                } else {
                    Material::GreenWater
                };
                Some(Mix::of(Material::Marsh, other, share, gain))
            }
            _ => None,
        }
    }
}
