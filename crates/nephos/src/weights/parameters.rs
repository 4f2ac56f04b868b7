//! The parameters of the graph transformer: names, shapes and initial values.

use std::collections::HashMap;
use std::path::Path;

use rand::SeedableRng;
use rand::distr::{Distribution, Uniform};
use rand_chacha::ChaCha12Rng;
use rand_distr::Normal;

use crate::config::{Affinity, ModelConfig, PositionKind};
use crate::error::Result;
use crate::weights::exchange::{self, TorchTensors};
use crate::weights::torch::NamedTensor;

/// Weight of a fresh residual branch: near zero, so that a deep stack begins as the identity
/// and needs no normalisation (De & Smith 2020, doi:10.48550/arXiv.2002.10444).
const INITIAL_GAIN: f64 = 0.1;

/// Standard deviation of a fresh learned position (Dosovitskiy et al. 2021).
const POSITION_STD: f64 = 0.02;

/// Kaiming's gain in PyTorch's layers: they start uniform in ±1/√(inputs).
const PYTORCH: f64 = 0.577_350_269_189_625_8;

/// One tensor that training changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its dotted name in the network, as `encoder.layers.0.linear1.weight`.
    pub name: String,
    /// Extents. Weights of linear layers are `[inputs, outputs]`, those of convolutions
    /// `[outputs, inputs, rows, columns]`.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

/// All parameters of a network, in the order of its layers.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    tensors: Vec<Parameter>,
    places: HashMap<String, usize>,
}

/// How a parameter starts.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Start {
    /// Uniform between minus and plus this.
    Uniform(f64),
    /// Normal around 0 with this standard deviation.
    Normal(f64),
    Constant(f64),
}

impl Parameters {
    /// The initial parameters of the network of `config` for images of `channels` channels, a
    /// function of the seed.
    ///
    /// Convolutions and linear layers start uniform in ±1/√(inputs) as in PyTorch, biases
    /// included; the packed projection of attention Xavier uniform; biases of attention, and
    /// the affinity's scale where the configuration says no other, at zero; norms at one and
    /// zero. The 3×3 convolutions of stem and stages start Kaiming uniform for ReLU (He et al.
    /// 2015).
    ///
    /// # Panics
    /// The configuration was not validated, or is that of a baseline.
    pub fn draw(config: &ModelConfig, channels: usize, seed: u64) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let values = |shape: &[usize], start| {
            let count = shape.iter().product();
            match start {
                Start::Uniform(bound) => {
                    let range = Uniform::new(-bound as f32, bound as f32);
                    let range = range.expect("a bound above zero");
                    (0..count).map(|_| range.sample(&mut rng)).collect()
                }
                Start::Normal(deviation) => {
                    let normal = Normal::new(0.0, deviation).expect("a deviation above zero");
                    (0..count).map(|_| normal.sample(&mut rng) as f32).collect()
                }
                Start::Constant(value) => vec![value as f32; count],
            }
        };
        Self::of(config, channels, values)
    }

    /// Number of values of the network of `config`.
    ///
    /// # Panics
    /// As [`Parameters::draw`].
    pub fn count(config: &ModelConfig, channels: usize) -> usize {
        let mut list = List::default();
        list.network(config, channels);
        let shapes = list.0.iter();
        shapes
            .map(|(_, shape, _)| shape.iter().product::<usize>())
            .sum()
    }

    fn of(
        config: &ModelConfig,
        channels: usize,
        mut values: impl FnMut(&[usize], Start) -> Vec<f32>,
    ) -> Self {
        let mut list = List::default();
        list.network(config, channels);
        let tensors = (list.0.into_iter())
            .map(|(name, shape, start)| {
                let values = values(&shape, start);
                Parameter {
                    name,
                    shape,
                    values,
                }
            })
            .collect();
        Self::new(tensors)
    }

    fn new(tensors: Vec<Parameter>) -> Self {
        let places = (tensors.iter().enumerate())
            .map(|(place, tensor)| (tensor.name.clone(), place))
            .collect();
        Self { tensors, places }
    }

    /// `tensors` under PyTorch's names and in its layouts, in the order of the network's
    /// layers, if they are all of the network's parameters and no others; see
    /// [`Parameters::from_torch`].
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As [`Parameters::draw`].
    pub fn check_torch(
        config: &ModelConfig,
        channels: usize,
        tensors: Vec<NamedTensor>,
        origin: &Path,
    ) -> Result<Vec<NamedTensor>> {
        let mut list = List::default();
        list.network(config, channels);
        let mut file = TorchTensors::new(tensors);
        let take = |(name, shape, _): (String, Vec<usize>, _)| file.take_stored(&name, &shape);
        let tensors = list.0.into_iter().filter_map(take).collect();
        file.finish(origin)?;
        Ok(tensors)
    }

    /// The network's parameters out of `tensors` under PyTorch's names and in its layouts, in
    /// any order, with or without the prefix `module.`; errors call their file `origin`.
    ///
    /// # Errors
    /// Everything that does not fit, in one message: tensors that are missing,
    /// unexpected, there twice, of another shape, or hold a number that is not finite.
    ///
    /// # Panics
    /// As [`Parameters::draw`].
    pub fn from_torch(
        config: &ModelConfig,
        channels: usize,
        tensors: Vec<NamedTensor>,
        origin: &Path,
    ) -> Result<Self> {
        let mut list = List::default();
        list.network(config, channels);
        let mut file = TorchTensors::new(tensors);
        let tensors = (list.0.into_iter())
            .map(|(name, shape, _)| {
                let values = file.take(&name, &shape).unwrap_or_default();
                Parameter {
                    name,
                    shape,
                    values,
                }
            })
            .collect();
        file.finish(origin)?;
        Ok(Self::new(tensors))
    }

    /// The parameters under PyTorch's names and in its layouts.
    pub fn to_torch(&self) -> Vec<NamedTensor> {
        (self.tensors.iter())
            .map(|tensor| exchange::export(&tensor.name, &tensor.shape, tensor.values.clone()))
            .collect()
    }

    /// As [`Parameters::to_torch`], of parameters that are not needed any more.
    pub fn into_torch(self) -> Vec<NamedTensor> {
        (self.tensors.into_iter())
            .map(|tensor| exchange::export(&tensor.name, &tensor.shape, tensor.values))
            .collect()
    }

    /// The tensors, in the order of the network's layers.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.tensors.iter()
    }

    /// The tensors, to be changed.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Parameter> {
        self.tensors.iter_mut()
    }

    /// A parameter by its name.
    pub(crate) fn find(&self, name: &str) -> Option<&Parameter> {
        self.places.get(name).map(|place| &self.tensors[*place])
    }

    /// The values of a parameter, if it has this shape.
    pub(crate) fn values(&self, name: &str, shape: &[usize]) -> Option<&[f32]> {
        let parameter = self.find(name)?;
        (parameter.shape == shape).then_some(&parameter.values)
    }
}

