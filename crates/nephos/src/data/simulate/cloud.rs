//! A layer of cloud: position, optical thickness and optics.

use ndarray::Array2;

use crate::band::SENTINEL2;

use super::noise::{Fractal, Window};
use super::spectra::BANDS;

/// Optical thickness from which a cloud is thick: the border between thin and
/// medium cloud of ISCCP (Rossow & Schiffer 1999,
/// doi:10.1175/1520-0477(1999)080<2261:AIUCFI>2.0.CO;2).
pub const THICK: f32 = 3.6;

/// Optical thickness from which a cloud is visible: it brightens dark ground by
/// about 0.03.
pub const THIN: f32 = 0.4;

/// Asymmetry parameter of cloud particles (Hu & Stamnes 1993,
/// doi:10.1175/1520-0442(1993)006<0728:AAPOTR>2.0.CO;2, for water; ice is lower).
const WATER_ASYMMETRY: f32 = 0.86;
const ICE_ASYMMETRY: f32 = 0.78;

/// Imaginary refractive index of water (Hale & Querry 1973, doi:10.1364/AO.12.000555)
/// and ice (Warren & Brandt 2008, doi:10.1029/2007JD009744) at the bands, rounded.
#[rustfmt::skip]
const WATER_ABSORPTION: [f32; BANDS] = [
    1e-9, 1e-9, 2e-9, 2e-8, 4e-8, 1e-7, 1.3e-7, 2.9e-7, 3.5e-7, 2.7e-6, 1.4e-4, 8.6e-5, 2.9e-4,
];
#[rustfmt::skip]
const ICE_ABSORPTION: [f32; BANDS] = [
    1e-10, 6e-10, 2e-9, 1.5e-8, 3e-8, 5e-8, 9e-8, 1.7e-7, 2.4e-7, 6e-7, 1.8e-5, 2.7e-4, 2.6e-4,
];

/// Phase of a cloud's particles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Droplets.
    Water,
    /// Crystals.
    Ice,
}

/// One layer of cloud, infinitely wide and of no height of its own.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Metres above ground.
    pub height: f32,
    /// What it is made of.
    pub phase: Phase,
    /// Effective radius of its particles, micrometres.
    pub radius: f32,
    /// How its optical thickness varies.
    pub shape: Shape,
    /// How strongly the tops' relief is shaded.
    pub relief: f32,
}

/// The optical thickness of a layer as a function of position.
#[derive(Debug, Clone)]
pub enum Shape {
    /// Heaps and sheets.
    Heaps {
        /// Where cloud is: above `threshold`.
        cover: Fractal,
        /// Billows inside the cloud.
        billows: Fractal,
        /// Height of `cover` at the cloud's edge.
        threshold: f32,
        /// Rise of `cover` from the edge to half the peak thickness.
        softness: f32,
        /// Optical thickness of the middle.
        peak: f32,
    },
    /// Streaks of ice drawn out by the wind.
    Streaks {
        /// Where cloud is.
        cover: Fractal,
        /// Side-to-side wander of the streaks.
        wander: Fractal,
        /// How far they wander, pixels.
        swing: f64,
        /// Wind direction, radians from the x axis.
        wind: f64,
        /// Length of a streak over its width.
        stretch: f64,
        /// Height of `cover` at the cloud's edge.
        threshold: f32,
        /// Optical thickness of the densest streaks.
        peak: f32,
    },
    /// One round cloud, for checks of geometry.
    #[cfg(test)]
    Disc {
        /// x and y of its centre.
        centre: [f64; 2],
        /// Pixels.
        radius: f64,
        /// Optical thickness.
        depth: f32,
    },
}

/// Streaks are smooth: they are evaluated on every fourth pixel.
const STREAK_STEP: usize = 4;

