//! Layers of convolutional networks on the CPU, recorded as one step each in training.

use std::sync::{Arc, OnceLock};

use burn::backend::Flex;
use burn::tensor::{Tensor, TensorData};
use nephos_kernel::planes::{BatchNorm, Conv, Depthwise, Statistics};

pub use nephos_kernel::planes::Activation;

use super::record::{Operation, input, record};
use super::slices::{FlexTensor, in_order, numbers};

/// How a convolution's windows lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows {
    /// Pixels from one window to the next.
    pub stride: usize,
    /// Pixels of zeros around the image.
    pub padding: usize,
}

/// A convolution of all channels with each other.
///
/// # Shapes
/// - images: `[B, inputs, H, W]`
/// - weight: `[outputs, inputs, size, size]`
/// - bias: `[outputs]`
/// - output: `[B, outputs, rows, cols]`
///
/// # Panics
/// Tensors of other shapes, or not of f32 on the CPU.
pub(crate) fn conv2d(
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    windows: Windows,
) -> Tensor<4> {
    let [batch, inputs, height, width] = images.dims();
    let [outputs, _, kernel, _] = weight.dims();
    let conv = Conv {
        batch,
        inputs,
        outputs,
        image: [height, width],
        kernel,
        stride: windows.stride,
        padding: windows.padding,
    };
    let [rows, cols] = conv.output();
    layer(conv, images, weight, bias, [batch, outputs, rows, cols])
}

/// A 3×3 convolution of each channel by itself, `dilation` pixels between its taps and
/// as many zeros around the image.
///
/// # Shapes
/// - images: `[B, channels, H, W]`
/// - weight: `[channels, 1, 3, 3]`
/// - bias: `[channels]`
/// - output: `[B, channels, ⌈H / stride⌉, ⌈W / stride⌉]`
///
/// # Panics
/// Tensors of other shapes, or not of f32 on the CPU.
pub(crate) fn depthwise3x3(
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    [stride, dilation]: [usize; 2],
) -> Tensor<4> {
    let [batch, channels, height, width] = images.dims();
    let conv = Depthwise {
        batch,
        channels,
        image: [height, width],
        stride,
        dilation,
    };
    let [rows, cols] = conv.output();
    layer(conv, images, weight, bias, [batch, channels, rows, cols])
}

/// Normalises each channel by its statistics over all images, then activates; and
/// these statistics, mean and mean squared deviation.
///
/// # Shapes
/// - images, output: `[B, channels, H, W]`
/// - gamma, beta: `[channels]`
///
/// # Panics
/// Tensors of other shapes, or that are not recorded on the CPU.
pub(crate) fn batch_norm_train(
    images: Tensor<4>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f32,
    activation: Activation,
) -> (Tensor<4>, Arc<Statistics>) {
    let shape = images.dims();
    let found = Arc::new(OnceLock::new());
    let norm = Norm {
        layer: norm(shape, epsilon, activation),
        found: Arc::clone(&found),
    };
    let output = record(norm, [input(images), input(gamma), input(beta)], shape);
    let statistics = found.get().expect("the forward pass has run");
    (output, Arc::clone(statistics))
}

/// Normalises each channel by given statistics, then activates.
///
/// # Shapes
/// - images, output: `[B, channels, H, W]`
/// - the others: `[channels]`
///
/// # Panics
/// Tensors of other shapes, or not of f32 on the CPU without autodiff.
pub(crate) fn batch_norm(
    images: Tensor<4>,
    [gamma, beta, mean, variance]: [Tensor<1>; 4],
    epsilon: f32,
    activation: Activation,
) -> Tensor<4> {
    let shape = images.dims();
    let images = plain(images);
    let [gamma, beta, mean, variance] = [gamma, beta, mean, variance].map(plain);
    let statistics = Statistics {
        mean: numbers(&mean).to_vec(),
        variance: numbers(&variance).to_vec(),
    };
    let scale = [numbers(&gamma), numbers(&beta)];
    let output = norm(shape, epsilon, activation).forward(numbers(&images), &statistics, scale);
    Tensor::from_primitive::<Flex>(FlexTensor::from_data(TensorData::new(output, shape)))
}

fn norm(
    [_, channels, height, width]: [usize; 4],
    epsilon: f32,
    activation: Activation,
) -> BatchNorm {
    BatchNorm {
        channels,
        pixels: height * width,
        epsilon,
        activation,
    }
}

