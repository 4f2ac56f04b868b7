//! One scene to one mask.

use std::fs::File;

use anyhow::Context;
use nephos::config::DataConfig;
use nephos::dataset::Inputs;
use nephos::device::Device;
use nephos::mask::MaskSummary;
use nephos::model::weights::{Identity, fingerprint};
use nephos::predict::{Also, Predictor, Settings};
use nephos::scene::{self, Scene, SceneOptions};

use super::Args;
use super::jobs::{Input, Job};
use crate::scene_args::choose_bands;
use crate::ui::Ui;

/// The model and the options of all scenes of one run.
pub struct Runner {
    /// How samples of containers are read.
    pub data: DataConfig,
    predictor: Predictor,
    scene: SceneOptions,
    settings: Settings,
    /// Of the model and all options that change an output.
    fingerprint: String,
}

impl Runner {
    pub fn new(args: &Args) -> anyhow::Result<Self> {
        let (bundle, device): (_, Device) = args.model.load()?;
        let identity = Identity::of(&args.model.model)?;
        let scene = args.read.options()?;
        let settings = Settings {
            dilate: args.dilate,
            ..args.windows.settings()
        };
        settings.validate()?;
        let data = args.read.samples(&bundle.config.data)?;
        let options = format!(
            "{} {} {settings:?} {scene:?} {:?}",
            env!("CARGO_PKG_VERSION"),
            identity.sha256,
            args.model.read.overrides,
        );
        Ok(Self {
            data,
            scene,
            fingerprint: fingerprint(&options),
            predictor: Predictor::new(bundle, identity, &device, settings.graph),
            settings,
        })
    }

    /// Whether all files of a job are there, by this model and these options.
    pub fn is_done(&self, job: &Job) -> bool {
        let written = || -> Option<String> {
            let summary = File::open(job.outputs.path(Also::Summary)).ok()?;
            let summary: serde_json::Value = serde_json::from_reader(summary).ok()?;
            Some(summary.get("run")?.as_str()?.to_owned())
        };
        job.outputs.paths().iter().all(|path| path.is_file())
            && written().as_ref() == Some(&self.fingerprint)
    }

    /// Segments one scene and writes its files.
    pub fn run(&self, job: &Job, ui: &Ui) -> anyhow::Result<MaskSummary> {
        let predictor = &self.predictor;
        match &job.input {
            Input::Scene(path) => {
                let scene = scene::open_scene(path, &self.scene)?;
                let inputs = choose_bands(scene.as_ref(), &predictor.config.data, ui)?;
                let gain = predictor.config.data.input_gain();
                self.write(job, scene.as_ref(), &inputs, gain, ui)
            }
            Input::Sample { dataset, index } => {
                let context = || format!("{}, sample {}", dataset.path().display(), job.name);
                let scene = dataset.scene(*index).with_context(context)?;
                let inputs = Inputs::of_scene(scene.info(), &predictor.config.data)?;
                // A sample comes in units of the model's input.
                self.write(job, &scene, &inputs, 1.0, ui)
                    .with_context(context)
            }
        }
    }

    fn write(
        &self,
        job: &Job,
        scene: &dyn Scene,
        inputs: &Inputs,
        gain: f32,
        ui: &Ui,
    ) -> anyhow::Result<MaskSummary> {
        let [rows, cols] = scene.info().size;
        let bar = ui.pixels(&job.name, rows as u64 * cols as u64);
        let (summary, stats) = self.predictor.scene(
            scene,
            inputs,
            gain,
            &self.settings,
            &job.outputs,
            &self.fingerprint,
            &|progress| bar.set(progress.pixels_done),
        )?;
        bar.finish();
        tracing::debug!(
            "{}: {:.1} s, of them {:.1} s in the network; {} windows computed, {} without data; \
             each pixel {:.2} times",
            job.name,
            stats.total_seconds,
            stats.forward_seconds,
            stats.windows,
            stats.skipped,
            stats.computed_pixels as f64 / (rows * cols) as f64,
        );
        Ok(summary)
    }
}