impl Shape {
    /// Optical thickness on every pixel of `window`, at least 0.
    pub fn depth(&self, window: Window) -> Array2<f32> {
        match self {
            Self::Heaps {
                cover,
                billows,
                threshold,
                softness,
                peak,
            } => {
                let mut depth = cover.window(window);
                // The billows are 0 where there is no cloud.
                if depth.iter().all(|c| c <= threshold) {
                    return Array2::zeros(window.shape);
                }
                let billows = billows.window(window);
                depth.zip_mut_with(&billows, |c, b| {
                    let d = ((*c - threshold) / softness).max(0.0);
                    let hill = d * d / (1.0 + d * d);
                    *c = peak * hill * (0.45 * b).exp();
                });
                depth
            }
            Self::Streaks {
                threshold, peak, ..
            } => self.streaks(window).mapv(|c| {
                let d = (c - threshold).max(0.0);
                peak * d * d / (1.0 + d * d)
            }),
            #[cfg(test)]
            Self::Disc {
                centre,
                radius,
                depth,
            } => Array2::from_shape_fn(window.shape, |(row, col)| {
                let dx = window.origin[0] + col as f64 - centre[0];
                let dy = window.origin[1] + row as f64 - centre[1];
                if dx.hypot(dy) <= *radius { *depth } else { 0.0 }
            }),
        }
    }

    /// Sets the threshold so that `share` of the pixels of `window` are cloud.
    pub fn with_cover(mut self, share: f32, window: Window) -> Self {
        let field = match &self {
            Self::Heaps { cover, .. } => cover.window(window),
            Self::Streaks { .. } => self.streaks(window),
            #[cfg(test)]
            Self::Disc { .. } => return self,
        };
        // Every seventh pixel is enough for a quantile.
        let mut values: Vec<f32> = field.iter().copied().step_by(7).collect();
        values.sort_unstable_by(f32::total_cmp);
        let rank = ((1.0 - share.clamp(0.0, 1.0)) * (values.len() - 1) as f32) as usize;
        let quantile = values[rank];
        match &mut self {
            Self::Heaps { threshold, .. } | Self::Streaks { threshold, .. } => {
                *threshold = quantile;
            }
            #[cfg(test)]
            Self::Disc { .. } => {}
        }
        self
    }

    /// The cover field of [`Shape::Streaks`]; zeros for any other shape.
    fn streaks(&self, window: Window) -> Array2<f32> {
        let Self::Streaks {
            cover,
            wander,
            swing,
            wind,
            stretch,
            ..
        } = self
        else {
            return Array2::zeros(window.shape);
        };
        let (sin, cos) = wind.sin_cos();
        let [height, width] = window.shape;
        let coarse = [
            height.div_ceil(STREAK_STEP) + 1,
            width.div_ceil(STREAK_STEP) + 1,
        ];
        let nodes = Array2::from_shape_fn(coarse, |(row, col)| {
            let x = window.origin[0] + (col * STREAK_STEP) as f64;
            let y = window.origin[1] + (row * STREAK_STEP) as f64;
            let across = swing * f64::from(wander.at(x / 2.0, y / 2.0));
            let along = (x * cos + y * sin) / stretch;
            cover.at(along, y * cos - x * sin + across)
        });
        Array2::from_shape_fn(window.shape, |(row, col)| {
            bilinear(
                &nodes,
                row as f32 / STREAK_STEP as f32,
                col as f32 / STREAK_STEP as f32,
            )
        })
    }
}

/// Value of `field` between its nodes; positions past the edge take the edge's value.
pub fn bilinear(field: &Array2<f32>, row: f32, col: f32) -> f32 {
    let (rows, cols) = field.dim();
    let split = |p: f32, count: usize| {
        let p = p.clamp(0.0, (count - 1) as f32);
        let low = (p as usize).min(count.saturating_sub(2));
        (low, (low + 1).min(count - 1), p - low as f32)
    };
    let (r0, r1, v) = split(row, rows);
    let (c0, c1, u) = split(col, cols);
    let top = field[[r0, c0]] * (1.0 - u) + field[[r0, c1]] * u;
    let bottom = field[[r1, c0]] * (1.0 - u) + field[[r1, c1]] * u;
    top * (1.0 - v) + bottom * v
}

impl Layer {
    /// Share of light in `band` that one scattering by a particle absorbs: 0.85 times
    /// radius times absorption coefficient (Twomey & Bohren 1980,
    /// doi:10.1175/1520-0469(1980)037<2086:SAFCOA>2.0.CO;2).
    fn absorbed(&self, band: usize) -> f32 {
        let index = match self.phase {
            Phase::Water => WATER_ABSORPTION[band],
            Phase::Ice => ICE_ABSORPTION[band],
        };
        let coefficient = 4.0 * std::f32::consts::PI * index / SENTINEL2[band].2;
        (0.85 * self.radius * coefficient).clamp(1e-7, 0.5)
    }

