//! The names of a ViT's tensors in `timm` and in `transformers`.

/// Where a tensor of a ViT's file belongs.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The convolution that makes tokens of patches.
    Patches {
        /// The bias, not the weight.
        bias: bool,
    },
    /// The position embedding.
    Positions,
    /// A token beside those of the patches.
    Token,
    /// The tensor of this name in nephos.
    Whole(String),
    /// Rows of the packed projection of attention of this name in nephos: 0 of the
    /// queries, 1 of the keys, 2 of the values.
    Third(String, usize),
    /// Factors of the outputs of the linear layer of this name in nephos (LayerScale,
    /// Touvron et al. 2021).
    Scale(String),
    /// A part of a layer that the encoder does not have.
    Foreign,
    /// Nothing that nephos has: heads, poolers, decoders.
    Other,
}

/// Beginnings inside a layer: theirs, then those in nephos.
type Parts = &'static [(&'static str, &'static str)];

/// How a library names a ViT.
#[derive(Debug)]
pub(super) struct Naming {
    patches: &'static str,
    positions: &'static str,
    tokens: &'static [&'static str],
    layers: &'static str,
    norm: &'static str,
    parts: Parts,
    /// Beginnings of queries, keys and values where they are separate.
    thirds: &'static [&'static str],
    scales: Parts,
}

const IN_PROJ: &str = "self_attn.in_proj_";
const OUT_PROJ: &str = "self_attn.out_proj.";

/// `timm`; `transformers`' files; its modules' state dicts since version 5.
const NAMINGS: [Naming; 3] = [
    Naming {
        patches: "patch_embed.proj.",
        positions: "pos_embed",
        tokens: &["cls_token", "dist_token", "reg_token"],
        layers: "blocks.",
        norm: "norm.",
        parts: &[
            ("norm1.", "norm1."),
            ("attn.qkv.", IN_PROJ),
            ("attn.proj.", OUT_PROJ),
            ("norm2.", "norm2."),
            ("mlp.fc1.", "linear1."),
            ("mlp.fc2.", "linear2."),
        ],
        thirds: &[],
        scales: &[("ls1.gamma", OUT_PROJ), ("ls2.gamma", "linear2.")],
    },
    Naming {
        patches: "embeddings.patch_embeddings.projection.",
        positions: "embeddings.position_embeddings",
        tokens: &["embeddings.cls_token", "embeddings.distillation_token"],
        layers: "encoder.layer.",
        norm: "layernorm.",
        parts: &[
            ("layernorm_before.", "norm1."),
            ("attention.output.dense.", OUT_PROJ),
            ("layernorm_after.", "norm2."),
            ("intermediate.dense.", "linear1."),
            ("output.dense.", "linear2."),
        ],
        thirds: &[
            "attention.attention.query.",
            "attention.attention.key.",
            "attention.attention.value.",
        ],
        scales: &[],
    },
    Naming {
        patches: "embeddings.patch_embeddings.projection.",
        positions: "embeddings.position_embeddings",
        tokens: &["embeddings.cls_token", "embeddings.distillation_token"],
        layers: "layers.",
        norm: "layernorm.",
        parts: &[
            ("layernorm_before.", "norm1."),
            ("attention.o_proj.", OUT_PROJ),
            ("layernorm_after.", "norm2."),
            ("mlp.fc1.", "linear1."),
            ("mlp.fc2.", "linear2."),
        ],
        thirds: &[
            "attention.q_proj.",
            "attention.k_proj.",
            "attention.v_proj.",
        ],
        scales: &[],
    },
];

/// Beginning of the layers' names in nephos.
pub(super) const LAYERS: &str = "block12.transformer.encoder.layers.";

