//! The hyperparameters of the network; the defaults are the reference model.

mod sections;
mod validate;

use serde::{Deserialize, Serialize};

pub use sections::{
    Activation, Affinity, DecoderConfig, EncoderConfig, GraphConfig, NormOrder, PatchConfig,
    PositionKind, StemConfig,
};

use nephos_kernel::reach::BLOCK;

use super::ModelKind;
use super::kind::BASELINE_CELL;

/// The network: patch embedding, encoder, graph attention, decoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Which network; the sections below are those of `segmenter`.
    #[serde(skip_serializing_if = "ModelKind::is_graph_transformer")]
    pub kind: ModelKind,
    /// Side of the square image the model is made for, in pixels. Other sizes
    /// work too: a learned position embedding is interpolated from this one.
    pub image_size: usize,
    /// Least share of a window that overlaps the next where larger images are
    /// predicted, unless the user sets another, in [0, 0.9].
    #[serde(skip_serializing_if = "is_usual")]
    pub overlap: f64,
    /// Where images are predicted on a CPU, how many patches away a patch attends to others,
    /// in the encoder and in the graph: patches go in blocks of 4 × 4, and those of a block
    /// attend to what is at most so many rows and columns beyond it. What a patch is then
    /// depends on its surroundings, not on its window. Half the side of the
    /// training crops in patches is what the network was trained for; training itself attends to
    /// whole crops. Absent: all patches of a window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reach: Option<usize>,
    /// Number of classes.
    pub classes: usize,
    /// The convolutional stem before the patches.
    pub stem: StemConfig,
    /// The patch embedding.
    pub patch: PatchConfig,
    /// The transformer.
    pub encoder: EncoderConfig,
    /// The graph attention network.
    pub graph: GraphConfig,
    /// The decoder.
    pub decoder: DecoderConfig,
}

/// Share of a window's side that neighbours at least have in common, unless the model or
/// the user sets another.
pub const OVERLAP: f64 = 0.25;

fn is_usual(overlap: &f64) -> bool {
    *overlap == OVERLAP
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            kind: ModelKind::default(),
            image_size: 509,
            overlap: OVERLAP,
            reach: None,
            classes: 4,
            stem: StemConfig::default(),
            patch: PatchConfig::default(),
            encoder: EncoderConfig::default(),
            graph: GraphConfig::default(),
            decoder: DecoderConfig::default(),
        }
    }
}

impl ModelConfig {
    /// The size to which an image is padded, with its own reflection below and to the right:
    /// whole patches where there is a stem or a stage of the decoder, else as it is; of a
    /// baseline whole cells of its coarsest grid.
    pub fn padded(&self, height: usize, width: usize) -> [usize; 2] {
        if !self.kind.is_graph_transformer() {
            return [height, width].map(|side| side.next_multiple_of(BASELINE_CELL));
        }
        if self.stem.channels.is_empty() && self.decoder.stages.is_empty() {
            [height, width]
        } else {
            [height, width].map(|side| side.next_multiple_of(self.patch.size))
        }
    }

    /// The level of the stem, from 1, whose features have the size of the decoder's
    /// stage `stage`, from 0, and are joined there; 0 is the image itself.
    pub fn detail_level(&self, stage: usize) -> Option<usize> {
        let cell = self.patch.size >> (stage + 1);
        let level = cell.checked_ilog2()? as usize;
        (self.decoder.detail && level <= self.stem.channels.len()).then_some(level)
    }

    /// Width of what is joined at the decoder's stage `stage`, from 0, for images of `channels`
    /// channels.
    pub fn detail_width(&self, stage: usize, channels: usize) -> Option<usize> {
        Some(match self.detail_level(stage)? {
            0 => channels,
            level => self.stem.channels[level - 1],
        })
    }

    /// Whether a stage of the decoder joins the stem's input, or the image.
    pub(crate) fn decoder_sees_image(&self) -> bool {
        (0..self.decoder.stages.len()).any(|stage| self.detail_level(stage).is_some())
    }

    /// How many patches away an input can change a score after the graph, at most: the
    /// first convolution's reach, three cells per stage of the decoder (together less
    /// than three patches), and two and a half cells per level of the stem (together less
    /// than five cells of the last).
    pub(crate) fn decoder_reach(&self) -> usize {
        let stages = if self.decoder.stages.is_empty() { 0 } else { 3 };
        let stem = match self.stem.channels.is_empty() {
            true => 0,
            false => (5 * self.stem.reduction()).div_ceil(self.patch.size),
        };
        self.decoder.kernel / 2 + stages + stem
    }

    /// Rows and columns of the grid of tokens for an image of `height` × `width`
    /// pixels, or `None` when the image is smaller than one patch. Of a baseline, the
    /// coarsest grid, and any image will do.
    pub fn grid(&self, height: usize, width: usize) -> Option<(usize, usize)> {
        if height == 0 || width == 0 {
            return None;
        }
        let [height, width] = self.padded(height, width);
        if !self.kind.is_graph_transformer() {
            return Some((height / BASELINE_CELL, width / BASELINE_CELL));
        }
        let side = |pixels: usize| {
            (pixels + 2 * self.patch.padding)
                .checked_sub(self.patch.size)
                .map(|rest| rest / self.patch.stride + 1)
        };
        Some((side(height)?, side(width)?))
    }