    /// Asymmetry parameter of its particles.
    pub fn asymmetry(&self) -> f32 {
        match self.phase {
            Phase::Water => WATER_ASYMMETRY,
            Phase::Ice => ICE_ASYMMETRY,
        }
    }

    /// Optical thickness for the direct beam. Light scattered within the narrow
    /// forward peak, a share g², still counts as direct (Joseph et al. 1976,
    /// doi:10.1175/1520-0469(1976)033<2452:TDEAFR>2.0.CO;2).
    pub fn beam_factor(&self) -> f32 {
        1.0 - self.asymmetry() * self.asymmetry()
    }

    /// Reflectance and transmittance in `band` for light that crosses the layer with
    /// `cosine` to the vertical, tabulated over optical thickness.
    pub fn optics(&self, band: usize, cosine: f32) -> Optics {
        let (absorbed, g) = (self.absorbed(band), self.asymmetry());
        Optics {
            table: (0..=Optics::STEPS)
                .map(|k| {
                    let s = k as f32 / Optics::STEPS as f32;
                    let depth = Optics::SCALE * s / (1.0 - s).max(1e-4);
                    two_stream(depth / cosine, absorbed, g)
                })
                .collect(),
        }
    }
}

/// Reflectance and transmittance as a table over optical thickness.
#[derive(Debug, Clone)]
pub struct Optics {
    table: Vec<[f32; 2]>,
}

impl Optics {
    const STEPS: usize = 512;
    /// Optical thickness at the middle of the table.
    const SCALE: f32 = 4.0;

    /// `[reflectance, transmittance]` at optical thickness `depth` ≥ 0.
    pub fn at(&self, depth: f32) -> [f32; 2] {
        let position = depth / (depth + Self::SCALE) * Self::STEPS as f32;
        let low = (position as usize).min(Self::STEPS - 1);
        let t = position - low as f32;
        let (a, b) = (self.table[low], self.table[low + 1]);
        [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])]
    }
}

/// Two-stream reflectance and transmittance of a layer over black ground, for
/// optical thickness `depth` along the light's path, share `absorbed` = 1 − ω of
/// light lost per scattering, and asymmetry `g` (Bohren & Clothiaux 2006,
/// Fundamentals of Atmospheric Radiation, §5.2).
pub fn two_stream(depth: f32, absorbed: f32, g: f32) -> [f32; 2] {
    let (depth, absorbed, g) = (f64::from(depth), f64::from(absorbed), f64::from(g));
    let (p, q) = ((1.0 - (1.0 - absorbed) * g).sqrt(), absorbed.sqrt());
    let deep = (p - q) / (p + q);
    let decay = (-p * q * depth).exp();
    let rest = 1.0 - deep * deep * decay * decay;
    let reflected = deep * (1.0 - decay * decay) / rest;
    let transmitted = (1.0 - deep * deep) * decay / rest;
    [reflected as f32, transmitted as f32]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cloud_that_absorbs_nothing_keeps_all_light() {
        for depth in [0.0, 0.1, 1.0, 10.0, 100.0] {
            let [r, t] = two_stream(depth, 1e-9, 0.85);
            assert!((r + t - 1.0).abs() < 1e-3, "{depth}: {r} + {t}");
            // The closed form without absorption: Bohren 1987, doi:10.1119/1.15109.
            let closed = 0.15 * depth / (2.0 + 0.15 * depth);
            assert!((r - closed).abs() < 1e-3, "{depth}: {r} and {closed}");
        }
    }

    #[test]
    fn ice_is_darker_than_water_in_the_shortwave_infrared() {
        let layer = |phase| Layer {
            height: 8000.0,
            phase,
            radius: 20.0,
            shape: Shape::Disc {
                centre: [0.0; 2],
                radius: 1.0,
                depth: 1.0,
            },
            relief: 0.0,
        };
        let (water, ice) = (layer(Phase::Water), layer(Phase::Ice));
        let red = 3;
        let swir = 11;
        assert!(ice.optics(swir, 1.0).at(30.0)[0] < water.optics(swir, 1.0).at(30.0)[0]);
        assert!(water.optics(swir, 1.0).at(30.0)[0] < water.optics(red, 1.0).at(30.0)[0]);
    }
}
