//! Pictures: true colour, classes, attention, curves and plots.
//!
//! Pictures are made of [`Panel`]s in a [`Figure`]; [`overlay_figure`] is the one of image, truth
//! and prediction. All are PNG. What has text, drawn by kuva, needs the feature `figures`, which is
//! on by default.

#[cfg(feature = "figures")]
mod drawn;
mod hatch;
pub(crate) mod page;
mod png;
mod rgb;
mod series;

#[cfg(feature = "figures")]
pub use drawn::*;
pub use png::save_png;
pub(crate) use rgb::sample_picture_of_any;
pub use rgb::{Stretch, rgb_channels, true_colour};
pub use series::Series;
