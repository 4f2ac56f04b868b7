//! Models against each other: each trained on the same folds with the same budget, and
//! scored on what it has not seen.
//!
//! [`Benchmark`] keeps a folder: `MODEL/fold-K/` holds a run and, once it is done, its
//! `result.json`; finished results are kept when the benchmark is run again, and a run
//! that was stopped goes on.

mod calibrated;
mod folds;
mod measure;
mod plan;
mod report;
mod result;
mod run;
mod scored;
mod subset;
mod training;

pub use calibrated::Calibrated;
pub use folds::folds;
pub use measure::{Cost, cost};
pub use plan::Budget;
pub use report::{ModelReport, Report, SubsetReport};
pub use result::FoldResult;
pub use run::{Benchmark, Contender};
pub use scored::{Scored, Spread};
pub use subset::Subset;
