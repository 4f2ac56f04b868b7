//! What training minimises: losses on logits, PyTorch's conventions.

mod truth;

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};

use self::truth::Truth;
use nephos::config::{LossConfig, LossKind};

/// Keeps a mean over no pixels at 0 instead of 0/0.
const TINY: f32 = 1e-12;
/// Added to both parts of the Dice fraction, in pixels: a class that is neither
/// there nor predicted scores 1.
const DICE_SMOOTH: f32 = 1.0;

/// A loss on the scores of every pixel; pixels labelled 255 never count, and
/// those that may be of several classes as [`nephos_kernel::loss`] says.
#[derive(Debug, Clone)]
pub struct Loss {
    config: LossConfig,
    classes: usize,
    /// `[classes]`, where the configuration weighs classes.
    weights: Option<Tensor<1>>,
}

impl Loss {
    /// The loss of `config` over `classes` classes, for tensors on `device`.
    pub fn new(config: &LossConfig, classes: usize, device: &Device) -> Self {
        let weights = (!config.class_weights.is_empty()).then(|| {
            let weights = config.class_weights.clone();
            Tensor::from_data(TensorData::new(weights, [classes]), device)
        });
        Self {
            config: config.clone(),
            classes,
            weights,
        }
    }

    /// The loss, one number; 0 where no pixel is labelled.
    ///
    /// Cross-entropy is the weighted mean of PyTorch's `CrossEntropyLoss`, with
    /// its label smoothing; focal loss (Lin et al. 2017) is the same mean of
    /// −(1 − p)^γ log p. Dice (Milletari et al. 2016) is one minus the mean over
    /// the classes of 2 Σ p t / (Σ p² + Σ t²), sums over all pixels of the batch.
    ///
    /// # Shapes
    /// - logits: `[B, classes, H, W]`, f32
    /// - labels: `[B, H, W]`, class codes, sets of classes, or 255
    ///
    /// # Panics
    /// The shapes don't agree.
    pub fn forward(&self, logits: Tensor<4>, labels: Tensor<3, Int>) -> Tensor<1> {
        let [b, classes, h, w] = logits.dims();
        assert_eq!(classes, self.classes, "logits of {classes} classes");
        assert_eq!(
            labels.dims(),
            [b, h, w],
            "labels and logits differ in shape"
        );
        let log_p = log_softmax(logits, 1); // [B, C, H, W]
        let truth = Truth::new(labels, classes);
        match self.config.kind {
            LossKind::CrossEntropy => self.cross_entropy(log_p, &truth),
            LossKind::Focal => self.focal(log_p, &truth),
            LossKind::Dice => self.dice(log_p, &truth),
            LossKind::CrossEntropyDice => {
                self.cross_entropy(log_p.clone(), &truth) + self.dice(log_p, &truth)
            }
        }
    }

    /// `[B, H, W]`: the weight of each pixel's class, 0 where not valid.
    fn pixel_weights(&self, truth: &Truth) -> Tensor<3> {
        let valid = truth.valid.clone();
        match &self.weights {
            None => valid,
            Some(weights) => {
                let shape = valid.dims();
                let flat = truth.first.clone().reshape([-1]);
                weights.clone().select(0, flat).reshape(shape) * valid
            }
        }
    }

    fn cross_entropy(&self, log_p: Tensor<4>, truth: &Truth) -> Tensor<1> {
        let smoothing = self.config.label_smoothing;
        let weights = self.pixel_weights(truth);
        let total = weights.clone().sum().clamp_min(TINY);
        let hit = (truth.label_log_likelihood(log_p.clone()) * weights).sum();
        if smoothing == 0.0 {
            return hit.neg() / total;
        }
        let classes = self.classes;
        let log_p = match &self.weights {
            Some(weights) => log_p * weights.clone().reshape([1, classes, 1, 1]),
            None => log_p,
        };
        let spread = (log_p.sum_dim(1).squeeze_dim::<3>(1) * truth.valid.clone()).sum();
        let share = smoothing / classes as f32;
        (hit.mul_scalar(1.0 - smoothing) + spread.mul_scalar(share)).neg() / total
    }

