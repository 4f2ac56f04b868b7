//! Attention weights, which a forward pass never stores, for pictures of them.

use ndarray::{Array2, Array3};
use nephos_kernel::gemm::Act;
use nephos_kernel::graph::Shape;
use nephos_kernel::graph::layer::Layer;

use super::graph::{Graph, units};
use super::inference::{Engine, Scratch};
use crate::network::Explanation;

impl Engine {
    /// The affinity of all pairs of patches and the attention of each graph layer, over the
    /// whole image, as without [`reach`](crate::config::ModelConfig::reach).
    ///
    /// # Shapes
    /// - image: `[channels, height, width]`
    ///
    /// # Panics
    /// Another number of values, or an image smaller than one patch.
    pub(super) fn explain(
        &self,
        image: &[f32],
        [height, width]: [usize; 2],
        scratch: &mut Scratch,
    ) -> Explanation {
        let ([embeddings, encoded], [rows, cols]) = self.encode(image, [1, height, width], scratch);
        scratch.buffers.give(embeddings);
        let (count, width) = (rows * cols, self.layers.config.patch.width);
        let tokens =
            Array2::from_shape_vec((count, width), encoded.into()).expect("rows of tokens");
        let affinity = tokens.dot(&tokens.t());
        let flat = tokens.into_raw_vec_and_offset().0;
        Explanation {
            affinity,
            attention: self.layers.graph.attention(flat, count),
            grid: (rows, cols),
        }
    }
}

impl Graph<'_> {
    /// The attention weights of each layer, `[heads, N, N]`; rows sum to one.
    fn attention(&self, tokens: Vec<f32>, count: usize) -> Vec<Array3<f32>> {
        let features = tokens.len() / count;
        let mut unit = vec![0.0; tokens.len()];
        units(&tokens, features, &mut unit);
        let units = Array2::from_shape_vec((count, features), unit).expect("rows of tokens");
        let mut cosines = None;
        let mut nodes = tokens;
        let mut all = Vec::with_capacity(self.layers.len());
        for (layer, scale) in self.layers.iter().zip(&self.scales) {
            let (heads, width) = (layer.scores.heads(), layer.project.outputs());
            let shape = Shape {
                batch: 1,
                nodes: count,
                heads,
                head: width / heads,
            };
            let mut projected = vec![0.0; count * width];
            (layer.project).forward(&nodes, None, Act::None, &mut projected);
            let [mut s, mut t] = [0, 1].map(|_| vec![0.0; shape.scores()]);
            let both = [&mut s[..], &mut t];
            (layer.scores).forward(&shape, &projected, both, &mut Default::default());
            let mut weights = Array3::zeros((heads, count, count));
            for ((head, i, j), weight) in weights.indexed_iter_mut() {
                let sum: f32 = s[head * count + i] + t[head * count + j];
                *weight = if sum > 0.0 {
                    sum
                } else {
                    layer.slope as f32 * sum
                };
            }
            if let Some(scale) = *scale {
                let cosines = cosines.get_or_insert_with(|| units.dot(&units.t()));
                for mut head in weights.outer_iter_mut() {
                    head.scaled_add(scale, cosines);
                }
            }
            for mut row in weights.rows_mut() {
                let largest = row.fold(f32::NEG_INFINITY, |most, x| most.max(*x));
                row.mapv_inplace(|x| (x - largest).exp());
                let sum = row.sum();
                row.mapv_inplace(|x| x / sum);
            }
            nodes = attended(layer, &weights, projected, &nodes);
            all.push(weights);
        }
        all
    }
}

/// The output of a layer with these attention weights.
fn attended(
    layer: &Layer<'_>,
    weights: &Array3<f32>,
    projected: Vec<f32>,
    before: &[f32],
) -> Vec<f32> {
    let (heads, count, _) = weights.dim();
    let head = layer.project.outputs() / heads;
    let shape = (count, heads, head);
    let projected = Array3::from_shape_vec(shape, projected).expect("features of all heads");
    let mut out = Array3::zeros(shape);
    for index in 0..heads {
        let features = projected.index_axis(ndarray::Axis(1), index);
        let sum = weights.index_axis(ndarray::Axis(0), index).dot(&features);
        out.index_axis_mut(ndarray::Axis(1), index).assign(&sum);
    }
    let mut out = out.into_raw_vec_and_offset().0;
    out.iter_mut().for_each(|x| *x = x.max(0.0));
    if layer.residual {
        out.iter_mut().zip(before).for_each(|(out, x)| *out += x);
    }
    out
}
