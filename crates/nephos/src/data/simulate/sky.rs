//! The weather of one scene: which clouds, where, and under what sun.

use rand::{Rng, RngExt};

use super::atmosphere::Air;
use super::cloud::{Layer, Phase, Shape};
use super::ground::Kind;
use super::noise::{Fractal, Window};

/// Logarithm of how much coarser the particles of hard images' clouds may be: the tops
/// of deep cloud then are as dark in the shortwave infrared as Landsat 8 measures them, down
/// to a reflectance of 0.15.
const LN_COARSEST: f32 = 1.2;

/// How far streaks of cirrus wander, pixels; in realistic skies that many pixels of 10 m,
/// whatever the pixel, else large pixels show them as marble.
const SWING: f64 = 30.0;

/// Sun, air and clouds over one scene.
#[derive(Debug, Clone)]
pub struct Sky {
    /// Degrees clockwise from north (up).
    pub sun_azimuth: f32,
    /// Degrees from the vertical.
    pub sun_zenith: f32,
    /// The cloudless air.
    pub air: Air,
    /// What kind of weather it is.
    pub weather: Weather,
    /// Clouds, lowest first.
    pub layers: Vec<Layer>,
}

/// Kinds of weather.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Weather {
    Cloudless,
    Cumulus,
    Stratocumulus,
    Altocumulus,
    Cirrus,
    Mixed,
    Overcast,
    /// Deep cloud with a top of ice.
    Deep,
}

impl Weather {
    /// The name in `metadata.csv`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cloudless => "cloudless",
            Self::Cumulus => "cumulus",
            Self::Stratocumulus => "stratocumulus",
            Self::Altocumulus => "altocumulus",
            Self::Cirrus => "cirrus",
            Self::Mixed => "mixed",
            Self::Overcast => "overcast",
            Self::Deep => "deep",
        }
    }

    fn draw(rng: &mut impl Rng) -> Self {
        match rng.random_range(0..100) {
            0..8 => Self::Cloudless,
            8..35 => Self::Cumulus,
            35..54 => Self::Stratocumulus,
            54..66 => Self::Altocumulus,
            66..78 => Self::Cirrus,
            78..94 => Self::Mixed,
            _ => Self::Overcast,
        }
    }

    /// None, cloud that resembles snow, or faint cloud.
    fn draw_hard(rng: &mut impl Rng) -> Self {
        match rng.random_range(0..100) {
            0..30 => Self::Cloudless,
            30..52 => Self::Deep,
            52..62 => Self::Stratocumulus,
            62..71 => Self::Overcast,
            71..78 => Self::Cirrus,
            78..90 => Self::Cumulus,
            _ => Self::Mixed,
        }
    }
}

impl Sky {
    /// Draws the weather over an image of `size` pixels of `pixel` metres.
    ///
    /// Sentinel-2 passes at half past ten in the morning: the sun is in the
    /// east to south, or in the east to north on the southern half of the globe.
    pub fn draw(rng: &mut impl Rng, size: usize, pixel: f64, kind: Kind) -> Self {
        let hard = kind.hard;
        let sun_zenith = rng.random_range(22.0f32..if hard { 76.0 } else { 64.0 });
        let sun_azimuth = rng.random_range(30.0f32..170.0);
        let weather = match hard {
            false => Weather::draw(rng),
            true => Weather::draw_hard(rng),
        };
        let mut air = Air::draw(rng, sun_zenith.to_radians().cos());
        if hard {
            air.lines = rng.random_range(1.0..3.2);
        }
        let mut draw = Clouds { rng, size, pixel };
        let mut layers = match weather {
            Weather::Cloudless => vec![],
            Weather::Cumulus => vec![draw.cumulus()],
            Weather::Stratocumulus => vec![draw.stratocumulus()],
            Weather::Altocumulus => vec![draw.altocumulus()],
            Weather::Cirrus => vec![draw.cirrus()],
            Weather::Mixed => {
                let low = draw.cumulus();
                let mut layers = match draw.rng.random_range(0..3) {
                    0 => vec![low, draw.altocumulus()],
                    1 => vec![low, draw.cirrus()],
                    _ => vec![draw.altocumulus(), draw.cirrus()],
                };
                if draw.rng.random_bool(0.15) {
                    layers.push(draw.altocumulus());
                }
                layers
            }
            Weather::Overcast => vec![draw.overcast()],
            Weather::Deep => vec![draw.deep()],
        };
        if hard {
            for layer in &mut layers {
                layer.radius *= rng.random_range(0.0f32..LN_COARSEST).exp();
                let thinner = rng.random_range(-1.6f32..0.4).min(0.0).exp();
                if let (Phase::Water, Shape::Heaps { peak, .. }) = (layer.phase, &mut layer.shape) {
                    *peak *= thinner;
                }
            }
        }
        let mut sky = Self {
            sun_azimuth,
            sun_zenith,
            air,
            weather,
            layers,
        };
        if kind.realistic {
            sky.vary(rng, size, pixel);
        }
        sky.layers.sort_by(|a, b| a.height.total_cmp(&b.height));
        sky
    }

