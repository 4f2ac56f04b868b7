//! `nephos explain`

use std::path::PathBuf;

use anyhow::{bail, ensure};
use nephos::config::{DataConfig, ModelConfig};
use nephos::figures::{AttentionMap, Stretch, rgb_channels, true_colour};
use nephos::metrics::CloudEdge;
use nephos::output::Declared;
use nephos::predict::{Model, Segmentation};
use nephos::raster::Window;
use nephos::samples::is_container;

use crate::args::Overwrite;
use crate::model_args::{ModelArgs, open_whole, positions};
use crate::scene_args::SceneArgs;
use crate::subject::{Subject, View, check_pixel, pixel};
use crate::ui::{Ui, say};

/// Windows of a large scene, or samples of a container, in which a cloud's edge is
/// searched, along each axis and in all.
const SEARCHES: usize = 3;

/// Draw what a patch attends to
///
/// Over the image: the similarity of every patch to the chosen one in the encoder
/// (the affinity, as cosines), and how much of each patch every graph attention
/// layer aggregates into it (the mean of its heads; the weights sum to one). The patch
/// is framed; each panel has colours of its own, whose scale is under it.
///
/// The model's input is that of `nephos predict`: a scene of up to twice the
/// model's size whole, of a larger one a window around the patch.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nephos explain scene.tif -o why.png
  nephos explain S2A_MSIL2A_….SAFE --resolution 20 --at 2900,1310 -o why.png
  nephos explain test_split.pkl --sample 3 --model best.nephos --at 200,310 -o why.png")]
pub struct Args {
    /// Scene, or container of samples, as `nephos predict` takes them
    #[arg(value_name = "SCENE")]
    image: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    /// Pixel whose patch is chosen; without it, a patch at a cloud's edge: where the
    /// probability of cloud changes most, in nine windows of a large scene or nine samples
    /// of a container
    #[arg(long, value_name = "ROW,COL", value_parser = pixel)]
    at: Option<[usize; 2]>,
    /// Side of the model's window, in pixels; default: as `nephos predict`
    #[arg(long, value_name = "PIXELS", value_parser = clap::value_parser!(u16).range(1..=4096))]
    size: Option<u16>,
    #[command(flatten)]
    read: SceneArgs,
    /// Sample of the container, by name or counted from 0; with --at the first, unless
    /// another is given
    #[arg(long, value_name = "SAMPLE")]
    sample: Option<String>,
    /// Picture to write
    #[arg(long, short, value_name = "OUT.png")]
    output: PathBuf,
    #[command(flatten)]
    overwrite: Overwrite,
}

/// A window with its prediction, and the pixel whose patch is chosen.
struct Chosen {
    view: View,
    prediction: Segmentation,
    at: (usize, usize),
    change: Option<f32>,
}

pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    (Declared::default())
        .reads(&args.image)
        .reads_named(&args.model.model)
        .writes(&args.output)
        .check(args.overwrite.overwrite)?;
    if !is_container(&args.image) {
        args.model.read.check_for_scene(&args.image, false)?;
    }
    let (bundle, device) = args.model.load()?;
    let (data, model) = (&bundle.config.data, &bundle.config.model);
    let predictor = Model::new(bundle.clone(), &device)?;
    let chosen = choose(&args, data, &predictor, ui)?;
    let (view, Window { row, col, .. }) = (&chosen.view, chosen.view.window);
    let map = AttentionMap::of_pixel(predictor.network(), model, &view.image, chosen.at)?;
    let rgb = ["red", "green", "blue"].map(String::from);
    let channels = rgb_channels(&data.bands, &rgb).unwrap_or([0; 3]);
    let picture = true_colour(&view.image, channels, &view.valid, Stretch::default());
    let mut figure = map.figure(&picture, Some(&chosen.prediction.classes), &model.patch)?;
    let at = [row + chosen.at.0, col + chosen.at.1];
    figure.title = format!("{}, the patch at {},{}", view.name, at[0], at[1]);
    figure.save(&args.output)?;
    let (patch_row, patch_col) = map.patch;
    ui.status(format!(
        "patch {patch_row},{patch_col} of {}, rows {row} to {} and columns {col} to {}; at pixel \
         {},{}{}",
        view.name,
        row + view.window.rows - 1,
        col + view.window.cols - 1,
        at[0],
        at[1],
        match (args.at, chosen.change) {
            (Some(_), _) => String::new(),
            (None, Some(_)) => {
                ", a cloud's edge: the probability of cloud changes most there".to_owned()
            }
            (None, None) => ", the middle: no cloud's edge was found (--at chooses)".to_owned(),
        }
    ));
    say!("{}", args.output.display());
    Ok(())
}

