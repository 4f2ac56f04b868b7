//! From labelled images to scores, and the calibration of a model on them.

mod calibrate;
mod labels;
mod recall;
mod samples;
mod scaling;
mod score_scene;
mod scorer;

pub use calibrate::{Fit, Fitting, MinRecall, calibrate, class_group};
pub(crate) use calibrate::{labelled_pixels, temperature};
pub use labels::Labels;
pub use samples::{Evaluation, SampleResult, evaluate};
pub use score_scene::SceneScore;
pub(crate) use scorer::Scorer;