    /// Suns, air and clouds as varied as over real images: from the tropics' noon to
    /// the Arctic's, haze, veils of cirrus over anything, coarse and icy cloud tops.
    fn vary(&mut self, rng: &mut impl Rng, size: usize, pixel: f64) {
        if rng.random_bool(0.3) {
            self.sun_zenith = rng.random_range(16.0..80.0);
            self.air.sun_cosine = self.sun_zenith.to_radians().cos();
        }
        self.air.vapour = rng.random_range(0.8..5.0);
        self.air.weak_lines = 1.35;
        self.air.lines = rng.random_range(0.8..1.3);
        self.air.stray = rng.random_range(0.0007..0.0013);
        if rng.random_bool(0.05) {
            self.air.aerosol = rng.random_range(0.4..1.2);
        }
        for layer in &mut self.layers {
            layer.radius *= rng.random_range(0.0f32..LN_COARSEST).exp();
            if let Shape::Heaps { peak, .. } = &mut layer.shape {
                *peak *= rng.random_range(-1.9f32..1.3).exp();
            }
        }
        let cloudless = self.layers.is_empty();
        if rng.random_bool(if cloudless { 0.25 } else { 0.35 }) {
            let mut veil = Clouds { rng, size, pixel }.cirrus();
            if let Shape::Streaks { peak, .. } = &mut veil.shape {
                *peak *= if cloudless {
                    0.05
                } else {
                    rng.random_range(0.05f32..1.0)
                };
            }
            self.layers.push(veil);
        }
        for layer in &mut self.layers {
            if let Shape::Streaks { swing, .. } = &mut layer.shape {
                *swing = SWING * 10.0 / pixel;
            }
        }
    }

    /// Step from a point on the ground towards the point `height` metres up on its
    /// line to the sun, in pixels of `pixel` metres, x east and y south.
    pub fn towards_sun(&self, height: f32, pixel: f64) -> [f64; 2] {
        let (sin, cos) = f64::from(self.sun_azimuth).to_radians().sin_cos();
        let length = f64::from(height) * f64::from(self.sun_zenith).to_radians().tan() / pixel;
        [length * sin, -length * cos]
    }
}

/// Draws layers of cloud; lengths in metres become pixels here.
struct Clouds<'a, R> {
    rng: &'a mut R,
    size: usize,
    pixel: f64,
}

