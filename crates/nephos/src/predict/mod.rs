//! From images to masks, and from labelled images to scores.
//!
//! A scene of any size goes through a model by [`run`]; an image in memory by
//! [`predict_image`]. Both cut the same windows ([`Plan`], [`window_for`]) and blend
//! them the same way.

mod blend;
mod calibrate;
mod decide;
mod decision;
mod evaluate;
mod forward;
mod image;
mod judge;
mod labels;
mod memory;
mod model_scene;
mod network;
mod outputs;
#[cfg(feature = "figures")]
mod picture;
mod plan;
mod prediction;
mod products;
mod recall;
mod record;
mod scene;
mod scene_graph;
mod scene_sink;
mod score_scene;
mod steps;
mod stream;
mod strip;

pub use crate::network::{Forward, GraphForward};
pub use calibrate::{Fit, Fitting, MinRecall, calibrate, class_group};
pub(crate) use calibrate::{labelled_pixels, temperature};
pub use decision::Decision;
pub use evaluate::{Evaluation, SampleResult, evaluate};
pub use image::{class_scores, predict_image};
pub(crate) use judge::Judge;
pub use labels::Labels;
pub use model_scene::model_input;
pub use network::Network;
pub use outputs::{Also, Outputs};
pub use plan::{Plan, window_for};
pub use prediction::Prediction;
pub use record::{RunRecord, SourceRecord};
pub use scene::{GraphScope, Predictor, Settings};
pub use scene_graph::run_scene_graph;
pub use score_scene::SceneScore;
pub use stream::{Progress, RowSink, RunOptions, RunStats, run};
