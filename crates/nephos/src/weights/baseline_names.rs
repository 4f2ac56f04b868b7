//! The names of the baselines' parameters in PyTorch: those of the state dicts of
//! `segmentation_models_pytorch` 0.6 (U-Net, DeepLabV3+) and of `transformers` 5
//! (`SegformerForSemanticSegmentation`).

/// Parts of names that differ, the network's first, in the order they are replaced.
type Parts = &'static [(&'static str, &'static str)];

/// Beginnings of the decoder of U-Net.
const UNET: Parts = &[
    ("blocks.", "decoder.blocks."),
    ("head.", "segmentation_head.0."),
];

/// Beginnings of DeepLabV3+ outside the encoder.
const DEEPLAB: Parts = &[
    ("pyramid.point.conv.", "decoder.aspp.0.convs.0.0."),
    ("pyramid.point.norm.", "decoder.aspp.0.convs.0.1."),
    ("pyramid.pooled.conv.", "decoder.aspp.0.convs.4.1."),
    ("pyramid.pooled.norm.", "decoder.aspp.0.convs.4.2."),
    ("pyramid.project.conv.", "decoder.aspp.0.project.0."),
    ("pyramid.project.norm.", "decoder.aspp.0.project.1."),
    ("refine.depthwise.", "decoder.aspp.1.0."),
    ("refine.pointwise.", "decoder.aspp.1.1."),
    ("refine.norm.", "decoder.aspp.2."),
    ("fine.conv.", "decoder.block1.0."),
    ("fine.norm.", "decoder.block1.1."),
    ("fuse.depthwise.", "decoder.block2.0.0."),
    ("fuse.pointwise.", "decoder.block2.0.1."),
    ("fuse.norm.", "decoder.block2.1."),
    ("head.", "segmentation_head.0."),
];

/// Parts of SegFormer.
const SEGFORMER: Parts = &[
    ("stages.", "segformer.stages."),
    (".patches.", ".patch_embeddings.proj."),
    (".patch_norm.", ".patch_embeddings.layer_norm."),
    (".norm1.", ".layernorm_before."),
    (".norm2.", ".layernorm_after."),
    (".attention.query.", ".attention.q_proj."),
    (".attention.key.", ".attention.k_proj."),
    (".attention.value.", ".attention.v_proj."),
    (".attention.output.", ".attention.o_proj."),
    (
        ".attention.reduction.conv.",
        ".attention.sequence_reduction.sequence_reduction.",
    ),
    (
        ".attention.reduction.norm.",
        ".attention.sequence_reduction.layer_norm.",
    ),
    (".feed.widen.", ".mlp.fc1."),
    (".feed.mix.", ".mlp.dwconv.dwconv."),
    (".feed.narrow.", ".mlp.fc2."),
    ("head.projections.", "decode_head.linear_projections."),
    ("head.fuse.conv.", "decode_head.linear_fuse."),
    ("head.fuse.norm.", "decode_head.batch_norm."),
    ("head.classify.", "decode_head.classifier."),
];

/// The PyTorch name of the parameter at `path`, which begins with `network.` and the
/// network's name; `None` where it is of no baseline.
pub(crate) fn to_torch(path: &str) -> Option<String> {
    let (network, path) = path.strip_prefix("network.")?.split_once('.')?;
    let name = match network {
        "UNet" => match path.strip_prefix("encoder.") {
            Some(path) => mobilenet(path)?,
            None => conv_norms(&replaced(path, UNET)),
        },
        "DeepLabV3Plus" => match path.strip_prefix("encoder.") {
            Some(path) => mobilenet(path)?,
            None => deeplab(path)?,
        },
        "SegFormer" => segformer(path),
        _ => return None,
    };
    let ending = |name: String, ours: &str, theirs: &str| match name.strip_suffix(ours) {
        Some(start) => format!("{start}{theirs}"),
        None => name,
    };
    Some(ending(ending(name, ".gamma", ".weight"), ".beta", ".bias"))
}

/// Parts that are not there stay as they are.
fn replaced(path: &str, parts: Parts) -> String {
    let mut name = path.to_owned();
    for (ours, theirs) in parts {
        if ours.starts_with('.') {
            name = name.replacen(ours, theirs, 1);
        } else if let Some(rest) = name.strip_prefix(ours) {
            name = format!("{theirs}{rest}");
        }
    }
    name
}

