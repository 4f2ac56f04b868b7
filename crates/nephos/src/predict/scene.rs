//! One scene to its mask and the files beside it.

use super::decision::Decision;
use super::model_scene::ModelScene;
use super::network::Network;
use super::outputs::{Outputs, SideOutput};
use super::products;
use super::record::RunRecord;
use super::scene_graph::run_scene_graph;
use super::scene_sink::SceneSink;
use super::stream::{Progress, RowSink, RunOptions, RunStats, percent, run};
use super::window::window_for;
use crate::class::CLASS_COUNT;
use crate::config::Config;
use crate::data::Inputs;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::mask::{Dates, Dilation, MaskSummary};
use crate::scene::Scene;
use crate::weights::{Bundle, Identity};

/// A model that segments whole scenes.
#[derive(Debug)]
pub struct Predictor {
    /// What the model is, and how its input is read.
    pub config: Config,
    /// Which model it is, for the record in the masks.
    pub identity: Identity,
    /// The model.
    pub network: Network,
}

/// What the graph attention sees at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum GraphScope {
    /// The patches of one window.
    #[default]
    Window,
    /// All patches of the scene; see [`run_scene_graph`].
    Scene,
}

/// How scenes are segmented.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Side of the windows in pixels; `None`: see [`window_for`].
    pub window: Option<usize>,
    /// Share of a window that at least overlaps the next, in [0, 0.9]; `None`: that of
    /// the model.
    pub overlap: Option<f64>,
    /// Pixels by which the grid of windows is moved up and left.
    pub shift: usize,
    /// Metres by which clouds and shadows are grown.
    pub dilate: Option<f64>,
    /// What the graph sees at once.
    pub graph: GraphScope,
    /// When the scene was taken, for a STAC item; `None`: as its product or file states.
    pub dates: Option<Dates>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: None,
            overlap: None,
            shift: 0,
            dilate: None,
            graph: GraphScope::Window,
            dates: None,
        }
    }
}

impl Settings {
    /// Refuses settings out of range.
    ///
    /// # Errors
    /// The option, and what it must be.
    pub fn validate(&self) -> Result<()> {
        let require = |holds: bool, option: &str, range: &str| match holds {
            true => Ok(()),
            false => Err(Error::usage(format!("`options.{option}` must be {range}"))),
        };
        require(self.window != Some(0), "window", "at least 1 pixel")?;
        require(
            (self.overlap).is_none_or(|share| (0.0..=0.9).contains(&share)),
            "overlap",
            "within 0 to 0.9",
        )?;
        let metres = self.dilate.is_none_or(|m| m.is_finite() && m > 0.0);
        require(metres, "dilate", "a number of metres above 0")
    }
}

impl Predictor {
    /// A predictor that runs a model on `device`.
    ///
    /// # Errors
    /// Weights that don't fit, or a kind of network that this build lacks.
    pub fn new(bundle: Bundle, identity: Identity, device: &Device) -> Result<Self> {
        Ok(Self {
            config: bundle.config.clone(),
            network: Network::new(bundle, device)?,
            identity,
        })
    }

    /// Segments `scene` and writes `outputs`; each file is whole or not there.
    ///
    /// - inputs: positions of the model's bands in the scene, and which are absent
    /// - gain: input of the model for reflectance 1, as
    ///   [`DataConfig::input_gain`](crate::config::DataConfig::input_gain) gives it
    /// - run: which run this is, for the record beside the mask
    ///
    /// A mask as `.tif` is written as it is computed, in memory that does not grow with
    /// the scene's height; as `.png` or `.npy` it is collected first.
    ///
    /// # Errors
    /// A broken scene, a model that does not fit it, or a file that can't be written.
    #[allow(clippy::too_many_arguments)]
    pub fn scene(
        &self,
        scene: &dyn Scene,
        inputs: &Inputs,
        gain: f32,
        settings: &Settings,
        outputs: &Outputs,
        run: &RunRecord,
        progress: &(dyn Fn(&Progress) + Sync),
    ) -> Result<(MaskSummary, RunStats)> {
        let classes = self.config.model.classes;
        if classes > CLASS_COUNT {
            let message = format!("it has {classes} classes, masks have {CLASS_COUNT}");
            return Err(Error::unsupported("the model", message));
        }
        outputs.check_scene(scene.info())?;
        if settings.graph == GraphScope::Scene {
            self.network.check_graph(&self.config.model, scene.info())?;
        }
        let dilation = match settings.dilate {
            Some(metres) => {
                let place = &scene.info().georeference;
                Some(Dilation::new(metres, place, scene.info().size, true)?)
            }
            None => None,
        };
        let mut tags = self.tags(scene, inputs, settings);
        let mut sink = SceneSink::create(scene.info(), outputs, classes, dilation, &tags)?;
        let probabilities = outputs.side_outputs.contains(&SideOutput::Probabilities);
        let stats = self.run(
            scene,
            inputs,
            gain,
            settings,
            probabilities,
            &mut sink,
            progress,
        )?;
        if !stats.absent_in_part.is_empty() {
            let bands = (stats.absent_in_part.iter())
                .map(|(name, share)| format!("{name} in {}", percent(*share)));
            let bands: Vec<String> = bands.collect();
            let tag = ("BANDS_ABSENT_IN_PART".to_owned(), bands.join(", "));
            sink.tag(&tag);
            tags.push(tag);
        }
        outputs.remove_records()?;
        let counts = sink.finish()?;
        let summary = MaskSummary::new(&scene.info().name, &self.identity.name, &counts);
        products::write(scene, outputs, &summary, &tags, settings, run)?;
        Ok((summary, stats))
    }

