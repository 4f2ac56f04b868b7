//! `nephos overlay`

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use ndarray::s;
use nephos::class::IGNORE;
use nephos::config::{Config, DataConfig};
use nephos::data::Dataset;
use nephos::figures::{Sample, Stretch, overlay_figure, rgb_channels, true_colour};
use nephos::mask;
use nephos::output::Declared;
use nephos::predict::{Model, SceneInput};
use nephos::raster::Window;
use nephos::samples::is_container;
use nephos::scene::open_scene;
use nephos::weights::Bundle;

use crate::args::Overwrite;
use crate::commands::predict::jobs::scene_name;
use crate::model_args::{ReadArgs, mask_name, open_whole, positions};
use crate::scene_args::SceneArgs;
use crate::subject::{Subject, check_pixel, pixel};
use crate::ui::{Ui, say};

/// Draw image, truth and prediction side by side
///
/// Thick cloud is red, thin cloud green, cloud shadow yellow, at 50 % over the
/// image; pixels without label or data are hatched. Scenes, and samples without
/// labels, have no column of truth; without --model or --prediction there is none of
/// predictions.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nephos overlay test_split.pkl --model best.nephos --rows 4 -o overlay.png
  nephos overlay l8biome --model best.nephos --samples Forest_05,Urban_01 -o overlay.png
  nephos overlay scene.tif --prediction mask.tif --rgb swir16,nir,red -o overlay.png
  nephos overlay S2A_MSIL2A_….SAFE --model tiny --at 5200,3100 --size 800 -o overlay.png")]
pub struct Args {
    /// A scene, or a container of samples, as `nephos predict` takes them
    data: PathBuf,
    /// Model whose predictions to draw; tiny comes with nephos
    #[arg(long, short, value_name = "NAME.nephos")]
    model: Option<PathBuf>,
    /// Prediction to draw: the mask of the scene or of the one sample, or a folder with one
    /// mask NAME.tif, .png or .npy per sample
    #[arg(long, value_name = "PATH", conflicts_with = "model")]
    prediction: Option<PathBuf>,
    #[command(flatten)]
    read: ReadArgs,
    #[command(flatten)]
    scene: SceneArgs,
    /// Draw a window around this pixel; without it all of the image, or, of a scene of
    /// more than 4096 × 4096 pixels, a window in the middle
    #[arg(long, value_name = "ROW,COL", value_parser = pixel)]
    at: Option<[usize; 2]>,
    /// Side of the window in pixels; default: 1024. With a model, a scene's window is
    /// segmented by itself, with some pixels around it
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(1..=4096))]
    size: Option<u16>,
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
    /// Numbers of the bands that are drawn black and white, as in 0,0.6: reflectance of
    /// a scene, stored units / scale of samples; without it, percentiles 2 and 98 of each
    /// image
    #[arg(
        long,
        value_name = "LOW,HIGH",
        value_delimiter = ',',
        num_args = 1,
        allow_hyphen_values = true
    )]
    levels: Vec<f32>,
    /// auto, cpu, vulkan, metal, webgpu or cuda, with a number after a colon
    #[arg(long, default_value = "auto")]
    device: String,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// Most pixels of a scene that are drawn without --at.
const WHOLE: usize = 4096 * 4096;

/// Side of a window.
const WINDOW: usize = 1024;

/// Source of predictions.
enum Source {
    Model(Box<Model>),
    Masks(PathBuf),
    None,
}

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    (args.model.iter())
        .fold(Declared::default().reads(&args.data), Declared::reads_named)
        .reads_all(&args.prediction)
        .writes(&args.out)
        .check(args.overwrite.overwrite)?;
    if !is_container(&args.data) {
        args.read.check_for_scene(&args.data, false)?;
    }
    let stretch = match args.levels[..] {
        [] => Stretch::default(),
        [low, high] if low < high => Stretch::Fixed(low, high),
        _ => bail!("--levels takes two rising numbers, as in 0,0.6"),
    };
    let (source, config) = source(&args)?;
    let samples = match is_container(&args.data) {
        true => of_samples(&args, &source, &config, stretch, ui)?,
        false => vec![of_scene(&args, &source, &config, stretch, ui)?],
    };
    overlay_figure(&samples)?.save(&args.out)?;
    say!("{}", args.out.display());
    Ok(())
}

/// How the bands that are drawn are read.
fn colours(args: &Args, data: &DataConfig) -> DataConfig {
    DataConfig {
        bands: args.rgb.clone(),
        optional_bands: Vec::new(),
        withhold: Vec::new(),
        ..data.clone()
    }
}

