//! `nephos evaluate`

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nephos::dataset::Dataset;
use nephos::output;
use nephos::predict::{Evaluation, evaluate};
use nephos::report::{Cells, draw_confusion};

use crate::model_args::ModelArgs;
use crate::ui::{Ui, say};

/// Score a model on labelled samples
///
/// Prints loss, IoU, F1, precision (user's accuracy) and recall (producer's
/// accuracy) of each class and of cloud as a whole, mIoU, and balanced and
/// overall accuracy. Pixels that are not labelled, padding and pixels without
/// data count nowhere.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nephos evaluate test_split.pkl --model best.nephos --out scores
  nephos evaluate l8biome --model best.nephos --json > scores.json")]
pub struct Args {
    /// Labelled samples: a pickle, .npy, .npz, or a folder with image/ and label/
    data: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// Folder for scores.json, scores.md, confusion.png and
    /// confusion_normalised.png
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print JSON in place of the table
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let (bundle, device) = args.model.load()?;
    let dataset = Dataset::open(&args.data, &bundle.config.data)?;
    if dataset.is_empty() {
        bail!("{}: no samples", args.data.display());
    }
    let mut progress = ui.progress("evaluate", dataset.len());
    let evaluation = evaluate(&bundle, &dataset, &device, |sample| {
        progress.step(&sample.name);
    })?;
    progress.finish();
    if evaluation.confusion.pixels() == 0 {
        bail!("{}: no pixel is labelled", args.data.display());
    }
    let json = to_json(&evaluation, &args.model.model, &args.data)?;
    let markdown = to_markdown(&evaluation, &args.model.model, &args.data);
    if args.json {
        say!("{json}");
    } else {
        say!("{}", markdown.trim_end());
    }
    if let Some(folder) = &args.out {
        for (name, text) in [("scores.json", &json), ("scores.md", &markdown)] {
            write_text(&folder.join(name), text)?;
        }
        let confusion = &evaluation.confusion;
        draw_confusion(&folder.join("confusion.png"), confusion, Cells::Counts)?;
        let normalised = folder.join("confusion_normalised.png");
        draw_confusion(&normalised, confusion, Cells::Shares)?;
        ui.status(format!("Scores and pictures are in {}", folder.display()));
    }
    Ok(())
}

fn to_json(evaluation: &Evaluation, model: &Path, data: &Path) -> anyhow::Result<String> {
    let json = serde_json::json!({
        "model": model,
        "data": data,
        "loss": evaluation.loss,
        "scores": evaluation.confusion.scores(),
        "confusion": evaluation.confusion,
        "samples": evaluation.samples,
    });
    serde_json::to_string_pretty(&json).context("the scores can't be written as JSON")
}

fn to_markdown(evaluation: &Evaluation, model: &Path, data: &Path) -> String {
    let loss = evaluation.loss.unwrap_or(f64::NAN);
    format!(
        "{} on {}: {} samples, cross-entropy {loss:.4}\n\n{}",
        model.display(),
        data.display(),
        evaluation.samples.len(),
        evaluation.confusion.scores().to_markdown()
    )
}

fn write_text(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    output::write_atomic(path, |writer| {
        writeln!(writer, "{}", text.trim_end()).map_err(|e| nephos::Error::io(path, e))
    })?;
    Ok(())
}
