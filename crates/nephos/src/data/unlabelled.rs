//! Images without labels, for pre-training.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{Array2, Array3};

use super::mix::ConcatDataset;
use super::{Dataset, Inputs};
use crate::config::DataConfig;
use crate::error::{Error, Result};
use crate::raster::{DType, Window};
use crate::samples::{self, SampleSource, SubsetOf};
use crate::scene::{self, Plan, Scene, SceneOptions};

/// Opens scenes, cut into tiles of `side` × `side` pixels (the whole scene along a side
/// that is shorter), and containers of samples as one data set of clear pixels: what
/// labels there are is not read.
///
/// # Errors
/// One that can't be opened, a side of 0, or no image at all.
pub fn open_unlabelled(
    paths: &[PathBuf],
    data: &DataConfig,
    options: &SceneOptions,
    side: usize,
) -> Result<Dataset> {
    if side == 0 {
        return Err(Error::usage("a tile of 0 pixels has no image"));
    }
    let mut chain = ConcatDataset::default();
    for path in paths {
        if samples::is_container(path) {
            chain.push(Arc::from(samples::open_as(path, data.channels_last)?));
        } else {
            let scene = scene::open_scene(path, options)?;
            let inputs = Inputs::of_scene(scene.info(), data)?;
            match scene::implausible(scene.as_ref(), &inputs.positions())? {
                Some(doubt) if doubt.refuses => return Err(doubt.error(&path.display())),
                Some(doubt) => tracing::warn!("{}: {doubt}", path.display()),
                None => {}
            }
            chain.push(Arc::new(Tiles::new(scene, data, side)?));
        }
    }
    let first = paths.first().map_or(Path::new(""), PathBuf::as_path);
    match chain.len() {
        0 => Err(Error::format(first, "there are no images to learn from")),
        _ => Dataset::from_source(Arc::new(Unlabelled(chain)), first, data),
    }
}

/// Tiles of a scene, side by side; the last of a row or column overlaps the one
/// before it.
struct Tiles {
    scene: Box<dyn Scene>,
    places: Vec<Window>,
    /// Stored number = reflectance × `gain` − `offset`, as `data` reads samples.
    gain: f32,
    offset: f32,
}

impl Tiles {
    fn new(scene: Box<dyn Scene>, data: &DataConfig, side: usize) -> Result<Self> {
        let size = scene.info().size;
        let [rows, cols] = size.map(|length| length.min(side));
        let plan = Plan::new(size, [rows, cols], 0.0, 1, 0)?;
        let at = |start: &isize| usize::try_from(*start).unwrap_or(0);
        let places = (plan.tops.iter())
            .flat_map(|top| plan.lefts.iter().map(move |left| (at(top), at(left))))
            .map(|(row, col)| Window {
                row,
                col,
                rows,
                cols,
            })
            .collect();
        Ok(Self {
            scene,
            places,
            gain: data.quantification,
            offset: data.offset,
        })
    }

    fn place(&self, index: usize) -> Result<Window> {
        self.places.get(index).copied().ok_or_else(|| {
            let message = format!("tile {index} was requested, of {}", self.places.len());
            Error::format(&self.scene.info().path, message)
        })
    }
}

impl SampleSource for Tiles {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn name(&self, index: usize) -> String {
        let scene = &self.scene.info().name;
        match self.places.get(index) {
            Some(place) => format!("{scene}, row {}, column {}", place.row, place.col),
            None => scene.clone(),
        }
    }

    fn shape(&self, index: usize) -> Result<[usize; 3]> {
        let place = self.place(index)?;
        Ok([self.scene.info().bands.len(), place.rows, place.cols])
    }

    fn dtype(&self, _: usize) -> Result<DType> {
        Ok(DType::F32)
    }

    fn channel_names(&self, _: usize) -> Result<Option<Vec<String>>> {
        let bands = self.scene.info().bands.iter();
        Ok(Some(bands.map(|band| band.name.clone()).collect()))
    }

    fn read(&self, index: usize, channels: &[usize]) -> Result<Array3<f32>> {
        let mut pixels = self.scene.read(channels, self.place(index)?)?;
        pixels.mapv_inplace(|value| value * self.gain - self.offset);
        Ok(pixels)
    }

    fn read_raw(&self, _: usize) -> Result<(DType, [usize; 3], Vec<u8>)> {
        Err(Error::unsupported("tiles of a scene", "stored numbers"))
    }
}

/// Samples whose pixels are all labelled clear, whatever their labels: only where there is
/// data counts.
struct Unlabelled(ConcatDataset);

impl SubsetOf for Unlabelled {
    fn count(&self) -> usize {
        self.0.count()
    }

    fn route(&self, index: usize) -> Result<(&dyn SampleSource, usize)> {
        self.0.route(index)
    }

    fn label(&self, index: usize) -> Result<Option<Array2<i64>>> {
        let [_, rows, cols] = self.shape(index)?;
        Ok(Some(Array2::zeros((rows, cols))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::IGNORE;
    use crate::config::Config;
    use crate::raster::Georeference;
    use crate::scene::MemoryScene;

    #[test]
    fn tiles_cover_a_scene_in_the_numbers_of_samples() {
        let pixels = Array3::from_shape_fn((2, 5, 7), |(band, row, col)| match (row, col) {
            (4, 6) => f32::NAN,
            _ => 0.1 * band as f32 + 0.01 * row as f32 + 0.001 * col as f32,
        });
        let names = ["red".to_owned(), "nir".to_owned()];
        let scene = MemoryScene::new("s", &names, pixels.clone(), Georeference::default()).unwrap();
        let text = "[data]\nbands = ['nir', 'red']\nscale = 10000.0\noffset = -1000.0\n\
                    labels = { ignore = [255] }";
        let data = Config::parse(text, "t.toml", &[]).unwrap().data;
        let mut chain = ConcatDataset::default();
        chain.push(Arc::new(Tiles::new(Box::new(scene), &data, 4).unwrap()));
        let source = Arc::new(Unlabelled(chain));
        let dataset = Dataset::from_source(source, Path::new("s"), &data).unwrap();
        assert_eq!(dataset.len(), 4);
        let last = dataset.get(3).unwrap();
        assert_eq!(last.image.dim(), (2, 4, 4));
        assert!(last.name.contains("row 1, column 3"), "{}", last.name);
        assert!((last.image[[0, 2, 1]] - pixels[[1, 3, 4]]).abs() < 1e-5);
        assert!((last.image[[1, 2, 1]] - pixels[[0, 3, 4]]).abs() < 1e-5);
        assert_eq!((last.label[[0, 0]], last.label[[3, 3]]), (0, IGNORE));
    }
}