impl<R: Rng> Clouds<'_, R> {
    fn fractal(&mut self, metres: f64, finest: f64, gain: f32) -> Fractal {
        Fractal::new(self.rng.random(), metres / self.pixel, finest, gain)
    }

    fn heaps(&mut self, metres: f64, gain: f32, softness: f32, peak: f32, cover: f32) -> Shape {
        Shape::Heaps {
            cover: self.fractal(metres, 2.0, gain),
            billows: self.fractal(metres / 3.0, 2.0, 0.65),
            threshold: 0.0,
            softness,
            peak,
        }
        .with_cover(cover, Window::square(self.size))
    }

    /// Fair-weather heaps: low, small, thick, with hard edges.
    fn cumulus(&mut self) -> Layer {
        let metres = self.rng.random_range(450.0..1500.0);
        let softness = self.rng.random_range(0.25..0.6);
        let peak = self.rng.random_range(12.0..50.0);
        let cover = self.rng.random_range(0.08..0.42);
        Layer {
            height: self.rng.random_range(500.0..1900.0),
            phase: Phase::Water,
            radius: self.rng.random_range(6.0..13.0),
            shape: self.heaps(metres, 0.52, softness, peak, cover),
            relief: 0.06,
        }
    }

    /// A low sheet with holes.
    fn stratocumulus(&mut self) -> Layer {
        let metres = self.rng.random_range(900.0..2600.0);
        let softness = self.rng.random_range(0.5..1.1);
        let peak = self.rng.random_range(10.0..35.0);
        let cover = self.rng.random_range(0.35..0.85);
        Layer {
            height: self.rng.random_range(600.0..2200.0),
            phase: Phase::Water,
            radius: self.rng.random_range(6.0..14.0),
            shape: self.heaps(metres, 0.55, softness, peak, cover),
            relief: 0.05,
        }
    }

    /// A mid-level field, often thin, water or ice.
    fn altocumulus(&mut self) -> Layer {
        let metres = self.rng.random_range(700.0..2200.0);
        let softness = self.rng.random_range(0.6..1.6);
        let peak = self.rng.random_range(3.0..14.0);
        let cover = self.rng.random_range(0.25..0.7);
        let height = self.rng.random_range(2500.0..6000.0);
        let ice = height > 5000.0;
        Layer {
            height,
            phase: if ice { Phase::Ice } else { Phase::Water },
            radius: self.rng.random_range(8.0..16.0) * if ice { 2.0 } else { 1.0 },
            shape: self.heaps(metres, 0.58, softness, peak, cover),
            relief: 0.03,
        }
    }

    /// High streaks of ice, thin.
    fn cirrus(&mut self) -> Layer {
        let width = self.rng.random_range(350.0..1100.0);
        let cover = self.rng.random_range(0.3..0.95);
        let shape = Shape::Streaks {
            cover: self.fractal(width, 4.0, 0.68),
            wander: self.fractal(2.5 * width, 20.0, 0.5),
            swing: SWING,
            wind: self.rng.random_range(0.0..std::f64::consts::TAU),
            stretch: self.rng.random_range(1.5..4.5),
            threshold: 0.0,
            peak: self.rng.random_range(0.8..5.5),
        };
        Layer {
            height: self.rng.random_range(7000.0..12000.0),
            phase: Phase::Ice,
            radius: self.rng.random_range(18.0..45.0),
            shape: shape.with_cover(cover, Window::square(self.size)),
            relief: 0.0,
        }
    }

    /// Cloud of storms and fronts: what is seen is its top of ice, bright and white but
    /// dark in the shortwave infrared.
    fn deep(&mut self) -> Layer {
        let metres = self.rng.random_range(1500.0..6000.0);
        let softness = self.rng.random_range(0.2..1.0);
        let peak = self.rng.random_range(25.0..110.0);
        let whole = self.rng.random_bool(0.6);
        let cover = self.rng.random_range(0.4..0.95);
        Layer {
            height: self.rng.random_range(4000.0..11000.0),
            phase: Phase::Ice,
            radius: self.rng.random_range(12.0..38.0),
            shape: self.heaps(metres, 0.5, softness, peak, if whole { 1.0 } else { cover }),
            relief: 0.04,
        }
    }

    /// A sheet without holes.
    fn overcast(&mut self) -> Layer {
        let metres = self.rng.random_range(1500.0..4000.0);
        let peak = self.rng.random_range(12.0..60.0);
        Layer {
            height: self.rng.random_range(400.0..3000.0),
            phase: Phase::Water,
            radius: self.rng.random_range(6.0..15.0),
            shape: self.heaps(metres, 0.5, 1.2, peak, 1.0),
            relief: 0.03,
        }
    }
}
