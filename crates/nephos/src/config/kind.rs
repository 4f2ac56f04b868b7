//! Architectures of networks.

use serde::{Deserialize, Serialize};

/// The architecture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// A Vision Transformer whose patches a graph attention network refines; the
    /// sections of `model` configure it.
    #[default]
    #[serde(rename = "segmenter", alias = "graph-transformer")]
    GraphTransformer,
    /// U-Net with MobileNetV2 as its encoder.
    Unet,
    /// DeepLabV3+ with MobileNetV2 as its encoder, output stride 16.
    Deeplabv3plus,
    /// SegFormer-B0.
    Segformer,
}

/// Pixels along the side of a cell of the coarsest grid of a baseline.
pub(super) const BASELINE_CELL: usize = 32;

impl ModelKind {
    /// Whether it is the network of nephos, which the sections of `model` describe.
    pub fn is_graph_transformer(&self) -> bool {
        *self == Self::GraphTransformer
    }

    /// The value of `model.kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::GraphTransformer => "segmenter",
            Self::Unet => "unet",
            Self::Deeplabv3plus => "deeplabv3plus",
            Self::Segformer => "segformer",
        }
    }
}
