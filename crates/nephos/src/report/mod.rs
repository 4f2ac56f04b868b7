//! Scores, curves and pictures.

mod confusion;
mod curves;
mod scores;

pub use confusion::ConfusionMatrix;
pub use curves::{Series, draw};
pub use scores::{ClassScores, CloudScores, Scores, names};
