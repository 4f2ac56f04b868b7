//! Scores: confusion matrices, IoU, cloud edges, calibration, and tables of them.

mod cloud_edge;
mod confusion;
mod reliability;
mod scores;
mod table;

pub use cloud_edge::CloudEdge;
pub use confusion::ConfusionMatrix;
#[cfg(feature = "figures")]
pub(crate) use reliability::Bin;
pub use reliability::Reliability;
pub use scores::{ClassScores, CloudScores, Scores, names};
pub(crate) use table::{grouped, table};
