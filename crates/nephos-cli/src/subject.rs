//! Model inputs from a scene or a sample, for commands that draw them.

use std::path::Path;

use anyhow::{Context, ensure};
use ndarray::{Array2, Array3};
use nephos::config::{DataConfig, ModelConfig};
use nephos::data::Dataset;
use nephos::predict::{Model, SceneInput, Segmentation, window_for};
use nephos::raster::Window;
use nephos::scene::{self, Scene, SceneOptions};

use crate::scene_args::choose_bands;
use crate::ui::Ui;

/// A scene, or a sample as one, with a model's bands in it.
pub struct Subject {
    pub name: String,
    scene: Box<dyn Scene>,
    input: SceneInput,
}

/// A window of a [`Subject`] as model input.
pub struct View {
    pub name: String,
    pub window: Window,
    /// `[channels, height, width]`
    pub image: Array3<f32>,
    /// `[height, width]`
    pub valid: Array2<bool>,
}

impl Subject {
    /// Opens a scene as `nephos predict` does, with the same messages.
    pub fn open(
        path: &Path,
        options: &SceneOptions,
        data: &DataConfig,
        ui: &Ui,
    ) -> anyhow::Result<Self> {
        let scene = scene::open_scene(path, options)?;
        let input = choose_bands(scene.as_ref(), data, ui)?;
        Ok(Self {
            name: scene.info().name.clone(),
            scene,
            input,
        })
    }

    /// A sample of a container, in units of the model's input.
    pub fn sample(dataset: &Dataset, index: usize, data: &DataConfig) -> anyhow::Result<Self> {
        let name = dataset.name(index);
        let context = || format!("{}, sample {name}", dataset.path().display());
        let scene = dataset.scene(index).with_context(context)?;
        Ok(Self {
            input: SceneInput::of_sample(&scene, data)?,
            scene: Box::new(scene),
            name,
        })
    }

    /// Rows and columns.
    pub fn size(&self) -> [usize; 2] {
        self.scene.info().size
    }

    /// Reads a window.
    pub fn view(&self, window: Window) -> anyhow::Result<View> {
        let (image, valid) = self.input.read(&self.scene, window)?;
        Ok(View {
            name: self.name.clone(),
            window,
            image,
            valid,
        })
    }

    /// The window around `at` of the size in which `model` takes such a scene, or that a patch
    /// attends to where that is limited, or of `side` pixels.
    pub fn around(&self, at: [usize; 2], model: &ModelConfig, side: Option<usize>) -> Window {
        let [height, width] = self.size();
        let (side, align) = match (side, model.neighbourhood()) {
            (None, Some(side)) => (Some(side), model.patch.stride),
            _ => (side, model.alignment()),
        };
        let window = window_for(model, side, height, width);
        Window::around(at, window, self.size(), align)
    }
}

impl View {
    pub fn predict(&self, model: &Model) -> anyhow::Result<Segmentation> {
        Ok(model.predict_image(&self.image, &self.valid)?)
    }
}

/// `ROW,COL` as typed.
pub fn pixel(text: &str) -> Result<[usize; 2], String> {
    let parsed = (text.split_once(','))
        .and_then(|(row, col)| Some([row.trim().parse().ok()?, col.trim().parse().ok()?]));
    parsed.ok_or_else(|| "expected ROW,COL in pixels, as in 200,310".to_owned())
}

/// Refuses a pixel outside of an image of `size`.
pub fn check_pixel([row, col]: [usize; 2], size: [usize; 2], name: &str) -> anyhow::Result<()> {
    ensure!(
        row < size[0] && col < size[1],
        "--at {row},{col} lies outside the image: {name} has {} × {} pixels, counted from 0",
        size[0],
        size[1]
    );
    Ok(())
}
