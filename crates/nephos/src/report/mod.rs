//! Scores, curves and pictures.
//!
//! [`ConfusionMatrix`] and [`Scores`] say how good a model is. Pictures are made
//! of [`Panel`]s in a [`Figure`]; [`overlay_figure`] is the one of image, truth
//! and prediction. All pictures are PNG with text in a font of their own.

mod attention;
mod cloud_edge;
mod colour_map;
mod confusion;
mod contact;
mod cost_plot;
mod curves;
mod hatch;
mod heatmap;
mod overlay;
mod panel;
mod plot;
mod quicklook;
mod reliability;
mod rgb;
mod scores;
mod sheet;
mod strip;
mod table;

pub use attention::Gaze;
pub use cloud_edge::CloudEdge;
pub use colour_map::ColourMap;
pub use confusion::ConfusionMatrix;
pub use contact::{Tile, contact_sheet};
pub use cost_plot::{CostPoint, draw_cost};
pub use curves::{Series, draw};
pub(crate) use heatmap::grouped;
pub use heatmap::{Cells, draw_confusion};
pub use overlay::{OPACITY, Sample, class_legend, heat_over, mark, overlay, overlay_figure};
pub use panel::{ColourScale, Figure, Panel, Row, Swatch};
pub use quicklook::quicklook;
pub use reliability::{Reliability, draw_reliability};
pub use rgb::{Stretch, rgb_channels, sample_picture, sample_picture_of_any, true_colour};
pub use scores::{ClassScores, CloudScores, Scores, names};
pub use sheet::save_png;
pub use strip::{Strip, StripPanel, strips};
pub(crate) use table::table;
