//! `nephos pretrain`

use std::path::{Path, PathBuf};

use anyhow::bail;
use nephos::config::Config;
use nephos::data::open_unlabelled;
use nephos::scene::SceneOptions;
use nephos::text;
use nephos::train::{Ending, Trainer};

use super::train::{INTERRUPTED, RunArgs, STOP, refuse_inputs, stop_on_signals};
use super::train_progress::EpochBars;
use crate::scene_args::SceneArgs;
use crate::ui::{Ui, say};

/// Train a network on images without labels, to start from
///
/// Masks blocks of the images and trains the whole network to reconstruct their bands from
/// their surroundings. `nephos train --init FOLDER/last.nephos` then starts from its weights,
/// all but those of the last layer. Scenes are cut into tiles; containers of samples are
/// read as --config says, and their labels ignored.
///
/// Network, bands, augmentation and training come from --config, the share of an image
/// that is masked and the side of the blocks from its section [pretrain] (0.5 and 32
/// pixels where there is none). Ctrl-C saves and leaves; --resume continues.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nephos pretrain scenes/*.tif --config tiny --out runs/pretrained
  nephos pretrain S2A_MSIL2A_….SAFE l8biome --config tiny --set pretrain.share=0.6
  nephos train --config tiny --init runs/pretrained/last.nephos")]
pub struct Args {
    /// Scenes (GeoTIFF, Sentinel-2 SAFE, Landsat folder …) and containers of samples
    #[arg(required = true)]
    images: Vec<PathBuf>,
    #[command(flatten)]
    run: RunArgs,
    /// Side of the tiles that scenes are cut into, in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 256)]
    tile: usize,
    #[command(flatten)]
    read: SceneArgs,
    /// Folder of the run [default: runs/NAME-pretrained, NAME the configuration's]
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let mut config = Config::open(&args.run.config, &args.run.set)?.for_pretraining();
    if let Err(message) = config.validate() {
        bail!("{}: {message}", args.run.config.display());
    }
    config.data = args.read.samples(&config.data)?;
    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None => Path::new("runs").join(format!("{}-pretrained", config.name)),
    };
    refuse_inputs(&args.run, &config, None, &folder)?;
    let device = crate::device::select(&args.run.device)?;
    let options = SceneOptions {
        model_bands: config.data.bands.clone(),
        ..args.read.options()?
    };
    let images = open_unlabelled(&args.images, &config.data, &options, args.tile)?;
    ui.status(format!(
        "{}: {} without labels; run folder {}",
        config.name,
        text::count(images.len(), "image"),
        folder.display()
    ));
    stop_on_signals()?;
    let mut bars = EpochBars::new(ui, &STOP);
    let outcome = Trainer::new(config, &folder, device)
        .resume(args.run.resume)
        .checkpoint_every(args.run.checkpoint_every)
        .run(&images, None, &mut bars);
    drop(bars);
    let outcome = outcome?;
    if outcome.ending == Ending::Interrupted {
        ui.status(format!(
            "Stopped after {} and saved; the same command with --resume continues.",
            text::count(outcome.steps, "step")
        ));
        std::process::exit(INTERRUPTED);
    }
    if let (Some(first), Some(last)) = (outcome.history.first(), outcome.history.last()) {
        say!("Reconstruction error of the masked blocks (companded bands, 0 to 1):");
        say!(
            "  first epoch {:.4}, last {:.4}",
            first.train_loss,
            last.train_loss
        );
    }
    say!("Weights: {}", folder.join("last.nephos").display());
    say!(
        "To train with labels: nephos train --config {} --init {}",
        args.run.config.display(),
        folder.join("last.nephos").display()
    );
    Ok(())
}
