//! From land, sky and sun to reflectance at the top of the atmosphere.
//!
//! Light is traced along its main paths only, in this order: sun to cloud to
//! ground (direct beam, dimmed by the clouds on the line to the sun; diffuse light,
//! averaged over the neighbourhood), ground to cloud and back, ground through the
//! clouds to the sensor, cloud tops to the sensor through the clouds above them.
//! The sensor looks straight down. The ground is made of materials, or is a real image
//! without clouds.

use ndarray::{Array2, ArrayView2, Zip};

use crate::class::Class;

use super::atmosphere::above;
use super::cloud::{Optics, THICK, THIN, bilinear};
use super::ground::Ground;
use super::noise::Window;
use super::sky::Sky;
use super::spectra::{CIRRUS, RED};

/// Ground is in shadow where clouds take more than this share of its red light,
/// direct and diffuse together.
pub const SHADOW: f32 = 0.35;

/// Half the sun's angular diameter: the half width of a penumbra over the distance
/// to the cloud.
const SUN_RADIUS: f32 = 0.00465;

/// Pixels per side over which diffuse light is averaged first.
const POOL: usize = 8;

/// Land, sky and geometry made ready to compute bands.
pub struct Renderer<'a> {
    sky: &'a Sky,
    /// Clouds, lowest first.
    decks: Vec<Deck>,
    light: Light,
    /// Clouds above each pixel, for a sensor above.
    view: View,
    /// Radius over which diffuse light spreads, pixels.
    spread: f32,
}

/// One layer of clouds over the image.
struct Deck {
    /// Optical thickness straight up.
    depth: Array2<f32>,
    /// Light on its top: the tops' relief and the shade of higher layers.
    lit: Array2<f32>,
    height: f32,
}

/// Light on the ground, relative to that under a cloudless sky of no air.
struct Light {
    /// The direct beam that clouds leave.
    beam: Array2<f32>,
    /// The beam averaged over the neighbourhood.
    mean_beam: Array2<f32>,
    /// All light that clouds let through, averaged over the neighbourhood.
    mean_all: Array2<f32>,
}

/// Air and ground as seen by a sensor above.
struct View {
    /// Share of ground light that keeps its direction.
    sharp: Array2<f32>,
    /// Share of the air's and of the aerosol's path reflectance.
    path: [Array2<f32>; 2],
    /// Optical thickness of all clouds.
    depth: Array2<f32>,
}

impl<'a> Renderer<'a> {
    /// Casts the shadows over an image of `shape`, rows and columns.
    pub fn new(shape: [usize; 2], sky: &'a Sky, pixel: f64) -> Self {
        let window = Window {
            origin: [0.0; 2],
            shape,
        };
        let depths: Vec<Array2<f32>> = sky
            .layers
            .iter()
            .map(|layer| layer.shape.depth(window))
            .collect();
        let highest = sky.layers.iter().map(|l| l.height).fold(0.0, f32::max);
        let spread = 0.5 * highest / pixel as f32;
        let light = Light::below(sky, window, pixel, spread);
        let decks = depths
            .iter()
            .enumerate()
            .map(|(k, depth)| Deck {
                depth: depth.clone(),
                lit: lit_top(sky, k, depth, window, pixel),
                height: sky.layers[k].height,
            })
            .collect();
        Self {
            sky,
            view: View::through(sky, &depths, window.shape),
            light,
            decks,
            spread,
        }
    }

    /// The class of each pixel. Cloud goes before shadow.
    pub fn labels(&self) -> Array2<u8> {
        let air = self.sky.air.band(RED);
        let cloudless = air.direct + air.diffuse;
        Zip::from(&self.view.depth)
            .and(&self.light.beam)
            .and(&self.light.mean_beam)
            .and(&self.light.mean_all)
            .map_collect(|depth, beam, mean_beam, mean_all| {
                let diffuse = air.diffuse * mean_all + air.direct * (mean_all - mean_beam).max(0.0);
                let class = if *depth >= THICK {
                    Class::Thick
                } else if *depth >= THIN {
                    Class::Thin
                } else if air.direct * beam + diffuse < (1.0 - SHADOW) * cloudless {
                    Class::Shadow
                } else {
                    Class::Clear
                };
                class as u8
            })
    }

