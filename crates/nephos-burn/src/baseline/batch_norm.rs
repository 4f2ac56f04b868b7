//! Batch normalisation.

use burn::module::{Initializer, Module, Param, RunningState};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor, TensorData, assert_shape};

/// ε, and the share of a batch in the running statistics: PyTorch's defaults.
const EPSILON: f32 = 1e-5;
const MOMENTUM: f32 = 0.1;

/// What follows the norm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Activation {
    None,
    Relu,
    Relu6,
}

/// Normalises each channel over a batch (Ioffe & Szegedy 2015,
/// doi:10.48550/arXiv.1502.03167), then activates.
///
/// In training, which is on a device with autodiff, by the statistics of the batch,
/// which are averaged over the steps; else by these averages. They are no parameters,
/// but go with them into checkpoints and bundles.
#[derive(Module, Debug)]
pub struct BatchNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    running_mean: RunningState<Tensor<1>>,
    running_var: RunningState<Tensor<1>>,
    #[module(skip)]
    activation: Activation,
}

impl BatchNorm {
    pub(super) fn new(channels: usize, activation: Activation, device: &Device) -> Self {
        Self {
            gamma: Initializer::Ones.init([channels], device),
            beta: Initializer::Zeros.init([channels], device),
            running_mean: RunningState::new(Tensor::zeros([channels], device)),
            running_var: RunningState::new(Tensor::ones([channels], device)),
            activation,
        }
    }

    /// # Shapes
    /// - x, output: `[B, channels, H, W]`, f32
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let [channels] = self.gamma.lazy_shape().dims();
        assert_shape!(x, [_, channels, _, _]);
        let [batch, _, height, width] = x.dims();
        // One value has no spread: it is normalised as in prediction.
        match x.device().is_autodiff() && batch * height * width > 1 {
            true => self.forward_train(x),
            false => self.forward_inference(x),
        }
    }

    fn forward_train(&self, x: Tensor<4>) -> Tensor<4> {
        let [batch, _, height, width] = x.dims();
        let count = batch * height * width;
        let mean = x.clone().mean_dims(&[0, 2, 3]); // [1, channels, 1, 1]
        let centred = x - mean.clone();
        let variance = centred.clone().square().mean_dims(&[0, 2, 3]);
        let values = |tensor: &Tensor<4>| {
            let data = tensor.clone().detach().into_data();
            data.try_into_vec_as::<f32>().expect("numbers of f32")
        };
        self.follow(&values(&mean), &values(&variance), count);
        self.finish(centred, variance)
    }

    fn forward_inference(&self, x: Tensor<4>) -> Tensor<4> {
        let device = x.device();
        let running = |state: &RunningState<Tensor<1>>| state.value_sync().to_device(&device);
        let (mean, variance) = (running(&self.running_mean), running(&self.running_var));
        self.finish(x - planes(mean), planes(variance))
    }

    /// `activation(γ centred / √(variance + ε) + β)`.
    fn finish(&self, centred: Tensor<4>, variance: Tensor<4>) -> Tensor<4> {
        let unit = centred / variance.add_scalar(EPSILON).sqrt();
        let x = unit * planes(self.gamma.val()) + planes(self.beta.val());
        match self.activation {
            Activation::None => x,
            Activation::Relu => relu(x),
            Activation::Relu6 => x.clamp(0.0, 6.0),
        }
    }

    /// Moves the running statistics towards those of a batch of `count` pixels; as in
    /// PyTorch their variance is the unbiased one.
    fn follow(&self, mean: &[f32], variance: &[f32], count: usize) {
        let unbiased = count as f32 / (count - 1) as f32;
        let step = |state: &RunningState<Tensor<1>>, batch: &[f32], factor: f32| {
            let old = state.value_sync();
            let device = old.device();
            let old: Vec<f32> = (old.into_data().try_into_vec_as()).expect("numbers of f32");
            let new: Vec<f32> = (old.iter().zip(batch))
                .map(|(old, batch)| (1.0 - MOMENTUM) * old + MOMENTUM * factor * batch)
                .collect();
            let shape = [new.len()];
            state.update(Tensor::from_data(TensorData::new(new, shape), &device));
            // Without this the value would be seen one step late.
            state.value_sync();
        };
        step(&self.running_mean, mean, 1.0);
        step(&self.running_var, variance, unbiased);
    }
}

/// `[channels]` as `[1, channels, 1, 1]`.
fn planes(values: Tensor<1>) -> Tensor<4> {
    let [channels] = values.dims();
    values.reshape([1, channels, 1, 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Distribution;

    fn values(tensor: Tensor<1>) -> Vec<f32> {
        tensor.into_data().try_into_vec_as().unwrap()
    }

    #[test]
    fn a_batch_in_training_is_centred_and_of_unit_spread() {
        let device = Device::flex().autodiff();
        let norm = BatchNorm::new(3, Activation::None, &device);
        let x = Tensor::<4>::random([2, 3, 5, 7], Distribution::Default, &device) * 9.0 - 2.0;
        let unit = norm.forward(x);
        let mean = unit.clone().mean_dims(&[0, 2, 3]);
        let square = unit.square().mean_dims(&[0, 2, 3]);
        let close = |tensor: Tensor<4>, to: f32| {
            let values: Vec<f32> = tensor.into_data().try_into_vec().unwrap();
            assert!(values.iter().all(|v| (v - to).abs() < 1e-4), "{values:?}");
        };
        close(mean, 0.0);
        close(square, 1.0);
    }

    #[test]
    fn running_statistics_follow_the_batches() {
        let device = Device::flex().autodiff();
        let norm = BatchNorm::new(1, Activation::None, &device);
        let x = Tensor::<4>::from_data([[[[1.0f32, 2.0, 3.0, 6.0]]]], &device);
        norm.forward(x);
        // Mean 3; squared deviations 4 + 1 + 0 + 9 over 3.
        let [mean, variance] = [&norm.running_mean, &norm.running_var].map(|s| values(s.value()));
        assert!((mean[0] - 0.3).abs() < 1e-6, "{mean:?}");
        assert!(
            (variance[0] - (0.9 + 1.4 / 3.0)).abs() < 1e-6,
            "{variance:?}"
        );
        // A single value moves nothing.
        norm.forward(Tensor::<4>::from_data([[[[100.0f32]]]], &device));
        assert_eq!(values(norm.running_mean.value()), mean);
    }
}
