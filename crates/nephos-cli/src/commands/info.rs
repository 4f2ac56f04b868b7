//! `nephos info`

mod samples;
mod scene;
mod weights;

use std::path::PathBuf;

use nephos::dataset::split::Filter;
use nephos::model::weights::Shipped;
use nephos::scene::{Kind, detect, is_container};
use serde::Serialize;

use crate::ui::{Ui, say};

/// Tell what a file holds
///
/// Scenes (GeoTIFF, a folder with one file a band, Sentinel-2 SAFE, Landsat, PNG or
/// JPEG): product, size, place, bands and how their numbers become reflectance.
///
/// Samples (pickle, .npy, .npz, CloudSEN12+ container, or a folder with image/ and
/// label/): how many, their shapes, number format and channel names,
/// the range of each channel in the first sample, and how the labels are distributed;
/// of a CloudSEN12+ container also the columns of its metadata.
///
/// Weights (.pth, .safetensors, .nephos): the tensors, and of a .nephos bundle its
/// configuration and training history.
///
/// tiny: the model that comes with nephos, with its model card.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    nephos info train_split.pkl\n  \
    nephos info S2A_MSIL2A_….SAFE\n  \
    nephos info cloudsen12-l1c.0000.part.taco --where label_type=high --list\n  \
    nephos info model.nephos --json\n  \
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
            say!("{name}");
        }
        return Ok(());
    }
    let report = match detect(path) {
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
        Err(error) => Report::Scene(scene::report(path).map_err(|_| error)?),
    };
    if args.json {
        say!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        say!("{}", path.display());
        match report {
            Report::Samples(report) => say!("{}", report.to_string().trim_end()),
            Report::Scene(report) => say!("{}", report.to_string().trim_end()),
            Report::Weights(report) => say!("{}", report.to_string().trim_end()),
        }
    }
    Ok(())
}
