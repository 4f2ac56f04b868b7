//! Convolutional layers on the CPU, one step of autodiff each.
//!
//! Grids are channels-last, `[B, H, W, channels]`.

use burn::tensor::Tensor;
use nephos_kernel::conv::{Shape, Window};
use nephos_kernel::gemm::Act;
use nephos_kernel::pyramid::{
    Convolve, Merge, MergeWeights, Residual, ResidualSaved, ResidualWeights,
};

use super::record::{Operation, input, record};

/// Weight and bias of a convolution: `[outputs, inputs, kernel, kernel]`, `[outputs]`.
pub(crate) type ConvTensors = (Tensor<4>, Tensor<1>);

fn shape_of(grid: &Tensor<4>) -> Shape {
    let [batch, height, width, _] = grid.dims();
    Shape {
        batch,
        height,
        width,
    }
}

fn dims(shape: Shape, channels: usize) -> [usize; 4] {
    [shape.batch, shape.height, shape.width, channels]
}

/// A convolution whose windows start `stride` cells apart, with `padding` cells of zeros
/// around the grid.
///
/// # Shapes
/// - grid: `[B, H, W, inputs]`
/// - output: `[B, rows, cols, outputs]`
///
/// # Panics
/// Tensors of other shapes, or not of f32 on the CPU.
pub(crate) fn convolve(
    grid: Tensor<4>,
    (weight, bias): ConvTensors,
    [stride, padding]: [usize; 2],
) -> Tensor<4> {
    let [outputs, inputs, rows, cols] = weight.dims();
    let conv = Convolve {
        shape: shape_of(&grid),
        inputs,
        outputs,
        window: Window {
            kernel: [rows, cols],
            stride,
            padding: [padding; 2],
        },
    };
    let shape = dims(conv.output(), outputs);
    record(Conv(conv), [input(grid), input(weight), input(bias)], shape)
}

#[derive(Debug)]
struct Conv(Convolve);

impl Operation<3> for Conv {
    type Saved = ();

    fn forward(&self, [grid, weight, bias]: [&[f32]; 3]) -> (Vec<f32>, ()) {
        (self.0.forward(grid, weight, bias, Act::None), ())
    }

    fn backward(
        &self,
        [grid, weight, _]: [&[f32]; 3],
        _saved: &(),
        gradient: &[f32],
        [of_grid, ..]: [bool; 3],
    ) -> [Vec<f32>; 3] {
        self.0.backward(grid, weight, gradient, of_grid)
    }
}

/// `relu(x + gain · conv2(relu(conv1(relu(x)))))`, convolutions of 3×3 that keep the
/// size of the grid.
///
/// # Shapes
/// - x, output: `[B, H, W, width]`
/// - gain: `[1]`
///
/// # Panics
/// Tensors of other shapes, or not of f32 on the CPU.
pub(crate) fn residual(
    x: Tensor<4>,
    conv1: ConvTensors,
    conv2: ConvTensors,
    gain: Tensor<1>,
) -> Tensor<4> {
    let shape = x.dims();
    let block = Residual {
        shape: shape_of(&x),
        width: shape[3],
    };
    let inputs = [
        input(x),
        input(conv1.0),
        input(conv1.1),
        input(conv2.0),
        input(conv2.1),
        input(gain),
    ];
    record(Block(block), inputs, shape)
}

#[derive(Debug)]
struct Block(Residual);

fn block_weights<'a>([w1, b1, w2, b2, gain]: [&'a [f32]; 5]) -> ResidualWeights<'a> {
    ResidualWeights {
        conv1: [w1, b1],
        conv2: [w2, b2],
        gain: gain[0],
    }
}

impl Operation<6> for Block {
    type Saved = ResidualSaved;

    fn forward(&self, [x, weights @ ..]: [&[f32]; 6]) -> (Vec<f32>, ResidualSaved) {
        self.0.forward(x, &block_weights(weights))
    }

    fn backward(
        &self,
        [x, weights @ ..]: [&[f32]; 6],
        saved: &ResidualSaved,
        gradient: &[f32],
        _wanted: [bool; 6],
    ) -> [Vec<f32>; 6] {
        let weights = block_weights(weights);
        let (of_x, [[w1, b1], [w2, b2]], gain) = self.0.backward(x, &weights, saved, gradient);
        [of_x, w1, b1, w2, b2, vec![gain]]
    }
}

