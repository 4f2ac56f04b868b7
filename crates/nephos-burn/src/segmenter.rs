//! Whatever network segments images.

use burn::module::{
    Content, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
};
use burn::tensor::{Device, Tensor};

use crate::baseline::Baseline;
use crate::compute::Compute;
use crate::cost;
use crate::graph_transformer::GraphTransformer;
use crate::module_path::{ModulePath, keep_path};
use nephos::config::{ModelConfig, Precision};
use nephos::{Error, Result};

/// A network that gives every pixel of an image a score for each class:
/// [`GraphTransformer`], or a published architecture to compare with ([`Baseline`]), as
/// `model.kind` says.
///
/// Images of any size work; some networks take whole patches alone and fill those up with
/// the image's own reflection ([`ModelConfig::padded`]).
// One network is alive at a time: its size on the stack does not matter.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone)]
pub enum Segmenter {
    /// The network of nephos.
    Graph(GraphTransformer),
    /// A published architecture.
    Baseline(Baseline),
}

/// The network, of either kind.
macro_rules! each {
    ($segmenter:expr, $network:ident => $value:expr) => {
        match $segmenter {
            Segmenter::Graph($network) => $value,
            Segmenter::Baseline($network) => $value,
        }
    };
}

impl Segmenter {
    /// A network for images of `channels` channels, with initial weights drawn from
    /// the device's generator: seed it with [`Device::seed`] for the same weights
    /// again.
    ///
    /// Those of [`GraphTransformer`] are PyTorch's: convolutions and linear layers start
    /// uniform in ±1/√(inputs), biases included; the packed projection of attention
    /// starts Xavier uniform; its biases, and the affinity's scale, start at zero; norms
    /// at one and zero. The 3×3 convolutions of stem and stages start Kaiming uniform,
    /// for ReLU.
    ///
    /// # Panics
    /// The configuration was not validated.
    pub fn new(config: &ModelConfig, channels: usize, device: &Device) -> Self {
        let segmenter = Self::unset(config, channels, device);
        segmenter.visit(&mut Draw);
        segmenter
    }

    /// A network whose weights are drawn only when first used, for a caller that
    /// sets all of them.
    pub(crate) fn unset(config: &ModelConfig, channels: usize, device: &Device) -> Self {
        match Baseline::unset(config, channels, device) {
            Some(baseline) => Self::Baseline(baseline),
            None => Self::Graph(GraphTransformer::unset(config, channels, device)),
        }
    }

    /// What the network is.
    pub fn config(&self) -> &ModelConfig {
        each!(self, network => network.config())
    }

    /// The network of nephos, whose parts can be called one by one.
    ///
    /// # Errors
    /// It is another architecture, which has no `what`.
    pub(crate) fn graph(&self, what: &str) -> Result<&GraphTransformer> {
        match self {
            Self::Graph(network) => Ok(network),
            Self::Baseline(_) => Err(Error::unsupported(
                format!("a model of model.kind \"{}\"", self.config().kind.name()),
                format!("it has no graph of patches, so there is no {what}"),
            )),
        }
    }