    /// Share of the direct light that the slopes of `ground` receive.
    pub fn relief(&self, ground: &Ground, pixel: f64) -> Array2<f32> {
        let [x, y] = self.sky.towards_sun(1.0, 1.0);
        let length = x.hypot(y).max(1e-9);
        ground.relief([x / length, y / length], self.sky.sun_zenith, pixel)
    }

    /// Reflectance of one band at the top of the atmosphere over `ground`, whose slopes
    /// receive `relief`, `[height, width]`.
    pub fn band(&self, band: usize, ground: &Ground, relief: &Array2<f32>) -> Array2<f32> {
        let sky = self.sky;
        let air = sky.air.band(band);
        let gases = sky.air.gases(band, 0.0);
        let materials = ground.palette.band(band);
        let light = &self.light;
        let sharp = Zip::from(&ground.cover)
            .and(relief)
            .and(&light.beam)
            .and(&light.mean_beam)
            .and(&light.mean_all)
            .map_collect(|mix, relief, beam, mean_beam, mean_all| {
                let (a, b) = (
                    materials[mix.first as usize],
                    materials[mix.second as usize],
                );
                let surface = ((a + mix.share * (b - a)) * mix.gain).clamp(0.0, 0.98);
                let diffuse = air.diffuse * mean_all + air.direct * (mean_all - mean_beam).max(0.0);
                let received = air.direct * beam * relief + diffuse;
                // Light that sky and clouds send back to the ground again and again.
                let trapped = 1.0 - surface * (air.sky + 0.8 * (1.0 - mean_all)).min(0.9);
                gases * air.up * surface * received / trapped
            });
        self.seen(sharp, band, 1.0)
    }

    /// Reflectance of one band at the top of the atmosphere over a real image `clear`
    /// that was taken under no cloud: without clouds, `clear` itself.
    ///
    /// What the air scatters is taken to be what a clean one does, and no more than the
    /// image's darkest hundredth shows. The rest is the ground's light; clouds dim it as
    /// they do on level land.
    pub fn band_over(&self, band: usize, clear: ArrayView2<'_, f32>) -> Array2<f32> {
        let sky = self.sky;
        let air = sky.air.band(band);
        let gases = sky.air.gases(band, 0.0);
        let modelled = gases * (air.path[0] + air.path[1]);
        let share = (darkest(clear) / modelled).clamp(0.0, 1.0);
        let path = share * modelled;
        let cloudless = air.direct + air.diffuse;
        let light = &self.light;
        let leaving = Zip::from(clear)
            .and(&light.beam)
            .and(&light.mean_beam)
            .and(&light.mean_all)
            .map_collect(|clear, beam, mean_beam, mean_all| {
                let light = (*clear - path).max(0.0);
                // In absorption bands the ground is not visible.
                let surface = (light / (gases * air.up * cloudless).max(0.05)).clamp(0.0, 0.98);
                let diffuse = air.diffuse * mean_all + air.direct * (mean_all - mean_beam).max(0.0);
                let received = (air.direct * beam + diffuse) / cloudless;
                let trapped = |sky: f32| 1.0 - surface * sky.min(0.9);
                light * received * trapped(air.sky) / trapped(air.sky + 0.8 * (1.0 - mean_all))
            });
        self.seen(leaving, band, share)
    }

