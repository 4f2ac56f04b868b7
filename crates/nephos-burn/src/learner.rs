//! A network in training on a device.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array3, Array4, Axis};
use nephos::class::IGNORE;
use nephos::config::Config;
use nephos::network::{BatchLoss, Learner, Moments, Target, TrainingBatch};
use nephos::weights::{NamedTensor, Parameter};
use nephos::{Error, Result};

use crate::arrays::{labels, tensor, values};
use crate::loss::Loss;
use crate::module_path::{ModulePath, keep_path};
use crate::optimizer::{Optimizer, on_device, on_host};
use crate::segmenter::Segmenter;
use crate::tensors::{apply, collect_gradients};

/// A network in training: its parameters, the gradients of the step under way, its optimiser.
pub struct BurnLearner {
    config: Config,
    /// With autodiff.
    device: Device,
    /// `None` only while a step replaces it, or after one that panicked.
    segmenter: Option<Segmenter>,
    gradients: GradientsParams,
    optimizer: Optimizer,
    loss: Loss,
    /// For tensors without autodiff.
    plain_loss: Loss,
}

impl fmt::Debug for BurnLearner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BurnLearner")
            .field("config", &self.config)
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

impl BurnLearner {
    /// Training from weights under PyTorch's names, or from random ones drawn by
    /// `config.seed`.
    ///
    /// # Errors
    /// Tensors that don't fit the configuration.
    ///
    /// # Panics
    /// The configuration was not validated.
    pub fn new(
        config: &Config,
        tensors: Option<Vec<NamedTensor>>,
        device: &Device,
    ) -> Result<Self> {
        let inner = device.clone().inner();
        let device = match config.train.checkpointing {
            true => inner.clone().autodiff().gradient_checkpointing(),
            false => inner.clone().autodiff(),
        };
        let (model, channels) = (&config.model, config.channels());
        let segmenter = match tensors {
            Some(tensors) => {
                let origin = Path::new("the weights to start from");
                apply(Segmenter::unset(model, channels, &device), tensors, origin)?
            }
            None => {
                device.seed(config.seed);
                Segmenter::new(model, channels, &device)
            }
        };
        Ok(Self {
            segmenter: Some(segmenter),
            gradients: GradientsParams::new(),
            optimizer: Optimizer::new(&config.train.optimizer, model.encoder.depth),
            loss: Loss::new(&config.loss, model.classes, &device),
            plain_loss: Loss::new(&config.loss, model.classes, &inner),
            config: config.clone(),
            device,
        })
    }

    fn segmenter(&self) -> Result<&Segmenter> {
        self.segmenter.as_ref().ok_or_else(|| {
            Error::unsupported("training", "a step before this one did not come to its end")
        })
    }

    /// The loss of each sample; NaN where it has no label.
    fn loss_of_each(&self, logits: &Tensor<4>, codes: &Array3<u8>) -> Result<Vec<f64>> {
        let logits = logits.clone().inner();
        let of_sample = |(sample, codes): (usize, ndarray::ArrayView3<'_, u8>)| {
            if codes.iter().all(|code| *code == IGNORE) {
                return Ok(f64::NAN);
            }
            let codes = labels(&codes.to_owned(), &logits.device());
            let loss = (self.plain_loss).forward(logits.clone().narrow(0, sample, 1), codes);
            number(loss)
        };
        let samples = codes.axis_chunks_iter(Axis(0), 1).enumerate();
        samples.map(of_sample).collect()
    }

    /// Mean distance of the scores from `truth` where `counts` is 1.
    fn reconstruction(
        &self,
        scores: Tensor<4>,
        truth: &Array4<f32>,
        counts: &Array4<f32>,
    ) -> Tensor<1> {
        let total: f64 = counts.iter().map(|count| f64::from(*count)).sum();
        let (truth, counts) = (
            tensor::<4, _>(truth.clone(), &self.device),
            tensor::<4, _>(counts.clone(), &self.device),
        );
        ((scores - truth).abs() * counts)
            .sum()
            .div_scalar(total.max(1.0))
    }
}

/// The one number of a tensor.
fn number(tensor: Tensor<1>) -> Result<f64> {
    Ok(values(tensor)?.first().copied().map_or(f64::NAN, f64::from))
}

impl Learner for BurnLearner {
    fn accumulate(&mut self, batch: TrainingBatch<'_>) -> Result<BatchLoss> {
        let segmenter = self.segmenter()?;
        let (count, channels, ..) = batch.images.dim();
        assert_eq!(channels, self.config.channels(), "channels of the images");
        let images: Tensor<4> = tensor(batch.images, &self.device);
        self.device.seed(batch.seed);
        let logits = segmenter.forward_with(images, self.config.train.precision);
        let (loss, mut each) = match batch.target {
            Target::Labels(codes) => {
                let each = match batch.each {
                    true => self.loss_of_each(&logits, codes)?,
                    false => Vec::new(),
                };
                (self.loss.forward(logits, labels(codes, &self.device)), each)
            }
            Target::Reconstruction { truth, counts } => {
                (self.reconstruction(logits, truth, counts), Vec::new())
            }
        };
        let scaled = match batch.scale {
            1.0 => loss.clone(),
            scale => loss.clone().mul_scalar(scale),
        };
        // A GPU has all of the step to do before anyone waits for the loss.
        let gradients = GradientsParams::from_grads(scaled.backward(), segmenter);
        let before = std::mem::take(&mut self.gradients);
        let (segmenter, mut sum) = (self.segmenter()?, GradientsAccumulator::new());
        sum.accumulate(segmenter, before);
        sum.accumulate(segmenter, gradients);
        self.gradients = sum.grads();
        let loss = number(loss)?;
        if batch.each && each.is_empty() {
            // Where losses of single samples can't be computed, each has the loss of all.
            each = vec![loss; count];
        }
        Ok(BatchLoss { loss, each })
    }

