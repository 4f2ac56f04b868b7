//! Convolutions of a stem and of a decoder's stages, packed.
//!
//! Grids are channels-last. What a block or a stage puts out is the sum before its last
//! ReLU: whoever reads it takes what is positive.

use nephos_kernel::conv::{ConvPacked, Shape, Window};
use nephos_kernel::format::Format;
use nephos_kernel::gemm::{Act, Epilogue};
use nephos_kernel::pyramid::Merge;

use super::packed::room;
use super::weights::Weights;

/// A convolution with its bias.
#[derive(Debug)]
pub(super) struct Conv {
    packed: ConvPacked,
    bias: Vec<f32>,
}

/// A square window.
pub(super) fn square(side: usize, stride: usize, padding: usize) -> Window {
    Window {
        kernel: [side; 2],
        stride,
        padding: [padding; 2],
    }
}

impl Conv {
    /// The convolution whose weight and bias are `{name}.weight` and `{name}.bias`.
    pub fn take(
        weights: &mut Weights,
        name: &str,
        sizes: [usize; 2],
        window: Window,
    ) -> Option<Self> {
        Self::scaled(weights, name, sizes, window, 1.0)
    }

    /// As [`Conv::take`], its output times `gain`.
    fn scaled(
        weights: &mut Weights,
        name: &str,
        [inputs, outputs]: [usize; 2],
        window: Window,
        gain: f32,
    ) -> Option<Self> {
        let [rows, cols] = window.kernel;
        let shape = [outputs, inputs, rows, cols];
        let mut weight = weights.take(&format!("{name}.weight"), &shape)?;
        let mut bias = weights.take(&format!("{name}.bias"), &[outputs])?;
        for x in weight.iter_mut().chain(&mut bias) {
            *x *= gain;
        }
        Some(Self {
            packed: ConvPacked::new(&weight, [outputs, inputs], window),
            bias,
        })
    }

    /// The same after a ReLU.
    pub fn rectified(self) -> Self {
        Self {
            packed: self.packed.rectified(),
            ..self
        }
    }

    /// Channels of the input.
    pub fn inputs(&self) -> usize {
        self.packed.inputs()
    }

    /// Channels of the output.
    pub fn outputs(&self) -> usize {
        self.packed.outputs()
    }

    pub fn output(&self, shape: Shape) -> Shape {
        self.packed.window().output(shape)
    }

    /// `to = activation(conv(grid)) + residual`, all of the same form as the kernel's.
    pub fn forward(
        &self,
        grid: &[f32],
        shape: Shape,
        activation: Act,
        residual: Option<&[f32]>,
        to: &mut [f32],
    ) {
        let epilogue = Epilogue {
            bias: Some(&self.bias),
            activation,
            residual,
            ..Epilogue::default()
        };
        (self.packed).forward(grid, shape, &epilogue, to);
    }
}

/// A residual block, its gain within the second convolution.
#[derive(Debug)]
pub(super) struct Block {
    conv1: Conv,
    conv2: Conv,
}

impl Block {
    pub fn take(weights: &mut Weights, name: &str, width: usize) -> Option<Self> {
        let gain = weights.take(&format!("{name}.gain"), &[1])?[0];
        let (sizes, window) = ([width; 2], square(3, 1, 1));
        let conv1 = Conv::take(weights, &format!("{name}.conv1"), sizes, window)?;
        let conv2 = Conv::scaled(weights, &format!("{name}.conv2"), sizes, window, gain)?;
        Some(Self {
            conv1: conv1.rectified(),
            conv2,
        })
    }

    /// # Shapes
    /// - x, hidden, to: `[batch, height, width, channels]`
    pub fn forward(&self, x: &[f32], shape: Shape, hidden: &mut [f32], to: &mut [f32]) {
        self.conv1.forward(x, shape, Act::Relu, None, hidden);
        self.conv2.forward(hidden, shape, Act::None, Some(x), to);
    }
}