    /// What reaches the sensor of the ground's light `sharp` and of the clouds above it;
    /// the cloudless air scatters `share` of what it is modelled to.
    fn seen(&self, mut sharp: Array2<f32>, band: usize, share: f32) -> Array2<f32> {
        let (sky, mu) = (self.sky, self.sky.air.sun_cosine);
        let air = sky.air.band(band);
        let gases = share * sky.air.gases(band, 0.0);
        let stray = if band == CIRRUS { sky.air.stray } else { 0.0 };
        if self.decks.is_empty() {
            let path = gases * (air.path[0] + air.path[1]) + stray;
            sharp.mapv_inplace(|v| v + path);
            return sharp;
        }
        let mut seen = neighbourhood(&sharp, self.spread.min(60.0));
        Zip::from(&mut sharp)
            .and(&seen)
            .and(&self.view.sharp)
            .for_each(|sharp, blurred, share| *sharp = share * (*sharp - blurred));
        for (deck, layer) in self.decks.iter().zip(&sky.layers) {
            let (down, up) = (layer.optics(band, mu), layer.optics(band, 1.0));
            let above = sky.air.gases(band, deck.height) * air.two_way_above(deck.height, mu);
            Zip::from(&mut seen)
                .and(&deck.depth)
                .and(&deck.lit)
                .for_each(|seen, depth, lit| {
                    if *depth > 0.0 {
                        *seen = *seen * up.at(*depth)[1] + above * lit * down.at(*depth)[0];
                    }
                });
        }
        // Absorption of the path's own light: as for the ground's.
        Zip::from(&mut seen)
            .and(&sharp)
            .and(&self.view.path[0])
            .and(&self.view.path[1])
            .for_each(|seen, sharp, rayleigh, aerosol| {
                *seen += sharp + gases * (rayleigh * air.path[0] + aerosol * air.path[1]) + stray;
            });
        seen
    }
}

impl Light {
    /// Follows the sun's rays down through all layers.
    fn below(sky: &Sky, window: Window, pixel: f64, spread: f32) -> Self {
        let mu = sky.air.sun_cosine;
        let mut beam = Array2::<f32>::ones(window.shape);
        let mut all = Array2::<f32>::ones(window.shape);
        for layer in &sky.layers {
            let crossed = window.moved(sky.towards_sun(layer.height, pixel));
            let depth = layer.shape.depth(crossed);
            let optics = layer.optics(RED, mu);
            let factor = layer.beam_factor() / mu;
            let mut direct = depth.mapv(|d| (-factor * d).exp());
            let penumbra = SUN_RADIUS * layer.height / mu / pixel as f32;
            blur(&mut direct, penumbra);
            beam *= &direct;
            all.zip_mut_with(&depth, |all, d| *all *= optics.at(*d)[1]);
        }
        if sky.layers.is_empty() {
            return Self {
                mean_beam: beam.clone(),
                mean_all: all,
                beam,
            };
        }
        Self {
            mean_beam: neighbourhood(&beam, spread),
            mean_all: neighbourhood(&all, spread),
            beam,
        }
    }
}

impl View {
    /// Looks down through layers of these optical thicknesses.
    fn through(sky: &Sky, depths: &[Array2<f32>], shape: [usize; 2]) -> Self {
        let optics: Vec<Optics> = sky.layers.iter().map(|l| l.optics(RED, 1.0)).collect();
        let mut sharp = Array2::<f32>::ones(shape);
        let mut depth = Array2::<f32>::zeros(shape);
        // Built from the ground up: each layer hides a part of the air below it.
        let mut path = [Array2::<f32>::ones(shape), Array2::<f32>::ones(shape)];
        for ((layer, optics), deck) in sky.layers.iter().zip(&optics).zip(depths) {
            let shares = above(layer.height);
            for (path, share) in path.iter_mut().zip(shares) {
                path.zip_mut_with(deck, |path, d| {
                    let through = optics.at(*d)[1];
                    *path = share + (*path - share) * through;
                });
            }
            let factor = layer.beam_factor();
            sharp.zip_mut_with(deck, |sharp, d| *sharp *= (-factor * d).exp());
            depth += deck;
        }
        Self { sharp, path, depth }
    }
}

/// Reflectance of the darkest hundredth of an image.
fn darkest(image: ArrayView2<'_, f32>) -> f32 {
    let mut values: Vec<f32> = image.iter().copied().filter(|v| v.is_finite()).collect();
    let rank = values.len() / 100;
    if values.is_empty() {
        return 0.0;
    }
    *values.select_nth_unstable_by(rank, f32::total_cmp).1
}