    fn gradient_norm(&mut self) -> Result<f64> {
        let mut squares = Squares {
            gradients: &self.gradients,
            found: Vec::new(),
        };
        self.segmenter()?.visit(&mut squares);
        if squares.found.is_empty() {
            return Ok(0.0);
        }
        // A device is waited for once, not for each gradient.
        let found = values(Tensor::cat(squares.found, 0))?;
        Ok(found.into_iter().map(f64::from).sum::<f64>().sqrt())
    }

    fn gradients(&self) -> Result<Vec<NamedTensor>> {
        collect_gradients(self.segmenter()?, &self.gradients)
    }

    fn step(&mut self, factor: f64, lr: f64) -> Result<()> {
        self.segmenter()?;
        let gradients = std::mem::take(&mut self.gradients);
        let optimizer = &mut self.optimizer;
        // Taken, not copied, so that weights change in place.
        self.segmenter = (self.segmenter.take())
            .map(|segmenter| optimizer.step(segmenter, gradients, factor, lr));
        Ok(())
    }

    fn clear(&mut self) {
        self.gradients = GradientsParams::new();
    }

    fn parameters(&self) -> Result<Cow<'_, [Parameter]>> {
        let mut read = Read {
            path: ModulePath::default(),
            found: Ok(Vec::new()),
        };
        self.segmenter()?.visit(&mut read);
        read.found.map(Cow::Owned)
    }

    fn moments(&self) -> Result<Cow<'_, [Option<Moments>]>> {
        let mut names = Names::default();
        self.segmenter()?.visit(&mut names);
        let names = names.found.into_iter();
        let moments = names.map(|name| self.optimizer.moments.get(&name).map(on_host).transpose());
        moments.collect::<Result<Vec<_>>>().map(Cow::Owned)
    }

    fn restore(&mut self, parameters: Vec<Parameter>, moments: Vec<Option<Moments>>) -> Result<()> {
        self.segmenter()?;
        assert_eq!(parameters.len(), moments.len(), "number of moments");
        let names: Vec<String> = parameters.iter().map(|own| own.name.clone()).collect();
        let mut write = Write {
            path: ModulePath::default(),
            left: parameters.into_iter(),
        };
        self.segmenter = self.segmenter.take().map(|own| own.map(&mut write));
        assert_eq!(write.left.len(), 0, "number of parameters");
        let device = self.device.clone().inner();
        self.optimizer.moments = (names.into_iter().zip(moments))
            .filter_map(|(name, moments)| Some((name, on_device(moments?, &device))))
            .collect();
        self.gradients = GradientsParams::new();
        Ok(())
    }
}

/// The sums of the squares of gradients, one number each.
struct Squares<'a> {
    gradients: &'a GradientsParams,
    found: Vec<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            self.found.push(gradient.square().sum());
        }
    }
}

/// Every parameter by its dotted name, and every running statistic.
struct Read {
    path: ModulePath,
    found: Result<Vec<Parameter>>,
}

impl ModuleVisitor for Read {
    keep_path!();

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Ok(found) = &mut self.found else { return };
        let tensor = param.val();
        let (name, shape) = (self.path.dotted(), tensor.dims().to_vec());
        match values(tensor) {
            Ok(values) => found.push(Parameter {
                name,
                shape,
                values,
            }),
            Err(error) => self.found = Err(error),
        }
    }
}

/// The dotted names of all parameters and running statistics.
#[derive(Default)]
struct Names {
    path: ModulePath,
    found: Vec<String>,
}

impl ModuleVisitor for Names {
    keep_path!();

    fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
        self.found.push(self.path.dotted());
    }
}

/// Replaces every parameter, in order.
///
/// # Panics
/// A name or a shape is another.
struct Write {
    path: ModulePath,
    left: std::vec::IntoIter<Parameter>,
}

impl ModuleMapper for Write {
    keep_path!();

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let name = self.path.dotted();
        let new = self.left.next();
        let new = new.unwrap_or_else(|| panic!("no value for parameter {name}"));
        let shape: [usize; D] = param.lazy_shape().dims();
        assert_eq!(new.name, name, "name of a parameter");
        assert_eq!(new.shape, shape, "shape of {name}");
        let data = TensorData::new(new.values, shape);
        let tensor = Tensor::from_data(data, &param.lazy_device());
        let id = param.id;
        param.transform_for_load(tensor, id)
    }
}
