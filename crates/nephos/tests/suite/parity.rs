//! The network against the published PyTorch model, from golden tensors: each
//! folder of `tests/parity` holds them beside the script that made them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use nephos::config::{
    Activation, Affinity, DecoderConfig, EncoderConfig, GraphConfig, ModelConfig, NormOrder,
    PatchConfig, Precision,
};
use nephos::model::weights::{NamedTensor, apply, collect_gradients, read};
use nephos::model::{Compute, Decoder, Encoder, Graph, PatchEmbed, Segmenter, unit};

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

    fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (shape, values) = &self.tensors[name];
        Tensor::from_data(TensorData::new(values.clone(), shape.clone()), device)
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

    fn load<M: Module>(&self, module: M) -> M {
        apply(module, self.group("weight"), &self.path).unwrap()
    }

    /// Holds a tensor of ours against the golden one, absolutely.
    fn check<const D: usize>(&self, name: &str, ours: Tensor<D>) {
        let (shape, golden) = &self.tensors[name];
        assert_eq!(ours.dims().as_slice(), shape, "shape of {name}");
        let ours: Vec<f32> = ours.into_data().try_into_vec().unwrap();
        let difference = largest_difference(&ours, golden);
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

    /// Holds the output of a module, and the gradients of its weights and inputs,
    /// against the golden ones.
    fn check_module<M: Module, const D: usize, const E: usize>(
        &self,
        module: &M,
        inputs: &[(&str, Tensor<D>)],
        output: Tensor<E>,
    ) {
        let probe = self.tensor::<E>("probe", &output.device());
        self.check("output", output.clone());
        let gradients = (output * probe).sum().backward();
        self.check_gradients("grad", collect_gradients(module, &gradients));
        let input_gradients = inputs.iter().map(|(name, input)| {
            let gradient = input.grad(&gradients).unwrap();
            let shape = gradient.dims().to_vec();
            let values = gradient.into_data().try_into_vec().unwrap();
            ((*name).to_owned(), shape, values)
        });
        self.check_gradients("input_grad", input_gradients.collect());
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

fn device() -> Device {
    Device::flex().autodiff()
}

fn f32_compute() -> Compute {
    Compute::from(Precision::F32)
}

#[test]
fn patch_embed() {
    let golden = Golden::open("patch_embed", "golden.safetensors");
    let config = PatchConfig {
        size: 7,
        stride: 5,
        padding: 2,
        width: 8,
    };
    let module = golden.load(PatchEmbed::new(&config, 3, 1, &device()));
    let images = golden.tensor::<4>("input/images", &device()).require_grad();
    let (output, grid) = module.forward(images.clone(), f32_compute());
    assert_eq!(grid, [5, 6]);
    golden.check_module(&module, &[("images", images)], output);
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
    for (file, config) in [("post.safetensors", post), ("pre.safetensors", pre)] {
        let golden = Golden::open("encoder", file);
        let module = golden.load(Encoder::new(&config, 16, &device()));
        let tokens = golden.tensor::<3>("input/tokens", &device()).require_grad();
        let output = module.forward(tokens.clone(), f32_compute());
        golden.check_module(&module, &[("tokens", tokens)], output);
        // Without autodiff attention takes its other path.
        let tokens = golden.tensor::<3>("input/tokens", &Device::flex());
        let output = module.valid().forward(tokens, f32_compute());
        golden.check("output", output);
    }
}

#[test]
fn gat() {
    let config = |heads, affinity| GraphConfig {
        layers: 2,
        width: 12,
        heads,
        dropout: 0.0,
        affinity,
        ..GraphConfig::default()
    };
    for (file, config) in [
        ("reference.safetensors", config(1, Affinity::None)),
        ("heads.safetensors", config(3, Affinity::None)),
        ("affinity.safetensors", config(2, Affinity::Bias)),
    ] {
        let golden = Golden::open("gat", file);
        let module = golden.load(Graph::new(&config, 10, &device()));
        let nodes = golden.tensor::<3>("input/nodes", &device()).require_grad();
        let unit = unit(nodes.clone());
        let output = module.forward(nodes.clone(), Some(&unit), f32_compute(), None);
        golden.check_module(&module, &[("nodes", nodes)], output);
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
        let module = golden.load(Decoder::new(&config, 3, &device()));
        let [nodes, skip] = ["input/nodes", "input/skip"]
            .map(|name| golden.tensor::<3>(name, &device()).require_grad());
        let coarse = module.classify(
            nodes.clone(),
            skip.clone(),
            Vec::new(),
            [3, 5],
            f32_compute(),
        );
        let output = module.upsample(coarse, [31, 44]);
        golden.check_module(&module, &[("nodes", nodes), ("skip", skip)], output);
    }
}

/// The small model of `tests/parity/model`.
fn small_model() -> ModelConfig {
    let mut config = ModelConfig {
        image_size: 64,
        ..ModelConfig::default()
    };
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
    config
}

/// Mean cross-entropy of all pixels.
fn cross_entropy(logits: Tensor<4>, labels: Tensor<3, Int>) -> Tensor<1> {
    let labels = labels.unsqueeze_dim::<4>(1); // [B, 1, H, W]
    log_softmax(logits, 1).gather(1, labels).mean().neg()
}

#[test]
fn whole_model_and_ten_steps_of_adam() {
    let golden = Golden::open("model", "golden.safetensors");
    let device = device();
    let mut model = golden.load(Segmenter::new(&small_model(), 3, &device));
    let images = golden.tensor::<4>("images", &device);
    let labels = golden.tensor::<3>("labels", &device).int();

    // The prediction path, then what training does.
    let inference = model.valid();
    let plain_images = golden.tensor::<4>("images", &Device::flex());
    golden.check("logits", inference.forward(plain_images.clone()));
    let explanation = inference.explain(plain_images).unwrap();
    golden.check("affinity", explanation.affinity);
    for (i, attention) in explanation.attention.into_iter().enumerate() {
        golden.check(&format!("attention/{i}"), attention);
    }

    let mut optimizer = AdamConfig::new().with_epsilon(1e-8).init();
    let (_, losses) = golden.tensors["losses"].clone();
    assert_eq!(losses.len(), 10);
    for (step, golden_loss) in losses.into_iter().enumerate() {
        let logits = model.forward(images.clone());
        if step == 0 {
            golden.check("logits", logits.clone());
        }
        let loss = cross_entropy(logits, labels.clone());
        let value: f32 = loss.clone().into_scalar();
        let difference = (value - golden_loss).abs();
        assert!(
            difference <= 1e-3,
            "loss of step {step}: {value}, not {golden_loss}"
        );
        let gradients = loss.backward();
        if step == 0 {
            assert!(difference <= 1e-5, "first loss: {value}, not {golden_loss}");
            golden.check_gradients("grad", collect_gradients(&model, &gradients));
        }
        let gradients = GradientsParams::from_grads(gradients, &model);
        model = optimizer.step(1e-3, model, gradients);
    }
}
