//! `nephos benchmark`

mod given;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nephos::benchmark::{Benchmark, Budget, Contender};
use nephos::config::{Config, DataConfig};
use nephos::output::{Declared, may_write};

use super::train::{INTERRUPTED, STOP, stop_on_signals};
use super::train_progress::EpochBars;
use crate::ui::{Ui, say};
use given::GivenArgs;

/// Compare models by cross-validation, or score existing weights and masks
///
/// Every model of --models is trained on the same folds with the same seed and budget, and
/// scored on the held-out samples; no sample chooses its weights. How samples are
/// read comes from --config, the network, its loss and its training from each model's own
/// configuration. Prints a table of IoU, calibration and cost, mean ± standard deviation
/// over the folds, and writes it with a plot into the folder of --out. Finished results are
/// kept there: the same command resumes a run that was stopped.
///
/// With --weights and --predictions nothing is trained for these: existing weights and
/// external masks are scored on the same samples by the same code. Without --models
/// only these are scored. Scene by scene: cloud IoU, false and missed cloud, shadow IoU,
/// calibration, by kind of scene (--kinds) and by band set (--also-bands), with scenes.csv,
/// reliability diagrams and worst.png, the worst scenes, in the folder of --out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nephos benchmark l8biome --config l8biome --models reference,unet,segformer --steps 400 --folds 6
  nephos benchmark l8biome --models tiny --variant no-graph:model.graph.layers=0 --steps 400
  nephos benchmark train.taco --models mine.toml,deeplabv3plus --budget 30 --group-by roi_id
  nephos benchmark l8biome --weights tiny --predictions ukis=ukis/l8biome --also-bands red,green,blue
  nephos benchmark samples --weights mine=run/best.nephos --predictions other=masks \\
    --prediction-map other:1=thick,2=shadow --only held-out.txt --kinds tags.csv --worst 20
  nephos benchmark l8biome --weights 'mine=runs/fold-{fold}/last.nephos' --fold-table folds.csv")]
pub struct Args {
    /// Labelled samples: a pickle, .npy, .npz, a CloudSEN12+ container, or a folder with
    /// image/ and label/
    data: PathBuf,
    /// Models to train: configurations that come with nephos (`nephos config` lists them), or
    /// paths of TOML files
    #[arg(
        long,
        value_name = "A,B.toml,…",
        value_delimiter = ',',
        required_unless_present_any = ["weights", "predictions"]
    )]
    models: Vec<String>,
    #[command(flatten)]
    given: GivenArgs,
    /// An additional model: the first of --models called NAME, with a key changed. Given again with
    /// the same NAME, another key of it is changed too
    #[arg(long, value_name = "NAME:KEY=VALUE", requires = "models")]
    variant: Vec<String>,
    /// Configuration whose section data says how the samples are read [default: that of
    /// the first model, else of the first weights, else of tiny]: a name of `nephos config`,
    /// or a TOML file. Weights keep their own bands and scale
    #[arg(long, short, value_name = "NAME|FILE")]
    config: Option<PathBuf>,
    /// Override a key, as in train.batch_size=2 for all models, or data.scale=5000 for
    /// the samples; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Score every model with these bands alone as well; may be repeated. Bands that are
    /// left out must be in data.optional_bands
    #[arg(long, value_name = "BAND,BAND,…")]
    also_bands: Vec<String>,
    /// Minutes of training each model gets on each fold, by the pace of its first steps
    #[arg(
        long,
        value_name = "MINUTES",
        conflicts_with = "steps",
        requires = "models"
    )]
    budget: Option<f64>,
    /// Optimiser steps each model gets on each fold: the same on every machine
    #[arg(long, value_name = "N", requires = "models")]
    steps: Option<usize>,
    /// Start every model from these weights, as `nephos train --init` does
    #[arg(long, value_name = "FILE", requires = "models")]
    init: Option<PathBuf>,
    /// Before the folds, train every model once so many minutes (with --budget) or steps
    /// (with --steps) on the containers of data.mix alone; the folds start from these weights,
    /// at a third of the learning rate
    #[arg(long, value_name = "N", requires = "models")]
    mix_before: Option<f64>,
    /// Folds
    #[arg(long, value_name = "K", default_value_t = 6)]
    folds: usize,
    /// The folds are those of this table, which has a row per sample with its name and a
    /// column `fold`, from 1
    #[arg(long, value_name = "TABLE", conflicts_with_all = ["folds", "group_by"])]
    fold_table: Option<PathBuf>,
    /// Train and score the first so many folds only
    #[arg(long, value_name = "N")]
    first: Option<usize>,
    /// Column of the samples' metadata that names groups that stay within one fold;
    /// without it each sample is its own group
    #[arg(long, value_name = "COLUMN")]
    group_by: Option<String>,
    /// Seed of all runs
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Folder of the runs, and of benchmark.md, benchmark.json and benchmark.png
    #[arg(long, short, value_name = "DIR", default_value = "runs/benchmark")]
    out: PathBuf,
    /// auto, cpu, vulkan, metal, webgpu or cuda, with a number after a colon
    #[arg(long, default_value = "auto")]
    device: String,
}

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let (budget, mix_before) = match (args.budget, args.steps) {
        (Some(count), None) => (
            Some(minutes("--budget", count)?),
            (args.mix_before.map(|count| minutes("--mix-before", count))).transpose()?,
        ),
        (_, Some(count)) => (
            Some(steps("--steps", count as f64)?),
            (args.mix_before.map(|count| steps("--mix-before", count))).transpose()?,
        ),
        (None, None) if args.models.is_empty() => (None, None),
        (None, None) => bail!("--budget MINUTES or --steps N is expected"),
    };
    if args.first == Some(0) {
        bail!("--first: at least 1 fold is expected");
    }
    let (data_sets, model_sets): (Vec<String>, Vec<String>) =
        (args.set.iter().cloned()).partition(|entry| entry.trim_start().starts_with("data."));
    let mut models: Vec<Contender> = (args.models.iter())
        .map(|model| contender(model, &model_sets))
        .collect::<anyhow::Result<_>>()?;
    if let Some(first) = args.models.first() {
        models.extend(variants(first, &model_sets, &args.variant)?);
    }
    let device = crate::device::select(&args.device)?;
    let configured: Option<DataConfig> = match (&args.config, args.models.first()) {
        (Some(path), _) => Some(Config::open(path, &data_sets).context("--config")?.data),
        (None, Some(first)) => Some(load(first, &data_sets)?.data),
        (None, None) => None,
    };
    let given = args.given.resolve(configured.as_ref(), &data_sets)?;
    let names: Vec<&str> = (models.iter().map(|model| model.name.as_str()))
        .chain(given.entries.iter().map(|given| given.name.as_str()))
        .collect();
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            bail!("two models are called {name}");
        }
    }
    let worst = match (args.given.worst, models.is_empty()) {
        (Some(count), _) => count,
        (None, true) => given::WORST,
        (None, false) => 0,
    };
    let inputs = (args.given.files())
        .chain(args.fold_table.clone())
        .chain(args.config.clone())
        .chain(args.init.clone())
        .chain(args.models.iter().map(PathBuf::from))
        .collect::<Vec<_>>();
    let benchmark = Benchmark {
        data: args.data,
        only: args.given.only,
        fold_table: args.fold_table,
        reading: given.reading,
        given: given.entries,
        kinds: args.given.kinds.as_deref().map(given::kinds),
        worst,
        group_by: args.group_by,
        also_bands: (args.also_bands.iter())
            .map(|bands| {
                bands
                    .split(',')
                    .map(|band| band.trim().to_owned())
                    .collect()
            })
            .collect(),
        models,
        init: args.init,
        mix_before,
        budget,
        folds: args.folds,
        folds_run: args.first.unwrap_or(args.folds),
        seed: args.seed,
        folder: args.out,
        device,
    };
    let files = benchmark.files();
    (inputs.iter().map(Path::new))
        .fold(
            Declared::default().reads(&benchmark.data),
            Declared::reads_named,
        )
        .writes_all(&files)
        .check_places()?;
    // The same command resumes a run that was stopped, and writes its tables again.
    files.iter().try_for_each(|path| may_write(path, true))?;
    stop_on_signals()?;
    let mut bars = EpochBars::new(ui, &STOP);
    let report = benchmark.run(&mut bars, &mut |text| ui.status(text))?;
    drop(bars);
    let Some(report) = report else {
        ui.status("Stopped and saved; the same command resumes.");
        std::process::exit(INTERRUPTED);
    };
    say!("{}", report.to_markdown().trim_end());
    ui.status(format!(
        "Tables, scores and pictures are in {}",
        benchmark.folder.display()
    ));
    Ok(())
}

