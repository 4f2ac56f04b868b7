//! From scenes and images to masks.
//!
//! A [`Model`] prepares the [`Prediction`] of a scene of any size, which is computed in windows
//! ([`window_for`]) whose scores are blended, and streamed to files or collected in memory.

mod blend;
mod decide;
mod decision;
mod forward;
mod memory;
mod model;
mod on_this_thread;
mod options;
mod outputs;
mod page;
mod panel;
mod part;
#[cfg(feature = "figures")]
mod picture;
mod prediction;
mod products;
mod record;
mod reduced;
mod scene_graph;
mod scene_input;
mod scene_sink;
mod segmentation;
mod source;
mod spool;
mod steps;
mod stream;
mod strip;
mod window;

pub use decision::Decision;
pub use model::Model;
pub use options::{GraphScope, PredictOptions, ProgressCallback};
pub use outputs::{Outputs, SideOutput};
pub use part::Part;
pub use prediction::Prediction;
pub use record::{RunRecord, SourceRecord};
pub use scene_graph::run_scene_graph;
pub use scene_input::SceneInput;
pub use segmentation::Segmentation;
pub use stream::{Progress, RowSink, RunOptions, RunStats, run};
pub use window::window_for;
