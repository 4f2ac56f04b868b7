//! `nephos simulate`

use std::path::PathBuf;

use anyhow::Context;
use nephos::dataset::simulate::{Simulator, SplitPlan, write_preview, write_splits};
use nephos::output::Declared;

use crate::args::Overwrite;
use crate::ui::{Ui, say};

const EXAMPLES: &str = "\
Examples:
  # 20 + 5 + 5 samples as CloudSEN12+ and the notebook have them
  nephos simulate --out data --train 20 --val 5 --test 5

  # Small samples that see as much sky: 128 pixels of 40 m
  nephos simulate --out small --train 200 --val 40 --test 40 --size 128 --pixel-size 40

  # A picture of what such samples look like
  nephos simulate --preview simulated.png";

/// Write simulated samples in the notebook's layout
///
/// Makes Sentinel-2 images of made-up land under made-up clouds, with exact labels.
/// Writes train_split.pkl, val_split.pkl and test_split.pkl, each a list of NumPy
/// uint16 arrays [15, SIZE, SIZE]: the 13 bands (reflectance × 10000), the label (0
/// clear, 1 thick cloud, 2 thin cloud, 3 cloud shadow), and zeros; and metadata.csv
/// with a row per sample. Equal arguments give equal files.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Folder to write the samples to
    #[arg(long, value_name = "DIR", required_unless_present = "preview")]
    out: Option<PathBuf>,
    /// Samples to train on; 0 writes no file, as for --val and --test
    #[arg(long, value_name = "N", default_value_t = 20)]
    train: usize,
    /// Samples to validate on
    #[arg(long, value_name = "N", default_value_t = 5)]
    val: usize,
    /// Samples to test on
    #[arg(long, value_name = "N", default_value_t = 5)]
    test: usize,
    /// Side of a sample in pixels, at least 32
    #[arg(long, value_name = "PIXELS", default_value_t = 509)]
    size: usize,
    /// Seed of everything
    #[arg(long, value_name = "S", default_value_t = 42)]
    seed: u64,
    /// Side of a pixel in metres: with larger pixels the same clouds are smaller
    #[arg(long, value_name = "METRES", default_value_t = 10.0)]
    pixel_size: f64,
    /// Samples of the same land under different skies (`roi_id` in metadata.csv)
    #[arg(long, value_name = "N", default_value_t = 1)]
    images_per_roi: usize,
    /// Share of the lands, 0 to 1, that masks get wrong: wide snow, bright sand, sea and
    /// floes, low sun, with no cloud, faint cloud or deep cloud of ice over them
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    hard: f64,
    /// Draw a few images of this seed, true colour above classes, into a PNG
    #[arg(long, value_name = "FILE.png")]
    preview: Option<PathBuf>,
    /// Images in the preview
    #[arg(long, value_name = "N", default_value_t = 6, requires = "preview",
          value_parser = clap::value_parser!(u16).range(1..=64))]
    preview_count: u16,
    #[command(flatten)]
    overwrite: Overwrite,
}

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let plan = SplitPlan {
        counts: [args.train, args.val, args.test],
        size: args.size,
        seed: args.seed,
    };
    let splits = (args.out.iter()).flat_map(|folder| plan.files(folder));
    (Declared::default())
        .writes_all(splits.chain(args.preview.clone()))
        .check(args.overwrite.overwrite)?;
    let simulator = Simulator {
        pixel: args.pixel_size,
        images_per_roi: args.images_per_roi,
        hard: args.hard,
    };
    if let Some(folder) = &args.out {
        let mut progress = ui.progress("simulating", plan.counts.iter().sum());
        write_splits(&simulator, folder, &plan, |split| progress.step(split))
            .context("can't write simulated samples")?;
        progress.finish();
        say!("{}", folder.display());
    }
    if let Some(path) = &args.preview {
        ui.status("drawing the preview");
        let count = usize::from(args.preview_count);
        write_preview(&simulator, path, args.seed, count, args.size)
            .context("can't draw the preview")?;
        say!("{}", path.display());
    }
    Ok(())
}
