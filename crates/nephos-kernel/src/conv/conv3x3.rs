//! The 3 × 3 convolution by minimal filtering.

use std::cell::Cell;

use rayon::prelude::*;

use super::cook_toom::{CookToom, INPUTS, OUTPUTS};
use super::filter::transform_filters;
use super::transform::{gather_tile, scatter_tile};
use super::{Shape, apply_gelu, check_image};
use crate::gemm::aligned::Aligned;
use crate::gemm::{Act, BatchLayout, Matrix, Packed, matmul_batch};
use crate::scratch;
use crate::sizes::count;

/// Filters with fewer numbers than this stay in a thread's cache; each thread then
/// goes through tiles of its own.
const SMALL_FILTERS: usize = 1 << 18;

/// Transformed numbers, in and out, that stay in a thread's cache.
const SMALL_TILES: usize = 1 << 17;

/// Transformed numbers, in and out, that are held at a time.
const TILES: usize = 1 << 22;

/// A 3 × 3 convolution with stride 1 and padding 1, its filters transformed and
/// packed (Winograd's minimal filtering: Lavin & Gray 2016,
/// doi:10.1109/CVPR.2016.435).
#[derive(Debug, Clone)]
pub struct Conv3x3Packed {
    filters: Vec<Packed>,
    inputs: usize,
    outputs: usize,
}

thread_local! {
    static SCRATCH: Cell<Aligned> = Cell::default();
}

impl Conv3x3Packed {
    /// Transforms filters.
    ///
    /// # Shapes
    /// - weight: `[outputs, inputs, 3, 3]`
    ///
    /// # Panics
    /// The weight has another size.
    pub fn new(weight: &[f32], [outputs, inputs]: [usize; 2]) -> Self {
        assert_eq!(weight.len(), count([outputs, inputs, 9]), "3 x 3 filters");
        let filters = transform_filters(&CookToom::new().filter, weight, [outputs, inputs]);
        Self {
            filters,
            inputs,
            outputs,
        }
    }

    /// `out = activation(image ∗ filters + bias)`.
    ///
    /// # Shapes
    /// - image: `[batch, height, width, inputs]`
    /// - bias: `[outputs]`
    /// - out: `[batch, height, width, outputs]`
    ///
    /// # Panics
    /// A shape is another.
    pub fn forward(
        &self,
        image: &[f32],
        shape: Shape,
        bias: Option<&[f32]>,
        activation: Act,
        out: &mut [f32],
    ) {
        check_image(image, shape, self.inputs);
        check_image(out, shape, self.outputs);
        if let Some(bias) = bias {
            assert_eq!(bias.len(), self.outputs, "one bias per output");
        }
        if out.is_empty() {
            return;
        }
        let row = shape.width * self.outputs;
        // A band is a row of tiles.
        let mut bands: Vec<&mut [f32]> = out
            .chunks_exact_mut(shape.height * row)
            .flat_map(|image| image.chunks_mut(OUTPUTS * row))
            .collect();
        let per_tile = INPUTS * INPUTS * (self.inputs + self.outputs);
        let per_band = shape.width.div_ceil(OUTPUTS) * per_tile;
        let layer = Layer {
            matrices: CookToom::new(),
            packed: self,
            image,
            shape,
            finish: Finish { bias, activation },
        };
        if INPUTS * INPUTS * self.inputs * self.outputs <= SMALL_FILTERS {
            let tiles = (SMALL_TILES / per_tile).max(14);
            let work = |(band, out): (usize, &mut &mut [f32])| {
                layer.bands(band, std::slice::from_mut(out), tiles, false);
            };
            bands.par_iter_mut().enumerate().for_each(work);
        } else {
            let parts = (bands.len() * per_band).div_ceil(TILES);
            let per_part = bands.len().div_ceil(parts);
            for (part, out) in bands.chunks_mut(per_part).enumerate() {
                layer.bands(part * per_part, out, usize::MAX, true);
            }
        }
    }
}

/// What happens to a sum before it is stored.
#[derive(Clone, Copy)]
struct Finish<'a> {
    bias: Option<&'a [f32]>,
    activation: Act,
}

struct Layer<'a> {
    matrices: CookToom,
    packed: &'a Conv3x3Packed,
    image: &'a [f32],
    shape: Shape,
    finish: Finish<'a>,
}