/// Names, shapes and initial values, in the order of the network's layers.
#[derive(Default)]
struct List(Vec<(String, Vec<usize>, Start)>);

impl List {
    fn push(&mut self, name: String, shape: &[usize], start: Start) {
        self.0.push((name, shape.to_vec(), start));
    }

    /// Weight and bias of a convolution from `inputs` channels per group.
    fn conv(&mut self, name: &str, [inputs, outputs]: [usize; 2], side: usize, gain: f64) {
        let shape = [outputs, inputs, side, side];
        let start = kaiming(gain, inputs * side * side);
        self.push(format!("{name}.weight"), &shape, start);
        self.push(format!("{name}.bias"), &[outputs], start);
    }

    /// As [`List::conv`], with PyTorch's bounds.
    fn plain_conv(&mut self, name: &str, sizes: [usize; 2], side: usize) {
        self.conv(name, sizes, side, PYTORCH);
    }

    /// As [`List::conv`], 3×3, with bounds for a ReLU.
    fn relu_conv(&mut self, name: &str, sizes: [usize; 2]) {
        self.conv(name, sizes, 3, std::f64::consts::SQRT_2);
    }

    fn linear(&mut self, name: &str, [inputs, outputs]: [usize; 2], bias: Option<Start>) {
        let start = linear_start(inputs);
        let shape = [inputs, outputs];
        self.push(format!("{name}.weight"), &shape, start);
        if let Some(bias) = bias {
            self.push(format!("{name}.bias"), &[outputs], bias);
        }
    }

    fn norm(&mut self, name: &str, width: usize) {
        self.push(format!("{name}.gamma"), &[width], Start::Constant(1.0));
        self.push(format!("{name}.beta"), &[width], Start::Constant(0.0));
    }

    fn residual(&mut self, name: &str, width: usize) {
        self.relu_conv(&format!("{name}.conv1"), [width; 2]);
        self.relu_conv(&format!("{name}.conv2"), [width; 2]);
        let gain = Start::Constant(INITIAL_GAIN);
        self.push(format!("{name}.gain"), &[1], gain);
    }

