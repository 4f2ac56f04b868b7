//! `nephos evaluate`

mod scenes;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nephos::config::{CalibrationConfig, RecallCurve};
use nephos::data::Dataset;
use nephos::device::Device;
use nephos::evaluate::{Evaluation, Fit, Fitting, MinRecall, calibrate, class_group, evaluate};
use nephos::figures::{Cells, draw_confusion, draw_reliability};
use nephos::metrics;
use nephos::output::{self, Declared};
use nephos::predict::PredictOptions;
use nephos::scene::SceneOptions;
use nephos::text;
use nephos::weights::Bundle;

use crate::args::Overwrite;
use crate::decision_args::{ClassShare, set_threshold};
use crate::model_args::ModelArgs;
use crate::scene_args::{SceneArgs, WindowArgs};
use crate::ui::{Ui, say};

/// Score a model on labelled samples
///
/// Prints loss, IoU, F1, precision (user's accuracy) and recall (producer's
/// accuracy) of each class and of cloud as a whole, mIoU, balanced and overall
/// accuracy, and the expected calibration error. Pixels that are not labelled, padding
/// and pixels without data are ignored.
///
/// With --labels, the data are whole scenes as `nephos predict` takes them, and the
/// labels are rasters matched by name; where they have another grid they are
/// resampled by nearest neighbour.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nephos evaluate test_split.pkl --model best.nephos --out scores
  nephos evaluate l8biome --model best.nephos --json > scores.json
  nephos evaluate scenes/*.tif --labels labels --model best.nephos
  nephos evaluate scenes/*.tif --labels labels --model best.nephos --window 128 --graph scene
  nephos evaluate val_split.pkl --model best.nephos --calibrate best_calibrated.nephos --min-recall cloud=0.98
  nephos evaluate test_split.pkl --model best.nephos --threshold cloud=0.4")]
pub struct Args {
    /// Labelled samples: a pickle, .npy, .npz, a CloudSEN12+ container, or a folder
    /// with image/ and label/; or, with --labels, scenes
    #[arg(required = true)]
    data: Vec<PathBuf>,
    /// Label raster of the scene, or a folder with NAME.tif, NAME_label.tif or
    /// NAME_mask.tif per scene
    #[arg(long, value_name = "PATH")]
    labels: Option<PathBuf>,
    #[command(flatten)]
    read: SceneArgs,
    #[command(flatten)]
    windows: WindowArgs,
    #[command(flatten)]
    model: ModelArgs,
    /// Folder for scores.json, scores.md, confusion.png, confusion_normalised.png and
    /// reliability.png
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Fit a temperature, and a bias for each class where it helps, on the samples, and
    /// write the model with them: its probabilities are then calibrated. The samples
    /// must be other than those it was trained on, and than those it will be scored on.
    /// The recall of cloud and of shadow by threshold is measured and written too,
    /// for `nephos predict --min-recall`.
    /// A bias that makes a class's IoU worse on these samples is left out; a bias beyond
    /// ±3, one that costs a class more than 0.1 of IoU, and a temperature outside 0.2 to 5
    /// are errors, and nothing is written: labels and model then disagree
    #[arg(long, value_name = "NAME.nephos")]
    calibrate: Option<PathBuf>,
    /// Fit a temperature alone, which does not change the classes
    #[arg(long)]
    temperature_only: bool,
    /// Fit as --calibrate does, and choose the threshold that has this recall of a
    /// class (as cloud=0.98; cloud is thick and thin cloud together). With --calibrate
    /// it is kept in the model, and `nephos predict` decides by it
    #[arg(long, value_name = "CLASS=SHARE")]
    min_recall: Option<ClassShare>,
    /// Score the model as `nephos predict --threshold` uses it: a pixel is of this class
    /// where its probability is at least P (as cloud=0.4; cloud is thick and thin cloud
    /// together), else the likeliest of the others
    #[arg(long, value_name = "CLASS=P", conflicts_with_all = ["calibrate", "min_recall"])]
    threshold: Option<ClassShare>,
    /// Print JSON in place of the table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// What --out puts into its folder.
const FILES: [&str; 5] = [
    "scores.json",
    "scores.md",
    "confusion.png",
    "confusion_normalised.png",
    "reliability.png",
];

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let windows = args.windows.options();
    windows.validate()?;
    if args.labels.is_none() && windows.recorded() != PredictOptions::default().recorded() {
        bail!("--window, --overlap and --graph are for scenes (--labels): samples are not tiled");
    }
    if args.temperature_only && args.calibrate.is_none() && args.min_recall.is_none() {
        bail!("--temperature-only is for --calibrate and --min-recall");
    }
    let scores = (args.out.iter()).flat_map(|folder| FILES.map(|name| folder.join(name)));
    (Declared::default())
        .reads_all(args.data.iter().chain(&args.labels))
        .reads_named(&args.model.model)
        .writes_all(scores.chain(args.calibrate.clone()))
        .check(args.overwrite.overwrite)?;
    let mut loaded = args.model.load()?;
    let model = &args.model.model;
    if args.calibrate.is_some() || args.min_recall.is_some() {
        fit(&args, &mut loaded, ui)?;
    }
    if let Some(chosen) = &args.threshold {
        set_threshold(chosen, &mut loaded.0.config, ui)?;
    }
    let calibration = loaded.0.config.calibration.clone();
    let evaluation = match (&args.labels, args.data.as_slice()) {
        (Some(labels), data) => {
            for scene in data {
                args.model.read.check_for_scene(scene, true)?;
            }
            let options = SceneOptions {
                model_bands: loaded.0.config.data.bands.clone(),
                ..args.read.options()?
            };
            let read = (options, windows);
            scenes::evaluate(loaded, data, labels, &read, ui)?
        }
        (None, [data]) => samples(data, &loaded, &args.read, ui)?,
        (None, _) => bail!("one container of samples at a time; scenes need --labels"),
    };
    if evaluation.confusion.pixels() == 0 {
        bail!("{}: no pixel is labelled", names(&args.data));
    }
    let json = to_json(&evaluation, &calibration, model, &args.data)?;
    let markdown = to_markdown(&evaluation, model, &args.data);
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
        draw_reliability(&folder.join("reliability.png"), &evaluation.reliability)?;
        ui.status(format!("Scores and pictures are in {}", folder.display()));
    }
    Ok(())
}

/// Fits the calibration of a model, which it then has, and writes it on request.
fn fit(args: &Args, (bundle, device): &mut (Bundle, Device), ui: &Ui) -> anyhow::Result<()> {
    let [data] = args.data.as_slice() else {
        bail!("--calibrate and --min-recall take one container of samples");
    };
    if args.labels.is_some() {
        bail!("--calibrate and --min-recall take a container of samples, not scenes (--labels)");
    }
    let classes = bundle.config.model.classes;
    let min_recall = match &args.min_recall {
        None => None,
        Some(ClassShare { class, share }) => Some(MinRecall {
            classes: class_group(class, classes).context("--min-recall")?,
            recall: *share,
        }),
    };
    let fitting = Fitting {
        temperature_only: args.temperature_only,
        min_recall,
    };
    let dataset = Dataset::open(data, &args.read.samples(&bundle.config.data)?)?;
    let mut progress = ui.progress("calibrate", dataset.len());
    let fit = calibrate(bundle, &dataset, device, &fitting, |name| {
        progress.step(name)
    })?;
    progress.finish();
    ui.status(format!(
        "Calibrated on {} of these samples: {}; cross-entropy {:.4}, before {:.4}",
        text::count(fit.pixels, "pixel"),
        fit.config,
        fit.loss[1],
        fit.loss[0],
    ));
    if let Some(why) = &fit.no_bias {
        ui.status(format!("  no bias: {why}"));
    }
    if fit.config.threshold.is_some() {
        ui.status(costs(&fit, classes));
    }
    for curve in &fit.config.curves {
        ui.status(trade(curve));
    }
    bundle.config.calibration = fit.config;
    if let Some(path) = &args.calibrate {
        // What was overridden for these samples is not the model's.
        let mut kept = Bundle::load(&args.model.model)?;
        kept.config.calibration = bundle.config.calibration.clone();
        // Unlike how far its patches attend, which the fit holds for.
        kept.config.model.reach = bundle.config.model.reach;
        kept.save(path)?;
        ui.status(format!("The calibrated model is {}", path.display()));
    }
    Ok(())
}

/// Scores of each class with the threshold on the samples that it was chosen on.
fn costs(fit: &Fit, classes: usize) -> String {
    let number = |iou: Option<f64>| iou.map_or("-".to_owned(), |iou| format!("{iou:.4}"));
    let each: Vec<String> = (metrics::names(classes).iter().zip(&fit.iou))
        .map(|(name, [before, after])| format!("{name} {} → {}", number(*before), number(*after)))
        .collect();
    format!(
        "  IoU by the threshold, before → after: {}",
        each.join(", ")
    )
}

/// Scores of some thresholds for a group of classes on the samples of the calibration.
fn trade(curve: &RecallCurve) -> String {
    let points = [0.9, 0.95, 0.98]
        .into_iter()
        .filter_map(|recall| curve.reaching(recall));
    let each: Vec<String> = points
        .map(|point| {
            format!(
                "{:.1} % found from {:.3} with {:.1} % of the others",
                100.0 * point.recall,
                point.probability,
                100.0 * point.false_alarms
            )
        })
        .collect();
    format!("  {}: {}", curve.name(), each.join(", "))
}

/// Prints the notes on how samples are read.
fn print_notes(dataset: &Dataset, ui: &Ui) {
    for note in dataset.notes() {
        ui.status(format!("  note: {note}"));
    }
}

/// Scores a model on the samples of a container.
fn samples(
    data: &Path,
    (bundle, device): &(Bundle, Device),
    read: &SceneArgs,
    ui: &Ui,
) -> anyhow::Result<Evaluation> {
    let config = read.samples(&bundle.config.data)?;
    let dataset = Dataset::open(data, &config)?;
    if dataset.is_empty() {
        bail!("{}: no samples", data.display());
    }
    print_notes(&dataset, ui);
    let mut progress = ui.progress("evaluate", dataset.len());
    let evaluation = evaluate(bundle, &dataset, device, |sample| {
        progress.step(&sample.name);
        Ok(())
    })?;
    progress.finish();
    Ok(evaluation)
}

/// The data as text.
fn names(data: &[PathBuf]) -> String {
    let names: Vec<String> = data.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

fn to_json(
    evaluation: &Evaluation,
    calibration: &CalibrationConfig,
    model: &Path,
    data: &[PathBuf],
) -> anyhow::Result<String> {
    let json = serde_json::json!({
        "model": model,
        "data": names(data),
        "loss": evaluation.loss,
        "scores": evaluation.confusion.scores(),
        "confusion": evaluation.confusion,
        "calibration": calibration,
        "expected_calibration_error": evaluation.reliability.expected_calibration_error(),
        "reliability": evaluation.reliability,
        "samples": evaluation.samples,
    });
    serde_json::to_string_pretty(&json).context("the scores can't be written as JSON")
}

fn to_markdown(evaluation: &Evaluation, model: &Path, data: &[PathBuf]) -> String {
    let loss = evaluation.loss.unwrap_or(f64::NAN);
    let calibration = (evaluation.reliability.expected_calibration_error()).unwrap_or(f64::NAN);
    format!(
        "{} on {}: {}, cross-entropy {loss:.4}, expected calibration error \
         {calibration:.4}\n\n{}",
        model.display(),
        names(data),
        text::count(evaluation.samples.len(), "sample"),
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
