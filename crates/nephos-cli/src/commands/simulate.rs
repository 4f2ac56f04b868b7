//! `nephos simulate`

use std::path::{Path, PathBuf};

use anyhow::Context;
use nephos::data::simulate::{
    OverPlan, Simulator, SkyOver, SplitPlan, write_over, write_preview, write_splits,
};
use nephos::output::Declared;

use crate::args::Overwrite;
use crate::ui::{Ui, say};

const EXAMPLES: &str = "\
Examples:
  # 20 + 5 + 5 samples as CloudSEN12+ and the notebook have them
  nephos simulate --out data --train 20 --val 5 --test 5

  # Small samples that cover as much ground: 128 pixels of 40 m
  nephos simulate --out small --train 200 --val 40 --test 40 --size 128 --pixel-size 40

  # Lands, suns and skies as varied as real ones, a third of them as 8-bit pictures
  nephos simulate --out varied --train 500 --realistic --hard 0.4 --eight-bit 0.33

  # Simulated skies over real images without clouds: pairs of GeoTIFFs to train on
  nephos simulate --ground sentinel2_l1c_clear --out over --train 300 --val 60 --test 0

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
    /// Side of a pixel in metres: with larger pixels the same clouds are smaller. 10 if it
    /// is not given; with --ground that of images that don't state theirs
    #[arg(long, value_name = "METRES")]
    pixel_size: Option<f64>,
    /// Samples of the same land under different skies (`roi_id` in metadata.csv)
    #[arg(long, value_name = "N", default_value_t = 1)]
    images_per_roi: usize,
    /// Share of the lands, 0 to 1, with difficult content: wide snow, bright sand, sea and
    /// floes, low sun, with no cloud, faint cloud or deep cloud of ice over them
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    hard: f64,
    /// Lands, suns, air and clouds as varied as on real images: salt, lava, high plateaux,
    /// dry woods, muddy and green water, glint, reeds, clean and old snow, any sun, haze,
    /// veils of cirrus. Without it images are those of earlier versions
    #[arg(long)]
    realistic: bool,
    /// Share of the images, 0 to 1, that were once pictures of 8 bits: 357 steps per unit
    /// of reflectance, saturated at 0.714
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    eight_bit: f64,
    /// Folder with image/NAME.tif (and label/NAME.tif) of real images without clouds: put
    /// simulated clouds, haze and shadows over them, in whatever bands they have. Writes
    /// OUT/train, OUT/val and OUT/test, each with image/ and label/
    #[arg(long, value_name = "DIR", requires = "out",
          conflicts_with_all = ["preview", "size", "images_per_roi", "realistic", "eight_bit"])]
    ground: Option<PathBuf>,
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
    if let (Some(ground), Some(folder)) = (&args.ground, &args.out) {
        return over_ground(&args, ground, folder, ui);
    }
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
        pixel: args.pixel_size.unwrap_or(10.0),
        images_per_roi: args.images_per_roi,
        hard: args.hard,
        realistic: args.realistic,
        eight_bit: args.eight_bit,
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

/// Simulated skies over the real images in `ground`.
fn over_ground(args: &Args, ground: &Path, folder: &Path, ui: &Ui) -> anyhow::Result<()> {
    (Declared::default())
        .reads(ground)
        .writes(folder.join("metadata.csv"))
        .check(args.overwrite.overwrite)?;
    let plan = OverPlan {
        counts: [args.train, args.val, args.test],
        seed: args.seed,
        pixel: args.pixel_size,
    };
    let over = SkyOver { hard: args.hard };
    let mut progress = ui.progress("simulating", plan.counts.iter().sum());
    let report = write_over(&over, ground, folder, &plan, |split| progress.step(split))
        .context("can't put simulated skies over real images")?;
    progress.finish();
    let mut note = format!("{} images serve as ground", report.grounds);
    if report.cloudy > 0 {
        note += &format!(
            "; {} have cloud or shadow in their label and don't",
            report.cloudy
        );
    }
    if report.unlabelled > 0 {
        note += &format!(
            "; {} without a label are taken to be clear",
            report.unlabelled
        );
    }
    if !report.left_out.is_empty() {
        note += &format!("; no light is simulated in {}", report.left_out.join(", "));
    }
    ui.status(&note);
    say!("{}", folder.display());
    Ok(())
}
