//! What predicting and training call a network through, whatever computes it: the
//! [engine](crate::engine) on a CPU, or another crate on a device of its own.

mod explanation;
mod learner;

use std::fmt::Debug;

use ndarray::{Array2, Array3, Array4};

pub use explanation::Explanation;
pub use learner::{BatchLoss, Learner, Moments, Target, TrainingBatch};

use crate::error::Result;

/// Class scores of windows: all that a prediction needs.
pub trait Forward {
    /// Class scores (logits).
    ///
    /// # Shapes
    /// - windows: `[n, bands, height, width]`, scaled as the model was trained, 0 where
    ///   there is no data, reflected where the scene ends
    /// - output: `[n, classes, height, width]`
    ///
    /// # Errors
    /// The device or the model can't.
    fn forward(&self, windows: Array4<f32>) -> Result<Array4<f32>>;
}

/// A model in the parts between which a scene-wide graph is put together.
pub trait GraphForward {
    /// Tokens of windows.
    ///
    /// # Shapes
    /// - windows: `[n, bands, height, width]`
    /// - output: `[n, 2 · patch width, rows, cols]`: the patch embeddings, then the
    ///   encoder's output
    ///
    /// # Errors
    /// The device or the model can't.
    fn encode(&self, windows: Array4<f32>) -> Result<Array4<f32>>;

    /// The graph attention over all nodes.
    ///
    /// # Shapes
    /// - encoded: `[nodes, patch width]`
    /// - output: `[nodes, graph width]`
    ///
    /// # Errors
    /// The device or the model can't, as with too many nodes for an affinity.
    fn refine(&self, encoded: Array2<f32>) -> Result<Array2<f32>>;

    /// Class scores of the decoder's cells.
    ///
    /// # Shapes
    /// - image: `[bands, height, width]`, of which the tokens are the patches
    /// - nodes: `[graph width, rows, cols]`
    /// - embeddings: `[patch width, rows, cols]`
    /// - output: `[classes, rows · cells, cols · cells]`
    ///
    /// # Errors
    /// The device or the model can't.
    fn decode(
        &self,
        image: Array3<f32>,
        nodes: Array3<f32>,
        embeddings: Array3<f32>,
    ) -> Result<Array3<f32>>;
}

/// A trained network, ready to predict.
pub trait Network: Forward + Debug + Send + Sync {
    /// Its parts, where it has a graph of patches.
    fn parts(&self) -> Option<&dyn GraphForward>;

    /// The affinity of all pairs of patches and the attention of each graph layer.
    ///
    /// # Shapes
    /// - image: `[bands, height, width]`
    ///
    /// # Errors
    /// The network has no graph of patches, or the device can't.
    ///
    /// # Panics
    /// An image smaller than one patch.
    fn explain(&self, image: Array3<f32>) -> Result<Explanation>;
}
