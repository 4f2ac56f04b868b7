//! Fractal noise on an endless plane.
//!
//! White noise on a lattice is smoothed by a cubic B-spline and summed over
//! octaves (fractional Brownian motion: Mandelbrot & Van Ness 1968; power-law
//! spectra of cloud fields: Lovejoy 1982, doi:10.1126/science.216.4542.185).
//! Lattice values come from a hash of their position, so any window of the plane
//! can be evaluated on its own: a shadow looks up the same clouds far outside the
//! image.

use ndarray::Array2;

/// Standard deviation of unit white noise after cubic B-spline smoothing in two
/// dimensions: the integral of the squared kernel, 151/315, is its variance in one.
const SPLINE_STD: f32 = 151.0 / 315.0;

/// A piece of the plane: pixel centres `origin + (col, row)`, x east, y south.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// x and y of the first pixel.
    pub origin: [f64; 2],
    /// Rows and columns.
    pub shape: [usize; 2],
}

impl Window {
    /// A square at the origin.
    pub fn square(size: usize) -> Self {
        Self {
            origin: [0.0; 2],
            shape: [size; 2],
        }
    }

    /// The same window moved by `(dx, dy)` pixels.
    pub fn moved(self, [dx, dy]: [f64; 2]) -> Self {
        Self {
            origin: [self.origin[0] + dx, self.origin[1] + dy],
            ..self
        }
    }
}

/// A random field of mean 0 and variance 1 over the whole plane.
#[derive(Debug, Clone)]
pub struct Fractal {
    seed: u64,
    /// Lattice spacing of the coarsest octave, pixels.
    cell: f64,
    octaves: usize,
    /// Amplitude of an octave relative to the one before it.
    gain: f32,
}

impl Fractal {
    /// Octaves start at a spacing of `cell` pixels and halve down to `finest`.
    pub fn new(seed: u64, cell: f64, finest: f64, gain: f32) -> Self {
        let cell = cell.max(1.0);
        let octaves = 1 + (cell / finest.max(1.0)).log2().max(0.0) as usize;
        Self {
            seed,
            cell,
            octaves,
            gain,
        }
    }