/// The window of an image of `size` that is drawn.
fn window(args: &Args, size: [usize; 2], name: &str) -> anyhow::Result<Window> {
    if let Some(at) = args.at {
        check_pixel(at, size, name)?;
    }
    let large = size[0].saturating_mul(size[1]) > WHOLE;
    let side = match (args.size, args.at.is_some() || large) {
        (Some(side), _) => [usize::from(side); 2],
        (None, true) => [WINDOW; 2],
        (None, false) => size,
    };
    let at = args.at.unwrap_or(size.map(|side| side / 2));
    Ok(Window::around(at, side, size, 1))
}

/// The one row of a scene.
fn of_scene(
    args: &Args,
    source: &Source,
    config: &Config,
    stretch: Stretch,
    ui: &Ui,
) -> anyhow::Result<Sample> {
    if !args.samples.is_empty() {
        bail!(
            "{}: --samples is for containers of samples",
            args.data.display()
        );
    }
    let colours = colours(args, &config.data);
    let channels = rgb_channels(&colours.bands, &args.rgb)?;
    let options = args.scene.options()?;
    let scene = open_scene(&args.data, &options)?;
    let (info, size) = (scene.info(), scene.info().size);
    let window = window(args, size, &info.name)?;
    if [window.rows, window.cols] != size {
        ui.status(format!(
            "{}: rows {} to {} of {}, columns {} to {} of {}",
            info.name,
            window.row,
            window.row + window.rows - 1,
            size[0],
            window.col,
            window.col + window.cols - 1,
            size[1]
        ));
    }
    let input = SceneInput::of_sample(&scene, &colours)?;
    let (image, valid) = input.read(&scene, window)?;
    let name = scene_name(&args.data);
    let prediction = match source {
        Source::None => None,
        Source::Model(predictor) => {
            let model = &predictor.config().model;
            let subject = Subject::open(&args.data, &options, &config.data, ui)?;
            // A margin around the window gives the model context at its edge.
            let middle = [window.row + window.rows / 2, window.col + window.cols / 2];
            let sides = [window.rows, window.cols].map(|side| side + model.image_size);
            let wide = Window::around(middle, sides, size, model.alignment());
            let prediction = subject.view(wide)?.predict(predictor)?;
            let [row, col] = [window.row - wide.row, window.col - wide.col];
            let rows = row..row + window.rows;
            let cols = col..col + window.cols;
            Some(prediction.classes.slice(s![rows, cols]).to_owned())
        }
        Source::Masks(path) => {
            let mask = mask::read(&match path.is_dir() {
                true => mask_in(path, &name)?,
                false => path.clone(),
            })?;
            let (rows, cols) = mask.dim();
            ensure!(
                [rows, cols] == size,
                "{}: a mask of {rows} × {cols} pixels for {} with {} × {}",
                path.display(),
                info.name,
                size[0],
                size[1]
            );
            let rows = window.row..window.row + window.rows;
            let cols = window.col..window.col + window.cols;
            Some(mask.slice(s![rows, cols]).to_owned())
        }
    };
    Ok(Sample {
        picture: true_colour(&image, channels, &valid, stretch),
        truth: None,
        name,
        prediction,
    })
}

/// A row for each sample that was chosen.
fn of_samples(
    args: &Args,
    source: &Source,
    config: &Config,
    stretch: Stretch,
    ui: &Ui,
) -> anyhow::Result<Vec<Sample>> {
    let data = args.scene.samples(&config.data)?;
    let dataset = open_whole(&args.data, &data)?;
    let colours = colours(args, &data);
    let channels = rgb_channels(&colours.bands, &args.rgb)?;
    let pictures = open_whole(&args.data, &colours)?;
    let chosen = chosen(args, &dataset)?;
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
        let size = sample.size();
        let window = window(args, size, &sample.name)?;
        samples.push(sample.cropped(window)?);
    }
    progress.finish();
    Ok(samples)
}

/// The mask of that name in a folder.
fn mask_in(folder: &Path, name: &str) -> anyhow::Result<PathBuf> {
    ["tif", "tiff", "png", "npy"]
        .map(|extension| folder.join(format!("{name}.{extension}")))
        .into_iter()
        .find(|path| path.is_file())
        .with_context(|| format!("{}: no mask {name}.tif, .png or .npy", folder.display()))
}

fn source(args: &Args) -> anyhow::Result<(Source, Config)> {
    match (&args.model, &args.prediction) {
        (Some(path), _) => {
            let device = crate::device::select(&args.device)?;
            let bundle = Bundle::load(path)?;
            let config = args.read.apply(&bundle.config, path)?;
            let model = Model::new(bundle, &device)?;
            Ok((Source::Model(Box::new(model)), config))
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
            Self::Model(model) => {
                let example = dataset.image(index)?;
                let prediction = (model.predict_image(&example.image, &example.valid))
                    .with_context(|| format!("sample {}", example.name))?;
                Some(prediction.classes)
            }
            Self::Masks(folder) if folder.is_dir() => {
                Some(mask::read(&mask_in(folder, &mask_name(dataset, index))?)?)
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
