//! `nephos benchmark`

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nephos::benchmark::{Benchmark, Budget, Contender};
use nephos::config::Config;
use nephos::device;
use nephos::output::{Declared, may_write};

use super::train::{INTERRUPTED, STOP, stop_on_signals};
use super::train_progress::EpochBars;
use crate::ui::{Ui, say};

/// Compare models by cross-validation
///
/// Every model is trained on the same folds with the same seed and budget, and scored
/// on the samples it has not seen; no sample chooses its weights. How samples are read
/// comes from --config, the network, its loss and its training from each model's own
/// configuration.
///
/// Prints a table of IoU, calibration and cost, mean ± standard deviation over the
/// folds, and writes it with a plot into the folder of --out. Finished results are kept
/// there: the same command goes on where it was stopped.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nephos benchmark l8biome --config l8biome --models reference,unet,segformer --steps 400 --folds 6
  nephos benchmark l8biome --models tiny --variant no-graph:model.graph.layers=0 --steps 400
  nephos benchmark train.taco --models mine.toml,deeplabv3plus --budget 30 --group-by roi_id")]
pub struct Args {
    /// Labelled samples: a pickle, .npy, .npz, a CloudSEN12+ container, or a folder with
    /// image/ and label/
    data: PathBuf,
    /// Models: configurations that come with nephos (`nephos config` lists them), or paths of
    /// TOML files
    #[arg(
        long,
        value_name = "A,B.toml,…",
        value_delimiter = ',',
        required = true
    )]
    models: Vec<String>,
    /// One model more: the first of --models called NAME, with a key changed. Given again with
    /// the same NAME, another key of it is changed too
    #[arg(long, value_name = "NAME:KEY=VALUE")]
    variant: Vec<String>,
    /// Configuration whose section data says how the samples are read [default: that of
    /// the first model]: a name of `nephos config`, or a TOML file
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
    #[arg(long, value_name = "MINUTES", conflicts_with = "steps")]
    budget: Option<f64>,
    /// Optimiser steps each model gets on each fold: the same on every machine
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Start every model from these weights, as `nephos train --init` does
    #[arg(long, value_name = "FILE")]
    init: Option<PathBuf>,
    /// Before the folds, train every model once so many minutes (with --budget) or steps
    /// (with --steps) on the containers of data.mix alone; the folds start from these weights,
    /// at a third of the learning rate
    #[arg(long, value_name = "N")]
    mix_before: Option<f64>,
    /// Folds
    #[arg(long, value_name = "K", default_value_t = 6)]
    folds: usize,
    /// Train the first so many folds only
    #[arg(long, value_name = "N")]
    first: Option<usize>,
    /// Column of the samples' metadata that names what folds must not tear apart;
    /// without it each sample stands for itself
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
            minutes("--budget", count)?,
            (args.mix_before.map(|count| minutes("--mix-before", count))).transpose()?,
        ),
        (_, Some(count)) => (
            steps("--steps", count as f64)?,
            (args.mix_before.map(|count| steps("--mix-before", count))).transpose()?,
        ),
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
    for (index, model) in models.iter().enumerate() {
        if models[..index].iter().any(|other| other.name == model.name) {
            bail!("two models are called {}", model.name);
        }
    }
    let reading = match &args.config {
        Some(path) => Config::open(path, &data_sets).context("--config")?.data,
        None => match args.models.first() {
            Some(first) => load(first, &data_sets)?.data,
            None => bail!("--models: at least one is expected"),
        },
    };
    let table = ["md", "json", "png"].map(|ending| args.out.join(format!("benchmark.{ending}")));
    let named = args.config.iter().chain(&args.init);
    (named
        .map(Path::new)
        .chain(args.models.iter().map(Path::new)))
    .fold(Declared::default().reads(&args.data), Declared::reads_named)
    .writes_all(&table)
    .check_places()?;
    // The same command goes on where it was stopped, and writes its table again.
    table.iter().try_for_each(|path| may_write(path, true))?;
    stop_on_signals()?;
    let benchmark = Benchmark {
        data: args.data,
        reading,
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
        device: device::select(&args.device)?,
    };
    let mut bars = EpochBars::new(ui, &STOP);
    let report = benchmark.run(&mut bars, &mut |text| ui.status(text))?;
    drop(bars);
    let Some(report) = report else {
        ui.status("Stopped and saved; the same command goes on.");
        std::process::exit(INTERRUPTED);
    };
    say!("{}", report.to_markdown().trim_end());
    ui.status(format!(
        "Table, scores and plot are in {}",
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

/// A model by its name or path; it is called as its file.
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
