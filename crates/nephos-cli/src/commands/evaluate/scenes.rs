//! Scenes with label rasters.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use nephos::device::Device;
use nephos::evaluate::{Evaluation, Labels};
use nephos::metrics::{ConfusionMatrix, Reliability};
use nephos::predict::{Model, PredictOptions};
use nephos::scene::{self, SceneOptions};
use nephos::weights::Bundle;

use crate::commands::predict::jobs::scene_name;
use crate::scene_args::choose_bands;
use crate::ui::Ui;

/// Endings that a label raster's name may have.
const ENDINGS: [&str; 3] = ["tif", "tiff", "png"];

/// Scores a model on scenes, each with the label raster of its name.
pub fn evaluate(
    (bundle, device): (Bundle, Device),
    scenes: &[PathBuf],
    labels: &Path,
    (scene_options, options): &(SceneOptions, PredictOptions),
    ui: &Ui,
) -> anyhow::Result<Evaluation> {
    // A missing label should fail before hours of work, not after.
    let pairs: Vec<(&PathBuf, PathBuf)> = (scenes.iter())
        .map(|scene| Ok((scene, label_of(scene, scenes.len(), labels)?)))
        .collect::<anyhow::Result<_>>()?;
    let mut confusion = ConfusionMatrix::new(bundle.config.model.classes);
    let mut reliability = Reliability::default();
    let mut samples = Vec::new();
    let mut loss = 0.0;
    let model = Model::new(bundle, &device)?;
    let data = &model.config().data;
    // A model has no names of samples: only --set gives them.
    let mut mapping = data.labels.clone();
    let called: Vec<String> = scenes.iter().map(|scene| scene_name(scene)).collect();
    if !mapping.is_about(called.iter().map(String::as_str)) {
        ui.status(format!("  note: {}", mapping.not_about("these scenes")));
        mapping.annotated_in.clear();
    }
    for (path, label) in pairs {
        let scene = scene::open_scene(path, scene_options)?;
        let info = scene.info();
        model.check_graph(info, options.graph)?;
        let input = choose_bands(scene.as_ref(), data, ui)?;
        let raster = Labels::open(&label, info)?;
        if let Some(resampling) = raster.resampling() {
            ui.status(format!("  {resampling}"));
        }
        let bar = Arc::new(ui.pixels(&info.name, info.size[0] as u64 * info.size[1] as u64));
        let options = PredictOptions {
            progress: Some(bar.callback()),
            ..options.clone()
        };
        let score = (model.predict_input(&scene, input, &options))
            .and_then(|prediction| prediction.score((&label, &raster), &mapping))
            .with_context(|| path.display().to_string())?;
        bar.finish();
        for gap in &score.gaps {
            ui.status(format!("  note: {gap}"));
        }
        loss += score.loss;
        confusion.merge(&score.confusion);
        reliability.merge(&score.reliability);
        samples.push(score.result);
    }
    let pixels = confusion.pixels();
    Ok(Evaluation {
        loss: (pixels > 0).then(|| loss / pixels as f64),
        confusion,
        reliability,
        samples,
    })
}

/// The label raster of a scene: `labels` itself for a single scene, else the file in
/// that folder that is called as the scene, or as it with `_label` or `_mask`.
fn label_of(scene: &Path, scenes: usize, labels: &Path) -> anyhow::Result<PathBuf> {
    if !labels.is_dir() {
        if scenes > 1 {
            bail!(
                "--labels {}: of several scenes, a folder with a raster of each scene's name is \
                 expected",
                labels.display()
            );
        }
        return Ok(labels.to_owned());
    }
    let name = scene_name(scene);
    let found = ["", "_label", "_labels", "_mask"]
        .iter()
        .find_map(|suffix| {
            (ENDINGS.iter())
                .map(|ending| labels.join(format!("{name}{suffix}.{ending}")))
                .find(|path| path.is_file())
        });
    found.with_context(|| {
        format!(
            "{}: no label raster for the scene {name}; {name}.tif, {name}_label.tif or \
             {name}_mask.tif is expected",
            labels.display()
        )
    })
}
