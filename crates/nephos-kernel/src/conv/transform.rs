//! Tiles into and out of the domain of minimal filtering, a vector of channels at a time.

use crate::lanes::{Lanes, Level, Work, dispatch};

/// `m d mᵀ`. Numbers of `m` that are zero cost nothing.
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
unsafe fn two_sided<L: Lanes, const ROWS: usize, const COLS: usize>(
    m: &[[f32; COLS]; ROWS],
    d: &[[L; COLS]; COLS],
) -> [[L; ROWS]; ROWS] {
    // SAFETY: the caller's.
    unsafe {
        let mut half = [[L::splat(0.0); COLS]; ROWS];
        for (half, m) in half.iter_mut().zip(m) {
            // Sums of their own stay in registers.
            let mut sums = [L::splat(0.0); COLS];
            for (&scale, d) in m.iter().zip(d) {
                if scale != 0.0 {
                    let scale = L::splat(scale);
                    for (sum, &d) in sums.iter_mut().zip(d) {
                        *sum = d.mul_add(scale, *sum);
                    }
                }
            }
            *half = sums;
        }
        let mut whole = [[L::splat(0.0); ROWS]; ROWS];
        for (j, m) in m.iter().enumerate() {
            let mut sums = [L::splat(0.0); ROWS];
            for (k, &scale) in m.iter().enumerate() {
                if scale != 0.0 {
                    let scale = L::splat(scale);
                    for (sum, half) in sums.iter_mut().zip(&half) {
                        *sum = half[k].mul_add(scale, *sum);
                    }
                }
            }
            for (whole, sum) in whole.iter_mut().zip(sums) {
                whole[j] = sum;
            }
        }
        whole
    }
}

/// The first of some numbers; 0 in lanes for which there is none.
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
unsafe fn load<L: Lanes>(from: &[f32]) -> L {
    // SAFETY: as many numbers as are there; otherwise the caller's.
    unsafe {
        if from.len() >= L::COUNT {
            L::load(from.as_ptr())
        } else {
            L::load_part(from.as_ptr(), from.len())
        }
    }
}

/// As many lanes as fit.
///
/// # Safety
/// As for [`Lanes`].
#[inline(always)]
unsafe fn store<L: Lanes>(lanes: L, to: &mut [f32]) {
    // SAFETY: as many numbers as fit; otherwise the caller's.
    unsafe {
        if to.len() >= L::COUNT {
            lanes.store(to.as_mut_ptr());
        } else {
            lanes.store_part(to.as_mut_ptr(), to.len());
        }
    }
}

/// `m d mᵀ` of the square of `COLS * COLS` pixels with its corner at `corner`;
/// pixels outside the image are zero.
///
/// # Shapes
/// - image: `[height, width, channels]`
/// - out: `[ROWS * ROWS, channels]`
pub(super) fn gather_tile<const ROWS: usize, const COLS: usize>(
    m: &[[f32; COLS]; ROWS],
    image: &[f32],
    size: [usize; 3],
    corner: [isize; 2],
    out: &mut [f32],
) {
    let gather = Gather {
        m,
        image,
        size,
        corner,
        out,
    };
    dispatch(Level::best(), gather);
}

struct Gather<'a, const ROWS: usize, const COLS: usize> {
    m: &'a [[f32; COLS]; ROWS],
    image: &'a [f32],
    size: [usize; 3],
    corner: [isize; 2],
    out: &'a mut [f32],
}

