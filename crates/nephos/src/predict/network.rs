//! A network on a device, as the run needs it.

use std::sync::{Mutex, PoisonError};

use burn::tensor::{Device, Tensor, TensorData};
use ndarray::{Array2, Array3, Array4};

use super::forward::Forward;
use super::plan::window_for;
use super::prediction::{Prediction, scores};
use crate::config::ModelConfig;
use crate::device::is_plain_cpu;
use crate::error::{Error, Result};
use crate::model::Segmenter;
use crate::model::cpu::{Engine, Scratch};
use crate::model::weights::collect;

/// A network that is ready to predict.
#[derive(Debug)]
pub struct Network {
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// Packed for this machine's CPU; the memory it computes in is kept.
    Packed(Box<Engine>, Mutex<Scratch>),
    /// As tensors, on any device.
    Tensors(Box<Segmenter>, Device),
}

impl Network {
    /// Makes a network on `device` ready: packed where the device is the CPU and the
    /// engine knows the network, else as it is.
    pub fn new(segmenter: Segmenter, device: &Device) -> Self {
        let config = segmenter.config().clone();
        let form = if is_plain_cpu(device) && Engine::knows(&config) {
            let weights = collect(&segmenter);
            // Weights exist twice while they are packed, not three times.
            drop(segmenter);
            let engine = Engine::new(&config, weights.into_iter().collect());
            let engine = engine.expect("a network has the weights of its configuration");
            Form::Packed(Box::new(engine), Mutex::default())
        } else {
            Form::Tensors(Box::new(segmenter), device.clone())
        };
        Self { form }
    }

    /// Segments an image: see [`predict_image`](super::predict_image).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    pub fn predict(
        &self,
        config: &ModelConfig,
        image: &Array3<f32>,
        valid: &Array2<bool>,
    ) -> Result<Prediction> {
        Ok(Prediction::from_scores(
            self.class_scores(config, image, valid)?,
            valid,
        ))
    }

    /// Class scores of an image: see [`class_scores`](super::class_scores).
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    pub fn class_scores(
        &self,
        config: &ModelConfig,
        image: &Array3<f32>,
        valid: &Array2<bool>,
    ) -> Result<Array3<f32>> {
        let (_, height, width) = image.dim();
        let window = window_for(config, None, height, width);
        let align = config.patch.stride;
        scores(self, config.classes, image.view(), valid, window, align)
    }
}

impl Forward for Network {
    fn forward(&self, windows: Array4<f32>) -> Result<Array4<f32>> {
        let (count, bands, height, width) = windows.dim();
        let windows = windows.as_standard_layout();
        let pixels = windows.as_slice().unwrap_or_default();
        let (classes, scores) = match &self.form {
            Form::Packed(engine, scratch) => {
                let mut scratch = scratch.lock().unwrap_or_else(PoisonError::into_inner);
                let mut scores = vec![0.0; count * engine.classes() * height * width];
                engine.forward(pixels, [count, height, width], &mut scratch, &mut scores);
                (engine.classes(), scores)
            }
            Form::Tensors(segmenter, device) => {
                let data = TensorData::new(pixels.to_vec(), [count, bands, height, width]);
                let scores = segmenter.forward(Tensor::<4>::from_data(data, device)); // [n, classes, h, w]
                let classes = scores.dims()[1];
                let scores = scores
                    .try_into_vec_as::<f32>()
                    .map_err(|e| Error::unsupported("the device", e.to_string()))?;
                (classes, scores)
            }
        };
        Array4::from_shape_vec((count, classes, height, width), scores)
            .map_err(|e| Error::unsupported("the model", e.to_string()))
    }
}
