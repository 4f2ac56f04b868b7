//! `nephos weights`

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use nephos::config::Config;
use nephos::output::Declared;
use nephos::text;
use nephos::weights::{self, Bundle, Summary, Transfer};

use crate::args::Overwrite;
use crate::ui::{Ui, say};

/// Convert weights between nephos and PyTorch
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nephos weights import best_model.pth --config reference -o best.nephos
  nephos weights export best.nephos -o best.safetensors")]
pub struct Args {
    #[command(subcommand)]
    direction: Direction,
}

#[derive(Debug, Subcommand)]
enum Direction {
    Import(ImportArgs),
    Export(ExportArgs),
}

/// Make a bundle of a PyTorch state dict
///
/// The tensors must have the names of the published model, with or without the
/// prefix `module.` of DataParallel. Every name and shape is checked against the
/// configuration; all that don't fit are listed. A ViT of timm or transformers is
/// taken as the encoder, and the rest is drawn by the seed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  nephos weights import best_model.pth --config reference -o best.nephos
  nephos weights import vit.safetensors --config my.toml -o init.nephos")]
struct ImportArgs {
    /// State dict: .pth or .pt (torch.save), or .safetensors
    file: PathBuf,
    /// Configuration of the model the weights belong to: a name of `nephos config`, or a
    /// TOML file
    #[arg(long, short, value_name = "NAME|FILE")]
    config: PathBuf,
    /// Override a key of the configuration, as in model.graph.width=256
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Bundle to write
    #[arg(long, short, value_name = "NAME.nephos")]
    output: PathBuf,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// Write a bundle's weights for PyTorch
///
/// The names are those of the published model: `load_state_dict(…, strict=True)`
/// takes them as they are.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  nephos weights export best.nephos -o best.safetensors")]
struct ExportArgs {
    /// Bundle to read
    bundle: PathBuf,
    /// File to write: .safetensors, .pth or .pt
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    overwrite: Overwrite,
}

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    match args.direction {
        Direction::Import(args) => import(&args, ui),
        Direction::Export(args) => export(&args, ui),
    }
}

fn import(args: &ImportArgs, ui: &Ui) -> anyhow::Result<()> {
    let config = Config::open(&args.config, &args.set).context("--config")?;
    (Declared::default())
        .reads(&args.file)
        .reads_named(&args.config)
        .writes(&args.output)
        .check(args.overwrite.overwrite)?;
    let (tensors, transfer) = weights::initial(&config, &args.file)?;
    let bundle = Bundle {
        config,
        summary: Summary::default(),
        tensors,
    };
    bundle.save(&args.output)?;
    match &transfer {
        Some(transfer) => print_transfer(transfer, &args.file, ui),
        None => {
            let count = text::count(bundle.tensors.len(), "tensor");
            ui.status(format!("{count} from {}", args.file.display()));
        }
    }
    say!("{}", args.output.display());
    Ok(())
}

/// Prints which tensors a ViT's file gave to a network.
pub(super) fn print_transfer(transfer: &Transfer, file: &Path, ui: &Ui) {
    ui.status(format!("Weights from {}", file.display()));
    for (what, list) in [
        ("taken", &transfer.taken),
        ("at a random start", &transfer.fresh),
        ("not used", &transfer.unused),
        ("not in the file", &transfer.assumed),
    ] {
        for entry in list {
            ui.status(format!("  {what}: {entry}"));
        }
    }
}

fn export(args: &ExportArgs, ui: &Ui) -> anyhow::Result<()> {
    (Declared::default())
        .reads_named(&args.bundle)
        .writes(&args.output)
        .check(args.overwrite.overwrite)?;
    let bundle = Bundle::load(&args.bundle)?;
    let tensors = bundle.tensors;
    weights::write(&args.output, &tensors)?;
    ui.status(format!(
        "{} from {}",
        text::count(tensors.len(), "tensor"),
        args.bundle.display()
    ));
    say!("{}", args.output.display());
    Ok(())
}
