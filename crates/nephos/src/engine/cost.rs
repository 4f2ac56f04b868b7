//! How many multiplications a network takes.

use crate::config::{Affinity, ModelConfig};

/// Multiplications, each with its addition, of convolutions, linear layers and attention for
/// an image of so many rows and columns. A graph attention without affinity counts as none
/// beside its projection: its sums grow with the number of patches alone. Norms, activations
/// and resampling are not counted.
///
/// # Panics
/// An image smaller than one patch, or the configuration of a baseline.
pub fn multiplications(config: &ModelConfig, channels: usize, [height, width]: [usize; 2]) -> u64 {
    let (rows, cols) = (config.grid(height, width))
        .unwrap_or_else(|| panic!("{height} x {width} pixels are smaller than one patch"));
    let padded = config.padded(height, width);
    let cells = |level: usize| (padded[0] >> level) * (padded[1] >> level);
    let (patch, encoder, graph, decoder) = (
        &config.patch,
        &config.encoder,
        &config.graph,
        &config.decoder,
    );
    let (tokens, features) = (rows * cols, patch.width);
    let mut sum = 0;
    let mut inputs = channels;
    for (level, &outputs) in config.stem.channels.iter().enumerate() {
        sum += cells(level + 1) * 9 * outputs * (inputs + 2 * outputs);
        inputs = outputs;
    }
    let side = patch.size / config.stem.reduction();
    sum += tokens * inputs * side * side * features;
    if encoder.position == crate::config::PositionKind::Conditional {
        sum += tokens * 9 * features;
    }
    let of_layer = 4 * features * features + 2 * features * encoder.feed_forward;
    sum += encoder.depth * tokens * (of_layer + 2 * tokens * features);
    sum += encoder.taps.len() * tokens * features * features;
    for layer in 0..graph.layers {
        let inputs = if layer == 0 { features } else { graph.width };
        sum += tokens * inputs * graph.width;
        if graph.affinity == Affinity::Bias {
            sum += tokens * tokens * (features + graph.width);
        }
    }
    let skip = if decoder.skip { features } else { 0 };
    let taps = decoder.kernel * decoder.kernel;
    sum += tokens * (config.graph_width() + skip) * decoder.width * taps;
    let (mut inputs, mut size) = (decoder.width, tokens);
    for (stage, &outputs) in decoder.stages.iter().enumerate() {
        let detail = config.detail_width(stage, channels).unwrap_or(0);
        sum += size * inputs * outputs;
        size *= 4;
        sum += size * 9 * (outputs + detail) * outputs;
        if decoder.residual {
            sum += size * 2 * 9 * outputs * outputs;
        }
        inputs = outputs;
    }
    (sum + size * inputs * config.classes) as u64
}
