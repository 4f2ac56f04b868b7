//! A scene as the input of a model that is told which bands are absent.

use ndarray::Array3;

use crate::dataset::Inputs;
use crate::error::Result;
use crate::scene::{DType, Origin, Radiometry, Scene, SceneBand, SceneInfo, Window};

/// A scene whose bands are the channels of a model's input, in its units: gain 1.
pub(super) struct ModelScene<'a> {
    scene: &'a dyn Scene,
    inputs: &'a Inputs,
    positions: Vec<usize>,
    gain: f32,
    info: SceneInfo,
}

impl<'a> ModelScene<'a> {
    /// `scene` with reflectance times `gain` in the bands, and the channels that
    /// declare bands absent.
    pub fn new(scene: &'a dyn Scene, inputs: &'a Inputs, gain: f32) -> Self {
        let channel = |name: String| SceneBand {
            source: name.clone(),
            name,
            dtype: DType::F32,
            resolution: None,
            radiometry: Radiometry::scaled(1.0, 0.0, Origin::Given),
        };
        Self {
            info: SceneInfo {
                bands: inputs.channel_names().into_iter().map(channel).collect(),
                ..scene.info().clone()
            },
            positions: inputs.positions(),
            scene,
            inputs,
            gain,
        }
    }
}

impl Scene for ModelScene<'_> {
    fn info(&self) -> &SceneInfo {
        &self.info
    }

    /// Channels are read together: all of them, for a model always wants all.
    fn read(&self, bands: &[usize], window: Window) -> Result<Array3<f32>> {
        self.info.check(bands, window)?;
        let mut present = self.scene.read(&self.positions, window)?;
        present.mapv_inplace(|reflectance| reflectance * self.gain);
        let input = self.inputs.assemble(present);
        if bands.iter().copied().eq(0..self.info.bands.len()) {
            return Ok(input);
        }
        Ok(input.select(ndarray::Axis(0), bands))
    }
}
