//! Parameters and their gradients by name.

use std::fmt::Display;

use nephos_kernel::format::Format;
use nephos_kernel::linear::Linear;
use nephos_kernel::norm::LayerNorm;

use crate::weights::Parameters;

/// The parameters whose names begin alike.
#[derive(Debug, Clone)]
pub(super) struct Scope<'a> {
    parameters: &'a Parameters,
    name: String,
    format: Format,
}

impl<'a> Scope<'a> {
    /// Those of a part of the network, whose products have operands of `format`.
    pub fn new(parameters: &'a Parameters, name: impl Into<String>, format: Format) -> Self {
        Self {
            parameters,
            name: name.into(),
            format,
        }
    }

    /// Of the operands of products.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Those whose names go on with `part`.
    pub fn child(&self, part: impl Display) -> Self {
        Self::new(
            self.parameters,
            format!("{}.{part}", self.name),
            self.format,
        )
    }

    fn name(&self, part: &str) -> String {
        format!("{}.{part}", self.name)
    }

    /// The values of a parameter.
    pub fn get(&self, part: &str) -> &'a [f32] {
        self.parameters.get(&self.name(part))
    }

    /// A parameter of one value.
    pub fn scalar(&self, part: &str) -> f32 {
        self.get(part)[0]
    }

    /// `weight` and `bias` of a layer.
    pub fn pair(&self, layer: &str) -> [&'a [f32]; 2] {
        ["weight", "bias"].map(|part| self.get(&format!("{layer}.{part}")))
    }

    /// A linear layer.
    pub fn linear(&self, layer: &str) -> Linear<'a> {
        let [weight, bias] = self.pair(layer);
        Linear {
            weight,
            bias,
            format: self.format,
        }
    }

    /// A LayerNorm.
    pub fn norm(&self, layer: &str, epsilon: f64) -> LayerNorm<'a> {
        LayerNorm {
            scale: self.get(&format!("{layer}.gamma")),
            shift: self.get(&format!("{layer}.beta")),
            epsilon: epsilon as f32,
        }
    }

    /// Adds the gradient of a parameter.
    pub fn add(&self, gradients: &mut Gradients, part: &str, values: Vec<f32>) {
        let place = self.parameters.place(&self.name(part));
        gradients.add(place, values);
    }

    /// Adds the gradients of the weight and the bias of a layer.
    pub fn add_pair(&self, gradients: &mut Gradients, layer: &str, [weight, bias]: [Vec<f32>; 2]) {
        self.add(gradients, &format!("{layer}.weight"), weight);
        self.add(gradients, &format!("{layer}.bias"), bias);
    }

    /// Adds the gradients of the scale and the shift of a LayerNorm.
    pub fn add_norm(&self, gradients: &mut Gradients, layer: &str, [scale, shift]: [Vec<f32>; 2]) {
        self.add(gradients, &format!("{layer}.gamma"), scale);
        self.add(gradients, &format!("{layer}.beta"), shift);
    }
}

/// The gradients of all parameters, in their order; empty where there is none yet.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gradients(Vec<Vec<f32>>);

impl Gradients {
    fn add(&mut self, place: usize, values: Vec<f32>) {
        if self.0.len() <= place {
            self.0.resize_with(place + 1, Vec::new);
        }
        let sum = &mut self.0[place];
        if sum.is_empty() {
            *sum = values;
        } else {
            sum.iter_mut().zip(&values).for_each(|(sum, x)| *sum += x);
        }
    }

    /// Adds those of another part of the batch.
    pub fn merge(&mut self, other: Self) {
        for (place, values) in other.0.into_iter().enumerate() {
            if !values.is_empty() {
                self.add(place, values);
            }
        }
    }

    /// The gradient of the parameter at `place`; empty where it has none.
    pub fn get(&self, place: usize) -> &[f32] {
        self.0.get(place).map_or(&[], Vec::as_slice)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.0.iter().map(Vec::as_slice)
    }
}
