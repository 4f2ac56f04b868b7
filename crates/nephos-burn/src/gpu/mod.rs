//! Graph attention on a GPU, in CubeCL: the sorted form of
//! [`sorted`](nephos_kernel::graph::sorted), forward and backward.
//!
//! Of the pairs of a row, those with `s_i + t_j ≤ 0` are the first nodes by ascending
//! `t`, the rest the first by descending `t`; on either [`SIDES`] attention is a product
//! of a factor of the row and one of the node. So a row's sum over all nodes is two
//! prefixes of a sorted list, looked up in a [`table`](sums) of all of them, and the
//! gradient by the nodes is the same with rows and nodes exchanged.
//!
//! Time is O(N log² N) for the sort, O(N width) for the rest; memory two tables as large
//! as the features. All is f32: sums run over a block, then over blocks of blocks, so
//! that rounding grows with the logarithm of N, and no sum is a difference of larger ones.
//! Scores are taken into ±10³⁰, so that infinite ones give the limit without arithmetic
//! on infinities, which shaders need not have; NaN scores give anything.

mod attend;
mod device;
mod factors;
mod lookup;
mod sort;
mod step;
mod sums;

pub use attend::{GraphOps, attend};

use burn::backend::TensorMetadata;
use burn::tensor::DType;
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use device::{Gpu, arg};
use factors::Factors;
use sort::Order;
use sums::table;

/// The pairs of score ≤ 0, then those above: the two halves of factors and tables.
const SIDES: usize = 2;

/// The sizes of a layer, all heads of all graphs counted as rows.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Sizes {
    rows: usize,
    heads: usize,
    nodes: usize,
    head: usize,
    /// Of an order: the nodes, padded to a power of two.
    padded: usize,
}

/// As [`Sizes`], on the host.
#[derive(Debug, Clone, Copy)]
struct Layer {
    rows: usize,
    heads: usize,
    nodes: usize,
    head: usize,
}

impl Layer {
    fn new(wh: &CubeTensor, s: &CubeTensor) -> Self {
        let ([batch, nodes, width], [of, heads, each]) = (wh.shape().dims(), s.shape().dims());
        assert!(
            of == batch && each == nodes && heads > 0 && width % heads == 0,
            "scores [{of}, {heads}, {each}] for features [{batch}, {nodes}, {width}]"
        );
        // Kernels count the numbers of a table in 32 bits.
        assert!(
            batch * (nodes + 1) * width < 1 << 31,
            "features [{batch}, {nodes}, {width}] are too many for a GPU"
        );
        Self {
            rows: batch * heads,
            heads,
            nodes,
            head: width / heads,
        }
    }

    /// The same with one number a node, as scores have it.
    fn of_scores(self) -> Self {
        Self {
            heads: 1,
            head: 1,
            ..self
        }
    }

    fn features(self) -> usize {
        self.scores() * self.head
    }

    fn scores(self) -> usize {
        self.rows * self.nodes
    }

    fn arg(self) -> SizesLaunch {
        let padded = self.nodes.next_power_of_two();
        SizesLaunch::new(self.rows, self.heads, self.nodes, self.head, padded)
    }
}

/// # Panics
/// The tensor is not of f32.
fn in_order(tensor: CubeTensor) -> CubeTensor {
    assert_eq!(tensor.dtype, DType::F32, "kernels compute in f32");
    into_contiguous(tensor)
}

/// What both passes begin with: nodes in order, their factors, and the rows' factors.
struct Attention {
    layer: Layer,
    slope: f32,
    order: Order,
    nodes: Factors,
    rows: Factors,
    /// Where each row cuts the sorted nodes.
    split: CubeTensor,
    /// Tables of the nodes' factors themselves.
    totals: CubeTensor,
}

impl Attention {
    fn new(gpu: &Gpu, layer: Layer, s: &CubeTensor, t: &CubeTensor, slope: f64) -> Self {
        let slope = slope as f32;
        let order = Order::new(gpu, layer, t);
        let nodes = Factors::of_nodes(gpu, layer, t, &order, slope);
        let split = factors::split(gpu, layer, s, t, &order);
        let ones = sums::ones(gpu, layer);
        let totals = table(gpu, layer.of_scores(), &ones, &nodes, &order);
        let rows = Factors::of_rows(gpu, layer, [s, t], &order, &split, &totals, slope);
        Self {
            layer,
            slope,
            order,
            nodes,
            rows,
            split,
            totals,
        }
    }
}

impl GraphOps for CubeBackend {
    fn graph_sorted(wh: CubeTensor, s: CubeTensor, t: CubeTensor, slope: f64) -> CubeTensor {
        let [wh, s, t] = [wh, s, t].map(in_order);
        let (gpu, layer) = (Gpu::of(&wh), Layer::new(&wh, &s));
        if layer.features() == 0 {
            return wh;
        }
        let attention = Attention::new(&gpu, layer, &s, &t, slope);
        let sums = table(&gpu, layer, &wh, &attention.nodes, &attention.order);
        let Attention { split, rows, .. } = &attention;
        lookup::combine(&gpu, layer, &sums, split, rows, wh.shape(), true)
    }

    fn graph_sorted_backward(
        wh: CubeTensor,
        s: CubeTensor,
        t: CubeTensor,
        out: CubeTensor,
        grad: CubeTensor,
        slope: f64,
    ) -> (CubeTensor, CubeTensor, CubeTensor) {
        let [wh, s, t, out, grad] = [wh, s, t, out, grad].map(in_order);
        let (gpu, layer) = (Gpu::of(&wh), Layer::new(&wh, &s));
        if layer.features() == 0 {
            return (wh, s, t);
        }
        let grad = lookup::before_relu(&gpu, layer, &grad, &out);
        let attention = Attention::new(&gpu, layer, &s, &t, slope);
        let sums = table(&gpu, layer, &wh, &attention.nodes, &attention.order);
        let dots = lookup::dots(&gpu, layer, &sums, &attention.split, &grad);
        drop(sums);
        let (by_s, along) = lookup::by_rows(&gpu, &attention, &dots, s.shape());

        // The same with rows and nodes exchanged.
        let order = Order::new(&gpu, layer, &s);
        let split = factors::split(&gpu, layer, &t, &s, &order);
        let sums = table(&gpu, layer, &grad, &attention.rows, &order);
        let dots = lookup::dots(&gpu, layer, &sums, &split, &wh);
        let by_wh = lookup::combine(
            &gpu,
            layer,
            &sums,
            &split,
            &attention.nodes,
            wh.shape(),
            false,
        );
        drop(sums);
        let along = table(&gpu, layer.of_scores(), &along, &attention.rows, &order);
        let by_t = lookup::by_nodes(&gpu, &attention, &dots, &along, &split, t.shape());
        (by_wh, by_s, by_t)
    }
}