    /// Lattice spacing and amplitude of each octave; the variances sum to one.
    fn spectrum(&self) -> impl Iterator<Item = (u64, f64, f32)> + '_ {
        let power: f32 = (0..self.octaves)
            .map(|o| self.gain.powi(2 * o as i32))
            .sum();
        (0..self.octaves).map(move |o| {
            let amplitude = self.gain.powi(o as i32) / (power.sqrt() * SPLINE_STD);
            (o as u64, self.cell / (1u64 << o) as f64, amplitude)
        })
    }

    /// The field on every pixel of `window`.
    pub fn window(&self, window: Window) -> Array2<f32> {
        let [height, width] = window.shape;
        let mut field = vec![0f32; height * width];
        for (octave, cell, amplitude) in self.spectrum() {
            let taps = |axis: usize, count: usize| -> Vec<(i64, [f32; 4])> {
                (0..count)
                    .map(|k| self.tap(window.origin[axis] + k as f64, cell, octave, axis as u64))
                    .collect()
            };
            let (columns, rows) = (taps(0, width), taps(1, height));
            let (Some(left), Some(right)) = (columns.first(), columns.last()) else {
                continue;
            };
            let (Some(top), Some(bottom)) = (rows.first(), rows.last()) else {
                continue;
            };
            // Each lattice row, smoothed along x at every column of the window.
            let mut smoothed = Vec::with_capacity(((bottom.0 - top.0) as usize + 4) * width);
            let mut lattice = Vec::new();
            for j in top.0..bottom.0 + 4 {
                lattice.clear();
                lattice.extend((left.0..right.0 + 4).map(|i| self.lattice(octave, i, j)));
                smoothed.extend(columns.iter().map(|(i, w)| {
                    let at = (i - left.0) as usize;
                    let v = &lattice[at..at + 4];
                    w[0] * v[0] + w[1] * v[1] + w[2] * v[2] + w[3] * v[3]
                }));
            }
            for (row, (j, w)) in field.chunks_exact_mut(width).zip(&rows) {
                let at = (j - top.0) as usize * width;
                let (a, rest) = smoothed[at..at + 4 * width].split_at(width);
                let (b, rest) = rest.split_at(width);
                let (c, d) = rest.split_at(width);
                let w = w.map(|w| w * amplitude);
                for (k, value) in row.iter_mut().enumerate() {
                    *value += w[0] * a[k] + w[1] * b[k] + w[2] * c[k] + w[3] * d[k];
                }
            }
        }
        Array2::from_shape_fn((height, width), |(row, col)| field[row * width + col])
    }

    /// The field at one point.
    pub fn at(&self, x: f64, y: f64) -> f32 {
        let mut sum = 0.0;
        for (octave, cell, amplitude) in self.spectrum() {
            let (i, wx) = self.tap(x, cell, octave, 0);
            let (j, wy) = self.tap(y, cell, octave, 1);
            for (dj, wy) in (0..).zip(wy) {
                for (di, wx) in (0..).zip(wx) {
                    sum += amplitude * wy * wx * self.lattice(octave, i + di, j + dj);
                }
            }
        }
        sum
    }

    /// First lattice index and weights of the four B-spline taps at `position`.
    fn tap(&self, position: f64, cell: f64, octave: u64, axis: u64) -> (i64, [f32; 4]) {
        // Octaves are moved against one another, else their lattices line up.
        let phase = unit(hash(self.seed, [octave, axis, 0x7068])) as f64;
        let u = position / cell + phase;
        let floor = u.floor();
        let (t, s) = ((u - floor) as f32, 1.0 - (u - floor) as f32);
        let inner = |t: f32| (3.0 * t * t * t - 6.0 * t * t + 4.0) / 6.0;
        let weights = [s * s * s / 6.0, inner(t), inner(s), t * t * t / 6.0];
        (floor as i64 - 1, weights)
    }

    /// White noise of variance one at a lattice point.
    fn lattice(&self, octave: u64, i: i64, j: i64) -> f32 {
        let root3 = 3f32.sqrt();
        (unit(hash(self.seed, [octave, i as u64, j as u64])) * 2.0 - 1.0) * root3
    }
}

/// 64 well mixed bits of a seed and a key (the finaliser of SplitMix64: Steele et
/// al. 2014, doi:10.1145/2660193.2660195).
pub fn hash(seed: u64, key: [u64; 3]) -> u64 {
    let mut z = seed
        .wrapping_add(key[0].wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .wrapping_add(key[1].wrapping_mul(0xC2B2_AE3D_27D4_EB4F))
        .wrapping_add(key[2].wrapping_mul(0x1656_67B1_9E37_79F9));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A number in [0, 1) from the top bits of a hash.
pub fn unit(hash: u64) -> f32 {
    (hash >> 40) as f32 / (1u64 << 24) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_and_points_are_the_same_field() {
        let field = Fractal::new(7, 40.0, 3.0, 0.6);
        let far = Window {
            origin: [-1234.25, 871.5],
            shape: [20, 30],
        };
        let values = field.window(far);
        for ((row, col), value) in values.indexed_iter() {
            let point = field.at(far.origin[0] + col as f64, far.origin[1] + row as f64);
            assert!((value - point).abs() < 1e-4, "{value} {point}");
        }
    }

    #[test]
    fn mean_is_zero_and_variance_one() {
        let field = Fractal::new(3, 12.0, 3.0, 0.6).window(Window::square(600));
        let mean = field.mean().unwrap_or(f32::NAN);
        let variance = field
            .mapv(|v| (v - mean).powi(2))
            .mean()
            .unwrap_or(f32::NAN);
        assert!(mean.abs() < 0.05, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.1, "variance {variance}");
    }
}
