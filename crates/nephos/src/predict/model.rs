//! A trained model, ready to predict.

use std::path::Path;

use ndarray::{Array2, Array3, Array4};

use super::decision::Decision;
use super::memory;
use super::options::{GraphScope, PredictOptions};
use super::prediction::Prediction;
use super::scene_input::SceneInput;
use super::segmentation::{Segmentation, scores};
use crate::config::Config;
use crate::device::Device;
use crate::engine::check_affinity_nodes;
use crate::error::{Error, Result};
use crate::network::{Forward, GraphForward, Network};
use crate::scene::{Scene, SceneInfo};
use crate::weights::{Bundle, Identity};

/// A trained model, ready to predict.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let (tif, mask) = (folder.path().join("scene.tif"), folder.path().join("mask.tif"));
/// # let scene = nephos::data::simulate::Simulator::default().simulate(42, 0, 64)?;
/// # scene.write(&tif)?;
/// let model = nephos::Model::load("tiny")?;
/// let scene = nephos::open(&tif)?;
/// let summary = model.predict(&scene)?.write(&mask)?;
/// println!("{summary}");
/// # assert!(mask.is_file());
/// # Ok::<(), nephos::Error>(())
/// ```
#[derive(Debug)]
pub struct Model {
    config: Config,
    identity: Identity,
    network: Box<dyn Network>,
    decision: Decision,
}

impl Model {
    /// The model in the bundle at `path`, or `tiny`, which comes with nephos, on this
    /// machine's CPU.
    ///
    /// # Errors
    /// There is no such file or model, it is broken, or this build lacks its kind of network.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_on(path, &Device::cpu())
    }

    /// The same on `device`.
    ///
    /// # Errors
    /// As for [`load`](Self::load); what the device can't compute.
    pub fn load_on(path: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = path.as_ref();
        let model = Self::new(Bundle::load(path)?, device)?;
        Ok(model.with_identity(Identity::of(path)?))
    }

    /// The model of a bundle on `device`. It is called as its configuration, and has no
    /// digest.
    ///
    /// # Errors
    /// Weights that don't fit, or a kind of network that this build lacks.
    pub fn new(bundle: Bundle, device: &Device) -> Result<Self> {
        let channels = bundle.channels();
        let config = bundle.config;
        let origin = Path::new(&config.name);
        let network = device.network(&config.model, channels, bundle.tensors, origin)?;
        Ok(Self::of_network(config, network))
    }

    /// A network of another kind, as its configuration describes it: bands, scale and
    /// classes, and the size and overlap of its windows.
    pub fn of_network(config: Config, network: Box<dyn Network>) -> Self {
        Self {
            network,
            decision: Decision::new(&config.calibration, config.model.classes),
            identity: Identity {
                name: config.name.clone(),
                sha256: String::new(),
            },
            config,
        }
    }

    /// The same model as masks record it.
    pub fn with_identity(self, identity: Identity) -> Self {
        Self { identity, ..self }
    }

    /// What the model is, and how its input is read.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Which model masks say they are from.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Names of its bands, in the order of its input's channels.
    pub fn bands(&self) -> &[String] {
        &self.config.data.bands
    }

    /// The network itself, whose scores are not calibrated.
    pub fn network(&self) -> &dyn Network {
        self.network.as_ref()
    }

    /// Prepares the prediction of `scene`, as the model was trained for: finds its bands and
    /// checks that its numbers can be reflectance. It is computed when it is written or asked
    /// for.
    ///
    /// # Errors
    /// A scene that lacks a band which the model needs, whose numbers can't be reflectance, or
    /// that can't be read.
    pub fn predict<'a>(&'a self, scene: &'a dyn Scene) -> Result<Prediction<'a>> {
        self.predict_with(scene, &PredictOptions::default())
    }

    /// The same with other options.
    ///
    /// # Errors
    /// As for [`predict`](Self::predict); options out of range, or that the model can't follow.
    pub fn predict_with<'a>(
        &'a self,
        scene: &'a dyn Scene,
        options: &PredictOptions,
    ) -> Result<Prediction<'a>> {
        self.check_graph(scene.info(), options.graph)?;
        let input = SceneInput::of(scene, &self.config.data)?;
        Prediction::new(self, scene, input, options.clone())
    }

    /// The same of a scene whose bands were looked at already.
    ///
    /// # Errors
    /// As for [`predict_with`](Self::predict_with).
    pub fn predict_input<'a>(
        &'a self,
        scene: &'a dyn Scene,
        input: SceneInput,
        options: &PredictOptions,
    ) -> Result<Prediction<'a>> {
        Prediction::new(self, scene, input, options.clone())
    }

    /// Segments an image in memory.
    ///
    /// An image of up to twice the model's size on each side goes through the network whole,
    /// padded to whole patches with its own reflection where the network takes no others. A
    /// larger one is cut into overlapping windows of the model's size whose class scores are
    /// blended ([`window_for`](super::window_for)).
    ///
    /// # Shapes
    /// - image: `[channels, height, width]`, scaled as the model was trained; numbers at pixels
    ///   that are not valid are ignored
    /// - valid: `[height, width]`
    ///
    /// # Errors
    /// Sizes that differ, an image without pixels, or weights that give numbers that are not
    /// finite.
    ///
    /// # Panics
    /// Another number of channels than the model takes.
    pub fn predict_image(&self, image: &Array3<f32>, valid: &Array2<bool>) -> Result<Segmentation> {
        let mut scores = self.class_scores(image, valid)?;
        self.decision.calibrate(&mut scores);
        Ok(Segmentation::from_scores(scores, valid, &self.decision))
    }

    /// Class scores (logits) of an image, `[classes, height, width]`, not calibrated; 0 where
    /// every window is without a valid pixel. Otherwise as
    /// [`predict_image`](Self::predict_image).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    pub fn class_scores(&self, image: &Array3<f32>, valid: &Array2<bool>) -> Result<Array3<f32>> {
        scores(self, &self.config.model, image.view(), valid)
    }

    /// How scores become classes.
    pub(super) fn decision(&self) -> &Decision {
        &self.decision
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

    /// Refuses a graph over all patches of a scene ([`GraphScope::Scene`]) that the model can't
    /// have, by its metadata alone: before a pixel is read.
    ///
    /// # Errors
    /// The network is an architecture without patches, its graph compares all pairs of patches
    /// and can't take so many of them, or they don't fit into memory.
    pub fn check_graph(&self, info: &SceneInfo, graph: GraphScope) -> Result<()> {
        if graph != GraphScope::Scene {
            return Ok(());
        }
        self.parts()?;
        let model = &self.config.model;
        let [height, width] = info.size;
        let nodes = (model.grid(height, width))
            .map_or(0, |(rows, cols)| (rows as u64).saturating_mul(cols as u64));
        check_affinity_nodes(model, nodes)?;
        // Tokens, blended and as the graph's nodes, in f32.
        let token = 4 * 2 * (model.patch.width + model.graph.width) as u64;
        memory::check("`options.graph = scene`", nodes.saturating_mul(2 * token))
    }
}

impl Forward for Model {
    fn forward(&self, windows: Array4<f32>) -> Result<Array4<f32>> {
        self.network.forward(windows)
    }
}