    /// Class scores (logits) of every pixel, in f32.
    ///
    /// # Shapes
    /// - images: `[B, channels, H, W]`
    /// - output: `[B, classes, H, W]`, f32
    ///
    /// # Panics
    /// Another number of channels, or an image smaller than one patch, that is
    /// one for which [`ModelConfig::grid`] is `None`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        self.forward_with(images, Precision::F32)
    }

    /// As [`Segmenter::forward`], with matrix products and convolutions in
    /// `precision`; weights, norms, softmax and the logits stay in f32.
    ///
    /// # Panics
    /// As [`Segmenter::forward`].
    pub fn forward_with(&self, images: Tensor<4>, precision: Precision) -> Tensor<4> {
        let [_, _, height, width] = images.dims();
        let coarse = self.forward_coarse(images, precision); // [B, classes, rows, cols]
        self.upsample(coarse, [height, width])
    }

    /// Class scores of every cell of the network's last grid, before upsampling to the
    /// pixels of the (padded) image; see [`GraphTransformer::forward_coarse`].
    ///
    /// # Shapes
    /// - images: `[B, channels, H, W]`
    /// - output: `[B, classes, rows, cols]`, f32
    ///
    /// # Panics
    /// As [`Segmenter::forward`].
    pub fn forward_coarse(&self, images: Tensor<4>, precision: Precision) -> Tensor<4> {
        match self {
            Self::Graph(network) => network.forward_coarse(images, precision),
            Self::Baseline(network) => network.forward_coarse(images, Compute::from(precision)),
        }
    }

    /// Brings the scores of [`Segmenter::forward_coarse`] to the pixels of the image.
    ///
    /// # Shapes
    /// - coarse: `[B, classes, rows, cols]`
    /// - output: `[B, classes, height, width]` for `size = [height, width]`
    pub fn upsample(&self, coarse: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        each!(self, network => network.upsample(coarse, size))
    }

    /// Numbers that training changes; running statistics are not among them.
    pub fn parameters(&self) -> usize {
        let mut count = Count::default();
        self.visit(&mut count);
        count.parameters
    }

    /// Multiplications (each with its addition) of convolutions, linear layers and
    /// attention for an image of so many rows and columns. A graph attention without affinity
    /// counts as none: its sums need not grow with the pairs of patches.
    pub fn multiplications(&self, channels: usize, [rows, cols]: [usize; 2]) -> u64 {
        let network = self.valid();
        let device = network.devices().first().cloned().unwrap_or_default();
        cost::multiplications(|| {
            network.forward(Tensor::zeros([1, channels, rows, cols], &device));
        })
    }
}

// Derived, a variant's name would stand in the names of its parameters: those of
// checkpoints are the graph transformer's own.
impl Module for Segmenter {
    fn collect_devices(&self, devices: Vec<Device>) -> Vec<Device> {
        each!(self, network => network.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        match self {
            Self::Graph(network) => Self::Graph(network.fork(device)),
            Self::Baseline(network) => Self::Baseline(network.fork(device)),
        }
    }

    fn to_device(self, device: &Device) -> Self {
        match self {
            Self::Graph(network) => Self::Graph(network.to_device(device)),
            Self::Baseline(network) => Self::Baseline(network.to_device(device)),
        }
    }

    fn train(self) -> Self {
        match self {
            Self::Graph(network) => Self::Graph(network.train()),
            Self::Baseline(network) => Self::Baseline(network.train()),
        }
    }

    fn valid(&self) -> Self {
        match self {
            Self::Graph(network) => Self::Graph(network.valid()),
            Self::Baseline(network) => Self::Baseline(network.valid()),
        }
    }

    fn materialize(self) -> Self {
        match self {
            Self::Graph(network) => Self::Graph(network.materialize()),
            Self::Baseline(network) => Self::Baseline(network.materialize()),
        }
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        each!(self, network => network.visit(visitor))
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        match self {
            Self::Graph(network) => Self::Graph(network.map(mapper)),
            Self::Baseline(network) => Self::Baseline(network.map(mapper)),
        }
    }
}

impl ModuleDisplayDefault for Segmenter {
    fn content(&self, content: Content) -> Option<Content> {
        each!(self, network => ModuleDisplayDefault::content(network, content))
    }
}

impl ModuleDisplay for Segmenter {}

/// Draws weights that wait for their first use, in the fixed order of the
/// network's fields: an order of use would make them depend on the first image.
struct Draw;

impl ModuleVisitor for Draw {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        param.val();
    }
}

/// Counts what training changes.
#[derive(Default)]
struct Count {
    path: ModulePath,
    parameters: usize,
}

impl ModuleVisitor for Count {
    keep_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if !self.path.last().starts_with("running_") {
            self.parameters += param.lazy_shape().num_elements();
        }
    }
}
