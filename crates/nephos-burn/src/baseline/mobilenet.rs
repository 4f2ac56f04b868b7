//! MobileNetV2 without its classifier.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::batch_norm::Activation;
use super::layers::{ConvNorm, Shape};
use crate::compute::Compute;

/// Of each group of blocks (Sandler et al. 2018, doi:10.48550/arXiv.1801.04381,
/// table 2): expansion, channels, blocks, stride of the first.
const GROUPS: [[usize; 4]; 7] = [
    [1, 16, 1, 1],
    [6, 24, 2, 2],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
];

/// Channels before the blocks and after them.
const FIRST: usize = 32;
const LAST: usize = 1280;

/// Blocks after which features are taken: the last of each resolution.
const TAPS: [usize; 4] = [0, 2, 5, 12];

/// Channels of [`MobileNetV2::forward`]'s features.
pub(super) const CHANNELS: [usize; 5] = [16, 24, 32, 96, LAST];

/// MobileNetV2 (Sandler et al. 2018) without its classifier.
#[derive(Module, Debug)]
pub struct MobileNetV2 {
    stem: ConvNorm,
    blocks: Vec<InvertedResidual>,
    last: ConvNorm,
}

impl MobileNetV2 {
    /// An encoder of images of `channels` channels. With `dilated`, the last halving
    /// is left out and the blocks after it look twice as far (output stride 16).
    pub(super) fn new(channels: usize, dilated: bool, device: &Device) -> Self {
        let mut blocks = Vec::new();
        let mut inputs = FIRST;
        let mut strides = 2;
        for [expansion, outputs, count, stride] in GROUPS {
            for index in 0..count {
                let stride = if index == 0 { stride } else { 1 };
                strides *= stride;
                let steps = if dilated && strides == 32 {
                    [1, 2]
                } else {
                    [stride, 1]
                };
                blocks.push(InvertedResidual::new(
                    inputs, outputs, expansion, steps, device,
                ));
                inputs = outputs;
            }
        }
        let stem = Shape::dense(channels, FIRST, 3).stride(2);
        let last = Shape::dense(inputs, LAST, 1);
        Self {
            stem: ConvNorm::new(stem, Activation::Relu6, device),
            blocks,
            last: ConvNorm::new(last, Activation::Relu6, device),
        }
    }

    /// Features at 1/2, 1/4, 1/8, 1/16 and 1/32 (dilated: 1/16) of the resolution, with
    /// [`CHANNELS`] channels.
    ///
    /// # Shapes
    /// - images: `[B, channels, H, W]`, sides multiples of 32
    pub(super) fn forward(&self, images: Tensor<4>, compute: Compute) -> [Tensor<4>; 5] {
        let mut x = self.stem.forward(images, compute);
        let mut taps = Vec::with_capacity(TAPS.len());
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, compute);
            if TAPS.contains(&index) {
                taps.push(x.clone());
            }
        }
        let last = self.last.forward(x, compute);
        let [half, quarter, eighth, sixteenth] =
            <[_; 4]>::try_from(taps).expect("a block for each tap");
        [half, quarter, eighth, sixteenth, last]
    }
}

/// Widens, convolves each channel, narrows; added to its input where the sizes agree.
#[derive(Module, Debug)]
struct InvertedResidual {
    expand: Option<ConvNorm>,
    depthwise: ConvNorm,
    project: ConvNorm,
    residual: bool,
}

impl InvertedResidual {
    fn new(
        inputs: usize,
        outputs: usize,
        expansion: usize,
        [stride, dilation]: [usize; 2],
        device: &Device,
    ) -> Self {
        let hidden = inputs * expansion;
        let layer = |shape, activation| ConvNorm::new(shape, activation, device);
        Self {
            expand: (expansion > 1)
                .then(|| layer(Shape::dense(inputs, hidden, 1), Activation::Relu6)),
            depthwise: layer(
                Shape::depthwise(hidden, [stride, dilation]),
                Activation::Relu6,
            ),
            project: layer(Shape::dense(hidden, outputs, 1), Activation::None),
            residual: stride == 1 && inputs == outputs,
        }
    }

    fn forward(&self, x: Tensor<4>, compute: Compute) -> Tensor<4> {
        let hidden = match &self.expand {
            Some(expand) => expand.forward(x.clone(), compute),
            None => x.clone(),
        };
        let hidden = self.depthwise.forward(hidden, compute);
        let output = self.project.forward(hidden, compute);
        if self.residual { x + output } else { output }
    }
}
