//! The engine against the published PyTorch model, from golden tensors: each folder of
//! `tests/parity` holds them beside the script that made them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::{Array3, Array4};
use nephos_kernel::interpolate::Bilinear;

use super::decoder::{self, Decoder};
use super::embed::Embed;
use super::encoder::{self, Encoder};
use super::gradients::Gradients;
use super::graph::{self, Graph};
use super::inference::Scratch;
use super::shape::Shape;
use super::stem::Features;
use super::weights::Source;
use super::{CpuLearner, CpuNetwork};
use crate::config::{
    Activation, Affinity, Config, DecoderConfig, EncoderConfig, GraphConfig, ModelConfig,
    NormOrder, OptimizerKind, PatchConfig,
};
use crate::network::{Forward, Learner, Network, Target, TrainingBatch};
use crate::weights::exchange::{TorchTensors, export};
use crate::weights::{NamedTensor, Parameter, Parameters, read};

/// Largest absolute difference of outputs, and largest difference of a gradient
/// relative to that gradient's largest entry.
const OUTPUT: f32 = 1e-4;
const GRADIENT: f32 = 1e-3;

/// The tensors of one golden file.
struct Golden {
    path: PathBuf,
    tensors: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Golden {
    fn open(case: &str, file: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity");
        let path = folder.join(case).join(file);
        let tensors = read(&path).unwrap().into_iter();
        Self {
            tensors: tensors.map(|(name, s, v)| (name, (s, v))).collect(),
            path,
        }
    }

    fn values(&self, name: &str) -> Vec<f32> {
        self.tensors[name].1.clone()
    }

    /// The tensors whose names begin with `group/`, without it.
    fn group(&self, group: &str) -> Vec<NamedTensor> {
        let prefix = format!("{group}/");
        (self.tensors.iter())
            .filter_map(|(name, (shape, values))| {
                let name = name.strip_prefix(&prefix)?;
                Some((name.to_owned(), shape.clone(), values.clone()))
            })
            .collect()
    }

    /// The parameters of a network of `config` whose part `part` has the file's weights.
    fn parameters(&self, config: &ModelConfig, part: &str) -> Parameters {
        let mut parameters = Parameters::draw(config, 3, 1);
        let mut file = TorchTensors::new(self.group("weight"));
        for tensor in parameters.iter_mut() {
            if let Some(name) = tensor.name.strip_prefix(part) {
                tensor.values = file.take(name, &tensor.shape).unwrap_or_default();
            }
        }
        file.finish(&self.path).unwrap();
        parameters
    }

    /// Holds values of ours against the golden ones, absolutely.
    fn check(&self, name: &str, ours: &[f32]) {
        let difference = largest_difference(ours, &self.tensors[name].1);
        assert!(difference <= OUTPUT, "{name} differs by {difference}");
    }

    /// Holds gradients of ours against the golden ones: the same names, and each
    /// relative to its largest entry.
    fn check_gradients(&self, group: &str, ours: Vec<NamedTensor>) {
        let golden = self.group(group);
        assert!(!golden.is_empty(), "{} has no {group}", self.path.display());
        assert_eq!(ours.len(), golden.len(), "number of gradients");
        let ours: BTreeMap<_, _> = ours.into_iter().map(|(n, s, v)| (n, (s, v))).collect();
        for (name, shape, golden) in golden {
            let (our_shape, ours) = &ours[&name];
            assert_eq!(*our_shape, shape, "shape of the gradient of {name}");
            let scale = golden.iter().fold(0.0f32, |max, v| max.max(v.abs()));
            let difference = largest_difference(ours, &golden);
            // Some gradients are zero but for rounding: a key's bias moves all
            // scores of a row alike, which softmax does not see.
            assert!(
                difference <= GRADIENT * scale.max(1e-4),
                "gradient of {name} differs by {difference}, its largest entry is {scale}"
            );
        }
    }

    /// Holds the gradients of the part `part` of a network against the golden ones.
    fn check_part(&self, parameters: &Parameters, gradients: &Gradients, part: &str) {
        let of = |tensor: &Parameter| {
            let name = tensor.name.strip_prefix(part)?;
            let gradient = gradients.get(&tensor.name).to_vec();
            Some(export(name, &tensor.shape, gradient))
        };
        let ours = parameters.iter().filter_map(of).collect();
        self.check_gradients("grad", ours);
    }

    /// Holds the gradients by inputs against the golden ones.
    fn check_inputs(&self, ours: &[(&str, Vec<f32>)]) {
        let named = |(name, values): &(&str, Vec<f32>)| {
            let shape = self.tensors[&format!("input/{name}")].0.clone();
            ((*name).to_owned(), shape, values.clone())
        };
        self.check_gradients("input_grad", ours.iter().map(named).collect());
    }
}

fn largest_difference(ours: &[f32], golden: &[f32]) -> f32 {
    assert_eq!(ours.len(), golden.len());
    (ours.iter().zip(golden)).fold(0.0, |max, (a, b)| {
        let difference = (a - b).abs();
        if difference.is_nan() {
            f32::INFINITY
        } else {
            max.max(difference)
        }
    })
}

/// Two images of so many tokens.
fn tokens(grid: [usize; 2], pixels: [usize; 2]) -> Shape {
    Shape {
        batch: 2,
        pixels,
        padded: pixels,
        grid,
        reach: None,
    }
}

fn source(parameters: &Parameters) -> Source<'_> {
    Source::Trained(parameters, Default::default())
}

