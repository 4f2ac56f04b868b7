//! A network on a device, as the run needs it.

use std::sync::{Mutex, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array, Array2, Array3, Array4, Dimension};

use super::decision::Decision;
use super::forward::Forward;
use super::memory;
use super::prediction::{Prediction, scores};
use super::scene_graph::GraphForward;
use crate::config::ModelConfig;
use crate::device::is_plain_cpu;
use crate::error::{Error, Result};
use crate::model::cpu::{Engine, Scratch};
use crate::model::weights::collect;
use crate::model::{GraphTransformer, Segmenter};
use crate::scene::SceneInfo;

/// A network that is ready to predict.
#[derive(Debug)]
pub struct Network {
    form: Form,
    decision: Decision,
}

/// Most nodes of a graph whose layers compare all pairs of patches: with more, the
/// pairs take minutes.
const MAX_AFFINITY_NODES: usize = 65_536;

#[derive(Debug)]
enum Form {
    /// Packed for this machine's CPU; the memory it computes in is kept.
    Packed(Box<Engine>, Box<Mutex<Scratch>>),
    /// As tensors, on any device.
    Tensors(Box<Segmenter>, Device),
}

impl Network {
    /// Makes a network on `device` ready: packed where the device is the CPU and the
    /// engine knows the network, else as it is.
    pub fn new(segmenter: Segmenter, device: &Device) -> Self {
        let config = segmenter.config().clone();
        let packs = config.kind.is_segmenter() && Engine::knows(&config);
        let form = if is_plain_cpu(device) && packs {
            let weights = collect(&segmenter);
            // Weights exist twice while they are packed, not three times.
            drop(segmenter);
            let engine = Engine::new(&config, weights.into_iter().collect());
            let engine = engine.expect("a network has the weights of its configuration");
            Form::Packed(Box::new(engine), Box::default())
        } else {
            Form::Tensors(Box::new(segmenter), device.clone())
        };
        Self {
            form,
            decision: Decision::default(),
        }
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
}

impl Forward for Network {
    fn forward(&self, windows: Array4<f32>) -> Result<Array4<f32>> {
        let (count, bands, height, width) = windows.dim();
        let windows = windows.as_standard_layout();
        let pixels = windows.as_slice().unwrap_or_default();
        let (classes, scores) = match &self.form {
            Form::Packed(engine, scratch) => {
                let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
                let mut scores = vec![0.0; count * engine.classes() * height * width];
                engine.forward(pixels, [count, height, width], &mut scratch, &mut scores);
                (engine.classes(), scores)
            }
            Form::Tensors(segmenter, device) => {
                let data = TensorData::new(pixels.to_vec(), [count, bands, height, width]);
                let scores = segmenter.forward(Tensor::<4>::from_data(data, device)); // [n, classes, h, w]
                let classes = scores.dims()[1];
                let scores = scores
                    .try_into_vec_as::<f32>()
                    .map_err(|e| Error::unsupported("the device", e.to_string()))?;
                (classes, scores)
            }
        };
        Array4::from_shape_vec((count, classes, height, width), scores)
            .map_err(|e| Error::unsupported("the model", e.to_string()))
    }
}

impl GraphForward for Network {
    fn encode(&self, windows: Array4<f32>) -> Result<Array4<f32>> {
        let (segmenter, device) = self.tensors()?;
        array(segmenter.tokens(tensor(windows, device)))
    }

    fn refine(&self, encoded: Array2<f32>) -> Result<Array2<f32>> {
        let (segmenter, device) = self.tensors()?;
        let nodes = encoded.nrows();
        if segmenter.wants_affinity() && nodes > MAX_AFFINITY_NODES {
            return Err(too_many_pairs(nodes as u64));
        }
        array(segmenter.refine_nodes(tensor(encoded, device)))
    }

    fn decode(
        &self,
        image: Array3<f32>,
        nodes: Array3<f32>,
        embeddings: Array3<f32>,
    ) -> Result<Array3<f32>> {
        let (segmenter, device) = self.tensors()?;
        let [image, nodes, embeddings] =
            [image, nodes, embeddings].map(|values| tensor::<3, _>(values, device));
        array(segmenter.decode(image, nodes, embeddings))
    }
}

impl Network {
    /// A network on `device` as it is, whose parts can be called one by one
    /// ([`GraphForward`]).
    pub fn in_parts(segmenter: Segmenter, device: &Device) -> Self {
        Self {
            form: Form::Tensors(Box::new(segmenter), device.clone()),
            decision: Decision::default(),
        }
    }

    /// Refuses a graph over all patches of a scene before anything is computed for it.
    ///
    /// # Errors
    /// The network is an architecture without patches, its graph can't take so many of
    /// them, or they don't fit into memory.
    pub(super) fn check_graph(&self, config: &ModelConfig, info: &SceneInfo) -> Result<()> {
        let (segmenter, _) = self.tensors()?;
        let [height, width] = info.size;
        let nodes = (config.grid(height, width))
            .map_or(0, |(rows, cols)| (rows as u64).saturating_mul(cols as u64));
        if segmenter.wants_affinity() && nodes > MAX_AFFINITY_NODES as u64 {
            return Err(too_many_pairs(nodes));
        }
        // Tokens, blended and as the graph's nodes, in f32.
        let token = 4 * 2 * (config.patch.width + config.graph.width) as u64;
        memory::check("--graph scene", nodes.saturating_mul(2 * token))
    }

    fn tensors(&self) -> Result<(&GraphTransformer, &Device)> {
        match &self.form {
            Form::Tensors(segmenter, device) => Ok((
                segmenter.graph("graph over the scene (--graph scene)")?,
                device,
            )),
            Form::Packed(..) => Err(Error::unsupported(
                "a graph over the whole scene",
                "the network is packed; make it by Network::in_parts",
            )),
        }
    }
}

fn too_many_pairs(nodes: u64) -> Error {
    Error::limits(
        "--graph scene",
        format!(
            "the scene has {nodes} patches; this model's graph compares all pairs \
             (model.graph.affinity), which goes up to {MAX_AFFINITY_NODES}"
        ),
    )
}

fn tensor<const D: usize, N: Dimension>(values: Array<f32, N>, device: &Device) -> Tensor<D> {
    let shape = values.shape().to_vec();
    let values: Vec<f32> = values.into_iter().collect();
    Tensor::from_data(TensorData::new(values, shape), device)
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