/// A convolution and its norm are the first and the second of a sequence.
fn conv_norms(path: &str) -> String {
    path.replace(".conv.", ".0.").replace(".norm.", ".1.")
}

/// MobileNetV2, as torchvision names it.
fn mobilenet(path: &str) -> Option<String> {
    if let Some(leaf) = path.strip_prefix("stem.") {
        return Some(format!("encoder.features.0.{}", leaf_of(leaf)?));
    }
    if let Some(leaf) = path.strip_prefix("last.") {
        return Some(format!("encoder.features.18.{}", leaf_of(leaf)?));
    }
    let (block, path) = path.strip_prefix("blocks.")?.split_once('.')?;
    let block: usize = block.parse().ok()?;
    let (layer, leaf) = path.split_once('.')?;
    // The first block does not widen.
    let first = usize::from(block > 0);
    let place = match layer {
        "expand" => format!("0.{}", leaf_of(leaf)?),
        "depthwise" => format!("{first}.{}", leaf_of(leaf)?),
        // Convolution and norm stand by themselves.
        "project" => match leaf.split_once('.')? {
            ("conv", leaf) => format!("{}.{leaf}", first + 1),
            (_, leaf) => format!("{}.{leaf}", first + 2),
        },
        _ => return None,
    };
    Some(format!("encoder.features.{}.conv.{place}", block + 1))
}

/// `conv.X` or `norm.X` as the first or second of a sequence.
fn leaf_of(leaf: &str) -> Option<String> {
    match leaf.split_once('.')? {
        ("conv", leaf) => Some(format!("0.{leaf}")),
        ("norm", leaf) => Some(format!("1.{leaf}")),
        _ => None,
    }
}

fn deeplab(path: &str) -> Option<String> {
    let Some(atrous) = path.strip_prefix("pyramid.atrous.") else {
        return Some(replaced(path, DEEPLAB));
    };
    let (index, path) = atrous.split_once('.')?;
    let index: usize = index.parse().ok()?;
    let (layer, leaf) = path.split_once('.')?;
    let place = match layer {
        "depthwise" => "0.0",
        "pointwise" => "0.1",
        _ => "1",
    };
    Some(format!("decoder.aspp.0.convs.{}.{place}.{leaf}", index + 1))
}

fn segformer(path: &str) -> String {
    // A stage's last norm is directly in the stage.
    let parts: Vec<&str> = path.split('.').collect();
    let path = match parts.as_slice() {
        ["stages", stage, "norm", leaf] => format!("stages.{stage}.layer_norm.{leaf}"),
        ["head", "projections", index, leaf] => format!("head.projections.{index}.proj.{leaf}"),
        _ => path.to_owned(),
    };
    replaced(&path, SEGFORMER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_libraries() {
        for (ours, theirs) in [
            (
                "network.UNet.encoder.stem.conv.weight",
                "encoder.features.0.0.weight",
            ),
            (
                "network.UNet.encoder.blocks.0.project.norm.running_var",
                "encoder.features.1.conv.2.running_var",
            ),
            (
                "network.DeepLabV3Plus.encoder.blocks.3.depthwise.norm.gamma",
                "encoder.features.4.conv.1.1.weight",
            ),
            (
                "network.UNet.blocks.4.conv2.norm.beta",
                "decoder.blocks.4.conv2.1.bias",
            ),
            (
                "network.DeepLabV3Plus.pyramid.atrous.2.norm.beta",
                "decoder.aspp.0.convs.3.1.bias",
            ),
            (
                "network.SegFormer.stages.1.blocks.0.attention.reduction.norm.gamma",
                "segformer.stages.1.blocks.0.attention.sequence_reduction.layer_norm.weight",
            ),
            (
                "network.SegFormer.stages.3.norm.beta",
                "segformer.stages.3.layer_norm.bias",
            ),
        ] {
            assert_eq!(to_torch(ours).as_deref(), Some(theirs));
        }
        assert_eq!(to_torch("encoder.layers.0.norm1.gamma"), None);
    }
}