    /// A lower bound on the number of parameters, for images of `channels` channels, without
    /// making any of them; 0 for a baseline, which is small.
    pub(crate) fn parameters_at_least(&self, channels: usize) -> u128 {
        if !self.kind.is_graph_transformer() {
            return 0;
        }
        let of = |numbers: &[usize]| numbers.iter().map(|n| *n as u128).product::<u128>();
        let (patch, encoder, graph, decoder) =
            (&self.patch, &self.encoder, &self.graph, &self.decoder);
        let seen = self.stem.channels.last().copied().unwrap_or(channels);
        let side = match self.stem.channels.is_empty() {
            true => patch.size,
            false => 1,
        };
        let mut sum = of(&[seen, side, side, patch.width]);
        // Queries, keys, values and output; two linear layers.
        sum += of(&[4, encoder.depth, patch.width, patch.width]);
        sum += of(&[2, encoder.depth, patch.width, encoder.feed_forward]);
        if encoder.position == PositionKind::Learned
            && let Some((rows, cols)) = self.grid(self.image_size, self.image_size)
        {
            sum += of(&[rows, cols, patch.width]);
        }
        if let Some(more) = graph.layers.checked_sub(1) {
            sum += of(&[patch.width, graph.width]) + of(&[more, graph.width, graph.width]);
        }
        let node = if graph.layers == 0 {
            patch.width
        } else {
            graph.width
        };
        let joined = node + if decoder.skip { patch.width } else { 0 };
        sum += of(&[decoder.kernel, decoder.kernel, joined, decoder.width]);
        let widths = |list: &[usize]| -> u128 {
            list.windows(2).map(|pair| of(&[9, pair[0], pair[1]])).sum()
        };
        sum + widths(&self.stem.channels) + widths(&decoder.stages)
    }

    /// Side in pixels of what the patches of a block attend to together, where `reach` limits
    /// it.
    pub fn neighbourhood(&self) -> Option<usize> {
        let patches = BLOCK + self.reach?.checked_mul(2)?;
        patches.checked_mul(self.patch.stride)
    }

    /// Pixels after which the network's grid repeats: windows that start at multiples
    /// of it have the same cells.
    pub fn alignment(&self) -> usize {
        match self.kind {
            ModelKind::GraphTransformer if self.reach.is_some() => self.patch.stride * BLOCK,
            ModelKind::GraphTransformer => self.patch.stride,
            _ => BASELINE_CELL,
        }
    }

    /// The least side of an image that the network takes, in pixels.
    pub fn least_side(&self) -> usize {
        match self.kind {
            ModelKind::GraphTransformer => (self.patch.size)
                .saturating_sub(2 * self.patch.padding)
                .max(1),
            _ => 1,
        }
    }

    /// Whether scores are brought to the pixels with corners on corners.
    pub fn aligns_corners(&self) -> bool {
        match self.kind {
            ModelKind::GraphTransformer => self.decoder.align_corners,
            ModelKind::Deeplabv3plus => true,
            ModelKind::Unet | ModelKind::Segformer => false,
        }
    }

    /// Whether the graph compares all pairs of patches.
    pub fn compares_patches(&self) -> bool {
        self.graph.layers > 0 && self.graph.affinity != Affinity::None
    }

    /// Features of a node that leaves the graph.
    pub fn graph_width(&self) -> usize {
        if self.graph.layers == 0 {
            self.patch.width
        } else {
            self.graph.width
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_grid_is_27_by_27() {
        let model = ModelConfig::default();
        assert_eq!(model.grid(509, 509), Some((27, 27)));
        assert_eq!(model.grid(512, 300), Some((27, 16)));
        assert_eq!(model.grid(8, 509), None);
    }

    #[test]
    fn overlap_is_a_share_and_written_where_it_is_unusual() {
        let mut model = ModelConfig::default();
        assert!(!toml::to_string(&model).unwrap().contains("overlap"));
        model.overlap = 0.125;
        model.validate().unwrap();
        assert!(toml::to_string(&model).unwrap().contains("overlap = 0.125"));
        model.overlap = 0.95;
        assert!(model.validate().unwrap_err().contains("model.overlap"));
    }

    #[test]
    fn a_stem_pads_to_whole_patches() {
        let mut model = ModelConfig::default();
        model.stem.channels = vec![8, 12];
        model.decoder.stages = vec![16, 16, 16];
        assert!(model.validate().unwrap_err().contains("model.patch"));
        model.patch = PatchConfig {
            size: 8,
            stride: 8,
            padding: 0,
            width: 32,
        };
        assert!(model.validate().unwrap_err().contains("align_corners"));
        model.decoder.align_corners = false;
        model.validate().unwrap();
        assert_eq!(model.padded(17, 8), [24, 8]);
        assert_eq!(model.grid(17, 8), Some((3, 1)));
        // Stages at 1/4, 1/2 and 1 of the resolution; the stem has 1/2 and 1/4.
        let levels: Vec<_> = (0..3).map(|stage| model.detail_level(stage)).collect();
        assert_eq!(levels, [Some(2), Some(1), Some(0)]);
        let widths: Vec<_> = (0..3).map(|stage| model.detail_width(stage, 5)).collect();
        assert_eq!(widths, [Some(12), Some(8), Some(5)]);
        model.decoder.stages.push(16);
        assert!(model.validate().unwrap_err().contains("model.patch.size"));
    }
}
