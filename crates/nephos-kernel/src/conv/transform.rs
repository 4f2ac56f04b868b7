//! Tiles into and out of the domain of minimal filtering, 16 channels at a time.

use crate::gemm::isa::on_best_isa;

/// Channels that are transformed together.
pub(super) const LANES: usize = 16;

type Lane = [f32; LANES];

/// `m d mᵀ`.
#[inline(always)]
fn two_sided<const ROWS: usize, const COLS: usize, const FUSED: bool>(
    m: &[[f32; COLS]; ROWS],
    d: &[[Lane; COLS]; COLS],
) -> [[Lane; ROWS]; ROWS] {
    let mut half = [[[0.0; LANES]; COLS]; ROWS];
    for i in 0..ROWS {
        for k in 0..COLS {
            for j in 0..COLS {
                add_scaled::<FUSED>(&mut half[i][j], m[i][k], &d[k][j]);
            }
        }
    }
    let mut whole = [[[0.0; LANES]; ROWS]; ROWS];
    for i in 0..ROWS {
        for j in 0..ROWS {
            for k in 0..COLS {
                add_scaled::<FUSED>(&mut whole[i][j], m[j][k], &half[i][k]);
            }
        }
    }
    whole
}

#[inline(always)]
fn add_scaled<const FUSED: bool>(sum: &mut Lane, scale: f32, x: &Lane) {
    if scale == 0.0 {
        return;
    }
    for (sum, x) in sum.iter_mut().zip(x) {
        *sum = if FUSED {
            x.mul_add(scale, *sum)
        } else {
            x * scale + *sum
        };
    }
}

#[inline(always)]
fn load(from: &[f32]) -> Lane {
    match from.first_chunk() {
        Some(lane) => *lane,
        None => {
            let mut lane = [0.0; LANES];
            lane[..from.len()].copy_from_slice(from);
            lane
        }
    }
}

#[inline(always)]
fn store(lane: &Lane, to: &mut [f32]) {
    match to.first_chunk_mut() {
        Some(to) => *to = *lane,
        None => {
            let count = to.len();
            to.copy_from_slice(&lane[..count]);
        }
    }
}

on_best_isa! {
    /// `m d mᵀ` of the square of `COLS * COLS` pixels with its corner at `corner`;
    /// pixels outside the image are zero.
    ///
    /// # Shapes
    /// - image: `[height, width, channels]`
    /// - out: `[ROWS * ROWS, channels]`
    pub(super) fn gather_tile[ROWS, COLS](
        m: &[[f32; COLS]; ROWS],
        image: &[f32],
        size: [usize; 3],
        corner: [isize; 2],
        out: &mut [f32],
    ) = gather;
}

#[inline(always)]
fn gather<const ROWS: usize, const COLS: usize, const FUSED: bool>(
    m: &[[f32; COLS]; ROWS],
    image: &[f32],
    [height, width, channels]: [usize; 3],
    [top, left]: [isize; 2],
    out: &mut [f32],
) {
    let inside = |start: isize, i: usize, len: usize| {
        start
            .checked_add_unsigned(i)
            .and_then(|x| usize::try_from(x).ok())
            .filter(|&x| x < len)
    };
    for start in (0..channels).step_by(LANES) {
        let count = LANES.min(channels - start);
        let mut d = [[[0.0; LANES]; COLS]; COLS];
        for (i, d) in d.iter_mut().enumerate() {
            let Some(y) = inside(top, i, height) else {
                continue;
            };
            for (j, d) in d.iter_mut().enumerate() {
                if let Some(x) = inside(left, j, width) {
                    *d = load(&image[(y * width + x) * channels + start..][..count]);
                }
            }
        }
        let transformed = two_sided::<ROWS, COLS, FUSED>(m, &d);
        for (i, row) in transformed.iter().enumerate() {
            for (j, lane) in row.iter().enumerate() {
                store(lane, &mut out[(i * ROWS + j) * channels + start..][..count]);
            }
        }
    }
}

on_best_isa! {
    /// `m d mᵀ` as a square of `ROWS * ROWS` pixels, the bias added and below `floor`
    /// nothing left, to column `left` of a band; pixels beyond the band are dropped.
    ///
    /// # Shapes
    /// - tile: `[COLS * COLS, channels]`
    /// - band: `[at most ROWS, width, channels]`
    pub(super) fn scatter_tile[ROWS, COLS](
        m: &[[f32; COLS]; ROWS],
        tile: &[f32],
        bias: Option<&[f32]>,
        floor: f32,
        band: &mut [f32],
        size: [usize; 2],
        left: usize,
    ) = scatter;
}

#[inline(always)]
fn scatter<const ROWS: usize, const COLS: usize, const FUSED: bool>(
    m: &[[f32; COLS]; ROWS],
    tile: &[f32],
    bias: Option<&[f32]>,
    floor: f32,
    band: &mut [f32],
    [width, channels]: [usize; 2],
    left: usize,
) {
    let cols = ROWS.min(width - left);
    for start in (0..channels).step_by(LANES) {
        let count = LANES.min(channels - start);
        let mut d = [[[0.0; LANES]; COLS]; COLS];
        for (i, d) in d.iter_mut().enumerate() {
            for (j, d) in d.iter_mut().enumerate() {
                *d = load(&tile[(i * COLS + j) * channels + start..][..count]);
            }
        }
        let transformed = two_sided::<ROWS, COLS, FUSED>(m, &d);
        let bias = bias.map_or([0.0; LANES], |bias| load(&bias[start..][..count]));
        for (row, band) in transformed
            .iter()
            .zip(band.chunks_exact_mut(width * channels))
        {
            for (j, lane) in row[..cols].iter().enumerate() {
                let mut lane = *lane;
                for (x, bias) in lane.iter_mut().zip(&bias) {
                    let sum = *x + bias;
                    *x = if sum < floor { floor } else { sum };
                }
                store(&lane, &mut band[(left + j) * channels + start..][..count]);
            }
        }
    }
}
