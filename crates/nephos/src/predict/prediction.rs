//! The prediction of one scene: its mask and the files beside it.

use std::path::Path;

use ndarray::{Array2, Array3, ArrayView2, ArrayView3, s};

use super::model::Model;
use super::on_this_thread::run_on_this_thread;
use super::options::{GraphScope, PredictOptions};
use super::outputs::{Outputs, SideOutput};
use super::products;
use super::record::{RunRecord, SourceRecord};
use super::scene_graph;
use super::scene_input::SceneInput;
use super::scene_sink::SceneSink;
use super::segmentation::Segmentation;
use super::source::Source;
use super::stream::{Progress, RowSink, RunOptions, RunStats, percent, run_source};
use super::window::window_for;
use crate::class::{CLASS_COUNT, IGNORE};
use crate::error::{Error, Result};
use crate::mask::{Dilation, MaskSummary};
use crate::output::{Declared, folder_of};
use crate::scene::{Plan, Scene};

/// The prediction of one scene, ready to be computed: when it is written, or asked for.
pub struct Prediction<'a> {
    model: &'a Model,
    scene: &'a dyn Scene,
    input: SceneInput,
    options: PredictOptions,
}

impl<'a> Prediction<'a> {
    /// # Errors
    /// Options out of range, or that the model or the scene can't follow.
    pub(super) fn new(
        model: &'a Model,
        scene: &'a dyn Scene,
        input: SceneInput,
        options: PredictOptions,
    ) -> Result<Self> {
        options.validate()?;
        let classes = model.config().model.classes;
        if classes > CLASS_COUNT {
            let message = format!("it has {classes} classes, masks have {CLASS_COUNT}");
            return Err(Error::unsupported("the model", message));
        }
        model.check_graph(scene.info(), options.graph)?;
        Ok(Self {
            model,
            scene,
            input,
            options,
        })
    }

    /// Which bands of the scene the model takes, and what was assumed of them.
    pub fn input(&self) -> &SceneInput {
        &self.input
    }

    /// The scene.
    pub(crate) fn scene(&self) -> &dyn Scene {
        self.scene
    }

    /// The model.
    pub(crate) fn model(&self) -> &Model {
        self.model
    }

    /// Computes the mask, and writes it and the side outputs of the options beside it; each
    /// file is whole or not there. The format follows from the name: `.tif` (a Cloud-Optimised
    /// GeoTIFF), `.png` or `.npy`.
    ///
    /// A mask as `.tif` is written as it is computed, in memory that does not grow with
    /// the scene's height; as `.png` or `.npy` it is collected first.
    ///
    /// # Errors
    /// A broken scene, a model that does not fit it, a file that is there already or is the
    /// scene's own, or that can't be written; [`Error::Cancelled`].
    pub fn write(&self, mask: impl AsRef<Path>) -> Result<MaskSummary> {
        let outputs = self.outputs(mask.as_ref());
        let info = self.scene.info();
        (Declared::default())
            .reads_named(&info.path)
            .writes_all(outputs.files())
            .check(self.options.overwrite)?;
        let source = match info.path.exists() {
            true => SourceRecord::of(&info.path)?,
            false => SourceRecord::of_memory(&info.name),
        };
        let record = RunRecord::new(source, self.model.identity(), self.options.recorded());
        let (summary, _) = self.write_recorded(mask, &record)?;
        Ok(summary)
    }

