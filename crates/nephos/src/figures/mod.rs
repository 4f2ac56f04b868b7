//! Pictures: true colour, classes, attention, curves and plots.
//!
//! Pictures are made of [`Panel`]s in a [`Figure`]; [`overlay_figure`] is the one of image, truth
//! and prediction. All are PNG. What has text, drawn by kuva, needs the feature `figures`, which is
//! on by default.

#[cfg(feature = "figures")]
mod attention;
#[cfg(feature = "figures")]
mod colour_map;
#[cfg(feature = "figures")]
mod contact;
#[cfg(feature = "figures")]
mod cost_plot;
#[cfg(feature = "figures")]
mod curves;
mod hatch;
#[cfg(feature = "figures")]
mod heatmap;
#[cfg(feature = "figures")]
mod overlay;
#[cfg(feature = "figures")]
mod panel;
#[cfg(feature = "figures")]
mod plot;
mod png;
#[cfg(feature = "figures")]
mod quicklook;
#[cfg(feature = "figures")]
mod reliability;
mod rgb;
mod series;
#[cfg(feature = "figures")]
mod sheet;
#[cfg(feature = "figures")]
mod strip;

#[cfg(feature = "figures")]
pub use attention::AttentionMap;
#[cfg(feature = "figures")]
pub use colour_map::ColourMap;
#[cfg(feature = "figures")]
pub use contact::{Tile, contact_sheet};
#[cfg(feature = "figures")]
pub(crate) use cost_plot::{CostPoint, draw_cost};
#[cfg(feature = "figures")]
pub use curves::draw;
#[cfg(feature = "figures")]
pub use heatmap::{Cells, draw_confusion};
#[cfg(feature = "figures")]
pub(crate) use overlay::class_legend;
#[cfg(feature = "figures")]
pub use overlay::{OPACITY, Sample, mark, overlay, overlay_figure};
#[cfg(feature = "figures")]
pub use panel::{ColourScale, Figure, Panel, Row, Swatch};
pub use png::save_png;
#[cfg(feature = "figures")]
pub use quicklook::quicklook;
#[cfg(feature = "figures")]
pub use reliability::draw_reliability;
pub(crate) use rgb::sample_picture_of_any;
pub use rgb::{Stretch, rgb_channels, true_colour};
pub use series::Series;
#[cfg(feature = "figures")]
pub use strip::strips;
#[cfg(feature = "figures")]
pub(crate) use strip::{Strip, StripPanel};
