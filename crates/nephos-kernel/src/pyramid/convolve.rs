//! One convolution.

use crate::conv::{
    ConvInputGradient, ConvPacked, Shape, Window, add_bias_gradient, add_weight_gradient,
};
use crate::format::Format;
use crate::gemm::{Act, Epilogue};
use crate::sizes::count;

/// A convolution but for its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convolve {
    /// The input.
    pub shape: Shape,
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// What an output sees.
    pub window: Window,
    /// Of the operands of products.
    pub format: Format,
}

impl Convolve {
    /// A convolution of 3×3 that keeps the size of its grid.
    pub fn same(shape: Shape, [inputs, outputs]: [usize; 2], format: Format) -> Self {
        let window = Window {
            kernel: [3, 3],
            stride: 1,
            padding: [1, 1],
        };
        Self {
            shape,
            inputs,
            outputs,
            window,
            format,
        }
    }

    /// The output.
    ///
    /// # Panics
    /// The window is larger than the padded grid.
    pub fn output(&self) -> Shape {
        self.window.output(self.shape)
    }

    fn channels(&self) -> [usize; 2] {
        [self.outputs, self.inputs]
    }

    /// # Shapes
    /// - grid: `[batch, height, width, inputs]`
    /// - weight: `[outputs, inputs, kernel rows, kernel columns]`
    /// - bias: `[outputs]`
    /// - output: `[batch, output height, output width, outputs]`
    ///
    /// # Panics
    /// Slices of other sizes.
    pub fn forward(&self, grid: &[f32], weight: &[f32], bias: &[f32], act: Act) -> Vec<f32> {
        let size = self.output();
        let mut out = vec![0.0; count([size.batch, size.height, size.width, self.outputs])];
        let [grid, weight] = [grid, weight].map(|operand| self.format.round(operand));
        let packed = ConvPacked::new(&weight, self.channels(), self.window);
        let epilogue = Epilogue {
            bias: Some(bias),
            activation: act,
            ..Epilogue::default()
        };
        packed.forward(&grid, self.shape, &epilogue, &mut out);
        out
    }

    /// The gradients by the grid, where it is wanted, by the weight and by the bias,
    /// from that by the output without activation.
    ///
    /// # Panics
    /// Slices of other sizes than [`Convolve::forward`] says.
    pub fn backward(
        &self,
        grid: &[f32],
        weight: &[f32],
        gradient: &[f32],
        wanted: bool,
    ) -> [Vec<f32>; 3] {
        let [grid, weight, operand] =
            [grid, weight, gradient].map(|operand| self.format.round(operand));
        let mut of_grid = Vec::new();
        if wanted {
            of_grid.resize(grid.len(), 0.0);
            let back = ConvInputGradient::new(&weight, self.channels(), self.window);
            back.backward(&operand, self.shape, &mut of_grid);
        }
        let mut of_weight = vec![0.0; weight.len()];
        add_weight_gradient(
            &grid,
            self.shape,
            &operand,
            self.channels(),
            self.window,
            &mut of_weight,
        );
        let mut of_bias = vec![0.0; self.outputs];
        add_bias_gradient(gradient, &mut of_bias);
        [of_grid, of_weight, of_bias]
    }
}
