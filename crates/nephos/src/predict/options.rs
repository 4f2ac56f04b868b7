//! How scenes are segmented.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::outputs::SideOutput;
use super::stream::Progress;
use crate::error::{Error, Result};
use crate::mask::Dates;

/// What the graph attention sees at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GraphScope {
    /// The patches of one window.
    #[default]
    Window,
    /// All patches of the scene; see [`run_scene_graph`](super::run_scene_graph).
    Scene,
}

/// Receives the progress of a prediction, from whichever thread made it.
pub type ProgressCallback = Arc<dyn Fn(&Progress) + Send + Sync>;

/// How a scene is segmented. The default is what the model was trained for.
#[derive(Clone, Default)]
pub struct PredictOptions {
    /// Side of the windows in pixels; `None`: see [`window_for`](super::window_for).
    pub window: Option<usize>,
    /// Share of a window that at least overlaps the next, in [0, 0.9]; `None`: that of
    /// the model.
    pub overlap: Option<f64>,
    /// Pixels by which the grid of windows is moved up and left.
    pub shift: usize,
    /// Metres by which clouds and shadows are grown.
    pub dilate: Option<f64>,
    /// What the graph sees at once.
    pub graph: GraphScope,
    /// When the scene was taken, for a STAC item; `None`: as its product or file says.
    pub dates: Option<Dates>,
    /// What is written beside a mask.
    pub side_outputs: BTreeSet<SideOutput>,
    /// Whether files that nephos wrote before are replaced.
    pub overwrite: bool,
    /// Does each step on the calling thread and on those of its rayon pool, one step after
    /// another, and starts no thread: for callers with a pool of their own, which a process that
    /// forks needs. Bytes are the same.
    pub on_this_thread: bool,
    /// Receives the progress.
    pub progress: Option<ProgressCallback>,
    /// Stops the prediction with [`Error::Cancelled`] soon after it becomes true.
    pub cancel: Option<Arc<AtomicBool>>,
}

impl PredictOptions {
    /// Refuses options out of range.
    ///
    /// # Errors
    /// The option, and what it must be.
    pub fn validate(&self) -> Result<()> {
        let require = |holds: bool, option: &str, range: &str| match holds {
            true => Ok(()),
            false => Err(Error::usage(format!("`options.{option}` must be {range}"))),
        };
        require(self.window != Some(0), "window", "at least 1 pixel")?;
        require(
            (self.overlap).is_none_or(|share| (0.0..=0.9).contains(&share)),
            "overlap",
            "within 0 to 0.9",
        )?;
        let metres = self.dilate.is_none_or(|m| m.is_finite() && m > 0.0);
        require(metres, "dilate", "a number of metres above 0")
    }

    /// The options that change a mask, as text for its record: two masks of one scene and
    /// model with the same text are the same.
    pub fn recorded(&self) -> String {
        format!(
            "Settings {{ window: {:?}, overlap: {:?}, shift: {:?}, dilate: {:?}, graph: {:?}, \
             dates: {:?} }}",
            self.window, self.overlap, self.shift, self.dilate, self.graph, self.dates
        )
    }
}

impl fmt::Debug for PredictOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.recorded())
    }
}
