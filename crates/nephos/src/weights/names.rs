//! The names of the published PyTorch model.
//!
//! | network | PyTorch |
//! |---|---|
//! | `patch_embed.proj.{weight, bias}` | `block12.patch_embed.proj.…` |
//! | `position.embedding` | `block12.position.embedding` (nephos only) |
//! | `encoder.layers.{i}.…`, `encoder.norm.…` | `block12.transformer.encoder.…` |
//! | `….self_attn.in_proj.{weight, bias}` | `….self_attn.in_proj_{weight, bias}` |
//! | `….norm1.{gamma, beta}` | `….norm1.{weight, bias}` |
//! | `graph.layers.{i}.project.weight` | `gat.layers.{i}.W.weight` |
//! | `graph.layers.{i}.score` | `gat.layers.{i}.a.weight`, one row per head |
//! | `graph.layers.{i}.affinity_scale` | `gat.layers.{i}.affinity_scale` (nephos only) |
//! | `decoder.{conv1, conv_out}.…` | the same |
//!
//! Baselines have the names of the libraries they are checked against:
//! `segmentation_models_pytorch` (U-Net, DeepLabV3+) and `transformers` (SegFormer).

use super::baseline_names as baseline;

/// Prefix of every name in a state dict saved from `DataParallel`.
const PARALLEL: &str = "module.";

/// Beginnings that differ, network first.
const PREFIXES: [(&str, &str); 4] = [
    ("patch_embed.", "block12.patch_embed."),
    ("position.", "block12.position."),
    ("encoder.", "block12.transformer.encoder."),
    ("graph.", "gat."),
];

/// Parts inside a name that differ, network first.
const PARTS: [(&str, &str); 2] = [
    (".self_attn.in_proj.", ".self_attn.in_proj_"),
    (".project.", ".W."),
];

/// Endings that differ, network first.
const SUFFIXES: [(&str, &str); 3] = [
    (".score", ".a.weight"),
    (".gamma", ".weight"),
    (".beta", ".bias"),
];

/// The PyTorch name of the network's parameter at `path`.
pub fn to_torch(path: &str) -> String {
    if let Some(name) = baseline::to_torch(path) {
        return name;
    }
    let mut name = path.to_owned();
    if let Some((ours, theirs)) = PREFIXES.iter().find(|(ours, _)| name.starts_with(ours)) {
        name.replace_range(..ours.len(), theirs);
    }
    for (ours, theirs) in PARTS {
        name = name.replace(ours, theirs);
    }
    if let Some((ours, theirs)) = SUFFIXES.iter().find(|(ours, _)| name.ends_with(ours)) {
        name.replace_range(name.len() - ours.len().., theirs);
    }
    name
}

/// Whether PyTorch stores the parameter at `path`, of `rank` axes, transposed:
/// the weights of linear layers, `[inputs, outputs]` in the network.
pub(super) fn is_transposed(path: &str, rank: usize) -> bool {
    rank == 2 && path.ends_with(".weight")
}

/// Whether a tensor of that name counts the batches that a norm has seen, which nothing
/// here needs.
pub(super) fn is_counter(name: &str) -> bool {
    name.ends_with(".num_batches_tracked")
}

/// `name` without the prefix that `DataParallel` puts before it.
pub(super) fn without_parallel(name: &str) -> &str {
    name.strip_prefix(PARALLEL).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_published_model() {
        for (ours, theirs) in [
            ("patch_embed.proj.weight", "block12.patch_embed.proj.weight"),
            (
                "encoder.layers.3.self_attn.in_proj.bias",
                "block12.transformer.encoder.layers.3.self_attn.in_proj_bias",
            ),
            (
                "encoder.layers.0.self_attn.out_proj.weight",
                "block12.transformer.encoder.layers.0.self_attn.out_proj.weight",
            ),
            (
                "encoder.layers.1.norm2.beta",
                "block12.transformer.encoder.layers.1.norm2.bias",
            ),
            ("graph.layers.1.project.weight", "gat.layers.1.W.weight"),
            ("graph.layers.1.score", "gat.layers.1.a.weight"),
            ("decoder.conv_out.bias", "decoder.conv_out.bias"),
        ] {
            assert_eq!(to_torch(ours), theirs);
        }
        assert_eq!(
            without_parallel("module.decoder.conv1.bias"),
            "decoder.conv1.bias"
        );
    }
}