#[test]
fn patch_embed() {
    let golden = Golden::open("patch_embed", "golden.safetensors");
    let config = ModelConfig {
        patch: PatchConfig {
            size: 7,
            stride: 5,
            padding: 2,
            width: 8,
        },
        ..ModelConfig::default()
    };
    let parameters = golden.parameters(&config, "patch_embed.");
    let embed = Embed::new(&config, 3, &mut source(&parameters)).unwrap();
    let images = golden.values("input/images");
    let batch = images.len() / (3 * 23 * 31);
    let shape = Shape::of(&config, [batch, 23, 31]);
    assert_eq!(shape.grid, [5, 6]);
    let none = Features::default();
    let (mut scratch, mut watch) = (Scratch::default(), |_| ());
    let mut pass = scratch.pass(&mut watch);
    golden.check("output", &embed.forward(&images, &none, shape, &mut pass));
    let mut gradients = Gradients::default();
    let probe = golden.values("probe");
    embed.backward(&images, &none, shape, &probe, &mut gradients);
    golden.check_part(&parameters, &gradients, "patch_embed.");
}

#[test]
fn encoder() {
    let post = EncoderConfig {
        depth: 2,
        heads: 4,
        feed_forward: 32,
        dropout: 0.0,
        ..EncoderConfig::default()
    };
    let pre = EncoderConfig {
        activation: Activation::Gelu,
        norm: NormOrder::Pre,
        final_norm: true,
        ..post.clone()
    };
    for (file, encoder) in [("post.safetensors", post), ("pre.safetensors", pre)] {
        let golden = Golden::open("encoder", file);
        let mut config = ModelConfig::default();
        config.patch.width = 16;
        config.encoder = encoder;
        let parameters = golden.parameters(&config, "encoder.");
        for checkpointing in [false, true] {
            let encoder = Encoder::new(&config, &mut source(&parameters)).unwrap();
            let shape = tokens([1, 11], [0, 0]);
            let (mut scratch, mut watch) = (Scratch::default(), |_| ());
            let pass = &mut scratch.pass(&mut watch);
            pass.checkpointing = checkpointing;
            let mut saved = encoder::Saved::default();
            let input = golden.values("input/tokens").into();
            let output = encoder.forward(input, shape, pass, Some(&mut saved));
            golden.check("output", &output);
            let mut gradients = Gradients::default();
            let probe = golden.values("probe");
            let of_tokens = encoder.backward(saved, shape, probe, None, &mut gradients);
            golden.check_part(&parameters, &gradients, "encoder.");
            golden.check_inputs(&[("tokens", of_tokens)]);
        }
    }
}

#[test]
fn graph() {
    for (file, heads, affinity) in [
        ("reference.safetensors", 1, Affinity::None),
        ("heads.safetensors", 3, Affinity::None),
        ("affinity.safetensors", 2, Affinity::Bias),
    ] {
        let golden = Golden::open("gat", file);
        let mut config = ModelConfig::default();
        config.patch.width = 10;
        config.graph = GraphConfig {
            layers: 2,
            width: 12,
            heads,
            dropout: 0.0,
            affinity,
            ..GraphConfig::default()
        };
        let parameters = golden.parameters(&config, "graph.");
        for checkpointing in [false, true] {
            let graph = Graph::new(&config, &mut source(&parameters)).unwrap();
            let shape = tokens([1, 13], [0, 0]);
            let (mut scratch, mut watch) = (Scratch::default(), |_| ());
            let pass = &mut scratch.pass(&mut watch);
            pass.checkpointing = checkpointing;
            let mut saved = graph::Saved::default();
            let input = golden.values("input/nodes").into();
            let output = graph.forward(input, shape, pass, Some(&mut saved));
            golden.check("output", &output);
            let mut gradients = Gradients::default();
            let probe = golden.values("probe");
            let of_nodes = graph.backward(saved, shape, probe, None, &mut gradients);
            golden.check_part(&parameters, &gradients, "graph.");
            golden.check_inputs(&[("nodes", of_nodes)]);
        }
    }
}

