//! `nephos train`

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use nephos::config::Config;
use nephos::dataset::open_training;
use nephos::model::weights;
use nephos::train::{CHECKPOINT_FILE, Ending, Outcome, TrainObserver, Trainer};

use super::train_progress::EpochBars;
use super::weights::tell;
use crate::ui::{Ui, say};

/// Exit status of a run that Ctrl-C stopped: 128 + SIGINT, as shells have it.
pub(super) const INTERRUPTED: i32 = 130;

/// Set by the first Ctrl-C (or SIGTERM); the second ends the process at once.
pub(super) static STOP: AtomicBool = AtomicBool::new(false);

/// Train a model from a configuration
///
/// Writes a folder with the best and last weights, a checkpoint to resume from,
/// the history as CSV and for TensorBoard, and curves as PNG. Ctrl-C saves and
/// leaves; --resume goes on as if the run had never stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nephos train --config configs/reference.toml --set data.train=train_split.pkl --set data.val=val_split.pkl
  nephos train --config configs/l8biome.toml --set train.epochs=2 --out runs/quick
  nephos train --config configs/reference.toml --out runs/reference --resume")]
pub struct Args {
    #[command(flatten)]
    run: RunArgs,
    /// Folder of the run [default: runs/NAME, the configuration's name]
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Start from these weights: a bundle, .pth or .safetensors, or the encoder from a
    /// ViT of timm or transformers
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    init: Option<PathBuf>,
    /// Follow the run in a full-screen view
    #[cfg(feature = "tui")]
    #[arg(long)]
    tui: bool,
}

/// What every training run is told, with labels or without.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// Configuration in TOML; see configs/reference.toml for every key
    #[arg(long, short, value_name = "FILE")]
    pub config: PathBuf,
    /// Override a key of the configuration; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// auto, cpu, vulkan, metal, webgpu or cuda, with a number after a colon
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Go on with the run in the folder
    #[arg(long)]
    pub resume: bool,
    /// Write a checkpoint after every so many steps too, not only after epochs
    #[arg(long, value_name = "STEPS")]
    pub checkpoint_every: Option<usize>,
}

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let config = Config::load(&args.run.config, &args.run.set)?;
    let folder = args
        .out
        .clone()
        .unwrap_or_else(|| Path::new("runs").join(&config.name));
    let device = nephos::device::select(&args.run.device)?;
    let (train, val) = open_training(&config)?;
    let init = match &args.init {
        Some(path) => {
            let (segmenter, transfer) = weights::initial(&config, path, &device)?;
            if let Some(transfer) = transfer {
                tell(&transfer, path, ui);
            }
            Some(segmenter)
        }
        None => None,
    };
    ui.status(format!(
        "{}: {} training samples, {}; run folder {}",
        config.name,
        train.len(),
        val.as_ref().map_or("no validation".to_owned(), |v| format!(
            "{} validation samples",
            v.len()
        )),
        folder.display()
    ));
    stop_on_signals()?;
    let trainer = Trainer::new(config, &folder, device)
        .init(init)
        .resume(args.run.resume)
        .checkpoint_every(args.run.checkpoint_every);
    let mut observer = observer(&args, ui)?;
    let outcome = trainer.run(&train, val.as_ref(), observer.as_mut());
    // The full-screen view gives the terminal back before anything is printed.
    drop(observer);
    let outcome = outcome?;
    report(&outcome, &folder);
    if outcome.ending == Ending::Interrupted {
        let mut resume = format!("nephos train --config {}", args.run.config.display());
        for set in &args.run.set {
            resume += &format!(" --set '{set}'");
        }
        ui.status(format!(
            "Stopped after {} steps and saved. To go on: {resume} --out {} --resume",
            outcome.steps,
            folder.display()
        ));
        std::process::exit(INTERRUPTED);
    }
    Ok(())
}

fn observer<'a>(args: &Args, ui: &'a Ui) -> anyhow::Result<Box<dyn TrainObserver + 'a>> {
    #[cfg(feature = "tui")]
    if args.tui {
        return Ok(Box::new(super::train_tui::FullScreen::new(&STOP)?));
    }
    let _ = args;
    Ok(Box::new(EpochBars::new(ui, &STOP)))
}

pub(super) fn stop_on_signals() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        eprintln!("\nStopping after this batch; once more to leave at once, without saving.");
    })
    .context("Ctrl-C can't be caught")
}

/// The summary on standard output.
fn report(outcome: &Outcome, folder: &Path) {
    match outcome.ending {
        Ending::Finished => say!("Finished after {} epochs.", outcome.history.len()),
        Ending::StoppedEarly => say!(
            "Stopped early after {} epochs: the loss got no better.",
            outcome.history.len()
        ),
        Ending::Interrupted => say!("Interrupted in epoch {}.", outcome.history.len() + 1),
    }
    if let Some(best) = &outcome.best {
        let kind = if best.val_miou.is_some() {
            "validation"
        } else {
            "training"
        };
        say!(
            "Best epoch:     {} ({kind} loss {:.4})",
            best.epoch,
            best.loss
        );
        if let Some(miou) = best.val_miou {
            let constant = outcome.constant_miou.map_or(String::new(), |constant| {
                format!(" (best constant answer: {constant:.4})")
            });
            say!("Validation mIoU: {miou:.4}{constant}");
        }
        say!("Weights:        {}", folder.join("best.nephos").display());
        say!("History:        {}", folder.join("history.csv").display());
        say!("Curves:         {}", folder.join("loss.png").display());
    }
    say!("Checkpoint:     {}", folder.join(CHECKPOINT_FILE).display());
}
