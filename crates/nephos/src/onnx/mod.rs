//! The graph transformer as an ONNX model, for ONNX Runtime and for QGIS's plugin Deepness.
//!
//! [`export`] writes operators of opset 17 for windows of one size and any number of them.
//! Attention is dense, or of blocks of patches to what is around them where the model limits how
//! far patches attend ([`ModelConfig::reach`](crate::config::ModelConfig)). The way from the numbers of a raster to the model's
//! input is part of the graph, and so is the calibration, so that the output are the
//! probabilities that nephos itself has for a window.

mod attention;
mod graph;
mod input;
mod layers;
mod metadata;
mod network;
mod options;
mod protobuf;
mod sight;

use std::io::Write;
use std::path::Path;

use graph::{Attribute, Extent, Value};
use input::Bands;
use layers::Builder;
pub use options::{DEEPNESS, OnnxOptions};
use protobuf::Message;

use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::output::write_atomic;
use crate::weights::{Bundle, Identity};

/// Version of the operators.
const OPSET: i64 = 17;

/// Version of the file format that came with these operators.
const FORMAT: i64 = 8;

/// Name of the input.
const INPUT: &str = "input";

/// The bytes of an ONNX model; `identity` says in its metadata which model it is.
///
/// Input: `[batch, bands, window, window]`, numbers of a raster divided by `options.divisor`; NaN
/// is no data. Output: `[batch, classes, window, window]`, named `probabilities` or `logits`.
///
/// # Errors
/// Options out of range, bands that the model does not have or can't do without, or a model that
/// is no graph transformer.
pub fn export(bundle: &Bundle, identity: &Identity, options: &OnnxOptions) -> Result<Vec<u8>> {
    options.validate()?;
    let (config, data) = (&bundle.config.model, &bundle.config.data);
    if !config.kind.is_graph_transformer() {
        let message = "only graph transformers can be exported as ONNX".to_owned();
        return Err(Error::unsupported("the model", message));
    }
    let bands = Bands::of(options, data)?;
    let side = window(config, options.window);
    let (rows, cols) = (config.grid(side, side)).ok_or_else(|| {
        Error::usage(format!(
            "`options.window`: {side} pixels are less than a patch"
        ))
    })?;
    let mut builder = Builder::new(config, &bundle.tensors, [rows, cols]);
    let input = builder.model_input(&Value::from(INPUT), &bands, options, data.input_gain());
    let scores = builder.scores(input, [side, side])?;
    let output = match options.logits {
        true => builder
            .graph
            .node_named("logits", "Identity", &[&scores], &[]),
        false => probabilities(&mut builder, &scores, bundle),
    };
    let shape = |channels| {
        let fixed = [channels, side, side].map(Extent::Fixed);
        let [channels, rows, cols] = fixed;
        [Extent::Any("batch"), channels, rows, cols]
    };
    let about = metadata::about(&bands, options);
    let ends = [
        (INPUT, &shape(bands.names.len())[..], &about[0][..]),
        (&output[..], &shape(config.classes)[..], &about[1][..]),
    ];
    let graph = builder.graph.finish(&identity.name, ends);
    let entries = metadata::entries(bundle, identity, options, &bands.names, side);
    Ok(model(&graph, &about.join(" "), &entries).into_bytes())
}

/// Writes [`export`] to a file.
///
/// # Errors
/// As there, or the file can't be written; a file that is there is replaced as a whole.
pub fn write(
    path: &Path,
    bundle: &Bundle,
    identity: &Identity,
    options: &OnnxOptions,
) -> Result<()> {
    let bytes = export(bundle, identity, options)?;
    write_atomic(path, |file| {
        file.write_all(&bytes).map_err(|e| Error::io(path, e))
    })
}

/// What input and output of [`export`] are, a sentence each.
///
/// # Errors
/// Bands that the model does not have or can't do without.
pub fn about(bundle: &Bundle, options: &OnnxOptions) -> Result<[String; 2]> {
    let bands = Bands::of(options, &bundle.config.data)?;
    Ok(metadata::about(&bands, options))
}

/// Side of the windows: what is asked for, or the model's, rounded up to what the network takes.
fn window(config: &ModelConfig, asked: Option<usize>) -> usize {
    let side = asked.unwrap_or(config.image_size).max(config.least_side());
    let [side, _] = config.padded(side, side);
    side
}

/// Calibrated probabilities.
fn probabilities(builder: &mut Builder<'_>, scores: &Value, bundle: &Bundle) -> Value {
    let (calibration, classes) = (&bundle.config.calibration, bundle.config.model.classes);
    let mut scores = scores.clone();
    if calibration.temperature != 1.0 || !calibration.bias.is_empty() {
        scores = builder.scaled(&scores, (1.0 / calibration.temperature) as f32);
        let bias = |class| calibration.bias.get(class).copied().unwrap_or(0.0) as f32;
        let bias: Vec<f32> = (0..classes).map(bias).collect();
        let bias = builder
            .graph
            .constant("calibration.bias", &[1, classes, 1, 1], &bias);
        scores = builder.add(&scores, &bias);
    }
    let axis = [Attribute::Int("axis", 1)];
    builder
        .graph
        .node_named("probabilities", "Softmax", &[&scores], &axis)
}

/// `ModelProto`.
fn model(graph: &Message, about: &str, entries: &[(&str, String)]) -> Message {
    Message::default().with(|model| {
        // The beginning of the file, by which `output::is_ours` recognises it.
        model.int(1, FORMAT);
        model.text(2, "nephos");
        let operators = Message::default().with(|operators| {
            operators.text(1, "");
            operators.int(2, OPSET);
        });
        model.message(8, &operators);
        model.text(3, env!("CARGO_PKG_VERSION"));
        model.text(6, about);
        model.message(7, graph);
        for (key, value) in entries {
            let entry = Message::default().with(|entry| {
                entry.text(1, key);
                entry.text(2, value);
            });
            model.message(14, &entry);
        }
    })
}