#[test]
fn decoder() {
    for (file, align_corners) in [("corners.safetensors", true), ("edges.safetensors", false)] {
        let golden = Golden::open("decoder", file);
        let mut config = ModelConfig::default();
        config.patch.width = 7;
        config.graph.width = 9;
        config.decoder = DecoderConfig {
            width: 6,
            align_corners,
            ..DecoderConfig::default()
        };
        let parameters = golden.parameters(&config, "decoder.");
        let decoder = Decoder::new(&config, 3, &mut source(&parameters)).unwrap();
        let shape = tokens([3, 5], [31, 44]);
        let [nodes, skip] = ["input/nodes", "input/skip"].map(|name| golden.values(name));
        let (mut scratch, mut watch) = (Scratch::default(), |_| ());
        let pass = &mut scratch.pass(&mut watch);
        let (mut saved, none) = (decoder::Saved::default(), Features::default());
        let parts = [&nodes[..], &skip];
        let (coarse, _) = decoder.forward(parts, &none, shape, pass, Some(&mut saved));
        let upsample = Bilinear::new([3, 5], [31, 44], align_corners);
        let mut output = vec![0.0; 2 * 4 * 31 * 44];
        upsample.resample(&coarse, &mut output, &mut Vec::new());
        golden.check("output", &output);
        let of_coarse = upsample.transposed(&golden.values("probe"));
        let mut gradients = Gradients::default();
        let by = decoder.backward(saved, &none, shape, &of_coarse, &mut gradients);
        golden.check_part(&parameters, &gradients, "decoder.");
        let [nodes, skip] = by.tokens;
        golden.check_inputs(&[("nodes", nodes), ("skip", skip)]);
    }
}

/// The small model of `tests/parity/model`.
fn small_model() -> Config {
    let mut all = Config::default();
    let config = &mut all.model;
    config.image_size = 64;
    config.patch = PatchConfig {
        size: 16,
        stride: 16,
        padding: 3,
        width: 16,
    };
    config.encoder.depth = 2;
    config.encoder.heads = 4;
    config.encoder.feed_forward = 32;
    config.encoder.dropout = 0.0;
    config.graph.width = 24;
    config.graph.dropout = 0.0;
    config.decoder.width = 12;
    all.train.optimizer.kind = OptimizerKind::Adam;
    all.train.optimizer.weight_decay = 0.0;
    all.train.optimizer.eps = 1e-8;
    all
}

#[test]
fn whole_model_and_ten_steps_of_adam() {
    let golden = Golden::open("model", "golden.safetensors");
    let config = small_model();
    let images = Array4::from_shape_vec((2, 3, 64, 64), golden.values("images")).unwrap();
    let labels = golden.values("labels").iter().map(|l| *l as u8).collect();
    let labels = Array3::from_shape_vec((2, 64, 64), labels).unwrap();

    // The prediction path, then what training does.
    let (weights, origin) = (golden.group("weight"), Path::new("golden"));
    let network = CpuNetwork::new(&config.model, 3, weights.clone(), origin).unwrap();
    let logits = network.forward(images.clone()).unwrap();
    golden.check("logits", &logits.iter().copied().collect::<Vec<_>>());
    let each = images
        .outer_iter()
        .map(|image| network.explain(image.to_owned()).unwrap());
    let each: Vec<_> = each.collect();
    let affinity: Vec<f32> = each
        .iter()
        .flat_map(|e| e.affinity.iter())
        .copied()
        .collect();
    golden.check("affinity", &affinity);
    for layer in 0..2 {
        let attention = each.iter().flat_map(|e| e.attention[layer].iter());
        let attention: Vec<f32> = attention.copied().collect();
        golden.check(&format!("attention/{layer}"), &attention);
    }

    let parameters = Parameters::from_torch(&config.model, 3, weights, origin).unwrap();
    let mut learner = CpuLearner::new(&config, parameters);
    let losses = golden.values("losses");
    assert_eq!(losses.len(), 10);
    for (step, golden_loss) in losses.into_iter().enumerate() {
        let batch = TrainingBatch {
            images: images.clone(),
            target: Target::Labels(&labels),
            scale: 1.0,
            seed: 1,
            each: true,
        };
        let result = learner.accumulate(batch).unwrap();
        let difference = (result.loss - f64::from(golden_loss)).abs();
        assert!(
            difference <= 1e-3,
            "loss of step {step}: {}, not {golden_loss}",
            result.loss
        );
        let mean = result.each.iter().sum::<f64>() / 2.0;
        assert!((mean - result.loss).abs() < 1e-6, "{result:?}");
        if step == 0 {
            assert!(
                difference <= 1e-5,
                "first loss: {}, not {golden_loss}",
                result.loss
            );
            golden.check_gradients("grad", learner.gradients().unwrap());
        }
        learner.step(1.0, 1e-3).unwrap();
    }
}
