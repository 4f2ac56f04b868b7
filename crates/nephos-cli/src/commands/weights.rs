//! `nephos weights`

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Subcommand;
use nephos::config::Config;
use nephos::onnx::{self, OnnxOptions};
use nephos::output::Declared;
use nephos::text;
use nephos::weights::{self, Bundle, Identity, Summary, Transfer};

use crate::args::Overwrite;
use crate::ui::{Ui, say};

/// Convert weights between nephos and PyTorch, and models to ONNX
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nephos weights import best_model.pth --config reference -o best.nephos
  nephos weights export best.nephos -o best.safetensors
  nephos weights export tiny -o tiny.onnx --bands blue,green,red,nir")]
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

/// Write a bundle's weights for PyTorch, or the model as ONNX
///
/// Weights have the names of the published model: `load_state_dict(…, strict=True)`
/// takes them as they are. An .onnx file is a whole model for windows of one size, from the
/// numbers of a raster to probabilities, with the metadata of QGIS's plugin Deepness: in
/// Deepness, choose the file, map its inputs to the layer's bands and run. ONNX Runtime takes
/// arrays [batch, bands, window, window] of f32, numbers of the raster divided by 255.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nephos weights export best.nephos -o best.safetensors
  nephos weights export tiny -o tiny.onnx --bands blue,green,red,nir
  nephos weights export tiny -o reflectance.onnx --scale 1 --divided-by 1")]
struct ExportArgs {
    /// Bundle to read, or tiny
    bundle: PathBuf,
    /// File to write: .safetensors, .pth, .pt or .onnx
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    onnx: OnnxArgs,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// What is for ONNX alone.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "ONNX")]
struct OnnxArgs {
    /// Bands of the input in order; optional bands of the model that are not named are
    /// absent; default: all of the model's
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    bands: Option<Vec<String>>,
    /// Reflectance = (number + offset) / scale; default: 10000
    #[arg(long, value_name = "NUMBER")]
    scale: Option<f64>,
    /// See --scale; -1000 for Sentinel-2 of processing baseline 04.00 and later; default: 0
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    offset: Option<f64>,
    /// What the numbers were divided by before the model gets them; default: 255, as
    /// Deepness does; 1: nothing
    #[arg(long, value_name = "NUMBER")]
    divided_by: Option<f64>,
    /// Side of the window in pixels; default: the size the model was trained on
    #[arg(long, value_name = "PIXELS")]
    window: Option<usize>,
    /// Side of a pixel in metres, to which Deepness resamples; default: 10
    #[arg(long, value_name = "METRES")]
    resolution: Option<f64>,
    /// Output class scores in place of calibrated probabilities
    #[arg(long)]
    logits: bool,
}

impl OnnxArgs {
    /// The first option that was given.
    fn given(&self) -> Option<&'static str> {
        let options = [
            ("--bands", self.bands.is_some()),
            ("--scale", self.scale.is_some()),
            ("--offset", self.offset.is_some()),
            ("--divided-by", self.divided_by.is_some()),
            ("--window", self.window.is_some()),
            ("--resolution", self.resolution.is_some()),
            ("--logits", self.logits),
        ];
        options
            .iter()
            .find(|(_, given)| *given)
            .map(|(name, _)| *name)
    }

    fn options(&self) -> OnnxOptions {
        let usual = OnnxOptions::default();
        OnnxOptions {
            bands: self.bands.clone(),
            scale: self.scale.unwrap_or(usual.scale),
            offset: self.offset.unwrap_or(usual.offset),
            divisor: self.divided_by.unwrap_or(usual.divisor),
            window: self.window,
            resolution: self.resolution.unwrap_or(usual.resolution),
            logits: self.logits,
        }
    }
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
    let extension = args.output.extension().unwrap_or_default();
    if extension.eq_ignore_ascii_case("onnx") {
        return export_onnx(args, ui);
    }
    if let Some(option) = args.onnx.given() {
        bail!("{option} is for ONNX: the file must be named .onnx");
    }
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

fn export_onnx(args: &ExportArgs, ui: &Ui) -> anyhow::Result<()> {
    let bundle = Bundle::load(&args.bundle)?;
    let (identity, options) = (Identity::of(&args.bundle)?, args.onnx.options());
    onnx::write(&args.output, &bundle, &identity, &options)?;
    for sentence in onnx::about(&bundle, &options)? {
        ui.status(sentence);
    }
    say!("{}", args.output.display());
    Ok(())
}
