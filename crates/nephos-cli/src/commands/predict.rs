//! `nephos predict`

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nephos::dataset::Dataset;
use nephos::mask::{self, MaskFormat};
use nephos::predict::{Prediction, predict_image};
use nephos::report;
use nephos::scene::Georeference;

use crate::model_args::{ModelArgs, mask_name, open_whole, positions};
use crate::ui::{Ui, say};

/// Segment images
///
/// Writes one mask an image: 0 clear, 1 thick cloud, 2 thin cloud, 3 cloud
/// shadow, 255 not valid. GeoTIFF masks keep the place of a GeoTIFF image and
/// carry the classes' colours. The bands the model needs are found by name.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nephos predict scene.tif --model best.nephos --out mask.tif --probabilities p.tif
  nephos predict test_split.pkl --model best.nephos --out-dir masks --format png
  nephos predict test_split.pkl --sample 7 --model best.nephos --out seven.npy
  nephos predict photo.png --scale 128 --model best.nephos --out mask.png")]
pub struct Args {
    /// Images: GeoTIFF, PNG, JPEG, .npy, .npz, or a pickle or folder of samples
    #[arg(required = true)]
    images: Vec<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    /// Mask of the one image: .tif, .png or .npy
    #[arg(long, short, value_name = "FILE", required_unless_present = "out_dir")]
    out: Option<PathBuf>,
    /// Folder for a mask an image, by the names of the images
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    out_dir: Option<PathBuf>,
    /// Format of the masks in --out-dir: tif, png or npy
    #[arg(long, default_value = "tif", value_parser = ["tif", "png", "npy"])]
    format: String,
    /// Write the class probabilities of the one image too: .tif (uint8, p × 250,
    /// no data 255) or .npy (float32)
    #[arg(long, value_name = "FILE", conflicts_with = "out_dir")]
    probabilities: Option<PathBuf>,
    /// Only this sample of each container, by name or counted from 0; may be
    /// repeated
    #[arg(long, value_name = "SAMPLE")]
    sample: Vec<String>,
}

/// One image and where its mask goes.
struct Job {
    dataset: Dataset,
    index: usize,
    mask: PathBuf,
}

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    // A wrong name should fail before hours of work, not after.
    for path in args.out.iter().chain(&args.probabilities) {
        MaskFormat::of(path)?;
    }
    let (bundle, device) = args.model.load()?;
    let jobs = jobs(&args, |path| open_whole(path, &bundle.config.data))?;
    let mut progress = ui.progress("predict", jobs.len());
    for job in &jobs {
        let source = job.dataset.path();
        let example = job.dataset.get_unlabelled(job.index)?;
        let context = || format!("{}, sample {}", source.display(), example.name);
        let prediction = predict_image(
            &bundle.segmenter,
            &bundle.config.model,
            &example.image,
            &example.valid,
            &device,
        )
        .with_context(context)?;
        let place = georeference(source)?;
        mask::write(&job.mask, &prediction.classes, place.as_ref())?;
        if let Some(path) = &args.probabilities {
            mask::write_probabilities(path, &prediction.probabilities, place.as_ref())?;
        }
        progress.step(&example.name);
        ui.bars().suspend(|| {
            say!("{}: {}", job.mask.display(), shares(&prediction));
        });
    }
    progress.finish();
    Ok(())
}

/// Every image to segment, each with a mask of its own.
fn jobs(args: &Args, open: impl Fn(&Path) -> anyhow::Result<Dataset>) -> anyhow::Result<Vec<Job>> {
    let mut jobs = Vec::new();
    let mut taken = BTreeSet::new();
    for path in &args.images {
        let dataset = open(path)?;
        let chosen = if args.sample.is_empty() {
            (0..dataset.len()).collect()
        } else {
            positions(&dataset, &args.sample)?
        };
        for index in chosen {
            let mask = match (&args.out, &args.out_dir) {
                (_, Some(folder)) => {
                    let name = mask_name(&dataset, index);
                    folder.join(format!("{name}.{}", args.format))
                }
                (Some(mask), None) => mask.clone(),
                (None, None) => bail!("either --out or --out-dir is needed"),
            };
            if !taken.insert(mask.clone()) {
                match &args.out {
                    Some(_) => bail!(
                        "--out takes the mask of one image, and there are more; use --out-dir, \
                         or choose one with --sample"
                    ),
                    None => bail!("two images would be written to {}", mask.display()),
                }
            }
            jobs.push(Job {
                dataset: dataset.clone(),
                index,
                mask,
            });
        }
    }
    if jobs.is_empty() {
        bail!("no samples in the images given");
    }
    Ok(jobs)
}

/// The place of an image that has one.
fn georeference(path: &Path) -> anyhow::Result<Option<Georeference>> {
    let is_tiff = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("tif") || e.eq_ignore_ascii_case("tiff"));
    Ok(match is_tiff {
        true => Some(mask::read_georeference(path)?),
        false => None,
    })
}

/// Share of each class in the valid pixels.
fn shares(prediction: &Prediction) -> String {
    let (counts, valid) = prediction.counts();
    if valid == 0 {
        return "no valid pixels".to_owned();
    }
    let shares: Vec<String> = report::names(counts.len())
        .iter()
        .zip(&counts)
        .map(|(name, count)| format!("{name} {:.1} %", *count as f64 / valid as f64 * 100.0))
        .collect();
    format!("{} of {valid} valid pixels", shares.join(", "))
}