    fn network(&mut self, config: &ModelConfig, channels: usize) {
        let mut inputs = channels;
        for (level, &width) in config.stem.channels.iter().enumerate() {
            let name = format!("stem.levels.{level}");
            self.relu_conv(&format!("{name}.down"), [inputs, width]);
            self.residual(&format!("{name}.block"), width);
            inputs = width;
        }
        let patch = &config.patch;
        let side = patch.size / config.stem.reduction();
        self.plain_conv("patch_embed.proj", [inputs, patch.width], side);
        self.position(config);
        self.encoder(config);
        self.graph(config);
        self.decoder(config, channels);
    }

    fn position(&mut self, config: &ModelConfig) {
        let width = config.patch.width;
        match config.encoder.position {
            PositionKind::Learned => {
                let (rows, cols) = (config.grid(config.image_size, config.image_size))
                    .expect("a validated configuration has a grid");
                let shape = [1, width, rows, cols];
                let start = Start::Normal(POSITION_STD);
                self.push("position.embedding".to_owned(), &shape, start);
            }
            PositionKind::Conditional => self.plain_conv("position.conditional", [1, width], 3),
            PositionKind::Sincos | PositionKind::None => (),
        }
    }

    fn encoder(&mut self, config: &ModelConfig) {
        let (encoder, width) = (&config.encoder, config.patch.width);
        let zeros = Start::Constant(0.0);
        for layer in 0..encoder.depth {
            let name = |part: &str| format!("encoder.layers.{layer}.{part}");
            // Xavier: of inputs and outputs.
            let deviation = (2.0 / (width + 3 * width) as f64).sqrt();
            let xavier = Start::Uniform(3f64.sqrt() * deviation);
            let shape = [width, 3 * width];
            self.push(name("self_attn.in_proj.weight"), &shape, xavier);
            self.push(name("self_attn.in_proj.bias"), &[3 * width], zeros);
            self.linear(&name("self_attn.out_proj"), [width; 2], Some(zeros));
            let hidden = encoder.feed_forward;
            let bias = |inputs| Some(linear_start(inputs));
            self.linear(&name("linear1"), [width, hidden], bias(width));
            self.linear(&name("linear2"), [hidden, width], bias(hidden));
            self.norm(&name("norm1"), width);
            self.norm(&name("norm2"), width);
        }
        if encoder.final_norm {
            self.norm("encoder.norm", width);
        }
        for tap in 0..encoder.taps.len() {
            let name = |part: &str| format!("encoder.taps.{tap}.{part}");
            self.norm(&name("norm"), width);
            let bias = Some(linear_start(width));
            self.linear(&name("project"), [width; 2], bias);
        }
    }

    fn graph(&mut self, config: &ModelConfig) {
        let graph = &config.graph;
        let pair = 2 * graph.width / graph.heads;
        for layer in 0..graph.layers {
            let name = |part: &str| format!("graph.layers.{layer}.{part}");
            let inputs = match layer {
                0 => config.patch.width,
                _ => graph.width,
            };
            self.linear(&name("project"), [inputs, graph.width], None);
            let score = Start::Uniform(1.0 / (pair as f64).sqrt());
            self.push(name("score"), &[graph.heads, pair], score);
            if graph.affinity == Affinity::Bias {
                let scale = Start::Constant(graph.affinity_start);
                self.push(name("affinity_scale"), &[1], scale);
            }
        }
    }

    fn decoder(&mut self, config: &ModelConfig, channels: usize) {
        let decoder = &config.decoder;
        let skip = if decoder.skip { config.patch.width } else { 0 };
        let inputs = config.graph_width() + skip;
        self.plain_conv("decoder.conv1", [inputs, decoder.width], decoder.kernel);
        let mut inputs = decoder.width;
        for (stage, &width) in decoder.stages.iter().enumerate() {
            let name = |part: &str| format!("decoder.stages.{stage}.{part}");
            let detail = config.detail_width(stage, channels).unwrap_or(0);
            self.plain_conv(&name("reduce"), [inputs, width], 1);
            self.relu_conv(&name("join"), [width + detail, width]);
            if decoder.residual {
                self.residual(&name("block"), width);
            }
            inputs = width;
        }
        self.plain_conv("decoder.conv_out", [inputs, config.classes], 1);
    }
}

/// Of a linear layer and its bias.
fn linear_start(inputs: usize) -> Start {
    kaiming(PYTORCH, inputs)
}

/// Uniform with `gain / √inputs` as standard deviation (He et al. 2015).
fn kaiming(gain: f64, inputs: usize) -> Start {
    Start::Uniform(3f64.sqrt() * gain * (1.0 / (inputs as f64).sqrt()))
}
