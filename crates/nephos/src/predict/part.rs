//! The prediction of a part of a scene, in the windows of the whole.

use ndarray::s;

use super::model::Model;
use super::options::PredictOptions;
use super::prediction::Prediction;
use super::scene_input::SceneInput;
use super::segmentation::Segmentation;
use super::window::window_for;
use crate::config::ModelConfig;
use crate::data::Inputs;
use crate::error::{Error, Result};
use crate::raster::Window;
use crate::scene::{Plan, Scene};

/// A part of a scene, which is predicted from its surroundings alone: its pixels are those of the
/// prediction of the whole scene, byte for byte, whatever the parts that it is predicted in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The pixels that are wanted.
    wanted: Window,
    /// The pixels that the windows which contain a wanted one have.
    needed: Window,
    /// The windows, from the first of `needed`.
    plan: Plan,
}

impl Part {
    /// The pixels `wanted` of a scene of `size` rows and columns, by a model of `config`.
    ///
    /// # Errors
    /// Pixels that are not within the scene, or none.
    pub fn new(config: &ModelConfig, size: [usize; 2], wanted: Window) -> Result<Self> {
        wanted.check("the part".as_ref(), size)?;
        if wanted.rows == 0 || wanted.cols == 0 {
            return Err(Error::usage("a part of a scene has one pixel at least"));
        }
        let window = window_for(config, None, size[0], size[1]);
        let plan = Plan::new(size, window, config.overlap, config.alignment(), 0)?;
        // Those that contain a wanted pixel, and the pixels of the scene in them.
        let along = |starts: &[isize], window: usize, first: usize, count: usize, size: usize| {
            let (window, end) = (window as isize, (first + count) as isize);
            let contains = |start: &&isize| **start < end && **start + window > first as isize;
            let starts: Vec<isize> = starts.iter().filter(contains).copied().collect();
            let low = starts.first().map_or(0, |start| (*start).max(0));
            let high = starts.last().map_or(low, |start| start + window);
            let count = (high.min(size as isize) - low) as usize;
            let starts: Vec<isize> = starts.iter().map(|start| start - low).collect();
            (starts, low as usize, count)
        };
        let (tops, row, rows) = along(&plan.tops, window[0], wanted.row, wanted.rows, size[0]);
        let (lefts, col, cols) = along(&plan.lefts, window[1], wanted.col, wanted.cols, size[1]);
        let needed = Window {
            row,
            col,
            rows,
            cols,
        };
        let plan = Plan {
            size: [rows, cols],
            window,
            tops,
            lefts,
        };
        Ok(Self {
            wanted,
            needed,
            plan,
        })
    }

    /// The pixels of the scene that the prediction of the part depends on.
    pub fn needed(&self) -> Window {
        self.needed
    }

    /// The windows that are computed, from the first of the [`needed`](Self::needed) pixels.
    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }
}

impl Model {
    /// Segments a part of a scene from `surroundings`, a scene of the pixels that it
    /// [needs](Part::needed) alone. It is computed on this thread and on those of its rayon pool.
    ///
    /// Nothing is inferred from the pixels: a scene that states its radiometry and what no data
    /// is (as an [`ArrayScene`](crate::scene::ArrayScene) with `declared_only`) is the same in
    /// every part.
    ///
    /// # Errors
    /// A scene that lacks a band, that can't be read, or whose size is another; windows, an
    /// overlap or a dilation in `options`, or what is out of range there; [`Error::Cancelled`].
    pub fn predict_part(
        &self,
        surroundings: &dyn Scene,
        part: &Part,
        probabilities: bool,
        options: &PredictOptions,
    ) -> Result<Segmentation> {
        let plain = PredictOptions::default();
        if options.recorded() != plain.recorded() {
            let why = "windows, dilation and graph are those of the whole scene";
            return Err(Error::unsupported("a part of a scene", why));
        }
        let Part { wanted, needed, .. } = part;
        let info = surroundings.info();
        if info.size != [needed.rows, needed.cols] {
            return Err(Error::usage(format!(
                "a part of a scene needs {} × {} pixels, not {} × {}",
                needed.rows, needed.cols, info.size[0], info.size[1]
            )));
        }
        let data = &self.config().data;
        let input = SceneInput {
            inputs: Inputs::of_scene(info, data)?,
            gain: data.input_gain(),
            notes: Vec::new(),
            doubt: None,
        };
        let options = PredictOptions {
            on_this_thread: true,
            ..options.clone()
        };
        let prediction = Prediction::new(self, surroundings, input, options)?;
        let all = prediction.segment(probabilities, Some(part.plan()))?;
        let (row, col) = (wanted.row - needed.row, wanted.col - needed.col);
        let (rows, cols) = (row..row + wanted.rows, col..col + wanted.cols);
        Ok(Segmentation {
            classes: all.classes.slice(s![rows.clone(), cols.clone()]).to_owned(),
            probabilities: (all.probabilities.slice(s![.., rows, cols])).to_owned(),
        })
    }
}
