//! A network on a CPU, as predictions call it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ndarray::{Array, Array2, Array3, Array4, Dimension, IntoDimension, ShapeBuilder};

use super::inference::{Engine, Scratch};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::network::{Explanation, Forward, GraphForward, Network};
use crate::weights::torch::NamedTensor;
use crate::weights::{Parameters, check_network};

/// Most nodes of a graph whose layers compare all pairs of patches: with more, the
/// pairs take minutes.
const MAX_AFFINITY_NODES: u64 = 65_536;

/// The graph transformer packed for this machine's CPU; its buffers are reused.
#[derive(Debug)]
pub struct CpuNetwork {
    engine: Engine,
    scratch: Mutex<Scratch>,
}

impl CpuNetwork {
    /// Of weights under PyTorch's names; errors call their file `origin`.
    ///
    /// # Errors
    /// Tensors that don't fit the configuration, or a network beyond the machine's memory.
    ///
    /// # Panics
    /// The configuration was not validated, or is that of a baseline.
    pub fn new(
        config: &ModelConfig,
        channels: usize,
        tensors: Vec<NamedTensor>,
        origin: &Path,
    ) -> Result<Self> {
        check_network(config, channels)?;
        let tensors = Parameters::check_torch(config, channels, tensors, origin)?;
        let engine = Engine::new(config, tensors.into_iter().collect());
        Ok(Self {
            engine: engine.expect("tensors of the configuration"),
            scratch: Mutex::default(),
        })
    }
}

impl Forward for CpuNetwork {
    fn forward(&self, windows: Array4<f32>) -> Result<Array4<f32>> {
        let (count, _, height, width) = windows.dim();
        let windows = windows.as_standard_layout();
        let pixels = windows.as_slice().unwrap_or_default();
        let classes = self.engine.classes();
        let mut scores = vec![0.0; count * classes * height * width];
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        (self.engine).forward(pixels, [count, height, width], &mut scratch, &mut scores);
        array((count, classes, height, width), scores)
    }
}

impl GraphForward for CpuNetwork {
    fn encode(&self, windows: Array4<f32>) -> Result<Array4<f32>> {
        let (count, _, height, width) = windows.dim();
        let (rows, cols) = (self.engine.layers.config.grid(height, width))
            .unwrap_or_else(|| panic!("{height} x {width} pixels are smaller than one patch"));
        let features = self.engine.layers.config.patch.width;
        let mut both = Array4::zeros((count, 2 * features, rows, cols));
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        for (image, mut to) in windows.outer_iter().zip(both.outer_iter_mut()) {
            let image = image.as_standard_layout();
            let pixels = image.as_slice().unwrap_or_default();
            let ([embeddings, encoded], _) =
                (self.engine).encode(pixels, [1, height, width], &mut scratch);
            for ((feature, row, col), to) in to.indexed_iter_mut() {
                let token = (row * cols + col) * features;
                *to = match feature.checked_sub(features) {
                    None => embeddings[token + feature],
                    Some(feature) => encoded[token + feature],
                };
            }
            [embeddings, encoded]
                .into_iter()
                .for_each(|buffer| scratch.buffers.give(buffer));
        }
        Ok(both)
    }

    fn refine(&self, encoded: Array2<f32>) -> Result<Array2<f32>> {
        let nodes = encoded.nrows();
        check_affinity_nodes(&self.engine.layers.config, nodes as u64)?;
        // A large graph needs the memory that the encoder's windows took.
        *self.scratch.lock().unwrap_or_else(PoisonError::into_inner) = Scratch::default();
        let refined = self.engine.refine(into_values(encoded), nodes);
        array((nodes, self.engine.layers.config.graph_width()), refined)
    }

    fn decode(
        &self,
        image: Array3<f32>,
        nodes: Array3<f32>,
        embeddings: Array3<f32>,
    ) -> Result<Array3<f32>> {
        let (_, height, width) = image.dim();
        let (_, rows, cols) = nodes.dim();
        // Features last.
        let tokens = |grid: Array3<f32>| into_values(grid.permuted_axes([1, 2, 0]));
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let (scores, [rows, cols]) = self.engine.decode(
            into_values(image),
            [height, width],
            [rows, cols],
            [&tokens(nodes), &tokens(embeddings)],
            &mut scratch,
        );
        let values = scores.to_vec();
        scratch.buffers.give(scores);
        array((self.engine.classes(), rows, cols), values)
    }
}

impl Network for CpuNetwork {
    fn parts(&self) -> Option<&dyn GraphForward> {
        Some(self)
    }

    fn explain(&self, image: Array3<f32>) -> Result<Explanation> {
        let (_, height, width) = image.dim();
        let image = image.as_standard_layout();
        let mut scratch = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let pixels = image.as_slice().unwrap_or_default();
        Ok(self.engine.explain(pixels, [height, width], &mut scratch))
    }
}

/// Refuses a graph of so many nodes that compares all pairs of them.
///
/// # Errors
/// The nodes, and how many there may be.
pub fn check_affinity_nodes(config: &ModelConfig, nodes: u64) -> Result<()> {
    if !config.compares_patches() || nodes <= MAX_AFFINITY_NODES {
        return Ok(());
    }
    let stride = config.patch.stride as u64;
    let side = MAX_AFFINITY_NODES.isqrt() * stride;
    Err(Error::limits(
        "`options.graph = scene`",
        format!(
            "the scene has {nodes} patches; this model's graph compares all pairs of them \
             (model.graph.affinity), which goes up to {MAX_AFFINITY_NODES} patches, {side} × {side} \
             pixels. A graph over larger scenes is for models without affinity"
        ),
    ))
}

/// The elements in row-major order; nothing is copied where they are in that order.
fn into_values<D: Dimension>(array: Array<f32, D>) -> Vec<f32> {
    if !array.is_standard_layout() {
        return array.iter().copied().collect();
    }
    let len = array.len();
    let (mut values, first) = array.into_raw_vec_and_offset();
    values.drain(..first.unwrap_or(0));
    values.truncate(len);
    values
}

fn array<S, D>(shape: S, values: Vec<f32>) -> Result<Array<f32, D>>
where
    S: IntoDimension<Dim = D> + ShapeBuilder<Dim = D>,
    D: Dimension,
{
    Array::from_shape_vec(shape.into_dimension(), values)
        .map_err(|e| Error::unsupported("the model", e.to_string()))
}