impl<const ROWS: usize, const COLS: usize> Work for Gather<'_, ROWS, COLS> {
    #[inline(always)]
    unsafe fn run<L: Lanes, const R: usize>(self) {
        let Self { m, image, out, .. } = self;
        let [height, width, channels] = self.size;
        let [top, left] = self.corner;
        // Where the pixels of the square start, those that there are.
        let mut pixels = [[None; COLS]; COLS];
        for (i, pixels) in pixels.iter_mut().enumerate() {
            for (j, pixel) in pixels.iter_mut().enumerate() {
                let y = inside(top, i, height);
                *pixel = y
                    .zip(inside(left, j, width))
                    .map(|(y, x)| &image[(y * width + x) * channels..][..channels]);
            }
        }
        for start in (0..channels).step_by(L::COUNT) {
            let end = channels.min(start + L::COUNT);
            // SAFETY: the caller's.
            unsafe {
                let mut d = [[L::splat(0.0); COLS]; COLS];
                for (d, pixels) in d.iter_mut().zip(&pixels) {
                    for (d, pixel) in d.iter_mut().zip(pixels) {
                        if let Some(pixel) = pixel {
                            *d = load(&pixel[start..end]);
                        }
                    }
                }
                let transformed = two_sided::<L, ROWS, COLS>(m, &d);
                for (i, row) in transformed.iter().enumerate() {
                    for (j, &lanes) in row.iter().enumerate() {
                        let place = (i * ROWS + j) * channels;
                        store(lanes, &mut out[place + start..place + end]);
                    }
                }
            }
        }
    }
}

/// The `i`-th from `start` on, if it is below `len` and not below 0.
#[inline(always)]
fn inside(start: isize, i: usize, len: usize) -> Option<usize> {
    start
        .checked_add_unsigned(i)
        .and_then(|x| usize::try_from(x).ok())
        .filter(|&x| x < len)
}

/// `m d mᵀ` as a square of `ROWS * ROWS` pixels, the bias added and below `floor`
/// nothing left, to column `left` of a band; pixels beyond the band are dropped.
///
/// # Shapes
/// - tile: `[COLS * COLS, channels]`
/// - band: `[at most ROWS, width, channels]`
pub(super) fn scatter_tile<const ROWS: usize, const COLS: usize>(
    m: &[[f32; COLS]; ROWS],
    tile: &[f32],
    bias: Option<&[f32]>,
    floor: f32,
    band: &mut [f32],
    size: [usize; 2],
    left: usize,
) {
    let scatter = Scatter {
        m,
        tile,
        bias,
        floor,
        band,
        size,
        left,
    };
    dispatch(Level::best(), scatter);
}

struct Scatter<'a, const ROWS: usize, const COLS: usize> {
    m: &'a [[f32; COLS]; ROWS],
    tile: &'a [f32],
    bias: Option<&'a [f32]>,
    floor: f32,
    band: &'a mut [f32],
    size: [usize; 2],
    left: usize,
}

impl<const ROWS: usize, const COLS: usize> Work for Scatter<'_, ROWS, COLS> {
    #[inline(always)]
    unsafe fn run<L: Lanes, const R: usize>(self) {
        let Self {
            m,
            tile,
            bias,
            floor,
            band,
            left,
            ..
        } = self;
        let [width, channels] = self.size;
        let cols = ROWS.min(width - left);
        for start in (0..channels).step_by(L::COUNT) {
            let end = channels.min(start + L::COUNT);
            // SAFETY: the caller's.
            unsafe {
                let mut d = [[L::splat(0.0); COLS]; COLS];
                for (i, d) in d.iter_mut().enumerate() {
                    for (j, d) in d.iter_mut().enumerate() {
                        let place = (i * COLS + j) * channels;
                        *d = load(&tile[place + start..place + end]);
                    }
                }
                let transformed = two_sided::<L, ROWS, COLS>(m, &d);
                let bias = bias.map_or(L::splat(0.0), |bias| load(&bias[start..end]));
                let floor = L::splat(floor);
                let band = band.chunks_exact_mut(width * channels);
                for (row, band) in transformed.iter().zip(band) {
                    for (j, lanes) in row[..cols].iter().enumerate() {
                        let place = (left + j) * channels;
                        let lanes = floor.max(lanes.add(bias));
                        store(lanes, &mut band[place + start..place + end]);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
