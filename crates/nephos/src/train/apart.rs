//! A batch's images computed by one thread each, a few at a time.
//!
//! A stem and stages are many short loops: threads that share every loop wait for each
//! other more than they compute. Here a thread has images of its own, from the pixels to
//! the coarse scores, and after the loss, which sees the scores of all, from the scores'
//! gradients to the weights'. How a batch is cut does not depend on the number of threads,
//! so neither do the sums.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use ndarray::{ArrayView4, Axis};
use rayon::prelude::*;

use crate::config::{Config, Precision};
use crate::dataset::image_tensor;
use crate::model::Segmenter;

/// Images of a part.
const IMAGES: usize = 2;

/// Whether parts of a batch can be computed apart, and whether that is faster: batch
/// normalisation looks at all images, dropout draws from one source, and long loops keep
/// threads busy.
pub(super) fn suits(config: &Config, device: &Device) -> bool {
    let (model, train) = (&config.model, &config.train);
    let drops = model.encoder.dropout > 0.0 || model.graph.dropout > 0.0;
    model.kind.is_segmenter()
        && !model.stem.channels.is_empty()
        && !drops
        && !train.checkpointing
        && train.precision == Precision::F32
        && crate::kernel::is_cpu(device)
}

/// Parts of a batch on their way: the scores of each, with the network that recorded them.
/// Autodiff keeps a graph for each, and a thread for itself.
pub(super) struct Apart(Vec<(Segmenter, Tensor<4>)>);

impl Apart {
    /// The forward pass.
    ///
    /// # Shapes
    /// - images: `[B, channels, H, W]`
    pub fn forward(model: &Segmenter, images: ArrayView4<'_, f32>, device: &Device) -> Self {
        let parts: Vec<_> = (images.axis_chunks_iter(Axis(0), IMAGES))
            // The same numbers as other parameters, which share no graph.
            .map(|images| (model.clone().fork(device), images.to_owned()))
            .collect();
        let forward = |(model, images): (Segmenter, _)| {
            let coarse = model.forward_coarse(image_tensor(images, device), Precision::F32);
            (model, coarse)
        };
        Self(parts.into_par_iter().with_max_len(1).map(forward).collect())
    }

    /// The coarse scores of all images, for a loss: what autodiff records starts here.
    ///
    /// # Shapes
    /// - output: `[B, classes, rows, cols]`
    pub fn scores(&self) -> Tensor<4> {
        let parts = self.0.iter().map(|(_, coarse)| coarse.clone().inner());
        Tensor::from_inner(Tensor::cat(parts.collect(), 0)).require_grad()
    }

    /// The gradients of each part by the weights, from that by the scores; `None`: the
    /// loss does not depend on them.
    ///
    /// # Shapes
    /// - gradient: as [`Apart::scores`]
    pub fn backward(self, gradient: Option<Tensor<4>>) -> Vec<GradientsParams> {
        let Some(gradient) = gradient else {
            return Vec::new();
        };
        let mut first = 0;
        let parts: Vec<_> = (self.0.into_iter())
            .map(|(model, coarse)| {
                let images = coarse.dims()[0];
                let part = gradient.clone().narrow(0, first, images);
                first += images;
                (model, coarse, part)
            })
            .collect();
        let backward = |(model, coarse, gradient): (Segmenter, Tensor<4>, Tensor<4>)| {
            // Its gradient by the scores is `gradient`.
            let linear = (coarse * Tensor::from_inner(gradient)).sum();
            GradientsParams::from_grads(linear.backward(), &model)
        };
        (parts.into_par_iter().with_max_len(1).map(backward)).collect()
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tolerance;
    use ndarray::Array4;

    use super::*;
    use crate::train::gradients::global_norm;

    #[test]
    fn parts_have_the_scores_and_gradients_of_the_whole() {
        let settings = ["model.image_size=32", "model.graph.affinity=bias"].map(String::from);
        let config = Config::preset("tiny", &settings).unwrap();
        let device = Device::flex().autodiff();
        assert!(suits(&config, &device));
        device.seed(3);
        let model = Segmenter::new(&config.model, config.channels(), &device);
        let shape = (2 * IMAGES + 1, config.channels(), 32, 40);
        let images = Array4::from_shape_fn(shape, |(image, band, row, col)| {
            ((image * 7 + band * 5 + row * 3 + col * col) % 11) as f32 / 11.0
        });
        // A loss that is not a sum over images.
        let loss = |scores: Tensor<4>| scores.clone().mean().square() + scores.square().mean();

        let whole = model.forward_coarse(image_tensor(images.clone(), &device), Precision::F32);
        let apart = Apart::forward(&model, images.view(), &device);
        let scores = apart.scores();
        let (ours, theirs) = (scores.clone().into_data(), whole.clone().into_data());
        ours.assert_approx_eq::<f32>(&theirs, Tolerance::absolute(1e-5));

        let whole = GradientsParams::from_grads(loss(whole).backward(), &model);
        let mut gradients = loss(scores.clone()).backward();
        let parts = apart.backward(scores.grad_remove(&mut gradients));
        assert_eq!(parts.len(), 3);
        let mut sum = burn::optim::GradientsAccumulator::new();
        for part in parts {
            sum.accumulate(&model, part);
        }
        let (ours, theirs) = (sum.grads(), whole);
        assert_eq!(ours.len(), theirs.len());
        let [a, b] = [&ours, &theirs].map(|gradients| global_norm(&model, gradients));
        assert!(a > 0.0 && (a / b - 1.0).abs() < 1e-5, "{a} {b}");
        struct Near<'a>([&'a GradientsParams; 2]);
        impl burn::module::ModuleVisitor for Near<'_> {
            fn visit_float<const D: usize>(&mut self, param: &burn::module::Param<Tensor<D>>) {
                let of = |gradients: &GradientsParams| gradients.get::<D>(param.id);
                match self.0.map(of) {
                    [Some(a), Some(b)] => (a.into_data())
                        .assert_approx_eq::<f32>(&b.into_data(), Tolerance::absolute(1e-5)),
                    [None, None] => (),
                    _ => panic!("a gradient in one of both"),
                }
            }
        }
        model.visit(&mut Near([&ours, &theirs]));
    }
}
