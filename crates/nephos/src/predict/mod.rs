//! From images to masks, and from labelled images to scores.

mod evaluate;
mod image;
mod window;

pub use evaluate::{Evaluation, SampleResult, evaluate};
pub use image::{Prediction, class_scores, predict_image};