/// A tensor of the CPU without autodiff.
fn plain<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    in_order(
        tensor
            .try_into_primitive::<Flex>()
            .expect("a tensor on the CPU"),
    )
}

/// A linear function of images with a weight and a bias.
trait Layer: std::fmt::Debug + Copy + Send + 'static {
    fn forward(&self, images: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32>;
    fn images_backward(&self, weight: &[f32], gradient: &[f32]) -> Vec<f32>;
    fn weights_backward(&self, images: &[f32], gradient: &[f32]) -> [Vec<f32>; 2];
}

macro_rules! layers {
    ($($layer:ident),*) => {$(
        impl Layer for $layer {
            fn forward(&self, images: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
                $layer::forward(self, images, weight, bias)
            }

            fn images_backward(&self, weight: &[f32], gradient: &[f32]) -> Vec<f32> {
                $layer::images_backward(self, weight, gradient)
            }

            fn weights_backward(&self, images: &[f32], gradient: &[f32]) -> [Vec<f32>; 2] {
                $layer::weights_backward(self, images, gradient)
            }
        }
    )*};
}

layers!(Conv, Depthwise);

fn layer<L: Layer>(
    layer: L,
    images: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    shape: [usize; 4],
) -> Tensor<4> {
    match bias {
        Some(bias) => {
            let inputs = [input(images), input(weight), input(bias)];
            record(WithBias(layer), inputs, shape)
        }
        None => record(WithoutBias(layer), [input(images), input(weight)], shape),
    }
}

#[derive(Debug)]
struct WithBias<L>(L);

impl<L: Layer> Operation<3> for WithBias<L> {
    type Saved = ();

    fn forward(&self, [images, weight, bias]: [&[f32]; 3]) -> (Vec<f32>, ()) {
        (self.0.forward(images, weight, Some(bias)), ())
    }

    fn backward(
        &self,
        [images, weight, _]: [&[f32]; 3],
        _saved: &(),
        gradient: &[f32],
        [of_images, of_weight, of_bias]: [bool; 3],
    ) -> [Vec<f32>; 3] {
        let [weight, bias, images] = backward(
            &self.0,
            [images, weight, gradient],
            [of_images, of_weight | of_bias],
        );
        [images, weight, bias]
    }
}

#[derive(Debug)]
struct WithoutBias<L>(L);

impl<L: Layer> Operation<2> for WithoutBias<L> {
    type Saved = ();

    fn forward(&self, [images, weight]: [&[f32]; 2]) -> (Vec<f32>, ()) {
        (self.0.forward(images, weight, None), ())
    }

    fn backward(
        &self,
        [images, weight]: [&[f32]; 2],
        _saved: &(),
        gradient: &[f32],
        wanted: [bool; 2],
    ) -> [Vec<f32>; 2] {
        let [weight, _, images] = backward(&self.0, [images, weight, gradient], wanted);
        [images, weight]
    }
}

/// The gradients by weight, bias and images; those not wanted are empty.
fn backward<L: Layer>(
    layer: &L,
    [images, weight, gradient]: [&[f32]; 3],
    [of_images, of_weight]: [bool; 2],
) -> [Vec<f32>; 3] {
    let [of_weight, of_bias] = match of_weight {
        true => layer.weights_backward(images, gradient),
        false => [Vec::new(), Vec::new()],
    };
    let of_images = match of_images {
        true => layer.images_backward(weight, gradient),
        false => Vec::new(),
    };
    [of_weight, of_bias, of_images]
}

#[derive(Debug)]
struct Norm {
    layer: BatchNorm,
    /// Where the statistics of the first forward pass go.
    found: Arc<OnceLock<Arc<Statistics>>>,
}

impl Operation<3> for Norm {
    type Saved = Arc<Statistics>;

    fn forward(&self, [images, gamma, beta]: [&[f32]; 3]) -> (Vec<f32>, Self::Saved) {
        let statistics = self
            .found
            .get_or_init(|| Arc::new(self.layer.statistics(images)));
        let output = self.layer.forward(images, statistics, [gamma, beta]);
        (output, Arc::clone(statistics))
    }

    fn backward(
        &self,
        [images, gamma, beta]: [&[f32]; 3],
        statistics: &Self::Saved,
        gradient: &[f32],
        _wanted: [bool; 3],
    ) -> [Vec<f32>; 3] {
        (self.layer).backward(images, statistics, [gamma, beta], gradient)
    }
}