/// Light on the top of layer `index`.
fn lit_top(
    sky: &Sky,
    index: usize,
    depth: &Array2<f32>,
    window: Window,
    pixel: f64,
) -> Array2<f32> {
    let layer = &sky.layers[index];
    let mu = sky.air.sun_cosine;
    let tan = sky.sun_zenith.to_radians().tan();
    let [x, y] = sky.towards_sun(1.0, 1.0).map(|v| v as f32 / tan);
    // Tops rise with the thickness below them: sides towards the sun are bright.
    let (rows, cols) = depth.dim();
    let step = 2.0;
    let mut lit = Array2::from_shape_fn((rows, cols), |(row, col)| {
        if layer.relief == 0.0 || depth[[row, col]] == 0.0 {
            return 1.0;
        }
        let (row, col) = (row as f32, col as f32);
        let ahead = bilinear(depth, row + step * y, col + step * x);
        let behind = bilinear(depth, row - step * y, col - step * x);
        let rise = (1.0 + ahead).sqrt() - (1.0 + behind).sqrt();
        1.0 - (2.2 * layer.relief * tan * rise).clamp(-0.22, 0.30)
    });
    for higher in &sky.layers[index + 1..] {
        let crossed = window.moved(sky.towards_sun(higher.height - layer.height, pixel));
        let optics = higher.optics(RED, mu);
        lit.zip_mut_with(&higher.shape.depth(crossed), |lit, d| {
            *lit *= optics.at(*d)[1]
        });
    }
    lit
}

/// Mean over a neighbourhood of about `radius` pixels, smooth.
fn neighbourhood(field: &Array2<f32>, radius: f32) -> Array2<f32> {
    let (rows, cols) = field.dim();
    let shape = (rows.div_ceil(POOL), cols.div_ceil(POOL));
    let mut pooled = Array2::from_shape_fn(shape, |(row, col)| {
        let (bottom, right) = (((row + 1) * POOL).min(rows), ((col + 1) * POOL).min(cols));
        let block = field.slice(ndarray::s![row * POOL..bottom, col * POOL..right]);
        block.sum() / block.len() as f32
    });
    blur(&mut pooled, radius / POOL as f32);
    let scale = 1.0 / POOL as f32;
    Array2::from_shape_fn((rows, cols), |(row, col)| {
        // A pool's value is at its middle.
        let place = |k: usize| (k as f32 + 0.5) * scale - 0.5;
        bilinear(&pooled, place(row), place(col))
    })
}

/// Two running means along each axis; values past the edge repeat the edge.
fn blur(field: &mut Array2<f32>, radius: f32) {
    let longest = field.dim().0.max(field.dim().1);
    let radius = (radius.round() as usize).min(longest);
    if radius == 0 {
        return;
    }
    let mut line = Vec::new();
    for axis in [0, 1] {
        for mut lane in field.lanes_mut(ndarray::Axis(axis)) {
            for _ in 0..2 {
                line.clear();
                line.extend(lane.iter().copied());
                running_mean(&line, radius, |k, mean| lane[k] = mean);
            }
        }
    }
}

fn running_mean(line: &[f32], radius: usize, mut put: impl FnMut(usize, f32)) {
    let last = line.len() - 1;
    let at = |k: isize| f64::from(line[k.clamp(0, last as isize) as usize]);
    let radius = radius as isize;
    let count = (2 * radius + 1) as f64;
    let mut sum: f64 = (-radius..=radius).map(at).sum();
    for k in 0..line.len() {
        put(k, (sum / count) as f32);
        sum += at(k as isize + radius + 1) - at(k as isize - radius);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blurring_keeps_the_mean_of_an_inner_spot() {
        let mut field = Array2::<f32>::zeros((41, 41));
        field[[20, 20]] = 1.0;
        blur(&mut field, 4.0);
        assert!((field.sum() - 1.0).abs() < 1e-5);
        assert!(field[[20, 20]] < 0.1 && field[[20, 24]] > 0.0);
        let constant = Array2::from_elem((13, 29), 0.7f32);
        let mean = neighbourhood(&constant, 20.0);
        assert!(mean.iter().all(|v| (v - 0.7).abs() < 1e-5));
    }
}
