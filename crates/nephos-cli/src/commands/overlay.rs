//! `nephos overlay`

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use nephos::class::IGNORE;
use nephos::config::{Config, DataConfig, ModelConfig};
use nephos::dataset::Dataset;
use nephos::device;
use nephos::mask;
use nephos::model::Bundle;
use nephos::predict::{Decision, Network};
use nephos::report::{Sample, Stretch, overlay_figure, rgb_channels, true_colour};

use crate::model_args::{ReadArgs, mask_name, open_whole, positions};
use crate::ui::{Ui, say};

/// Draw image, truth and prediction side by side
///
/// Thick cloud is red, thin cloud green, cloud shadow yellow, at 50 % over the
/// image; pixels without label or data are hatched. Samples without labels have
/// no column of truth; without --model or --prediction there is none of
/// predictions.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nephos overlay test_split.pkl --model best.nephos --rows 4 -o overlay.png
  nephos overlay l8biome --model best.nephos --samples Forest_05,Urban_01 -o overlay.png
  nephos overlay scene.tif --prediction mask.tif --rgb swir16,nir,red -o overlay.png")]
pub struct Args {
    /// Samples: a pickle, .npy, .npz, an image, or a folder with image/ and label/
    data: PathBuf,
    /// Model whose predictions to draw
    #[arg(long, short, value_name = "NAME.nephos")]
    model: Option<PathBuf>,
    /// Prediction to draw: the mask of the one sample, or a folder with a mask
    /// NAME.tif, .png or .npy a sample
    #[arg(long, value_name = "PATH", conflicts_with = "model")]
    prediction: Option<PathBuf>,
    #[command(flatten)]
    read: ReadArgs,
    /// Samples to draw, by name or counted from 0, as in 0,3,7
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        conflicts_with = "rows"
    )]
    samples: Vec<String>,
    /// Number of samples to draw, evenly over the container
    #[arg(long, value_name = "N", default_value_t = 4)]
    rows: usize,
    /// Picture to write
    #[arg(long, short, value_name = "FIGURE.png")]
    out: PathBuf,
    /// Bands to draw as red, green and blue
    #[arg(
        long,
        value_name = "BANDS",
        value_delimiter = ',',
        default_value = "red,green,blue"
    )]
    rgb: Vec<String>,
    /// Numbers of the bands, in stored units / scale, that are drawn black and
    /// white, as in 0,0.6; without it, percentiles 2 and 98 of each image
    #[arg(long, value_name = "LOW,HIGH", value_delimiter = ',', num_args = 1)]
    levels: Vec<f32>,
    /// auto, cpu, vulkan, metal, webgpu or cuda, with a number after a colon
    #[arg(long, default_value = "auto")]
    device: String,
}

/// Where predictions come from.
enum Source {
    Model(Box<Network>, Box<ModelConfig>),
    Masks(PathBuf),
    None,
}

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let stretch = match args.levels[..] {
        [] => Stretch::default(),
        [low, high] if low < high => Stretch::Fixed(low, high),
        _ => bail!("--levels takes two rising numbers, as in 0,0.6"),
    };
    let (source, config) = source(&args)?;
    let dataset = open_whole(&args.data, &config.data)?;
    let colours = DataConfig {
        bands: args.rgb.clone(),
        optional_bands: Vec::new(),
        withhold: Vec::new(),
        ..config.data
    };
    let channels = rgb_channels(&colours.bands, &args.rgb)?;
    let pictures = open_whole(&args.data, &colours)?;
    let chosen = chosen(&args, &dataset)?;
    let mut progress = ui.progress("overlay", chosen.len());
    let mut samples = Vec::with_capacity(chosen.len());
    for index in chosen {
        let example = pictures.get_unlabelled(index)?;
        let mut sample = Sample {
            picture: true_colour(&example.image, channels, &example.valid, stretch),
            truth: (example.label.iter().any(|code| *code != IGNORE)).then_some(example.label),
            name: example.name,
            prediction: None,
        };
        source.predict(&dataset, index, &mut sample)?;
        progress.step(&sample.name);
        samples.push(sample);
    }
    progress.finish();
    overlay_figure(&samples)?.save(&args.out)?;
    say!("{}", args.out.display());
    Ok(())
}

fn source(args: &Args) -> anyhow::Result<(Source, Config)> {
    match (&args.model, &args.prediction) {
        (Some(path), _) => {
            let device = device::select(&args.device)?;
            let bundle = Bundle::load(path, &device)?;
            let config = args.read.apply(&bundle.config, path)?;
            let (calibration, classes) = (&config.calibration, config.model.classes);
            let network = Network::new(bundle.segmenter, &device)
                .decided_by(Decision::new(calibration, classes));
            let model = Box::new(bundle.config.model);
            Ok((Source::Model(Box::new(network), model), config))
        }
        (None, masks) => {
            let mut plain = Config::default();
            plain.data.bands = args.rgb.clone();
            let config = args
                .read
                .apply(&plain, Path::new("default configuration"))?;
            let source = masks.clone().map_or(Source::None, Source::Masks);
            Ok((source, config))
        }
    }
}

fn chosen(args: &Args, dataset: &Dataset) -> anyhow::Result<Vec<usize>> {
    if !args.samples.is_empty() {
        return positions(dataset, &args.samples);
    }
    let (count, rows) = (dataset.len(), args.rows.min(dataset.len()));
    if rows == 0 {
        bail!("{}: no samples to draw", args.data.display());
    }
    Ok((0..rows).map(|row| row * count / rows).collect())
}

impl Source {
    /// Puts the prediction for sample `index` into `sample`.
    fn predict(&self, dataset: &Dataset, index: usize, sample: &mut Sample) -> anyhow::Result<()> {
        sample.prediction = match self {
            Self::None => None,
            Self::Model(network, model) => {
                let example = dataset.get_unlabelled(index)?;
                let prediction = (network.predict(model, &example.image, &example.valid))
                    .with_context(|| format!("sample {}", example.name))?;
                Some(prediction.classes)
            }
            Self::Masks(folder) if folder.is_dir() => {
                let name = mask_name(dataset, index);
                let found = ["tif", "tiff", "png", "npy"]
                    .map(|extension| folder.join(format!("{name}.{extension}")))
                    .into_iter()
                    .find(|path| path.is_file())
                    .with_context(|| {
                        format!("{}: no mask {name}.tif, .png or .npy", folder.display())
                    })?;
                Some(mask::read(&found)?)
            }
            Self::Masks(file) if dataset.len() == 1 => Some(mask::read(file)?),
            Self::Masks(file) => bail!(
                "{} is one mask for {} samples; give a folder of masks",
                file.display(),
                dataset.len()
            ),
        };
        Ok(())
    }
}