    #[allow(clippy::too_many_arguments)]
    pub(crate) fn run(
        &self,
        scene: &dyn Scene,
        inputs: &Inputs,
        gain: f32,
        settings: &Settings,
        probabilities: bool,
        sink: &mut dyn RowSink,
        progress: &(dyn Fn(&Progress) + Sync),
    ) -> Result<RunStats> {
        let model = &self.config.model;
        // A model with channels that declare bands absent reads the scene through a scene of its
        // input's channels.
        let model_scene = (inputs.declares()).then(|| ModelScene::new(scene, inputs, gain));
        let (scene, bands, gain): (&dyn Scene, Vec<usize>, f32) = match &model_scene {
            Some(model_scene) => (
                model_scene,
                (0..model_scene.info().bands.len()).collect(),
                1.0,
            ),
            None => (scene, inputs.positions(), gain),
        };
        let options = RunOptions {
            overlap: settings.overlap.unwrap_or(model.overlap),
            align: model.alignment(),
            shift: settings.shift,
            probabilities,
            decision: Decision::new(&self.config.calibration, model.classes),
            ..RunOptions::new(self.window(scene.info().size, settings))
        };
        let mut stats = if settings.graph == GraphScope::Scene {
            self.network.check_graph(model, scene.info())?;
            run_scene_graph(
                self.network.parts()?,
                model,
                scene,
                &bands,
                gain,
                &options,
                sink,
                progress,
            )?
        } else {
            run(
                &self.network,
                model.classes,
                scene,
                &bands,
                gain,
                &options,
                sink,
                progress,
            )?
        };
        stats.absent_in_part = model_scene
            .as_ref()
            .map_or(Vec::new(), ModelScene::absent_in_part);
        Ok(stats)
    }

    /// Rows and columns of the windows that a scene is cut into.
    fn window(&self, [rows, cols]: [usize; 2], settings: &Settings) -> [usize; 2] {
        window_for(&self.config.model, settings.window, rows, cols)
    }

    /// How the mask was made, for the record in it.
    fn tags(
        &self,
        scene: &dyn Scene,
        inputs: &Inputs,
        settings: &Settings,
    ) -> Vec<(String, String)> {
        let info = scene.info();
        let [rows, cols] = self.window(info.size, settings);
        let bands = inputs.positions();
        let named: Vec<String> = bands.iter().map(|band| info.bands[*band].label()).collect();
        let mut tags = vec![
            ("NEPHOS_VERSION", env!("CARGO_PKG_VERSION").to_owned()),
            ("MODEL", self.identity.name.clone()),
            ("MODEL_SHA256", self.identity.sha256.clone()),
            ("SCENE", info.name.clone()),
            ("PRODUCT", info.product.clone()),
            ("BANDS", named.join(", ")),
            ("RADIOMETRY", info.radiometry(&bands).join("; ")),
            ("WINDOW", format!("{rows} × {cols} pixels")),
            (
                "OVERLAP",
                (settings.overlap.unwrap_or(self.config.model.overlap)).to_string(),
            ),
        ];
        if let (Some(reach), GraphScope::Window) = (self.config.model.reach, settings.graph) {
            tags.push(("REACH", format!("{reach} patches")));
        }
        if inputs.declares() {
            let absent = inputs.absent();
            let absent = if absent.is_empty() {
                "none".to_owned()
            } else {
                absent.join(", ")
            };
            tags.push(("BANDS_ABSENT", absent));
        }
        if !scene.no_data().is_empty() {
            tags.push(("NO_DATA", scene.no_data().join(" ")));
        }
        if settings.graph == GraphScope::Scene {
            tags.push(("GRAPH", "scene".to_owned()));
        }
        tags.extend(info.acquired.clone().map(|time| ("ACQUIRED", time)));
        if !self.config.calibration.is_identity() {
            tags.push(("CALIBRATION", self.config.calibration.to_string()));
        }
        tags.extend((settings.dilate).map(|metres| ("DILATION_METRES", metres.to_string())));
        (tags.into_iter())
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }
}
