//! Comparison of models: each trained on the same folds with the same budget, and
//! scored on held-out samples; existing weights and external masks are scored
//! on the same samples by the same code ([`Given`]).
//!
//! [`Benchmark`] keeps a folder: `MODEL/fold-K/` holds a run and, once it is done, its
//! `result.json`; finished results are kept when the benchmark is run again, and a run
//! that was stopped resumes.

mod calibrated;
mod chosen;
mod folds;
mod given;
mod kinds;
mod mask_folder;
mod measure;
mod plan;
mod report;
mod result;
mod run;
mod scene_report;
mod scored;
mod scoring;
mod subset;
mod tally;
mod training;
#[cfg(feature = "figures")]
mod worst;

pub use calibrated::Calibrated;
pub use folds::folds;
pub use given::{FOLD, Given, GivenBy, Origin};
pub use kinds::Kinds;
pub use mask_folder::{MaskFolder, class_of};
pub use measure::{Cost, cost};
pub use plan::Budget;
pub use report::{ModelReport, Report, SubsetReport};
pub use result::FoldResult;
pub use run::{Benchmark, Contender};
pub use scene_report::{EntryReport, SceneReport};
pub use scored::{Scored, Spread};
pub use scoring::KindScores;
pub use subset::Subset;
pub use tally::{CloudCounts, Summed};
