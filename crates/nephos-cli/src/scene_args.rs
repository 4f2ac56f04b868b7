//! The arguments of every command that reads scenes.

use anyhow::bail;
use nephos::config::DataConfig;
use nephos::dataset::Inputs;
use nephos::predict::{GraphScope, Settings};
use nephos::scene::{self, Scene, SceneOptions};

use crate::ui::Ui;

/// How a scene is cut.
#[derive(Debug, Clone, clap::Args)]
pub struct WindowArgs {
    /// Side of the windows in pixels; default: the size the model was trained on
    #[arg(long, value_name = "PIXELS")]
    window: Option<usize>,
    /// Share of a window that at least overlaps the next, in [0, 0.9]; default: the
    /// model's, mostly 0.25
    #[arg(long, value_name = "SHARE")]
    overlap: Option<f64>,
    /// Move the grid of windows up and left by this many pixels, to see what
    /// depends on it
    #[arg(long, value_name = "PIXELS", default_value_t = 0, hide = true)]
    shift: usize,
    /// What the graph attention sees at once: the patches of one window, or of the
    /// whole scene (windows then serve the encoder alone; memory grows with the scene)
    #[arg(long, value_name = "SCOPE", default_value = "window", value_parser = ["window", "scene"])]
    graph: String,
}

impl WindowArgs {
    /// The settings, without dilation.
    pub fn settings(&self) -> Settings {
        Settings {
            window: self.window,
            overlap: self.overlap,
            shift: self.shift,
            dilate: None,
            graph: match self.graph.as_str() {
                "scene" => GraphScope::Scene,
                _ => GraphScope::Window,
            },
        }
    }
}

/// How scenes are read, where their own metadata are not to decide.
#[derive(Debug, Clone, clap::Args)]
pub struct SceneArgs {
    /// Names of the file's bands in order, in place of its own, as in
    /// blue,green,red,nir
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub bands: Option<Vec<String>>,
    /// Reflectance = (stored + offset) / scale, in place of the metadata's: 10000 for
    /// most Sentinel-2 files, 255 for pictures of 8 bits
    #[arg(long, value_name = "NUMBER")]
    pub scale: Option<f64>,
    /// See --scale; -1000 for Sentinel-2 of processing baseline 04.00 and later
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub offset: Option<f64>,
    /// Stored number that means no data, in place of the metadata's
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub nodata: Option<f64>,
    /// Pixel size in metres that all bands of a Sentinel-2 product are brought to:
    /// 10, 20 or 60
    #[arg(long, value_name = "METRES")]
    pub resolution: Option<f64>,
}

impl SceneArgs {
    /// What the library calls them.
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
            scale: self.scale,
            offset: self.offset,
            nodata: self.nodata,
        })
    }

    /// How samples of containers are read: as `data` says, where the same options
    /// don't say otherwise.
    pub fn samples(&self, data: &DataConfig) -> anyhow::Result<DataConfig> {
        let options = self.options()?;
        let mut data = data.clone();
        if let Some(scale) = options.scale {
            // Input = reflectance × quantification / scale of the model.
            data.scale = (scale * f64::from(data.scale) / f64::from(data.quantification)) as f32;
            data.quantification = scale as f32;
        }
        data.offset = options.offset.map_or(data.offset, |offset| offset as f32);
        data.nodata = options
            .nodata
            .map_or(data.nodata, |nodata| Some(nodata as f32));
        if let Some(bands) = &options.bands {
            data.channels.clone_from(bands);
        }
        Ok(data)
    }
}

/// Where a model's bands lie in a scene, and which are absent. Says what the scene is, how its numbers
/// become reflectance and what had to be assumed, and warns of what can't be right.
pub fn choose_bands(scene: &dyn Scene, data: &DataConfig, ui: &Ui) -> anyhow::Result<Inputs> {
    let info = scene.info();
    let [rows, cols] = info.size;
    let product = &info.product;
    ui.status(format!("{}: {product}, {rows} × {cols} pixels", info.name));
    let inputs = Inputs::of_scene(info, data)?;
    let (bands, present) = (inputs.positions(), inputs.present());
    if inputs.declares() {
        let absent = inputs.absent();
        ui.status(match absent.is_empty() {
            true => format!("  bands: {}, all that the model knows", present.join(", ")),
            false => format!(
                "  bands: {}; declared absent: {}",
                present.join(", "),
                absent.join(", ")
            ),
        });
    }
    for line in info.radiometry(&bands) {
        ui.status(format!("  {line}"));
    }
    for note in info.notes.iter().chain(&info.stand_ins(&present, &bands)) {
        ui.status(format!("  note: {note}"));
    }
    for warning in scene::implausible(scene, &bands)? {
        tracing::warn!("{}: {warning}", info.name);
    }
    Ok(inputs)
}