/// The window with the requested pixel, or with the steepest edge of a cloud.
fn choose(args: &Args, data: &DataConfig, predictor: &Model, ui: &Ui) -> anyhow::Result<Chosen> {
    let model = &predictor.config().model;
    let mut best: Option<Chosen> = None;
    let mut look = |subject: &Subject| -> anyhow::Result<()> {
        if let Some(at) = args.at {
            check_pixel(at, subject.size(), &subject.name)?;
        }
        for window in windows(subject, model, args) {
            let view = subject.view(window)?;
            let prediction = view.predict(predictor)?;
            let edge = match args.at {
                Some(_) => None,
                None => CloudEdge::steepest(&prediction.probabilities, model.patch.size),
            };
            let change = edge.map(|edge| edge.change);
            // A window without an edge is better than none.
            if best.as_ref().is_some_and(|best| change <= best.change) {
                continue;
            }
            let middle = (window.rows / 2, window.cols / 2);
            let at = match (args.at, edge) {
                (Some([row, col]), _) => (row - window.row, col - window.col),
                (None, Some(edge)) => edge.pixel,
                (None, None) => middle,
            };
            best = Some(Chosen {
                view,
                prediction,
                at,
                change,
            });
        }
        Ok(())
    };
    if is_container(&args.image) {
        let data = args.read.samples(data)?;
        let dataset = open_whole(&args.image, &data)?;
        ensure!(!dataset.is_empty(), "{}: no samples", args.image.display());
        let searched = (SEARCHES * SEARCHES).min(dataset.len());
        let samples = match (&args.sample, args.at) {
            (Some(sample), _) => positions(&dataset, std::slice::from_ref(sample))?,
            (None, Some(_)) => vec![0],
            (None, None) => (0..searched)
                .map(|step| step * dataset.len() / searched)
                .collect(),
        };
        for index in samples {
            look(&Subject::sample(&dataset, index, &data)?)?;
        }
    } else {
        if args.sample.is_some() {
            bail!(
                "{}: --sample is for containers of samples",
                args.image.display()
            );
        }
        let options = args.read.options()?;
        look(&Subject::open(&args.image, &options, data, ui)?)?;
    }
    match best {
        Some(best) => Ok(best),
        None => bail!("{}: no pixels", args.image.display()),
    }
}

/// The window around the requested pixel; else the whole scene where it is one window, or
/// windows spread over it.
fn windows(subject: &Subject, model: &ModelConfig, args: &Args) -> Vec<Window> {
    let side = args.size.map(usize::from);
    let around = |at| subject.around(at, model, side);
    if let Some(at) = args.at {
        return vec![around(at)];
    }
    let size = subject.size();
    let window = around([0, 0]);
    let places = |length: usize, count: usize| -> Vec<usize> {
        match count < length {
            true => (0..SEARCHES)
                .map(|step| (2 * step + 1) * length / (2 * SEARCHES))
                .collect(),
            false => vec![length / 2],
        }
    };
    let (rows, cols) = (places(size[0], window.rows), places(size[1], window.cols));
    let places = rows
        .iter()
        .flat_map(|row| cols.iter().map(move |col| [*row, *col]));
    places.map(around).collect()
}
