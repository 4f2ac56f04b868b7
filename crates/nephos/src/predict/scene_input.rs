//! The bands of a scene as the input of a model.

use ndarray::{Array2, Array3};

use super::source::Source;
use crate::config::DataConfig;
use crate::data::Inputs;
use crate::error::Result;
use crate::raster::Window;
use crate::scene::{self, Doubt, Scene};

/// Which bands of a scene are a model's, and what was assumed of them.
#[derive(Debug, Clone)]
pub struct SceneInput {
    /// Positions of the model's bands in the scene, and which are absent.
    pub inputs: Inputs,
    /// Input of the model for reflectance 1.
    pub gain: f32,
    /// What was assumed, one sentence each.
    pub notes: Vec<String>,
    /// Why the numbers can hardly be reflectance as they are read.
    pub doubt: Option<Doubt>,
}

impl SceneInput {
    /// Finds the bands of `data` in a scene, leaves out optional ones without any data, and
    /// checks that the numbers can be reflectance.
    ///
    /// # Errors
    /// A band that is neither there nor optional, numbers that can't be reflectance and whose
    /// scale is not stated, or a file that can't be read.
    pub fn of(scene: &dyn Scene, data: &DataConfig) -> Result<Self> {
        let info = scene.info();
        let (inputs, empty) = Inputs::of_scene(info, data)?.without_empty(scene)?;
        let (bands, present) = (inputs.positions(), inputs.present());
        let mut notes = info.notes.clone();
        notes.extend(info.substitutes(&present, &bands));
        notes.extend(info.georeference.note());
        notes.extend(empty);
        let doubt = scene::implausible(scene, &bands)?;
        if let Some(doubt) = doubt.as_ref().filter(|doubt| doubt.refuses) {
            return Err(doubt.error(&info.path.display()));
        }
        Ok(Self {
            inputs,
            gain: data.input_gain(),
            notes,
            doubt,
        })
    }

    /// The bands of `data` in a scene whose numbers are the model's input already, as a sample
    /// of a container is.
    ///
    /// # Errors
    /// A band that is neither there nor optional.
    pub fn of_sample(sample: &dyn Scene, data: &DataConfig) -> Result<Self> {
        Ok(Self {
            inputs: Inputs::of_scene(sample.info(), data)?,
            gain: 1.0,
            notes: sample.info().notes.clone(),
            doubt: None,
        })
    }

    /// A part of the scene as the model's input, `[channels, height, width]`, and which of its
    /// pixels have data; the others are 0.
    ///
    /// # Errors
    /// A window outside the scene, or one that can't be read.
    pub fn read(&self, scene: &dyn Scene, window: Window) -> Result<(Array3<f32>, Array2<bool>)> {
        Source::of(scene, &self.inputs, self.gain).read(window)
    }
}
