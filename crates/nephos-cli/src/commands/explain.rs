//! `nephos explain`

use std::path::PathBuf;

use anyhow::Context;
use nephos::dataset::Dataset;
use nephos::device;
use nephos::model::Bundle;
use nephos::report::{Gaze, Stretch, sample_picture};

use crate::ui::{Ui, say};

/// Draw what a patch attends to
///
/// Over the image: how alike the encoder finds every patch to the chosen one
/// (the affinity, as cosines), and how much of each patch every graph attention
/// layer mixes into it (the mean of its heads; the weights sum to one).
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  nephos explain test_split.pkl --sample 3 --model runs/reference/best.nephos --at 200,310 -o why.png")]
pub struct Args {
    /// Image or container of samples, with the bands the model was trained on
    image: PathBuf,
    /// Bundle of the model
    #[arg(long, short, value_name = "NAME.nephos")]
    model: PathBuf,
    /// Pixel whose patch is chosen
    #[arg(long, value_name = "ROW,COL", value_parser = pixel)]
    at: (usize, usize),
    /// Sample of the container, counted from 0
    #[arg(long, value_name = "I", default_value_t = 0)]
    sample: usize,
    /// Picture to write
    #[arg(long, short, value_name = "OUT.png")]
    output: PathBuf,
    /// auto, cpu, vulkan, metal, webgpu or cuda, with a number after a colon
    #[arg(long, default_value = "auto")]
    device: String,
}

fn pixel(text: &str) -> Result<(usize, usize), String> {
    let parsed = (text.split_once(','))
        .and_then(|(row, col)| Some((row.trim().parse().ok()?, col.trim().parse().ok()?)));
    parsed.ok_or_else(|| "expected ROW,COL in pixels, as in 200,310".to_owned())
}

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let device = device::select(&args.device)?;
    let bundle = Bundle::load(&args.model, &device)?;
    let (config, patch) = (&bundle.config, &bundle.config.model.patch);
    let dataset = Dataset::open(&args.image, &config.data)?;
    anyhow::ensure!(
        args.sample < dataset.len(),
        "--sample {}: {} holds {} samples, counted from 0",
        args.sample,
        args.image.display(),
        dataset.len()
    );
    let example = dataset.get_unlabelled(args.sample)?;
    let gaze = Gaze::follow(
        &bundle.segmenter,
        &config.model,
        &example.image,
        args.at,
        &device,
    )
    .context("--at")?;
    let picture = sample_picture(&example, &config.data.bands, Stretch::default());
    gaze.figure(&picture, patch)?.save(&args.output)?;
    let (row, col) = gaze.patch;
    ui.status(format!("patch {row},{col} of sample {}", example.name));
    say!("{}", args.output.display());
    Ok(())
}
