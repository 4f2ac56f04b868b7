//! The stages of a forward pass, for timing.

/// A stage of the forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The stem before the patches.
    Stem,
    /// Patches, and their product with the embedding.
    Embed,
    /// Positions added.
    Position,
    /// Query, key and value of a layer.
    QueryKeyValue,
    /// Attention itself.
    Attention,
    /// The projection after it, with the residual sum.
    Project,
    /// The feed-forward part, with the residual sum.
    FeedForward,
    /// LayerNorm.
    Norm,
    /// Features of the nodes of a graph layer, and their scores.
    GraphProject,
    /// Graph attention itself.
    GraphAttention,
    /// The convolution of the decoder.
    Convolution,
    /// The stages of the decoder.
    Stages,
    /// Class scores of patches, or of the last stage's cells.
    Classify,
    /// Class scores of pixels.
    Upsample,
}

/// A callback that receives each stage when it is done.
pub type Watch<'a> = dyn FnMut(Stage) + Send + 'a;