    /// The same; files that are there are replaced, and `record` says which run this is, for a
    /// caller that has checked both.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub fn write_recorded(
        &self,
        mask: impl AsRef<Path>,
        record: &RunRecord,
    ) -> Result<(MaskSummary, RunStats)> {
        let (info, outputs) = (self.scene.info(), self.outputs(mask.as_ref()));
        outputs.check_scene(info)?;
        let dilation = self.dilation()?;
        let mut tags = self.tags();
        let classes = self.model.config().model.classes;
        let mut sink = SceneSink::create(info, &outputs, classes, dilation, &tags)?;
        let probabilities = outputs.side_outputs.contains(&SideOutput::Probabilities);
        let stats = self.run_in(folder_of(&outputs.mask), probabilities, None, &mut sink)?;
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
        let summary = MaskSummary::new(&info.name, &self.model.identity().name, &counts);
        let dates = self.options.dates.as_ref();
        products::write(self.scene, &outputs, &summary, &tags, dates, record)?;
        Ok((summary, stats))
    }

    /// The classes, `[height, width]`, in memory: 0 clear, 1 thick cloud, 2 thin cloud, 3 cloud
    /// shadow, 255 no data; clouds and shadows grown as the options say.
    ///
    /// # Errors
    /// A broken scene, or a model that does not fit it; [`Error::Cancelled`].
    pub fn classes(&self) -> Result<Array2<u8>> {
        Ok(self.segment(false, None)?.classes)
    }

    /// Classes and probabilities in memory. Probabilities take 4 bytes per class and pixel.
    ///
    /// # Errors
    /// As for [`classes`](Self::classes).
    pub fn probabilities(&self) -> Result<Segmentation> {
        self.segment(true, None)
    }

    /// In the windows of `plan`, which covers the scene, where there is one.
    pub(super) fn segment(&self, probabilities: bool, plan: Option<&Plan>) -> Result<Segmentation> {
        let [rows, cols] = self.scene.info().size;
        let classes = match probabilities {
            true => self.model.config().model.classes,
            false => 0,
        };
        let mut sink = MemorySink {
            segmentation: Segmentation {
                classes: Array2::from_elem((rows, cols), IGNORE),
                probabilities: Array3::from_elem((classes, rows, cols), f32::NAN),
            },
            dilation: self.dilation()?,
            rows: 0,
        };
        self.run_in(&std::env::temp_dir(), probabilities, plan, &mut sink)?;
        if let Some(dilation) = sink.dilation.take() {
            sink.push(dilation.finish().view());
        }
        Ok(sink.segmentation)
    }

    /// Computes the scene and hands its rows to `sink`, from the top down.
    pub(crate) fn run(&self, probabilities: bool, sink: &mut dyn RowSink) -> Result<RunStats> {
        self.run_in(&std::env::temp_dir(), probabilities, None, sink)
    }

    /// The same in the windows of `plan`, where there is one, on this thread; what is spooled of a
    /// scene of many columns is in the folder `spool`.
    fn run_in(
        &self,
        spool: &Path,
        probabilities: bool,
        plan: Option<&Plan>,
        sink: &mut dyn RowSink,
    ) -> Result<RunStats> {
        let (config, options) = (&self.model.config().model, &self.options);
        let SceneInput { inputs, gain, .. } = &self.input;
        let source = &match inputs.declares() {
            true => Source::of(self.scene, inputs, *gain),
            false => Source::plain(self.scene, &inputs.positions(), *gain),
        };
        let run_options = RunOptions {
            overlap: options.overlap.unwrap_or(config.overlap),
            align: config.alignment(),
            shift: options.shift,
            probabilities,
            decision: self.model.decision().clone(),
            cancel: options.cancel.clone(),
            spool: spool.to_owned(),
            ..RunOptions::new(self.window())
        };
        let progress = |progress: &Progress| {
            if let Some(callback) = &options.progress {
                callback(progress);
            }
        };
        let (model, classes) = (self.model, config.classes);
        let mut stats = if options.graph == GraphScope::Scene {
            let parts = self.model.parts()?;
            scene_graph::run_source(parts, config, source, &run_options, sink, &progress)?
        } else if options.on_this_thread {
            let plan = match plan {
                Some(plan) => plan,
                None => &run_options.plan(source.size())?,
            };
            run_on_this_thread(model, classes, source, plan, &run_options, sink, &progress)?
        } else {
            run_source(model, classes, source, &run_options, sink, &progress)?
        };
        stats.absent_in_part = source.absent_in_part();
        Ok(stats)
    }

    fn outputs(&self, mask: &Path) -> Outputs {
        Outputs {
            mask: mask.to_owned(),
            side_outputs: self.options.side_outputs.clone(),
        }
    }

    fn dilation(&self) -> Result<Option<Dilation>> {
        let info = self.scene.info();
        let grown = |metres| Dilation::new(metres, &info.georeference, info.size, true);
        self.options.dilate.map(grown).transpose()
    }

    /// Rows and columns of the windows that the scene is cut into.
    fn window(&self) -> [usize; 2] {
        let [rows, cols] = self.scene.info().size;
        window_for(&self.model.config().model, self.options.window, rows, cols)
    }

    /// How the mask was made, for the record in it.
    fn tags(&self) -> Vec<(String, String)> {
        let (model, options) = (self.model, &self.options);
        let (scene, inputs, config) = (self.scene, &self.input.inputs, model.config());
        let info = scene.info();
        let [rows, cols] = self.window();
        let bands = inputs.positions();
        let named: Vec<String> = bands.iter().map(|band| info.bands[*band].label()).collect();
        let mut tags = vec![
            ("NEPHOS_VERSION", env!("CARGO_PKG_VERSION").to_owned()),
            ("MODEL", model.identity().name.clone()),
            ("MODEL_SHA256", model.identity().sha256.clone()),
            ("SCENE", info.name.clone()),
            ("PRODUCT", info.product.clone()),
            ("BANDS", named.join(", ")),
            ("RADIOMETRY", info.radiometry(&bands).join("; ")),
            ("WINDOW", format!("{rows} × {cols} pixels")),
            (
                "OVERLAP",
                (options.overlap.unwrap_or(config.model.overlap)).to_string(),
            ),
        ];
        if let (Some(reach), GraphScope::Window) = (config.model.reach, options.graph) {
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
        if options.graph == GraphScope::Scene {
            tags.push(("GRAPH", "scene".to_owned()));
        }
        tags.extend(info.acquired.clone().map(|time| ("ACQUIRED", time)));
        if !config.calibration.is_identity() {
            tags.push(("CALIBRATION", config.calibration.to_string()));
        }
        tags.extend((options.dilate).map(|metres| ("DILATION_METRES", metres.to_string())));
        (tags.into_iter())
            .map(|(key, value)| (key.to_owned(), value))
            .collect()
    }
}

/// Collects rows in memory.
struct MemorySink {
    segmentation: Segmentation,
    dilation: Option<Dilation>,
    rows: usize,
}

impl MemorySink {
    /// Takes rows of final classes.
    fn push(&mut self, classes: ArrayView2<'_, u8>) {
        let end = self.rows + classes.nrows();
        let rows = s![self.rows..end, ..];
        self.segmentation.classes.slice_mut(rows).assign(&classes);
        self.rows = end;
    }
}

impl RowSink for MemorySink {
    fn rows(
        &mut self,
        first: usize,
        classes: ArrayView2<'_, u8>,
        probabilities: Option<ArrayView3<'_, f32>>,
    ) -> Result<()> {
        if let Some(probabilities) = probabilities {
            let end = first + classes.nrows();
            let rows = s![.., first..end, ..];
            (self.segmentation.probabilities.slice_mut(rows)).assign(&probabilities);
        }
        match &mut self.dilation {
            None => self.push(classes),
            Some(dilation) => {
                let grown = dilation.push(classes);
                self.push(grown.view());
            }
        }
        Ok(())
    }
}
