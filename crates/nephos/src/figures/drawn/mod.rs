//! Pictures with text and scales, and plots, all drawn by kuva.

mod attention;
mod colour_map;
mod contact;
mod cost_plot;
mod curves;
mod heatmap;
mod overlay;
mod panel;
mod plot;
mod quicklook;
mod reliability;
mod sheet;
mod strip;

pub use attention::AttentionMap;
pub use colour_map::ColourMap;
pub use contact::{Tile, contact_sheet};
pub(crate) use cost_plot::{CostPoint, draw_cost};
pub use curves::draw;
pub use heatmap::{Cells, draw_confusion};
pub(crate) use overlay::class_legend;
pub use overlay::{OPACITY, Sample, mark, overlay, overlay_figure};
pub use panel::{ColourScale, Figure, Panel, Row, Swatch};
pub use quicklook::quicklook;
pub use reliability::draw_reliability;
pub use strip::strips;
pub(crate) use strip::{Strip, StripPanel};
