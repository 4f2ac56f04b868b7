//! A network with its calibration.

use ndarray::{Array2, Array3, Array4};

use super::decision::Decision;
use super::memory;
use super::prediction::{Prediction, scores};
use crate::config::ModelConfig;
use crate::device::Device;
use crate::engine::check_affinity_nodes;
use crate::error::{Error, Result};
use crate::network::{self, Forward, GraphForward};
use crate::scene::SceneInfo;
use crate::weights::Bundle;

/// A network that is ready to predict.
#[derive(Debug)]
pub struct Network {
    network: Box<dyn network::Network>,
    decision: Decision,
}

impl Network {
    /// Makes the network of a bundle ready on `device`, without its calibration.
    ///
    /// # Errors
    /// Weights that don't fit, or a kind of network that this build lacks.
    pub fn new(bundle: Bundle, device: &Device) -> Result<Self> {
        let config = &bundle.config;
        let origin = std::path::Path::new(&config.name);
        let (model, channels) = (&config.model, bundle.channels());
        Ok(Self {
            network: device.network(model, channels, bundle.tensors, origin)?,
            decision: Decision::default(),
        })
    }

    /// With the calibration of its bundle for [`Network::predict`].
    pub fn decided_by(self, decision: Decision) -> Self {
        Self { decision, ..self }
    }

    /// Segments an image: see [`predict_image`](super::predict_image).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    pub fn predict(
        &self,
        config: &ModelConfig,
        image: &Array3<f32>,
        valid: &Array2<bool>,
    ) -> Result<Prediction> {
        let mut scores = self.class_scores(config, image, valid)?;
        self.decision.calibrate(&mut scores);
        Ok(Prediction::from_scores(scores, valid, &self.decision))
    }

    /// Class scores of an image: see [`class_scores`](super::class_scores).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    pub fn class_scores(
        &self,
        config: &ModelConfig,
        image: &Array3<f32>,
        valid: &Array2<bool>,
    ) -> Result<Array3<f32>> {
        scores(self, config, image.view(), valid)
    }

    /// The network itself, whose scores are not calibrated.
    pub fn network(&self) -> &dyn network::Network {
        self.network.as_ref()
    }

    /// Its parts, for a graph over the whole scene.
    ///
    /// # Errors
    /// The network is an architecture without patches.
    pub(super) fn parts(&self) -> Result<&dyn GraphForward> {
        self.network.parts().ok_or_else(|| {
            let why = "this model has no graph of patches, so there is none over the scene";
            Error::unsupported("`options.graph = scene`", why)
        })
    }

    /// Refuses a graph over all patches of a scene before anything is computed for it.
    ///
    /// # Errors
    /// The network is an architecture without patches, its graph can't take so many of
    /// them, or they don't fit into memory.
    pub(super) fn check_graph(&self, config: &ModelConfig, info: &SceneInfo) -> Result<()> {
        self.parts()?;
        let [height, width] = info.size;
        let nodes = (config.grid(height, width))
            .map_or(0, |(rows, cols)| (rows as u64).saturating_mul(cols as u64));
        check_affinity_nodes(config, nodes)?;
        // Tokens, blended and as the graph's nodes, in f32.
        let token = 4 * 2 * (config.patch.width + config.graph.width) as u64;
        memory::check("`options.graph = scene`", nodes.saturating_mul(2 * token))
    }
}

impl Forward for Network {
    fn forward(&self, windows: Array4<f32>) -> Result<Array4<f32>> {
        self.network.forward(windows)
    }
}
