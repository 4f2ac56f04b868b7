//! `nephos demo`

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use nephos::text;

use crate::args::Cli;
use crate::ui::{Ui, say};

/// Simulate, train, evaluate and draw, in a few minutes
///
/// Runs a first session's commands, and prints each before it runs:
/// `simulate` makes labelled scenes, `train` trains a small ViT+GAT on them,
/// `evaluate` scores it on held-out scenes, `overlay` and `explain` draw
/// its predictions and attention.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  nephos demo --out demo")]
pub struct Args {
    /// Folder for everything the demo writes; must not hold an earlier demo
    #[arg(long, default_value = "demo", value_name = "DIR")]
    out: PathBuf,
    /// Simulated scenes to train on
    #[arg(long, default_value_t = 1200)]
    train: usize,
    /// Passes over them; the default is that of `nephos config demo`
    #[arg(long)]
    epochs: Option<usize>,
    /// Device: auto, cpu, vulkan:0, …
    #[arg(long, default_value = "cpu")]
    device: String,
}

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let started = Instant::now();
    let out = &args.out;
    ensure!(
        !out.join("run").exists(),
        "{} holds an earlier demo: remove it, or choose another folder with --out",
        out.display()
    );
    for command in commands(&args)? {
        ui.status(format!("\n$ nephos {}", command.join(" ")));
        let words = std::iter::once("nephos").chain(command.iter().map(String::as_str));
        let cli = Cli::try_parse_from(words).context("the demo's own command")?;
        crate::dispatch(cli.command, ui)?;
    }
    say!(
        "\nThe demo took {}. Look at:",
        text::duration(started.elapsed().as_secs_f64())
    );
    for (file, what) in [
        ("overlay.png", "RGB, truth and prediction side by side"),
        ("explain.png", "what a patch at a cloud's edge attends to"),
        (
            "scores/confusion_normalised.png",
            "which classes are confused",
        ),
        ("run/loss.png", "the loss over the epochs"),
        ("simulated.png", "simulated scenes and their labels"),
    ] {
        let path = out.join(file);
        if path.exists() {
            say!("  {:<38} {what}", path.display().to_string());
        }
    }
    Ok(())
}

/// The demo's commands.
fn commands(args: &Args) -> anyhow::Result<Vec<Vec<String>>> {
    let unicode = |path: &Path| {
        path.to_str()
            .map(str::to_owned)
            .with_context(|| format!("{}: not valid Unicode", path.display()))
    };
    let at = |name: &str| unicode(&args.out.join(name));
    let (model, test) = (at("run/best.nephos")?, at("data/test_split.pkl")?);
    let mut train = vec![
        "train".to_owned(),
        "--config".to_owned(),
        "demo".to_owned(),
        "--out".to_owned(),
        at("run")?,
        "--device".to_owned(),
        args.device.clone(),
        "--set".to_owned(),
        format!("data.train={}", at("data/train_split.pkl")?),
        "--set".to_owned(),
        format!("data.val={}", at("data/val_split.pkl")?),
    ];
    if let Some(epochs) = args.epochs {
        train.extend(["--set".to_owned(), format!("train.epochs={epochs}")]);
    }
    let words = |line: &[&str]| {
        line.iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    Ok(vec![
        words(&[
            "simulate",
            "--out",
            &at("data")?,
            "--train",
            &args.train.to_string(),
            "--val",
            "64",
            "--test",
            "64",
            "--size",
            "96",
            // A pixel of 50 m: scenes wide enough to hold a cloud and its shadow.
            "--pixel-size",
            "50",
            "--seed",
            "1",
            "--preview",
            &at("simulated.png")?,
            "--overwrite",
        ]),
        train,
        words(&[
            "evaluate",
            &test,
            "--model",
            &model,
            "--out",
            &at("scores")?,
            "--overwrite",
        ]),
        words(&[
            "overlay",
            &test,
            "--model",
            &model,
            "--rows",
            "4",
            "-o",
            &at("overlay.png")?,
            "--overwrite",
        ]),
        words(&[
            "explain",
            &test,
            "--model",
            &model,
            "-o",
            &at("explain.png")?,
            "--overwrite",
        ]),
    ])
}
