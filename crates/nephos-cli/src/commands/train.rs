//! `nephos train`

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use nephos::config::Config;
use nephos::data::open_training;
use nephos::output::{Declared, may_write};
use nephos::text;
use nephos::train::{CHECKPOINT_FILE, EVENT_FILE, Ending, Outcome, Trainer, run_files};
use nephos::weights;

use super::train_progress::EpochBars;
use super::weights::print_transfer;
use crate::ui::{Ui, message, say};

/// Exit status of a run that Ctrl-C stopped: 128 + SIGINT, as shells have it.
pub(super) const INTERRUPTED: i32 = 130;

/// Set by the first Ctrl-C (or SIGTERM); the second ends the process at once.
pub(super) static STOP: AtomicBool = AtomicBool::new(false);

/// Train a model from a configuration
///
/// Writes a folder with the best and last weights, a checkpoint to resume from,
/// the history as CSV and for TensorBoard, and curves as PNG. Ctrl-C saves and
/// leaves; --resume continues as if the run had never stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nephos train --config reference --set data.train=train_split.pkl --set data.val=val_split.pkl
  nephos train --config tiny --init tiny --set data.train=samples --set data.val_fraction=0.2 --out runs/mine
  nephos train --config reference --out runs/reference --resume")]
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
}

/// Options of every training run, with labels or without.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// Configuration: a name of `nephos config`, or a TOML file; `nephos config reference`
    /// has every key
    #[arg(long, short, value_name = "NAME|FILE")]
    pub config: PathBuf,
    /// Override a key of the configuration; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// auto, cpu, vulkan, metal, webgpu or cuda, with a number after a colon
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Resume the run in the folder
    #[arg(long)]
    pub resume: bool,
    /// Write a checkpoint after every so many steps too, not only after epochs
    #[arg(long, value_name = "STEPS", value_parser = at_least_one)]
    pub checkpoint_every: Option<usize>,
}

/// A number of steps.
fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(steps) if steps > 0 => Ok(steps),
        _ => Err("expected a whole number of steps, at least 1".to_owned()),
    }
}

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let config = Config::open(&args.run.config, &args.run.set)?;
    let folder = args
        .out
        .clone()
        .unwrap_or_else(|| Path::new("runs").join(&config.name));
    refuse_inputs(&args.run, &config, args.init.as_deref(), &folder)?;
    let device = crate::device::select(&args.run.device)?;
    let (train, val) = open_training(&config)?;
    let init = match &args.init {
        Some(path) => {
            let (weights, transfer) = weights::initial(&config, path)?;
            if let Some(transfer) = transfer {
                print_transfer(&transfer, path, ui);
            }
            Some(weights)
        }
        None => None,
    };
    ui.status(format!(
        "{}: {}, {}; run folder {}",
        config.name,
        text::count(train.len(), "training sample"),
        val.as_ref()
            .map_or("no validation".to_owned(), |val| text::count(
                val.len(),
                "validation sample"
            )),
        folder.display()
    ));
    // Samples held out of the training set share its notes.
    let mut notes: Vec<&String> = train.notes().iter().collect();
    notes.extend(val.iter().flat_map(|val| val.notes()));
    notes.dedup();
    for note in notes {
        ui.status(format!("  note: {note}"));
    }
    stop_on_signals()?;
    let trainer = Trainer::new(config, &folder, device)
        .init(init)
        .resume(args.run.resume)
        .checkpoint_every(args.run.checkpoint_every);
    let mut bars = EpochBars::new(ui, &STOP);
    let outcome = trainer.run(&train, val.as_ref(), &mut bars);
    // A bar of an unfinished epoch ends before anything is printed.
    drop(bars);
    let outcome = outcome?;
    report(&outcome, &folder);
    if outcome.ending == Ending::Interrupted {
        let mut resume = format!("nephos train --config {}", args.run.config.display());
        for set in &args.run.set {
            resume += &format!(" --set '{set}'");
        }
        ui.status(format!(
            "Stopped after {} and saved. To continue: {resume} --out {} --resume",
            text::count(outcome.steps, "step"),
            folder.display()
        ));
        std::process::exit(INTERRUPTED);
    }
    Ok(())
}

/// Refuses a run folder whose files are what the run reads, or, for a new run, are there and
/// of another origin.
pub(super) fn refuse_inputs(
    run: &RunArgs,
    config: &Config,
    init: Option<&Path>,
    folder: &Path,
) -> anyhow::Result<()> {
    let data = &config.data;
    (init.into_iter())
        .fold(Declared::default(), Declared::reads_named)
        .reads_named(&run.config)
        .reads_all(data.train.iter().chain(&data.val).chain(&data.test))
        .reads_all(data.mix.iter().map(|mix| &mix.train))
        .writes_all(run_files(folder, run.resume))
        .check_places()?;
    // A run that ended before its first checkpoint may be started again.
    let is_config = |path: &Path| -> bool {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let config = Config::parse(&text, "config.toml", &[]).and_then(|config| config.to_toml());
        config.is_ok_and(|written| written == text)
    };
    let files = run_files(folder, run.resume).into_iter();
    for path in files.filter(|path| !run.resume && !path.ends_with(EVENT_FILE)) {
        if !is_config(&path) {
            may_write(&path, true).with_context(|| format!("--out {}", folder.display()))?;
        }
    }
    Ok(())
}

pub(super) fn stop_on_signals() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
        message("\nStopping after this batch; once more to leave at once, without saving.");
    })
    .context("Ctrl-C can't be caught")
}

/// The summary on standard output.
fn report(outcome: &Outcome, folder: &Path) {
    let epochs = text::count(outcome.history.len(), "epoch");
    match outcome.ending {
        Ending::Finished => say!("Finished after {epochs}."),
        Ending::StoppedEarly => say!("Stopped early after {epochs}: the loss got no better."),
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
            let constant = outcome
                .majority_class_miou
                .map_or(String::new(), |constant| {
                    format!(" (majority-class baseline: {constant:.4})")
                });
            say!("Validation mIoU: {miou:.4}{constant}");
        }
        say!("Weights:        {}", folder.join("best.nephos").display());
        say!("History:        {}", folder.join("history.csv").display());
        say!("Curves:         {}", folder.join("loss.png").display());
    }
    say!("Checkpoint:     {}", folder.join(CHECKPOINT_FILE).display());
}