impl Naming {
    /// How a file with these names calls its tensors, and the prefix of every name
    /// (`vit.`, `backbone.`, …); `None` where it holds no ViT.
    pub(super) fn of<'a>(names: &[&'a str]) -> Option<(&'static Self, &'a str)> {
        let found = |naming: &'static Self| {
            let first = format!("{}0.{}weight", naming.layers, naming.parts[0].0);
            let patches = format!("{}weight", naming.patches);
            (names.iter())
                .filter_map(|name| name.strip_suffix(&first))
                .filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
                .find(|prefix| names.contains(&format!("{prefix}{patches}").as_str()))
                .map(|prefix| (naming, prefix))
        };
        NAMINGS.iter().find_map(found)
    }

    /// Where the tensor called `name`, without the prefix of every name, belongs.
    pub(super) fn place(&self, name: &str) -> Place {
        let leaf = |rest: &str| matches!(rest, "weight" | "bias");
        if let Some(rest) = name.strip_prefix(self.patches)
            && leaf(rest)
        {
            return Place::Patches {
                bias: rest == "bias",
            };
        }
        if let Some(rest) = name.strip_prefix(self.norm)
            && leaf(rest)
        {
            return Place::Whole(format!("block12.transformer.encoder.norm.{rest}"));
        }
        if name == self.positions {
            return Place::Positions;
        }
        if self.tokens.contains(&name) {
            return Place::Token;
        }
        let Some((layer, rest)) = (name.strip_prefix(self.layers))
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(index, rest)| Some((layer_name(index)?, rest)))
        else {
            return Place::Other;
        };
        for (theirs, ours) in self.parts {
            if let Some(rest) = rest.strip_prefix(theirs)
                && leaf(rest)
            {
                return Place::Whole(format!("{layer}{ours}{rest}"));
            }
        }
        for (third, theirs) in self.thirds.iter().enumerate() {
            if let Some(rest) = rest.strip_prefix(theirs)
                && leaf(rest)
            {
                return Place::Third(format!("{layer}{IN_PROJ}{rest}"), third);
            }
        }
        match self.scales.iter().find(|(theirs, _)| rest == *theirs) {
            Some((_, ours)) => Place::Scale(format!("{layer}{ours}")),
            None => Place::Foreign,
        }
    }
}

/// The beginning in nephos of the names of layer `index`.
fn layer_name(index: &str) -> Option<String> {
    let index: u16 = index.parse().ok()?;
    Some(format!("{LAYERS}{index}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_TIMM: [&str; 2] = ["blocks.0.norm1.weight", "patch_embed.proj.weight"];

    #[test]
    fn namings_are_distinguished_and_the_published_one_is_none() {
        let (timm, prefix) = Naming::of(&OF_TIMM).unwrap();
        assert_eq!(prefix, "");
        let whole = |name: &str| Place::Whole(format!("{LAYERS}1.{name}"));
        for (name, place) in [
            ("blocks.1.attn.qkv.bias", whole("self_attn.in_proj_bias")),
            ("blocks.1.mlp.fc2.weight", whole("linear2.weight")),
            (
                "blocks.1.ls2.gamma",
                Place::Scale(format!("{LAYERS}1.linear2.")),
            ),
            ("blocks.1.attn.q_norm.weight", Place::Foreign),
            ("patch_embed.proj.bias", Place::Patches { bias: true }),
            ("pos_embed", Place::Positions),
            ("cls_token", Place::Token),
            ("fc_norm.weight", Place::Other),
        ] {
            assert_eq!(timm.place(name), place, "{name}");
        }
        let files = [
            "vit.encoder.layer.0.layernorm_before.weight",
            "vit.embeddings.patch_embeddings.projection.weight",
        ];
        let (naming, prefix) = Naming::of(&files).unwrap();
        assert_eq!(prefix, "vit.");
        let third = |third| Place::Third(format!("{LAYERS}1.self_attn.in_proj_weight"), third);
        for (name, place) in [
            ("encoder.layer.1.attention.attention.key.weight", third(1)),
            (
                "encoder.layer.1.attention.output.dense.bias",
                whole("self_attn.out_proj.bias"),
            ),
            ("encoder.layer.1.output.dense.bias", whole("linear2.bias")),
            ("pooler.dense.bias", Place::Other),
        ] {
            assert_eq!(naming.place(name), place, "{name}");
        }
        for names in [
            ["block12.patch_embed.proj.weight", "decoder.conv1.weight"],
            ["decoder_blocks.0.norm1.weight", "patch_embed.proj.weight"],
        ] {
            assert!(Naming::of(&names).is_none(), "{names:?}");
        }
    }
}
