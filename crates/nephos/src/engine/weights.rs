//! Where layers take their weights from.

use std::borrow::Cow;
use std::collections::BTreeMap;

use nephos_kernel::conv::Window;
use nephos_kernel::conv_blocks::{Block, Conv};
use nephos_kernel::format::Format;
use nephos_kernel::linear::Linear;
use nephos_kernel::norm::LayerNorm;
use nephos_kernel::token_conv::TokenConv;

use crate::weights::Parameters;
use crate::weights::exchange;

/// The weights of a network under PyTorch's names and in its layouts, as
/// [`weights::read`](crate::weights::read) gives them. Each is dropped once it is packed.
#[derive(Debug, Default)]
pub struct Weights(BTreeMap<String, (Vec<usize>, Vec<f32>)>);

impl FromIterator<(String, Vec<usize>, Vec<f32>)> for Weights {
    fn from_iter<I: IntoIterator<Item = (String, Vec<usize>, Vec<f32>)>>(tensors: I) -> Self {
        let tensors = tensors.into_iter();
        Self(
            tensors
                .map(|(name, shape, values)| (name, (shape, values)))
                .collect(),
        )
    }
}

impl Weights {
    /// Takes the parameter `name` of the network's shape `shape`, in PyTorch's layout.
    fn take(&mut self, name: &str, shape: &[usize]) -> Option<Vec<f32>> {
        let (name, shape) = exchange::stored(name, shape);
        let (found, values) = self.0.remove(&name)?;
        let fits = found == shape && values.len() == shape.iter().product::<usize>();
        fits.then_some(values)
    }
}

/// What layers are made from, by the names of the network's parameters. Each is `None` where a
/// weight is missing or has another shape.
#[derive(Debug)]
pub(super) enum Source<'a> {
    /// For inference: weights are packed.
    Stored(Weights),
    /// For training: weights are borrowed; operands of products are of the format.
    Trained(&'a Parameters, Format),
}

impl<'a> Source<'a> {
    /// Whether every stored weight has been taken.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Stored(weights) => weights.0.is_empty(),
            Self::Trained(..) => true,
        }
    }

    /// The format, in training.
    fn trained(&self) -> Option<Format> {
        match self {
            Self::Stored(_) => None,
            Self::Trained(_, format) => Some(*format),
        }
    }

    /// Extents of a parameter that both store alike.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        match self {
            Self::Stored(weights) => {
                let (shape, _) = weights.0.get(&exchange::stored(name, &[]).0)?;
                Some(shape)
            }
            Self::Trained(parameters, _) => Some(&parameters.find(name)?.shape),
        }
    }

    /// The values of a parameter of this shape; where it is the weight of a linear layer, stored
    /// ones are `[outputs, inputs]`.
    pub fn values(&mut self, name: &str, shape: &[usize]) -> Option<Cow<'a, [f32]>> {
        match self {
            Self::Stored(weights) => weights.take(name, shape).map(Cow::Owned),
            Self::Trained(parameters, _) => parameters.values(name, shape).map(Cow::Borrowed),
        }
    }

    /// Weight and bias of a convolution.
    fn pair(
        &mut self,
        layer: &str,
        [inputs, outputs]: [usize; 2],
        kernel: [usize; 2],
    ) -> Option<[Cow<'a, [f32]>; 2]> {
        let shape = [outputs, inputs, kernel[0], kernel[1]];
        let weight = self.values(&format!("{layer}.weight"), &shape)?;
        Some([weight, self.values(&format!("{layer}.bias"), &[outputs])?])
    }

    /// A linear layer, with or without a `bias`.
    pub fn linear(&mut self, layer: &str, sizes: [usize; 2], bias: bool) -> Option<Linear<'a>> {
        let [weight, bias_name] = ["weight", "bias"].map(|part| format!("{layer}.{part}"));
        match self {
            Self::Stored(weights) => {
                let weight = weights.take(&weight, &sizes)?;
                let bias = match bias {
                    true => Some(weights.take(&bias_name, &sizes[1..])?),
                    false => None,
                };
                Some(Linear::packed(&weight, sizes, bias))
            }
            Self::Trained(parameters, format) => {
                let bias = match bias {
                    true => Some(parameters.values(&bias_name, &sizes[1..])?),
                    false => None,
                };
                let weight = parameters.values(&weight, &sizes)?;
                Some(Linear::plain(weight, sizes, bias, *format))
            }
        }
    }

    /// A convolution as a linear layer of unfolded patches.
    pub fn unfolded(
        &mut self,
        layer: &str,
        channels: [usize; 2],
        side: usize,
    ) -> Option<Linear<'a>> {
        let [inputs, outputs] = channels;
        let sizes = [inputs * side * side, outputs];
        Some(match (self.pair(layer, channels, [side; 2])?, &*self) {
            ([Cow::Borrowed(weight), Cow::Borrowed(bias)], Self::Trained(_, format)) => {
                Linear::transposed(weight, sizes, Some(bias), *format)
            }
            ([weight, bias], _) => Linear::packed(&weight, sizes, Some(bias.into_owned())),
        })
    }

    /// A convolution of the grid of tokens.
    pub fn token_conv(
        &mut self,
        layer: &str,
        sizes: [usize; 2],
        side: usize,
    ) -> Option<TokenConv<'a>> {
        Some(match (self.pair(layer, sizes, [side; 2])?, &*self) {
            ([Cow::Borrowed(weight), Cow::Borrowed(bias)], Self::Trained(_, format)) => {
                TokenConv::plain(weight, bias, sizes, side, *format)
            }
            ([weight, bias], _) => TokenConv::packed(&weight, bias.into_owned(), sizes, side),
        })
    }

    /// A convolution of a square window.
    pub fn conv(
        &mut self,
        layer: &str,
        sizes: [usize; 2],
        [side, stride, padding]: [usize; 3],
    ) -> Option<Conv<'a>> {
        let window = Window {
            kernel: [side; 2],
            stride,
            padding: [padding; 2],
        };
        let [weight, bias] = self.pair(layer, sizes, window.kernel)?;
        Some(Conv::new(weight, bias, sizes, window, self.trained()))
    }

    /// A residual block of so many channels.
    pub fn block(&mut self, name: &str, width: usize) -> Option<Block<'a>> {
        let mut conv = |part| self.pair(&format!("{name}.{part}"), [width; 2], [3; 2]);
        let convs = [conv("conv1")?, conv("conv2")?];
        let gain = self.values(&format!("{name}.gain"), &[1])?[0];
        Some(Block::new(convs, gain, width, self.trained()))
    }

    /// A LayerNorm.
    pub fn norm(&mut self, layer: &str, width: usize, epsilon: f64) -> Option<LayerNorm<'a>> {
        Some(LayerNorm {
            scale: self.values(&format!("{layer}.gamma"), &[width])?,
            shift: self.values(&format!("{layer}.beta"), &[width])?,
            epsilon: epsilon as f32,
        })
    }
}