/// `conv(cat(double(reduce(x)), detail))`: a 1×1 convolution, each cell four times, the
/// detail beside it, a 3×3 convolution.
///
/// # Shapes
/// - x: `[B, H, W, inputs]`
/// - detail: `[B, 2H, 2W, _]`, if any
/// - output: `[B, 2H, 2W, width]`
///
/// # Panics
/// Tensors of other shapes, or not of f32 on the CPU.
pub(crate) fn merge(
    x: Tensor<4>,
    detail: Option<Tensor<4>>,
    reduce: ConvTensors,
    join: ConvTensors,
) -> Tensor<4> {
    let width = reduce.1.dims()[0];
    let merge = Merge {
        shape: shape_of(&x),
        inputs: x.dims()[3],
        detail: detail.as_ref().map_or(0, |detail| detail.dims()[3]),
        width,
    };
    let [batch, height, columns, _] = x.dims();
    let shape = [batch, 2 * height, 2 * columns, width];
    let inputs = [
        input(reduce.0),
        input(reduce.1),
        input(join.0),
        input(join.1),
        input(x),
    ];
    match detail {
        None => record(Up(merge), inputs, shape),
        Some(detail) => {
            let [w1, b1, w2, b2, x] = inputs;
            record(Up(merge), [w1, b1, w2, b2, x, input(detail)], shape)
        }
    }
}

#[derive(Debug)]
struct Up(Merge);

fn merge_weights<'a>([w1, b1, w2, b2]: [&'a [f32]; 4]) -> MergeWeights<'a> {
    MergeWeights {
        reduce: [w1, b1],
        join: [w2, b2],
    }
}

impl Operation<5> for Up {
    /// What was joined.
    type Saved = Vec<f32>;

    fn forward(&self, [w1, b1, w2, b2, x]: [&[f32]; 5]) -> (Vec<f32>, Vec<f32>) {
        let weights = merge_weights([w1, b1, w2, b2]);
        self.0.forward(x, &[], &weights, Act::None)
    }

    fn backward(
        &self,
        [w1, b1, w2, b2, x]: [&[f32]; 5],
        joined: &Vec<f32>,
        gradient: &[f32],
        _wanted: [bool; 5],
    ) -> [Vec<f32>; 5] {
        let weights = merge_weights([w1, b1, w2, b2]);
        let [x, _, w1, b1, w2, b2] = self.0.backward(x, &weights, joined, gradient);
        [w1, b1, w2, b2, x]
    }
}

impl Operation<6> for Up {
    type Saved = Vec<f32>;

    fn forward(&self, [w1, b1, w2, b2, x, detail]: [&[f32]; 6]) -> (Vec<f32>, Vec<f32>) {
        let weights = merge_weights([w1, b1, w2, b2]);
        self.0.forward(x, detail, &weights, Act::None)
    }

    fn backward(
        &self,
        [w1, b1, w2, b2, x, _]: [&[f32]; 6],
        joined: &Vec<f32>,
        gradient: &[f32],
        _wanted: [bool; 6],
    ) -> [Vec<f32>; 6] {
        let weights = merge_weights([w1, b1, w2, b2]);
        let [x, detail, w1, b1, w2, b2] = self.0.backward(x, &weights, joined, gradient);
        [w1, b1, w2, b2, x, detail]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::ops::ConvOptions;
    use burn::tensor::{Device, Distribution, Tolerance, module};

    #[test]
    fn convolutions_and_gradients_are_those_of_burn() {
        let device = Device::flex().autodiff();
        for (stride, padding) in [(1, 1), (2, 1), (1, 0)] {
            let random =
                |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Default, &device);
            let images = random([2, 7, 10, 3]).require_grad();
            let weight = random([20, 3, 3, 3]).require_grad();
            let bias = Tensor::<1>::random([20], Distribution::Default, &device).require_grad();
            let plain = |images: Tensor<4>, weight, bias| {
                let options = ConvOptions::new([stride; 2], [padding; 2], [1, 1], 1);
                let images = images.permute([0, 3, 1, 2]);
                module::conv2d(images, weight, Some(bias), options).permute([0, 2, 3, 1])
            };
            let tensors = (weight.clone(), bias.clone());
            let ours = convolve(images.clone(), tensors, [stride, padding]);
            let theirs = plain(images.clone(), weight.clone(), bias.clone());
            let probe = random(theirs.dims());
            let same = |a: Tensor<1>, b: Tensor<1>| {
                (a.into_data()).assert_approx_eq::<f32>(&b.into_data(), Tolerance::absolute(1e-4));
            };
            let [ours, theirs] = [ours, theirs].map(|out| {
                let gradients = (out.clone() * probe.clone()).sum().backward();
                let of = |x: &Tensor<4>| x.grad(&gradients).unwrap().flatten::<1>(0, 3);
                let of_bias = bias.grad(&gradients).unwrap();
                [
                    out.inner().flatten::<1>(0, 3),
                    of(&images),
                    of(&weight),
                    of_bias,
                ]
            });
            for (ours, theirs) in ours.into_iter().zip(theirs) {
                same(ours, theirs);
            }
            // Without autodiff.
            let (images, weight, bias) = (images.inner(), weight.inner(), bias.inner());
            let tensors = (weight.clone(), bias.clone());
            let inner = convolve(images.clone(), tensors, [stride, padding]);
            let theirs = plain(images, weight, bias);
            same(inner.flatten::<1>(0, 3), theirs.flatten::<1>(0, 3));
        }
    }
}
