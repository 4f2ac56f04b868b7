//! A network on a device, as predictions call it.

use burn::tensor::{Device, Tensor};
use ndarray::{Array2, Array3, Array4, Axis};
use nephos::Result;
use nephos::engine::check_affinity_nodes;
use nephos::network::{Explanation, Forward, GraphForward, Network};

use crate::arrays::{array, tensor};
use crate::graph_transformer::GraphTransformer;
use crate::segmenter::Segmenter;

/// A network that predicts.
#[derive(Debug)]
pub struct BurnNetwork {
    segmenter: Segmenter,
    device: Device,
}

impl BurnNetwork {
    /// A network whose weights are on `device`, without autodiff.
    pub fn new(segmenter: Segmenter, device: &Device) -> Self {
        Self {
            segmenter,
            device: device.clone(),
        }
    }

    fn graph(&self) -> Result<&GraphTransformer> {
        self.segmenter.graph("graph over the scene (--graph scene)")
    }
}

impl Forward for BurnNetwork {
    fn forward(&self, windows: Array4<f32>) -> Result<Array4<f32>> {
        array(self.segmenter.forward(tensor(windows, &self.device)))
    }
}

impl GraphForward for BurnNetwork {
    fn encode(&self, windows: Array4<f32>) -> Result<Array4<f32>> {
        array(self.graph()?.tokens(tensor(windows, &self.device)))
    }

    fn refine(&self, encoded: Array2<f32>) -> Result<Array2<f32>> {
        let network = self.graph()?;
        check_affinity_nodes(network.config(), encoded.nrows() as u64)?;
        array(network.refine_nodes(tensor(encoded, &self.device)))
    }

    fn decode(
        &self,
        image: Array3<f32>,
        nodes: Array3<f32>,
        embeddings: Array3<f32>,
    ) -> Result<Array3<f32>> {
        let [image, nodes, embeddings] =
            [image, nodes, embeddings].map(|values| tensor::<3, _>(values, &self.device));
        array(self.graph()?.decode(image, nodes, embeddings))
    }
}

impl Network for BurnNetwork {
    fn parts(&self) -> Option<&dyn GraphForward> {
        match self.segmenter {
            Segmenter::Graph(_) => Some(self),
            Segmenter::Baseline(_) => None,
        }
    }

    fn explain(&self, image: Array3<f32>) -> Result<Explanation> {
        let network = self.segmenter.graph("attention to explain")?;
        let image: Tensor<4> = tensor(image.insert_axis(Axis(0)), &self.device);
        network.explain(image)
    }
}
