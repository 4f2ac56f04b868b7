//! The layers that parts of the network share, as operators.

use std::collections::BTreeMap;

use super::graph::{Attribute, Graph, Value};
use crate::config::ModelConfig;
use crate::error::{Error, Result};
use crate::weights::{NamedTensor, exchange};

/// What the parts of the network are built with. Grids are `[batch, features, rows, columns]`,
/// tokens `[batch, tokens, features]`.
pub(super) struct Builder<'a> {
    pub graph: Graph,
    pub config: &'a ModelConfig,
    weights: BTreeMap<&'a str, &'a NamedTensor>,
    /// Rows and columns of tokens.
    pub grid: [usize; 2],
}

/// The window of a convolution.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub side: usize,
    pub stride: usize,
    pub padding: usize,
}

impl Window {
    /// 3 × 3, or of another odd side, that keeps the grid's size.
    pub fn same(side: usize) -> Self {
        Self {
            side,
            stride: 1,
            padding: side / 2,
        }
    }
}

impl<'a> Builder<'a> {
    pub fn new(config: &'a ModelConfig, tensors: &'a [NamedTensor], grid: [usize; 2]) -> Self {
        Self {
            graph: Graph::default(),
            config,
            weights: tensors.iter().map(|tensor| (&*tensor.0, tensor)).collect(),
            grid,
        }
    }

    /// Number of tokens.
    pub fn tokens(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// A parameter in PyTorch's layout: its name there, shape and values.
    pub fn weight(&self, path: &str) -> Result<&'a NamedTensor> {
        let (name, _) = exchange::stored(path, &[]);
        (self.weights.get(&*name).copied())
            .ok_or_else(|| Error::model(format!("the model has no tensor {name}")))
    }

    /// A parameter as a constant.
    fn parameter(&mut self, path: &str) -> Result<Value> {
        let (name, shape, values) = self.weight(path)?;
        Ok(self.graph.constant(name, shape, values))
    }

    /// A linear layer of the last axis.
    pub fn linear(&mut self, x: &Value, layer: &str, bias: bool) -> Result<Value> {
        let (name, shape, values) = self.weight(&format!("{layer}.weight"))?;
        let &[outputs, inputs] = &shape[..] else {
            return Err(Error::model(format!(
                "{name} has the shape {shape:?}, two axes were expected"
            )));
        };
        let transposed: Vec<f32> = (0..inputs)
            .flat_map(|input| (0..outputs).map(move |output| output * inputs + input))
            .filter_map(|place| values.get(place).copied())
            .collect();
        let weight = self.graph.constant(name, &[inputs, outputs], &transposed);
        let product = self.graph.node("MatMul", &[x, &weight], &[]);
        if !bias {
            return Ok(product);
        }
        let bias = self.parameter(&format!("{layer}.bias"))?;
        Ok(self.graph.node("Add", &[&product, &bias], &[]))
    }

    /// A convolution of a grid in so many groups.
    pub fn conv(&mut self, x: &Value, layer: &str, window: Window, groups: usize) -> Result<Value> {
        let weight = self.parameter(&format!("{layer}.weight"))?;
        let bias = self.parameter(&format!("{layer}.bias"))?;
        Ok(self.conv_by(x, [&weight, &bias], window, groups))
    }

    /// The same by a weight and a bias.
    pub fn conv_by(
        &mut self,
        x: &Value,
        [weight, bias]: [&Value; 2],
        Window {
            side,
            stride,
            padding,
        }: Window,
        groups: usize,
    ) -> Value {
        let [side, stride, padding] = [side, stride, padding].map(|pixels| pixels as i64);
        let attributes = [
            Attribute::Ints("kernel_shape", &[side; 2]),
            Attribute::Ints("strides", &[stride; 2]),
            Attribute::Ints("pads", &[padding; 4]),
            Attribute::Int("group", groups as i64),
        ];
        self.graph.node("Conv", &[x, weight, bias], &attributes)
    }

    pub fn relu(&mut self, x: &Value) -> Value {
        self.graph.node("Relu", &[x], &[])
    }

    pub fn add(&mut self, a: &Value, b: &Value) -> Value {
        self.graph.node("Add", &[a, b], &[])
    }

    /// Each number times `factor`.
    pub fn scaled(&mut self, x: &Value, factor: f32) -> Value {
        let factor = self.graph.number(factor);
        self.graph.node("Mul", &[x, &factor], &[])
    }

    /// A LayerNorm of the last axis.
    pub fn norm(&mut self, x: &Value, layer: &str) -> Result<Value> {
        let gamma = self.parameter(&format!("{layer}.gamma"))?;
        let beta = self.parameter(&format!("{layer}.beta"))?;
        let epsilon = self.config.encoder.norm_eps as f32;
        let attributes = [
            Attribute::Int("axis", -1),
            Attribute::Float("epsilon", epsilon),
        ];
        Ok(self
            .graph
            .node("LayerNormalization", &[x, &gamma, &beta], &attributes))
    }

    /// A residual block, `x + gain · conv2(relu(conv1(relu(x))))`.
    pub fn block(&mut self, x: &Value, name: &str) -> Result<Value> {
        let (_, _, gain) = self.weight(&format!("{name}.gain"))?;
        let gain = gain.first().copied().unwrap_or_default();
        let window = Window::same(3);
        let positive = self.relu(x);
        let hidden = self.conv(&positive, &format!("{name}.conv1"), window, 1)?;
        let hidden = self.relu(&hidden);
        let mut pair = Vec::new();
        for part in ["weight", "bias"] {
            let (name, shape, values) = self.weight(&format!("{name}.conv2.{part}"))?;
            let values: Vec<f32> = values.iter().map(|value| value * gain).collect();
            pair.push(self.graph.constant(name, shape, &values));
        }
        let change = self.conv_by(&hidden, [&pair[0], &pair[1]], window, 1);
        Ok(self.add(x, &change))
    }

    /// Another shape of the same numbers; 0 keeps an extent, -1 is what is left.
    pub fn reshape(&mut self, x: &Value, shape: &[i64]) -> Value {
        let shape = self.graph.integers(shape);
        self.graph.node("Reshape", &[x, &shape], &[])
    }

    /// Axes in another order.
    pub fn transpose(&mut self, x: &Value, axes: &[i64]) -> Value {
        self.graph
            .node("Transpose", &[x], &[Attribute::Ints("perm", axes)])
    }

    /// Tokens of a grid.
    pub fn tokens_of(&mut self, grid: &Value, width: usize) -> Value {
        let flat = self.reshape(grid, &[0, width as i64, self.tokens() as i64]);
        self.transpose(&flat, &[0, 2, 1])
    }

    /// The grid of tokens.
    pub fn grid_of(&mut self, tokens: &Value, width: usize) -> Value {
        let flat = self.transpose(tokens, &[0, 2, 1]);
        let [rows, cols] = self.grid.map(|side| side as i64);
        self.reshape(&flat, &[0, width as i64, rows, cols])
    }

    /// One of grids after the other.
    pub fn joined(&mut self, grids: &[&Value]) -> Value {
        self.graph
            .node("Concat", grids, &[Attribute::Int("axis", 1)])
    }
}
