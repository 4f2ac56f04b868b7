//! Prediction of one scene.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use nephos::config::DataConfig;
use nephos::device::Device;
use nephos::mask::{self, Dates, MaskCounts, MaskFormat, MaskReader, MaskSummary, stated_date};
use nephos::predict::{Model, PredictOptions, RunRecord, SceneInput, SideOutput, SourceRecord};
use nephos::scene::{self, Scene, SceneOptions};
use nephos::weights::Identity;

use super::Args;
use super::jobs::{Input, Job};
use crate::decision_args::DecisionArgs;
use crate::scene_args::choose_bands;
use crate::ui::Ui;

/// The model and the options of all scenes of one run.
pub struct Runner {
    /// How samples of containers are read.
    pub data: DataConfig,
    model: Model,
    scene: SceneOptions,
    predict: PredictOptions,
    /// All options that change an output, as text.
    options: String,
    /// What containers are, which many samples share.
    containers: Mutex<HashMap<PathBuf, SourceRecord>>,
}

impl Runner {
    pub fn new(args: &Args, ui: &Ui) -> anyhow::Result<Self> {
        let (mut bundle, device): (_, Device) = args.model.load()?;
        (args.decision).apply(&mut bundle.config, &args.model.model, ui)?;
        let identity = Identity::of(&args.model.model)?;
        let scene = SceneOptions {
            model_bands: bundle.config.data.bands.clone(),
            ..args.read.options()?
        };
        let predict = PredictOptions {
            dilate: args.dilate,
            dates: args.datetime.clone(),
            ..args.windows.options()
        };
        predict.validate()?;
        let data = args.read.samples(&bundle.config.data)?;
        let mut options = format!(
            "{predict:?}, {scene:?}, set {:?}",
            args.model.read.overrides
        );
        if let Some(reach) = args.model.reach {
            options += &format!(", reach {reach}");
        }
        if let Some(chosen) = DecisionArgs::chosen(&bundle.config) {
            options += &format!(", {chosen:?}");
        }
        Ok(Self {
            data,
            scene,
            options,
            containers: Mutex::default(),
            model: Model::new(bundle, &device)?.with_identity(identity),
            predict,
        })
    }

    /// The record of a run of this job.
    ///
    /// # Errors
    /// The scene's files can't be read.
    pub fn record(&self, job: &Job) -> anyhow::Result<RunRecord> {
        let (path, sample) = job.input.source();
        scene::refuse_remote(path)?;
        let mut known = self
            .containers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let source = match (known.get(path), &sample) {
            (Some(container), _) => container.clone(),
            (None, None) => SourceRecord::of(path)?,
            (None, Some(_)) => {
                let container = SourceRecord::of(path)?;
                known.insert(path.to_owned(), container.clone());
                container
            }
        };
        let scene = SourceRecord { sample, ..source };
        let identity = self.model.identity();
        Ok(RunRecord::new(scene, identity, self.options.clone()))
    }

    /// The shares of the classes in an existing mask.
    ///
    /// # Errors
    /// The mask can't be read.
    pub fn summary(&self, job: &Job) -> anyhow::Result<MaskSummary> {
        let (mask, mut counts) = (&job.outputs.mask, MaskCounts::default());
        match MaskFormat::of(mask)? {
            MaskFormat::GeoTiff => MaskReader::open(mask)?.strips(|rows| {
                counts.add(rows.view());
                Ok(())
            })?,
            _ => counts.add(mask::read(mask)?.view()),
        }
        Ok(MaskSummary::new(
            &job.name,
            &self.model.identity().name,
            &counts,
        ))
    }

    /// Segments one scene and writes its files.
    pub fn run(&self, job: &Job, record: &RunRecord, ui: &Ui) -> anyhow::Result<MaskSummary> {
        let data = &self.model.config().data;
        match &job.input {
            Input::Scene(path) => {
                let scene = scene::open_scene(path, &self.scene)?;
                job.outputs.check_scene(scene.info())?;
                self.model.check_graph(scene.info(), self.predict.graph)?;
                let input = choose_bands(scene.as_ref(), data, ui)?;
                self.write(job, record, &scene, input, ui)
            }
            Input::Sample { dataset, index } => {
                let context = || format!("{}, sample {}", dataset.path().display(), job.name);
                let scene = dataset.scene(*index)?;
                let input = SceneInput::of_sample(&scene, data)?;
                for note in &input.notes {
                    ui.status(format!("  note: {}: {note}", job.name));
                }
                self.write(job, record, &scene, input, ui)
                    .with_context(context)
            }
        }
    }

    fn write(
        &self,
        job: &Job,
        record: &RunRecord,
        scene: &dyn Scene,
        input: SceneInput,
        ui: &Ui,
    ) -> anyhow::Result<MaskSummary> {
        let [rows, cols] = scene.info().size;
        let place = &scene.info().georeference;
        if let Some(lost) = MaskFormat::of(&job.outputs.mask)?.georeference_loss(place) {
            ui.status(format!("  note: {lost}"));
        }
        if job.outputs.side_outputs.contains(&SideOutput::Stac) && self.predict.dates.is_none() {
            let stated = stated_date(scene.info());
            if let Dates::Unknown { written } = Dates::of(stated.as_deref(), &scene.info().path) {
                ui.status(format!(
                    "  note: no date is known; the STAC item states a time between the first \
                     satellite and {written}, when the file was written. --datetime sets it"
                ));
            }
        }
        let bar = Arc::new(ui.pixels(&job.name, rows as u64 * cols as u64));
        let options = PredictOptions {
            side_outputs: job.outputs.side_outputs.clone(),
            progress: Some(bar.callback()),
            ..self.predict.clone()
        };
        let prediction = self.model.predict_input(scene, input, &options)?;
        let (summary, stats) = prediction.write_recorded(&job.outputs.mask, record)?;
        bar.finish();
        for gap in stats.gaps() {
            ui.status(format!("  note: {}: {gap}", job.name));
        }
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