/// A level of the stem.
#[derive(Debug)]
pub(super) struct Level {
    down: Conv,
    block: Block,
}

impl Level {
    /// Level `index` of a stem, from 0.
    pub fn take(weights: &mut Weights, index: usize, sizes: [usize; 2]) -> Option<Self> {
        let name = format!("stem.levels.{index}");
        let down = Conv::take(weights, &format!("{name}.down"), sizes, square(3, 2, 1))?;
        Some(Self {
            down: if index == 0 { down } else { down.rectified() },
            block: Block::take(weights, &format!("{name}.block"), sizes[1])?,
        })
    }

    /// Channels of the input.
    pub fn inputs(&self) -> usize {
        self.down.inputs()
    }

    /// Channels of the output.
    pub fn outputs(&self) -> usize {
        self.down.outputs()
    }

    /// Halves the grid; `wide` is a buffer of any length.
    pub fn forward(&self, x: &[f32], shape: Shape, wide: &mut Vec<f32>, to: &mut [f32]) -> Shape {
        let half = self.down.output(shape);
        let (down, hidden) = room(wide, 2 * to.len()).split_at_mut(to.len());
        self.down.forward(x, shape, Act::None, None, down);
        self.block.forward(down, half, hidden, to);
        half
    }
}

/// A stage of the decoder.
#[derive(Debug)]
pub(super) struct UpStage {
    reduce: Conv,
    join: Conv,
    block: Option<Block>,
    detail: usize,
}

impl UpStage {
    /// Stage `index` of a decoder, from 0, with so many inputs, features of the detail
    /// and outputs.
    pub fn take(
        weights: &mut Weights,
        index: usize,
        [inputs, detail, width]: [usize; 3],
        residual: bool,
    ) -> Option<Self> {
        let name = format!("decoder.stages.{index}");
        let (one, three) = (square(1, 1, 0), square(3, 1, 1));
        let reduce = Conv::take(weights, &format!("{name}.reduce"), [inputs, width], one)?;
        let sizes = [width + detail, width];
        let join = Conv::take(weights, &format!("{name}.join"), sizes, three)?;
        let block = match residual {
            true => Some(Block::take(weights, &format!("{name}.block"), width)?),
            false => None,
        };
        Some(Self {
            reduce: reduce.rectified(),
            join,
            block,
            detail,
        })
    }

    /// Channels of the input.
    pub fn inputs(&self) -> usize {
        self.reduce.inputs()
    }

    /// Channels of the output.
    pub fn outputs(&self) -> usize {
        self.join.outputs()
    }

    /// Features of the detail, 0 where none is joined.
    pub fn detail(&self) -> usize {
        self.detail
    }

    /// Doubles the grid; `wide` is a buffer of any length. The detail's negative numbers
    /// count as 0 where it is to be `rectified`.
    pub fn forward(
        &self,
        x: &[f32],
        shape: Shape,
        (detail, rectified): (&[f32], bool),
        wide: &mut Vec<f32>,
        to: &mut Vec<f32>,
    ) -> Shape {
        let merge = Merge {
            shape,
            inputs: self.reduce.inputs(),
            detail: self.detail,
            width: self.outputs(),
            format: Format::F32,
        };
        let double = merge.doubled();
        let size = double.batch * double.height * double.width * self.outputs();
        let (sums, joined) = room(wide, 2 * size + merge.joined()).split_at_mut(2 * size);
        let (sum, other) = sums.split_at_mut(size);
        let reduced = &mut other[..size / 4];
        self.reduce.forward(x, shape, Act::None, None, reduced);
        merge.append(reduced, detail, rectified, joined);
        let to = room(to, size);
        match &self.block {
            Some(block) => {
                self.join.forward(joined, double, Act::None, None, sum);
                block.forward(sum, double, other, to);
            }
            None => self.join.forward(joined, double, Act::None, None, to),
        }
        double
    }
}