fn minutes(option: &str, count: f64) -> anyhow::Result<Budget> {
    match count.is_finite() && count > 0.0 {
        true => Ok(Budget::Minutes(count)),
        false => bail!("{option}: a number of minutes above 0 is expected"),
    }
}

fn steps(option: &str, count: f64) -> anyhow::Result<Budget> {
    match count.is_finite() && count >= 1.0 && count.fract() == 0.0 {
        true => Ok(Budget::Steps(count as usize)),
        false => bail!("{option}: a whole number of steps, at least 1, is expected"),
    }
}

/// A model by its name or path; its name is that of its file.
fn contender(model: &str, overrides: &[String]) -> anyhow::Result<Contender> {
    let config = load(model, overrides)?;
    let stem = Path::new(model).file_stem().unwrap_or_default();
    let name = crate::model_args::file_name(&stem.to_string_lossy());
    Ok(Contender { name, config })
}

/// The models of `--variant`, in the order their names first come.
fn variants(
    model: &str,
    overrides: &[String],
    entries: &[String],
) -> anyhow::Result<Vec<Contender>> {
    let mut changes: Vec<(&str, Vec<String>)> = Vec::new();
    for entry in entries {
        let (name, change) = (entry.split_once(':'))
            .filter(|(name, change)| {
                *name == crate::model_args::file_name(name) && change.contains('=')
            })
            .with_context(|| format!("--variant {entry}: NAME:KEY=VALUE is expected"))?;
        if change.trim_start().starts_with("data.") {
            bail!("--variant {entry}: samples are read alike for all models; --set changes how");
        }
        match changes.iter_mut().find(|(known, _)| *known == name) {
            Some((_, changes)) => changes.push(change.to_owned()),
            None => changes.push((name, vec![change.to_owned()])),
        }
    }
    let contender = |(name, changes): (&str, Vec<String>)| {
        let all = [overrides, &changes].concat();
        let config = load(model, &all).with_context(|| format!("--variant {name}"))?;
        let name = name.to_owned();
        Ok(Contender { name, config })
    };
    changes.into_iter().map(contender).collect()
}

fn load(model: &str, overrides: &[String]) -> anyhow::Result<Config> {
    Config::open(Path::new(model), overrides).with_context(|| format!("--models {model}"))
}
