//! A scene as the input of a model with channels that declare bands absent.

use std::sync::{Mutex, PoisonError};

use ndarray::{Array2, Array3, ArrayView3, s};

use crate::data::Inputs;
use crate::error::Result;
use crate::raster::{DType, Window};
use crate::scene::{Origin, Radiometry, Scene, SceneBand, SceneInfo};

/// A scene whose bands are the channels of a model's input, in its units: gain 1.
pub(super) struct ModelScene<'a> {
    scene: &'a dyn Scene,
    inputs: &'a Inputs,
    positions: Vec<usize>,
    gain: f32,
    info: SceneInfo,
    counts: Mutex<Counts>,
}

/// Pixels of the rows that were read, each counted once.
#[derive(Default)]
struct Counts {
    /// The row after the last that was counted.
    end: usize,
    /// Pixels with data.
    valid: u64,
    /// Of each optional band that is there: those of them where it has none.
    gaps: Vec<u64>,
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
            counts: Mutex::default(),
        }
    }

    /// Optional bands that are absent from some of the pixels with data, and from what
    /// share of them, as far as the scene was read.
    pub fn absent_in_part(&self) -> Vec<(String, f64)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let share = |gaps: &u64| *gaps as f64 / counts.valid.max(1) as f64;
        let bands = self.inputs.optional_present();
        (bands.into_iter().zip(&counts.gaps))
            .filter(|(_, gaps)| **gaps > 0)
            .map(|((_, name), gaps)| (name.to_owned(), share(gaps)))
            .collect()
    }

    /// Counts the rows of a window as wide as the scene that were not read before.
    fn count(&self, window: Window, input: ArrayView3<'_, f32>) {
        let optional = self.inputs.optional_present();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let end = window.row + window.rows;
        if optional.is_empty() || window.cols != self.info.size[1] || end <= counts.end {
            return;
        }
        let first = counts.end.saturating_sub(window.row);
        counts.gaps.resize(optional.len(), 0);
        let rows = input.slice(s![.., first.., ..]);
        let (_, height, width) = rows.dim();
        let mut valid = Array2::from_elem((height, width), true);
        for plane in rows.outer_iter() {
            valid.zip_mut_with(&plane, |valid, value| *valid &= value.is_finite());
        }
        counts.valid += valid.iter().filter(|valid| **valid).count() as u64;
        for ((flag, _), gaps) in optional.iter().zip(&mut counts.gaps) {
            let flags = rows.index_axis(ndarray::Axis(0), *flag);
            // Hardly a scene has gaps.
            if flags.iter().any(|flag| *flag != 0.0) {
                let gap = |(flag, valid): &(&f32, &bool)| **flag != 0.0 && **valid;
                *gaps += flags.iter().zip(&valid).filter(gap).count() as u64;
            }
        }
        counts.end = end;
    }
}

impl Scene for ModelScene<'_> {
    fn info(&self) -> &SceneInfo {
        &self.info
    }

    /// Channels are read together: all of them, for a model always needs all.
    fn read(&self, bands: &[usize], window: Window) -> Result<Array3<f32>> {
        self.info.check(bands, window)?;
        let mut present = self.scene.read(&self.positions, window)?;
        present.mapv_inplace(|reflectance| reflectance * self.gain);
        let input = self.inputs.assemble(present);
        self.count(window, input.view());
        if bands.iter().copied().eq(0..self.info.bands.len()) {
            return Ok(input);
        }
        Ok(input.select(ndarray::Axis(0), bands))
    }
}
