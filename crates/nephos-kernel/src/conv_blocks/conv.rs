//! One convolution.

use std::borrow::Cow;

use crate::activation::relu_backward;
use crate::conv::{
    ConvInputGradient, ConvPacked, Shape, Window, add_bias_gradient, add_weight_gradient,
};
use crate::dropout::Dropout;
use crate::format::Format;
use crate::gemm::{Act, Epilogue};
use crate::sizes::count;

/// A convolution with its bias.
#[derive(Debug, Clone)]
pub struct Conv<'a> {
    packed: ConvPacked,
    bias: Cow<'a, [f32]>,
    format: Format,
    /// What the backward pass needs.
    weight: Option<Cow<'a, [f32]>>,
}

impl<'a> Conv<'a> {
    /// Packs filters: for training, with operands of products in the format `trained`, or for
    /// inference alone.
    ///
    /// # Shapes
    /// - weight: `[outputs, inputs, kernel rows, kernel columns]` of `[inputs, outputs]`
    /// - bias: `[outputs]`
    ///
    /// # Panics
    /// The weight has another size.
    pub fn new(
        weight: Cow<'a, [f32]>,
        bias: Cow<'a, [f32]>,
        [inputs, outputs]: [usize; 2],
        window: Window,
        trained: Option<Format>,
    ) -> Self {
        let format = trained.unwrap_or_default();
        Self {
            packed: ConvPacked::new(&format.round(&weight), [outputs, inputs], window),
            bias,
            format,
            weight: trained.map(|_| weight),
        }
    }

    /// The same after a ReLU.
    pub fn with_input_relu(self) -> Self {
        Self {
            packed: self.packed.with_input_relu(),
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

    /// The output's size.
    ///
    /// # Panics
    /// The window is larger than the padded grid.
    pub fn output(&self, shape: Shape) -> Shape {
        self.packed.window().output(shape)
    }

    /// Numbers of the output.
    ///
    /// # Panics
    /// As [`Conv::output`], or they do not fit a `usize`.
    pub fn numbers(&self, shape: Shape) -> usize {
        let size = self.output(shape);
        count([size.batch, size.height, size.width, self.outputs()])
    }

    /// `to = activation(conv(grid)) + residual`.
    ///
    /// # Shapes
    /// - grid: `[batch, height, width, inputs]`
    /// - to, residual: `[batch, output height, output width, outputs]`
    ///
    /// # Panics
    /// Slices of other sizes.
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
        (self.packed).forward(&self.format.round(grid), shape, &epilogue, to);
    }

    /// The gradients by the grid, where it is `wanted`, by the weight and by the bias,
    /// from that by the output without activation.
    ///
    /// # Panics
    /// Slices of other sizes than [`Conv::forward`] says, or a convolution for inference alone.
    pub fn backward(
        &self,
        grid: &[f32],
        shape: Shape,
        gradient: &[f32],
        wanted: bool,
    ) -> [Vec<f32>; 3] {
        let weight = self.weight.as_ref().expect("a convolution in training");
        let (window, input_relu) = (self.packed.window(), self.packed.has_input_relu());
        let channels = [self.outputs(), self.inputs()];
        let [input, weight, operand] =
            [grid, weight, gradient].map(|operand| self.format.round(operand));
        let mut of_grid = Vec::new();
        if wanted {
            of_grid.resize(grid.len(), 0.0);
            let back = ConvInputGradient::new(&weight, channels, window);
            back.backward(&operand, shape, &mut of_grid);
            if input_relu {
                relu_backward(grid, &Dropout::off(), &mut of_grid);
            }
        }
        let mut of_weight = vec![0.0; weight.len()];
        add_weight_gradient(
            &input,
            shape,
            &operand,
            channels,
            window,
            input_relu,
            &mut of_weight,
        );
        let mut of_bias = vec![0.0; self.outputs()];
        add_bias_gradient(gradient, &mut of_bias);
        [of_grid, of_weight, of_bias]
    }
}
