//! `nephos info`

mod config;
mod document;
mod mask;
mod samples;
mod scene;
mod table;
mod weights;

use std::path::PathBuf;

use nephos::config::Filter;
use nephos::samples::is_container;
use nephos::scene::{Kind, detect};
use nephos::text::one_line;
use nephos::weights::Shipped;
use serde::Serialize;

use crate::ui::{Ui, say};

/// Describe a file
#[derive(Debug, clap::Args)]
#[command(long_about = long_about(), after_help = "Examples:\n  \
    nephos info train_split.pkl\n  \
    nephos info S2A_MSIL2A_….SAFE\n  \
    nephos info cloudsen12-l1c.0000.part.taco --where label_type=high --list\n  \
    nephos info model.nephos --json\n  \
    nephos info scene_mask.tif\n  \
    nephos info tiny")]
pub struct Args {
    /// File or folder
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    /// Channel that holds the label, counted from 0, in samples that don't name
    /// their channels
    #[arg(long, value_name = "N", default_value_t = 13)]
    label_channel: usize,
    /// Describe only samples whose metadata fit: COLUMN=VALUE, COLUMN=VALUE,VALUE, or
    /// with !=, <, <=, > or >= in place of =; for CloudSEN12+ containers
    #[arg(long = "where", value_name = "CONDITION")]
    filters: Vec<Filter>,
    /// Print the names of the samples, one per line, and nothing else
    #[arg(long, conflicts_with = "json")]
    list: bool,
}

fn long_about() -> String {
    use nephos::scene::formats::{RESULTS, SAMPLES, SCENES, WEIGHTS};
    format!(
        "Describe a file\n\n\
         Scenes ({SCENES}): product, size, place, bands and how their numbers become \
         reflectance.\n\n\
         Samples ({SAMPLES}): how many, their shapes, number format and channel names, the range \
         of each channel in the first sample, and how the labels are distributed; of a \
         CloudSEN12+ container also the columns of its metadata.\n\n\
         Weights ({WEIGHTS}): the tensors, and of a .nephos bundle its configuration and training \
         history; of tiny its model card.\n\n\
         What nephos writes ({RESULTS})."
    )
}

/// What a file holds.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Report {
    Config(config::Report),
    Document(document::Report),
    Mask(mask::Report),
    Samples(samples::Report),
    Table(table::Report),
    Scene(scene::Report),
    Weights(weights::Report),
}

pub fn run(args: Args, _ui: &Ui) -> anyhow::Result<()> {
    let path = args.path.as_path();
    if let Some(shipped) = Shipped::find(path)
        && !args.json
    {
        say!("{}", shipped.card.trim_end());
        return Ok(());
    }
    if args.list {
        for name in samples::names(path, &args.filters)? {
            say!("{}", one_line(&name));
        }
        return Ok(());
    }
    let report = report(&args)?;
    if args.json {
        say!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        say!("{}", one_line(&path.to_string_lossy()));
        let text = match report {
            Report::Config(report) => report.to_string(),
            Report::Document(report) => report.to_string(),
            Report::Mask(report) => report.to_string(),
            Report::Samples(report) => report.to_string(),
            Report::Table(report) => report.to_string(),
            Report::Scene(report) => report.to_string(),
            Report::Weights(report) => report.to_string(),
        };
        say!("{}", text.trim_end());
    }
    Ok(())
}

/// Describes a file by its content, or by its extension where that is more specific.
fn report(args: &Args) -> anyhow::Result<Report> {
    let path = args.path.as_path();
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let is_file = path.is_file();
    match extension.to_lowercase().as_str() {
        "toml" if is_file => return Ok(Report::Config(config::report(path)?)),
        "csv" if is_file => return Ok(Report::Table(table::report(path)?)),
        _ => {}
    }
    let found = detect(path);
    if is_file && let Some(report) = mask::report(path)? {
        return Ok(Report::Mask(report));
    }
    if is_file
        && !matches!(found, Ok(Kind::SampleList))
        && let Some(report) = document::report(path)?
    {
        return Ok(Report::Document(report));
    }
    Ok(match found {
        _ if Shipped::find(path).is_some() => Report::Weights(weights::safetensors(path)?),
        Ok(Kind::Torch) => Report::Weights(weights::torch(path)?),
        Ok(Kind::Safetensors) => Report::Weights(weights::safetensors(path)?),
        Ok(kind) if is_container(path) => Report::Samples(samples::report(
            path,
            kind,
            args.label_channel,
            &args.filters,
        )?),
        Ok(_) => Report::Scene(scene::report(path)?),
        // A product may be named by its metadata file, which holds no samples.
        Err(error) => Report::Scene(scene::report(path).map_err(|_| unknown(error))?),
    })
}

/// An unknown format is one that is neither read nor written.
fn unknown(error: nephos::Error) -> nephos::Error {
    use nephos::scene::formats::{RESULTS, SCENES, WEIGHTS};
    match error {
        nephos::Error::Unsupported { subject, message } if message.contains("unknown format") => {
            nephos::Error::Unsupported {
                message: format!(
                    "{message}; scenes from {SCENES}; weights from {WEIGHTS}; nephos info also \
                     describes {RESULTS}"
                ),
                subject,
            }
        }
        other => other,
    }
}
