//! PNG and JPEG pictures as scenes.

use std::path::Path;

use ndarray::{Array3, Axis, s};

use super::judge::{self, Sampled};
use super::picture;
use super::raster_names::check_count;
use super::raster_scene::name_of;
use super::{Georeference, Origin, Radiometry, Scene, SceneBand, SceneInfo, SceneOptions, Window};
use crate::band;
use crate::error::Result;

/// A PNG or JPEG as a scene: red, green and blue, or one band `gray`, without a
/// place. The whole picture is held in memory.
pub struct PictureScene {
    info: SceneInfo,
    stored: Array3<f32>,
}

impl PictureScene {
    /// Reads a picture.
    ///
    /// # Errors
    /// The file can't be read or is broken; names that are not one a channel, or a
    /// scale or offset that can't be.
    pub fn open(path: &Path, options: &SceneOptions) -> Result<Self> {
        options.check(path)?;
        let header = picture::header(path)?;
        let [count, rows, cols] = header.shape;
        let stored = picture::read(path, &(0..count).collect::<Vec<_>>())?;
        let sources = header.names.unwrap_or_default();
        let names = options.bands.as_ref().unwrap_or(&sources);
        check_count(path, names, count)?;
        let offset = options.offset.unwrap_or(0.0);
        let radiometry = match options.scale {
            Some(scale) => Radiometry::scaled(scale, offset, Origin::Given),
            None => Radiometry::scaled(1.0, offset, Origin::Guessed),
        }
        .with_nodata(options.nodata.filter(|number| number.is_finite()));
        let bands = (names.iter())
            .map(|name| SceneBand {
                name: band::canonical(name),
                source: name.clone(),
                dtype: header.dtype,
                resolution: None,
                radiometry: radiometry.clone(),
            })
            .collect();
        let mut scene = Self {
            info: SceneInfo {
                name: name_of(path),
                path: path.to_owned(),
                product: format!("picture, {count} channels of {}", header.dtype.name()),
                size: [rows, cols],
                block: [rows, cols],
                georeference: Georeference::default(),
                bands,
                sun: None,
                acquired: None,
                notes: Vec::new(),
            },
            stored,
        };
        let nodata = options.nodata;
        let valid = |stored: &f32| match nodata == Some(f64::from(*stored)) {
            true => f64::NAN,
            false => f64::from(*stored),
        };
        let read = |bands: &[usize], window| Ok(scene.window(bands, window).map(valid));
        let sampled = Sampled::of(&scene.info, read)?;
        judge::apply(&mut scene.info, &sampled, options);
        Ok(scene)
    }

    fn window(&self, bands: &[usize], window: Window) -> Array3<f32> {
        let rows = window.row..window.row + window.rows;
        let cols = window.col..window.col + window.cols;
        let within = self.stored.slice(s![.., rows, cols]);
        within.select(Axis(0), bands)
    }
}

impl Scene for PictureScene {
    fn info(&self) -> &SceneInfo {
        &self.info
    }

    fn read(&self, bands: &[usize], window: Window) -> Result<Array3<f32>> {
        self.info.check(bands, window)?;
        let mut out = self.window(bands, window);
        for (mut plane, band) in out.outer_iter_mut().zip(bands) {
            let radiometry = &self.info.bands[*band].radiometry;
            plane.mapv_inplace(|stored| radiometry.apply(f64::from(stored)));
        }
        Ok(out)
    }
}
