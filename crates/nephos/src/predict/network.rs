//! A network on a device, as the run needs it.

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array, Array2, Array3, Array4, Dimension};

use super::forward::Forward;
use super::scene_graph::GraphForward;
use crate::error::{Error, Result};
use crate::model::Segmenter;

/// A network whose weights lie on a device.
pub struct Network<'a> {
    /// The network, for inference.
    pub segmenter: &'a Segmenter,
    /// Where it computes.
    pub device: &'a Device,
}

/// Most nodes of a graph whose layers compare all pairs of patches: the affinity of
/// more would not fit in memory.
const MAX_AFFINITY_NODES: usize = 16_384;

impl Forward for Network<'_> {
    fn forward(&self, windows: Array4<f32>) -> Result<Array4<f32>> {
        array((self.segmenter).forward(self.tensor::<4, _>(windows))) // [n, classes, h, w]
    }
}

impl GraphForward for Network<'_> {
    fn encode(&self, windows: Array4<f32>) -> Result<Array4<f32>> {
        array((self.segmenter).tokens(self.tensor(windows)))
    }

    fn refine(&self, encoded: Array2<f32>) -> Result<Array2<f32>> {
        let nodes = encoded.nrows();
        if self.segmenter.wants_affinity() && nodes > MAX_AFFINITY_NODES {
            return Err(Error::unsupported(
                "--graph scene",
                format!(
                    "the scene has {nodes} patches with data; this model's graph compares all \
                     pairs (model.graph.affinity), which goes up to {MAX_AFFINITY_NODES}"
                ),
            ));
        }
        array((self.segmenter).refine_nodes(self.tensor(encoded)))
    }

    fn decode(
        &self,
        image: Array3<f32>,
        nodes: Array3<f32>,
        embeddings: Array3<f32>,
    ) -> Result<Array3<f32>> {
        let [image, nodes, embeddings] =
            [image, nodes, embeddings].map(|values| self.tensor::<3, _>(values));
        array((self.segmenter).decode(image, nodes, embeddings))
    }
}

impl Network<'_> {
    fn tensor<const D: usize, N: Dimension>(&self, values: Array<f32, N>) -> Tensor<D> {
        let shape = values.shape().to_vec();
        let values: Vec<f32> = values.into_iter().collect();
        Tensor::from_data(TensorData::new(values, shape), self.device)
    }
}

/// A tensor's numbers on the host.
fn array<const D: usize, N: Dimension>(tensor: Tensor<D>) -> Result<Array<f32, N>> {
    let shape = tensor.dims().to_vec();
    let values = tensor
        .try_into_vec_as::<f32>()
        .map_err(|e| Error::unsupported("the device", e.to_string()))?;
    (Array::from_shape_vec(shape, values).and_then(Array::into_dimensionality))
        .map_err(|e| Error::unsupported("the model", e.to_string()))
}
