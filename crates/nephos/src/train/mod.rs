//! Training: losses, optimiser, schedule, the loop, and the files of a run.
//!
//! [`Trainer`] runs the loop and writes a run's folder:
//!
//! | file | holds |
//! |---|---|
//! | `config.toml` | the configuration, every key |
//! | `best.nephos` | the weights of the epoch with the smallest validation loss |
//! | `last.nephos` | the weights at the last checkpoint |
//! | `checkpoint.safetensors` | all that a resume needs |
//! | `history.csv`, `loss.png`, `miou.png` | one row, one point per epoch |
//! | `events.out.tfevents.nephos` | the same and every step, for TensorBoard |
//!
//! `.nephos.lock` is locked while a process trains there: a second one is refused. A
//! killed process leaves no lock behind.
//!
//! A run is a function of its configuration, its samples and the device: the
//! order of samples follows from seed and epoch, dropout from seed and step. So
//! a run that is stopped, or killed, and resumed ends with the same weights as
//! one that never stopped.

mod average;
mod checkpoint;
mod epoch;
mod history;
mod loss_scale;
mod masked;
mod memory;
mod observer;
mod pass;
mod resume;
mod schedule;
mod tensorboard;
mod trainer;
mod validate;

/// Name of the last weights in a run's folder.
pub const LAST_FILE: &str = "last.nephos";

pub use checkpoint::{Best, FILE_NAME as CHECKPOINT_FILE};
pub use history::EpochRecord;
pub use observer::{BatchReport, EpochStart, TrainObserver};
pub use tensorboard::FILE_NAME as EVENT_FILE;
pub(crate) use trainer::lock_run;
pub use trainer::{Ending, Outcome, Trainer};
pub use validate::{Validation, validate};

/// The files that a run writes into its folder; but for the configuration where `resumed`,
/// which is then the existing one.
pub fn run_files(folder: &std::path::Path, resumed: bool) -> Vec<std::path::PathBuf> {
    let config = (!resumed).then_some("config.toml");
    [
        "best.nephos",
        LAST_FILE,
        CHECKPOINT_FILE,
        "history.csv",
        "loss.png",
        "miou.png",
        EVENT_FILE,
    ]
    .into_iter()
    .chain(config)
    .map(|name| folder.join(name))
    .collect()
}
