//! `nephos info`

mod samples;
mod weights;

use std::path::PathBuf;

use nephos::dataset::split::Filter;
use nephos::scene::{self, Kind};
use serde::Serialize;

use crate::ui::{Ui, say};

/// Tell what a file holds
///
/// Samples (pickle, .npy, .npz, GeoTIFF, PNG, JPEG, CloudSEN12+ container, or a folder
/// with image/ and label/): how many, their shapes, number format and channel names,
/// the range of each channel in the first sample, and how the labels are distributed;
/// of a CloudSEN12+ container also the columns of its metadata. Weights
/// (.pth, .safetensors, .nephos): the tensors, and of a .nephos bundle its
/// configuration and training history.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    nephos info train_split.pkl\n  \
    nephos info cloudsen12-l1c.0000.part.taco --where label_type=high --list\n  \
    nephos info model.nephos --json")]
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
    /// Tell only of samples whose metadata fit: COLUMN=VALUE, COLUMN=VALUE,VALUE, or
    /// with !=, <, <=, > or >= in place of =; for CloudSEN12+ containers
    #[arg(long = "where", value_name = "CONDITION")]
    filters: Vec<Filter>,
    /// Print the names of the samples, one a line, and nothing else
    #[arg(long, conflicts_with = "json")]
    list: bool,
}

/// What a file holds.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Report {
    Samples(samples::Report),
    Weights(weights::Report),
}

pub fn run(args: Args, _ui: &Ui) -> anyhow::Result<()> {
    let path = args.path.as_path();
    let report = match scene::detect(path)? {
        _ if args.list => {
            for name in samples::names(path, &args.filters)? {
                say!("{name}");
            }
            return Ok(());
        }
        Kind::Torch => Report::Weights(weights::torch(path)?),
        Kind::Safetensors => Report::Weights(weights::safetensors(path)?),
        kind => Report::Samples(samples::report(
            path,
            kind,
            args.label_channel,
            &args.filters,
        )?),
    };
    if args.json {
        say!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        say!("{}", path.display());
        match report {
            Report::Samples(report) => say!("{}", report.to_string().trim_end()),
            Report::Weights(report) => say!("{}", report.to_string().trim_end()),
        }
    }
    Ok(())
}