impl Layer<'_> {
    /// Fills some bands, the first being the `first` of all, so many tiles at a time.
    fn bands(&self, first: usize, out: &mut [&mut [f32]], most: usize, parallel: bool) {
        let width = self.shape.width.div_ceil(OUTPUTS);
        if out.len() == 1 || most < width {
            for (band, out) in out.iter_mut().enumerate() {
                for start in (0..width).step_by(most.min(width)) {
                    let end = width.min(start.saturating_add(most));
                    self.tiles(
                        first + band,
                        start..end,
                        std::slice::from_mut(out),
                        parallel,
                    );
                }
            }
        } else {
            self.tiles(first, 0..width, out, parallel);
        }
    }

    /// Fills the tiles of these columns of some bands.
    fn tiles(
        &self,
        first: usize,
        columns: std::ops::Range<usize>,
        out: &mut [&mut [f32]],
        parallel: bool,
    ) {
        let area = INPUTS * INPUTS;
        // An odd line keeps tiles out of each other's sets of a cache.
        let line = |channels: usize| (area * channels).div_ceil(16) * 16 + 16;
        let lines = [self.packed.inputs, self.packed.outputs].map(line);
        let count = out.len() * columns.len();
        let size = count * (lines[0] + lines[1]);
        if parallel {
            return scratch::with(size, |numbers| {
                self.tiles_in(numbers, lines, first, columns, out, true);
            });
        }
        let mut numbers = SCRATCH.take();
        numbers.resize(size);
        self.tiles_in(&mut numbers, lines, first, columns, out, false);
        SCRATCH.set(numbers);
    }

    /// As [`Layer::tiles`], into buffers for each tile's numbers, transformed and multiplied.
    fn tiles_in(
        &self,
        numbers: &mut [f32],
        [from, to]: [usize; 2],
        first: usize,
        columns: std::ops::Range<usize>,
        out: &mut [&mut [f32]],
        parallel: bool,
    ) {
        let area = INPUTS * INPUTS;
        let [inputs, outputs] = [self.packed.inputs, self.packed.outputs];
        let count = out.len() * columns.len();
        let (transformed, products) = numbers.split_at_mut(count * from);

        let gather = |(index, tile): (usize, &mut [f32])| {
            let band = first + index / columns.len();
            let column = columns.start + index % columns.len();
            self.gather(band, column, &mut tile[..area * inputs]);
        };
        let tiles = transformed.chunks_exact_mut(from);
        if parallel {
            let tiles = transformed.par_chunks_exact_mut(from);
            tiles.enumerate().with_max_len(1).for_each(gather);
        } else {
            tiles.enumerate().for_each(gather);
        }

        let left: Vec<Matrix<'_>> = (0..area)
            .map(|i| Matrix::strided(&transformed[i * inputs..], [count, inputs], [from, 1]))
            .collect();
        let layout = BatchLayout {
            product: outputs,
            row: to,
        };
        matmul_batch(&left, &self.packed.filters, products, layout, parallel);

        let scatter = |(band, out): (usize, &mut &mut [f32])| {
            for (i, column) in columns.clone().enumerate() {
                let tile = &products[(band * columns.len() + i) * to..][..area * outputs];
                self.scatter(tile, column, out);
            }
        };
        if parallel {
            out.par_iter_mut().enumerate().for_each(scatter);
        } else {
            out.iter_mut().enumerate().for_each(scatter);
        }
    }

    /// Transforms the input of a tile.
    fn gather(&self, band: usize, column: usize, tile: &mut [f32]) {
        let Shape { height, width, .. } = self.shape;
        let bands = height.div_ceil(OUTPUTS);
        let size = height * width * self.packed.inputs;
        let image = &self.image[band / bands * size..][..size];
        let corner = [band % bands, column].map(|i| (i * OUTPUTS) as isize - 1);
        let size = [height, width, self.packed.inputs];
        gather_tile(&self.matrices.input, image, size, corner, tile);
    }

    /// Transforms the products of a tile back.
    fn scatter(&self, tile: &[f32], column: usize, band: &mut [f32]) {
        let floor = match self.finish.activation {
            Act::Relu => 0.0,
            _ => f32::NEG_INFINITY,
        };
        let size = [self.shape.width, self.packed.outputs];
        let left = column * OUTPUTS;
        let bias = self.finish.bias;
        scatter_tile(&self.matrices.output, tile, bias, floor, band, size, left);
        if self.finish.activation == Act::Gelu {
            apply_gelu(band, size, left..size[0].min(left + OUTPUTS));
        }
    }
}
