//! From images to masks, and from labelled images to scores.
//!
//! A scene of any size goes through a model by [`run`]; an image in memory by
//! [`predict_image`]. Both cut the same windows ([`Plan`](crate::scene::Plan), [`window_for`]) and blend
//! them the same way.

mod blend;
mod decide;
mod decision;
mod forward;
mod image;
mod memory;
mod model_scene;
mod network;
mod outputs;
#[cfg(feature = "figures")]
mod picture;
mod prediction;
mod products;
mod record;
mod scene;
mod scene_graph;
mod scene_sink;
mod steps;
mod stream;
mod strip;
mod window;

pub use crate::network::{Forward, GraphForward};
pub use decision::Decision;
pub use image::{class_scores, predict_image};
pub use model_scene::model_input;
pub use network::Network;
pub use outputs::{Outputs, SideOutput};
pub use prediction::Prediction;
pub use record::{RunRecord, SourceRecord};
pub use scene::{GraphScope, Predictor, Settings};
pub use scene_graph::run_scene_graph;
pub use stream::{Progress, RowSink, RunOptions, RunStats, run};
pub use window::window_for;
