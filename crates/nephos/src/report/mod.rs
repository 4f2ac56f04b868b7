//! Scores, curves and pictures.
//!
//! [`ConfusionMatrix`] and [`Scores`] say how good a model is. Pictures are made
//! of [`Panel`]s in a [`Figure`]; [`overlay_figure`] is the one of image, truth
//! and prediction. All pictures are PNG with text in a font of their own. What has text
//! needs the feature `figures`, which is on by default.

mod cloud_edge;
mod confusion;
#[cfg(feature = "figures")]
mod figures;
mod hatch;
mod png;
mod reliability;
mod rgb;
mod scores;
mod series;
mod table;

pub use cloud_edge::CloudEdge;
pub use confusion::ConfusionMatrix;
#[cfg(feature = "figures")]
pub use figures::*;
pub use png::save_png;
pub use reliability::Reliability;
pub use rgb::{Stretch, rgb_channels, sample_picture, sample_picture_of_any, true_colour};
pub use scores::{ClassScores, CloudScores, Scores, names};
pub use series::Series;
pub(crate) use table::{grouped, table};
