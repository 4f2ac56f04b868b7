//! Arrays as scenes.

use std::path::PathBuf;

use ndarray::{Array3, Axis, s};

use super::{Origin, Radiometry, Scene, SceneBand, SceneInfo};
use crate::error::{Error, Result};
use crate::raster::{DType, Georeference, Window};

/// A scene that is an array in memory, such as a sample of a pickle.
pub struct MemoryScene {
    info: SceneInfo,
    /// `[bands, height, width]`.
    reflectance: Array3<f32>,
}

impl MemoryScene {
    /// A scene called `name` of the bands `bands`.
    ///
    /// # Shapes
    /// - reflectance: `[bands.len(), height, width]`, 0 to about 1; NaN: no data
    ///
    /// # Errors
    /// Another number of names than bands.
    pub fn new(
        name: &str,
        bands: &[String],
        reflectance: Array3<f32>,
        georeference: Georeference,
    ) -> Result<Self> {
        let (count, height, width) = reflectance.dim();
        if bands.len() != count {
            return Err(Error::usage(format!(
                "{name}: {} for {}",
                crate::text::count(bands.len(), "band name"),
                crate::text::count(count, "band")
            )));
        }
        let band = |name: &String| SceneBand {
            name: name.clone(),
            source: name.clone(),
            dtype: DType::F32,
            resolution: None,
            radiometry: Radiometry::scaled(1.0, 0.0, Origin::Given),
        };
        let info = SceneInfo {
            name: name.to_owned(),
            path: PathBuf::from(name),
            product: "array".to_owned(),
            size: [height, width],
            // Reading costs nothing: few rows at a time keep copies small.
            block: [1, width],
            georeference,
            bands: bands.iter().map(band).collect(),
            sun: None,
            acquired: None,
            notes: Vec::new(),
        };
        Ok(Self { info, reflectance })
    }

    /// Says what the numbers were before and what was done to them, band by band: for the
    /// record in a mask. The array stays as it is.
    ///
    /// # Panics
    /// Another number of radiometries than bands.
    #[must_use]
    pub fn described(mut self, radiometry: Vec<Radiometry>, dtype: DType) -> Self {
        assert_eq!(radiometry.len(), self.info.bands.len(), "one per band");
        for (band, radiometry) in self.info.bands.iter_mut().zip(radiometry) {
            band.radiometry = radiometry;
            band.dtype = dtype;
        }
        self
    }

    /// Adds to [`SceneInfo::notes`].
    pub(crate) fn note(&mut self, note: String) {
        self.info.notes.push(note);
    }
}

impl Scene for MemoryScene {
    fn info(&self) -> &SceneInfo {
        &self.info
    }

    fn read(&self, bands: &[usize], window: Window) -> Result<Array3<f32>> {
        self.info.check(bands, window)?;
        let rows = window.row..window.row + window.rows;
        let cols = window.col..window.col + window.cols;
        let cut = self.reflectance.slice(s![.., rows, cols]);
        Ok(cut.select(Axis(0), bands))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_of_an_array() {
        let names = ["red", "nir"].map(String::from);
        let array = Array3::from_shape_fn((2, 3, 4), |(b, r, c)| (100 * b + 10 * r + c) as f32);
        let scene = MemoryScene::new("a", &names, array.clone(), Georeference::default()).unwrap();
        let mut window = Window {
            row: 1,
            col: 2,
            rows: 2,
            cols: 2,
        };
        let found = scene.read(&[1, 0], window).unwrap();
        assert_eq!(
            found.iter().copied().collect::<Vec<_>>(),
            [112.0, 113.0, 122.0, 123.0, 12.0, 13.0, 22.0, 23.0]
        );
        window.cols = 3;
        assert!(scene.read(&[0], window).is_err());
        assert!(MemoryScene::new("a", &names[..1], array, Georeference::default()).is_err());
    }
}
