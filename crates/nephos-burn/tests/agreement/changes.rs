//! Configurations of the graph transformer that are small enough for every test.

use nephos::config::{Activation, Affinity, Config, NormOrder, PositionKind};

/// A change of a configuration.
pub type Change = fn(&mut Config);

/// One change each, of all that changes the path through the network, and two of all
/// at once.
pub const CHANGES: &[Change] = &[
    |_| (),
    |c| c.model.encoder.norm = NormOrder::Pre,
    |c| c.model.encoder.activation = Activation::Gelu,
    |c| c.model.encoder.final_norm = true,
    |c| c.model.encoder.position = PositionKind::Learned,
    |c| c.model.encoder.position = PositionKind::Sincos,
    |c| c.model.encoder.depth = 0,
    |c| c.model.encoder.heads = 32,
    |c| c.model.graph.layers = 0,
    |c| c.model.graph.heads = 4,
    |c| c.model.graph.affinity = Affinity::Bias,
    |c| {
        c.model.graph.width = c.model.patch.width;
        c.model.graph.residual = true;
    },
    |c| c.model.decoder.skip = false,
    |c| c.model.decoder.kernel = 1,
    |c| c.model.decoder.kernel = 5,
    |c| {
        c.model.patch.padding = 0;
        c.model.patch.stride = 11;
        c.model.patch.width = 36;
        c.model.classes = 3;
    },
    |c| {
        c.model.encoder.position = PositionKind::Learned;
        c.model.encoder.norm = NormOrder::Pre;
        c.model.encoder.norm_eps = 0.05;
        c.model.encoder.final_norm = true;
        c.model.graph.heads = 3;
        c.model.graph.affinity = Affinity::Bias;
        c.model.decoder.skip = false;
        c.model.decoder.align_corners = false;
    },
    |c| c.model.encoder.position = PositionKind::Conditional,
    |c| c.model.encoder.taps = vec![0, c.model.encoder.depth],
    |c| {
        stem_and_stages(c);
        c.model.encoder.taps = vec![1];
        c.model.encoder.position = PositionKind::Conditional;
        c.model.graph.affinity = Affinity::Bias;
    },
    |c| {
        stem_and_stages(c);
        c.model.stem.mu = Some(30.0);
    },
    |c| {
        stem_and_stages(c);
        c.model.decoder.residual = false;
        c.model.decoder.skip = false;
    },
    |c| {
        stem_and_stages(c);
        c.model.decoder.detail = false;
        c.model.decoder.stages = vec![9];
    },
    |c| {
        stem_and_stages(c);
        c.model.decoder.stages = vec![];
    },
    // The stages join the image alone.
    |c| {
        stem_and_stages(c);
        c.model.stem.channels = vec![];
    },
];

/// Local detail before the patches, and up to the pixels again.
fn stem_and_stages(c: &mut Config) {
    c.model.decoder.align_corners = false;
    c.model.stem.channels = vec![5, 7];
    c.model.patch.size = 8;
    c.model.patch.stride = 8;
    c.model.patch.padding = 0;
    c.model.decoder.stages = vec![9, 17, 6];
}

/// A configuration with every part of the reference, small, with a change.
///
/// # Panics
/// The change makes no valid configuration.
pub fn config(change: &Change) -> Config {
    let mut config = Config::default();
    let model = &mut config.model;
    model.image_size = 64;
    model.patch.size = 16;
    model.patch.stride = 16;
    model.patch.padding = 3;
    model.patch.width = 32;
    model.encoder.depth = 2;
    model.encoder.heads = 4;
    model.encoder.feed_forward = 64;
    model.encoder.dropout = 0.0;
    model.graph.width = 48;
    model.graph.dropout = 0.0;
    model.decoder.width = 40;
    change(&mut config);
    config.validate().expect("a valid change");
    config
}