    fn focal(&self, log_p: Tensor<4>, truth: &Truth) -> Tensor<1> {
        let weights = self.pixel_weights(truth);
        let total = weights.clone().sum().clamp_min(TINY);
        let hit = truth.label_log_likelihood(log_p); // [B, H, W]
        (self.focal_factor(&hit) * hit * weights).sum().neg() / total
    }

    /// `(1 - p)^γ` of the logarithms of probabilities.
    fn focal_factor(&self, log_p: &Tensor<3>) -> Tensor<3> {
        // At exactly 0 the slope of a power below 1 is infinite.
        let miss = log_p.clone().exp().neg().add_scalar(1.0).clamp_min(1e-6);
        miss.powf_scalar(self.config.focal_gamma)
    }

    fn dice(&self, log_p: Tensor<4>, truth: &Truth) -> Tensor<1> {
        let sure = truth.sure();
        let p = log_p.exp() * sure.clone().unsqueeze_dim::<4>(1);
        let total = (0..self.classes).map(|class| {
            let p = p.clone().narrow(1, class, 1).squeeze_dim::<3>(1);
            let there = truth.first.clone().equal_elem(class as i32).float() * sure.clone();
            let both = (p.clone() * there.clone()).sum();
            let sum = (p.clone() * p).sum() + there.sum();
            both.mul_scalar(2.0).add_scalar(DICE_SMOOTH) / sum.add_scalar(DICE_SMOOTH)
        });
        let total = total.reduce(|a, b| a + b);
        let mean = total.map(|t| t.div_scalar(self.classes as f32));
        // A configuration has at least two classes.
        mean.map_or_else(|| sure.sum() * 0.0, |m| m.neg().add_scalar(1.0))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// Golden values of PyTorch; see the script beside the file.
    #[derive(Deserialize)]
    struct Golden {
        shape: [usize; 4],
        logits: Vec<f32>,
        labels: Vec<i32>,
        losses: Vec<GoldenLoss>,
    }

    #[derive(Deserialize)]
    struct GoldenLoss {
        config: LossConfig,
        loss: f32,
        gradient: Vec<f32>,
    }

    fn golden() -> Golden {
        serde_json::from_str(include_str!(
            "../../../nephos/tests/parity/training/golden.json"
        ))
        .unwrap()
    }

    /// Holds loss and gradient of every golden case, as `forward` computes them, to PyTorch's.
    fn assert_pytorchs(golden: &Golden, forward: impl Fn(&Loss, &Tensor<4>) -> Tensor<1>) {
        let device = Device::flex().autodiff();
        let [b, c, h, w] = golden.shape;
        for case in &golden.losses {
            let data = TensorData::new(golden.logits.clone(), [b, c, h, w]);
            let logits = Tensor::<4>::from_data(data, &device).require_grad();
            let loss = forward(&Loss::new(&case.config, c, &device), &logits);
            let value = loss.clone().into_scalar::<f32>();
            assert!(
                (value - case.loss).abs() < 1e-5,
                "{:?}: {value}",
                case.config
            );
            let gradient = logits.grad(&loss.backward()).unwrap();
            let gradient = gradient.try_into_vec_as::<f32>().unwrap();
            for (ours, torchs) in gradient.iter().zip(&case.gradient) {
                assert!(
                    (ours - torchs).abs() < 1e-6,
                    "{:?}: {ours} {torchs}",
                    case.config
                );
            }
        }
    }

    #[test]
    fn losses_and_gradients_are_pytorchs() {
        let golden = golden();
        let [b, _, h, w] = golden.shape;
        assert_pytorchs(&golden, |loss, logits| {
            let labels = TensorData::new(golden.labels.clone(), [b, h, w]);
            let labels = Tensor::<3, Int>::from_data(labels, &logits.device());
            loss.forward(logits.clone(), labels)
        });
    }

    #[test]
    fn pixels_that_may_be_of_several_classes_have_the_loss_of_the_kernel() {
        use nephos_kernel::loss::{Target, either};
        let golden = golden();
        let device = Device::flex().autodiff();
        let [b, c, h, w] = golden.shape;
        let sets = [either(&[0, c - 1]), either(&[1, 2]), 255];
        let codes = (golden.labels.iter().enumerate()).map(|(pixel, code)| match pixel % 5 {
            place @ 0..3 => sets[place],
            _ => *code as u8,
        });
        let codes: Vec<u8> = codes.collect();
        for case in golden.losses {
            let data = TensorData::new(golden.logits.clone(), [b, c, h, w]);
            let logits = Tensor::<4>::from_data(data, &device).require_grad();
            let labels: Vec<i32> = codes.iter().map(|code| i32::from(*code)).collect();
            let labels = TensorData::new(labels, [b, h, w]);
            let labels = Tensor::<3, Int>::from_data(labels, &device);
            let value = Loss::new(&case.config, c, &device).forward(logits.clone(), labels);
            let gradient = logits.grad(&value.backward()).unwrap();
            let mut ours = gradient.try_into_vec_as::<f32>().unwrap();
            ours.push(value.into_scalar::<f32>());

            // On a grid of the image's size upsampling changes nothing.
            let target = Target::new(&golden.logits, &codes, c, [h, w], [h, w], true);
            let objective = nephos::loss::objective(&case.config);
            let evaluation = objective.evaluate(&target);
            let mut kernels = vec![0.0; golden.logits.len()];
            objective.gradient(&target, &evaluation, 1.0, &mut kernels);
            kernels.push(evaluation.loss as f32);
            for (ours, kernels) in ours.iter().zip(kernels) {
                assert!(
                    (ours - kernels).abs() < 1e-6,
                    "{:?}: {ours} {kernels}",
                    case.config
                );
            }
        }
    }

    #[test]
    fn a_batch_without_labels_has_no_loss_and_no_gradient() {
        let device = Device::flex().autodiff();
        for kind in [LossKind::CrossEntropy, LossKind::Focal, LossKind::Dice] {
            let config = LossConfig {
                kind,
                ..LossConfig::default()
            };
            let logits = Tensor::<4>::ones([1, 4, 2, 2], &device).require_grad();
            let labels = Tensor::<3, Int>::full([1, 2, 2], 255, &device);
            let loss = Loss::new(&config, 4, &device);
            let value = loss.forward(logits.clone(), labels);
            assert_eq!(value.clone().into_scalar::<f32>(), 0.0, "{kind:?}");
            let gradient = logits.grad(&value.backward()).unwrap();
            assert_eq!(gradient.abs().max().into_scalar::<f32>(), 0.0);
        }
    }

    #[test]
    fn batches_average_to_the_loss_of_all_their_pixels() {
        let golden = golden();
        let device = Device::flex();
        let [b, c, h, w] = golden.shape;
        let config = LossConfig {
            class_weights: vec![1.0, 2.0, 0.5, 3.0],
            ..LossConfig::default()
        };
        let loss = Loss::new(&config, c, &device);
        let data = TensorData::new(golden.logits.clone(), [b, c, h, w]);
        let logits = Tensor::<4>::from_data(data, &device);
        let labels = TensorData::new(golden.labels.clone(), [b, h, w]);
        let labels = Tensor::<3, Int>::from_data(labels, &device);
        let (mut sum, mut all) = (0.0, 0.0);
        for (image, codes) in golden.labels.chunks(h * w).enumerate() {
            let counts: Vec<u64> = (0..c as i32)
                .map(|class| codes.iter().filter(|code| **code == class).count() as u64)
                .collect();
            let part = loss.forward(
                logits.clone().narrow(0, image, 1),
                labels.clone().narrow(0, image, 1),
            );
            let weight = nephos::loss::batch_weight(&config, c, &counts);
            sum += part.into_scalar::<f64>() * weight;
            all += weight;
        }
        let whole = loss.forward(logits, labels).into_scalar::<f64>();
        assert!((sum / all - whole).abs() < 1e-6, "{} {whole}", sum / all);
    }
}
