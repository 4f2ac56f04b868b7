//! The arguments of every command that reads scenes.

use anyhow::bail;
use nephos::band;
use nephos::config::DataConfig;
use nephos::predict::{GraphScope, PredictOptions, SceneInput};
use nephos::scene::{Scene, SceneOptions};
use nephos::text::one_line;

use crate::ui::Ui;

/// Windows of a scene.
#[derive(Debug, Clone, clap::Args)]
pub struct WindowArgs {
    /// Side of the windows in pixels; default: the size the model was trained on
    #[arg(long, value_name = "PIXELS")]
    window: Option<usize>,
    /// Least share of a window that overlaps the next, in [0, 0.9]; default: the
    /// model's, mostly 0.25
    #[arg(long, value_name = "SHARE")]
    overlap: Option<f64>,
    /// Move the grid of windows up and left by this many pixels, to see what
    /// depends on it
    #[arg(long, value_name = "PIXELS", default_value_t = 0, hide = true)]
    shift: usize,
    /// The graph attention's nodes: the patches of one window, or of the whole scene
    /// (windows then serve the encoder alone; memory grows with the scene). scene is for
    /// models without affinity, such as those of the configuration reference; with affinity,
    /// as tiny has it, a scene of more than 65,536 patches (2048 × 2048 pixels) is refused
    #[arg(long, value_name = "SCOPE", default_value = "window", value_parser = ["window", "scene"])]
    graph: String,
}

impl WindowArgs {
    /// The options of a prediction.
    pub fn options(&self) -> PredictOptions {
        PredictOptions {
            window: self.window,
            overlap: self.overlap,
            shift: self.shift,
            graph: match self.graph.as_str() {
                "scene" => GraphScope::Scene,
                _ => GraphScope::Window,
            },
            ..PredictOptions::default()
        }
    }
}

/// How scenes are read, in place of their own metadata.
#[derive(Debug, Clone, clap::Args)]
pub struct SceneArgs {
    /// Names of the file's bands in order, in place of its own, as in
    /// blue,green,red,nir; - in place of a name skips that band
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub bands: Option<Vec<String>>,
    /// Reflectance = (stored + offset) / scale, in place of the metadata's: 10000 for
    /// most Sentinel-2 files, 255 for pictures of 8 bits
    #[arg(long, value_name = "NUMBER")]
    pub scale: Option<f64>,
    /// See --scale; -1000 for Sentinel-2 of processing baseline 04.00 and later
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub offset: Option<f64>,
    /// Stored number that means no data, in place of the metadata's and of fills that are
    /// recognised; none: no number does
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = nodata)]
    pub nodata: Option<f64>,
    /// Accept numbers that can't be reflectance as they are read, which are an error
    /// otherwise; the mask records it
    #[arg(long)]
    pub assume_reflectance: bool,
    /// Arrays of samples (.npy, .npz, pickles) are [height, width, channels]
    #[arg(long)]
    pub channels_last: bool,
    /// Pixel size in metres that all bands of a Sentinel-2 product are brought to:
    /// 10, 20 or 60
    #[arg(long, value_name = "METRES")]
    pub resolution: Option<f64>,
}

/// Reads `--nodata`: NaN means none.
fn nodata(text: &str) -> Result<f64, String> {
    match text.to_ascii_lowercase().as_str() {
        "none" => Ok(f64::NAN),
        _ => (text.parse()).map_err(|_| "a number is expected, or none".to_owned()),
    }
}

impl SceneArgs {
    /// The library's options.
    pub fn options(&self) -> anyhow::Result<SceneOptions> {
        if self
            .scale
            .is_some_and(|scale| !scale.is_finite() || scale == 0.0)
        {
            bail!("--scale must be a finite number other than 0");
        }
        if self.offset.is_some_and(|offset| !offset.is_finite()) {
            bail!("--offset must be a finite number");
        }
        Ok(SceneOptions {
            resolution: self.resolution,
            bands: self.bands.clone(),
            model_bands: Vec::new(),
            scale: self.scale,
            offset: self.offset,
            nodata: self.nodata,
            assume_reflectance: self.assume_reflectance,
            declared_only: false,
        })
    }

    /// How samples of containers are read: by `data`, where the same options
    /// don't replace it.
    pub fn samples(&self, data: &DataConfig) -> anyhow::Result<DataConfig> {
        let options = self.options()?;
        let mut data = data.clone();
        data.given.scale = options.scale.or(data.given.scale);
        data.given.offset = options.offset.or(data.given.offset);
        data.given.nodata = options.nodata.or(data.given.nodata);
        if let Some(bands) = &options.bands {
            band::check_given(bands, &data.bands)?;
            data.channels.clone_from(bands);
            data.given.channels = true;
        }
        data.assume_reflectance |= self.assume_reflectance;
        data.channels_last |= self.channels_last;
        Ok(data)
    }
}

/// Positions of a model's bands in a scene, and which are absent. Prints the product, how its
/// numbers
/// become reflectance and what had to be assumed, and warns of implausible numbers; numbers
/// that can't be reflectance, and whose scale is not stated, are an error.
pub fn choose_bands(scene: &dyn Scene, data: &DataConfig, ui: &Ui) -> anyhow::Result<SceneInput> {
    let info = scene.info();
    let [rows, cols] = info.size;
    let [name, product] = [&info.name, &info.product].map(|text| one_line(text));
    ui.status(format!("{name}: {product}, {rows} × {cols} pixels"));
    let input = SceneInput::of(scene, data)?;
    let inputs = &input.inputs;
    if inputs.declares() {
        let (present, absent) = (inputs.present(), inputs.absent());
        let line = match absent.is_empty() {
            true => format!("  bands: {}, all of the model's", present.join(", ")),
            false => format!(
                "  bands: {}; declared absent: {}",
                present.join(", "),
                absent.join(", ")
            ),
        };
        ui.status(one_line(&line));
    }
    for line in info.radiometry(&inputs.positions()) {
        ui.status(format!("  {}", one_line(&line)));
    }
    for note in &input.notes {
        ui.status(format!("  note: {}", one_line(note)));
    }
    if let Some(doubt) = &input.doubt {
        tracing::warn!(
            "{}: its numbers can hardly be reflectance as they are read: {doubt}. --scale and \
             --offset say how they become it, reflectance = (stored + offset) / scale",
            info.name
        );
    }
    Ok(input)
}
