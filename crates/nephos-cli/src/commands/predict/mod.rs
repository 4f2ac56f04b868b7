//! `nephos predict`

mod batch;
mod claim;
pub mod jobs;
mod mask_state;
mod run;
mod table;

use std::path::PathBuf;

use anyhow::bail;
use nephos::mask::Dates;
use nephos::predict::SideOutput;

use crate::args::Overwrite;
use crate::decision_args::DecisionArgs;
use crate::model_args::ModelArgs;
use crate::scene_args::{SceneArgs, WindowArgs};
use crate::ui::Ui;

/// Segment scenes
///
/// A scene is a GeoTIFF (or a folder with one file per band), a Sentinel-2 SAFE folder
/// or its zip, a Landsat Collection 2 folder, a PNG or JPEG; samples of pickles,
/// NumPy files and CloudSEN12+ containers do as well. Scale, offset and no-data are
/// taken from the product's own metadata and reported; bands are found by name. A scene
/// of any size is read, segmented and written in strips.
///
/// The mask is 0 clear, 1 thick cloud, 2 thin cloud, 3 cloud shadow, 255 no data: a
/// Cloud-Optimised GeoTIFF with palette, class names, georeference and a record of how it
/// was made. A scene whose mask is there, of the same unchanged file and by the same model
/// and options, is skipped; any other file that is there is left alone without
/// --overwrite. Several processes may share one folder (--out-dir).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nephos predict scene.tif
  nephos predict scene.tif --out mask.tif --with probabilities,polygons
  nephos predict S2A_MSIL2A_….SAFE --resolution 20 --out mask.tif
  nephos predict LC08_L1TP_… --out mask.tif --dilate 90
  nephos predict drone.tif --bands blue,green,red,nir --scale 255 -o m.tif
  nephos predict scenes/* --model best.nephos --out-dir masks --with stac,quicklook
  nephos predict scene.tif --threshold cloud=0.4
  nephos predict scenes/* --model calibrated.nephos --min-recall cloud=0.98 --out-dir masks
  nephos predict test_split.pkl --sample 7 --model best.nephos --out seven.npy")]
pub struct Args {
    /// Scenes, or containers of samples
    #[arg(required = true, value_name = "SCENE")]
    scenes: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// Mask of the one scene: .tif, .png or .npy; without it and --out-dir NAME_mask.tif in
    /// the current folder, NAME the scene's
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Folder for one mask per scene, by the names of the scenes
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    out_dir: Option<PathBuf>,
    /// Format of the masks without --out: tif (default), png or npy
    #[arg(long, value_parser = ["tif", "png", "npy"])]
    format: Option<String>,
    /// Files beside the mask, named after it: probabilities (uint8 GeoTIFF), cloud
    /// (cloud / no cloud), polygons (GeoJSON), stac (item), html (a page to look at; with
    /// probabilities, it shows them too), quicklook (PNG with legend), style (QGIS, clear
    /// transparent), summary (JSON)
    #[arg(long, value_name = "FILES", value_delimiter = ',')]
    with: Vec<With>,
    /// Grow clouds and shadows by this many metres
    #[arg(long, value_name = "METRES", allow_negative_numbers = true)]
    dilate: Option<f64>,
    /// When the scenes were taken, for --with stac: 2022-10-05T11:54:11Z, a date, or
    /// FIRST/LAST; default: as the product or file states
    #[arg(long, value_name = "TIME")]
    datetime: Option<Dates>,
    #[command(flatten)]
    read: SceneArgs,
    #[command(flatten)]
    windows: WindowArgs,
    #[command(flatten)]
    decision: DecisionArgs,
    /// Only this sample of each container, by name or counted from 0; may be
    /// repeated
    #[arg(long, value_name = "SAMPLE")]
    sample: Vec<String>,
    #[command(flatten)]
    overwrite: Overwrite,
    /// Scenes worked on at a time (--out-dir)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Threads for decoding and computing; default: all cores. The masks are the
    /// same, byte for byte, whatever the number
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Print each summary as a line of JSON
    #[arg(long)]
    json: bool,
}

/// A value of `--with`.
#[derive(Debug, Clone, Copy)]
struct With(SideOutput);

impl std::str::FromStr for With {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let names = SideOutput::ALL.map(SideOutput::name);
        (SideOutput::ALL
            .into_iter()
            .find(|output| output.name() == name))
        .map(Self)
        .ok_or_else(|| format!("expected some of {}", names.join(", ")))
    }
}

impl Args {
    /// The requested threads.
    pub fn threads(&self) -> Option<usize> {
        self.threads.map(usize::from)
    }
}

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    if args.datetime.is_some() && !args.with.iter().any(|with| with.0 == SideOutput::Stac) {
        bail!("--datetime is for the STAC item: add --with stac");
    }
    let runner = run::Runner::new(&args, ui)?;
    let jobs = jobs::jobs(&args, &runner.data)?;
    batch::run(&args, &runner, jobs, ui)
}
