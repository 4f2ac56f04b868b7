//! Rasters as samples: one file, or a folder of images and their labels.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ndarray::{Array2, Array3, Axis};

use super::{SampleSource, check_sample, whole_numbers};
use crate::error::{Error, Result};
use crate::raster::format::{RasterFormat, RasterHeader};
use crate::raster::{DType, Georeference, check_channels, stem};
use crate::scene::{PictureScene, RasterScene, Scene, SceneOptions, first_bytes};

/// Names that a raster's file may end in.
const EXTENSIONS: [&str; 5] = ["tif", "tiff", "png", "jpg", "jpeg"];

/// A folder with `image/NAME.tif` and, where there is one, `label/NAME.tif` of one
/// band and the same size; or a single raster without a label.
///
/// PNG and JPEG are read as well. Samples are in the order of their names.
pub struct RasterSource {
    path: PathBuf,
    samples: Vec<Sample>,
}

struct Sample {
    name: String,
    image: PathBuf,
    label: Option<PathBuf>,
    /// Read on first use.
    header: OnceLock<(RasterFormat, RasterHeader)>,
}

impl RasterSource {
    /// A single raster; its header is read.
    ///
    /// # Errors
    /// The file can't be read or is no raster.
    pub fn open_file(path: &Path) -> Result<Self> {
        let sample = Sample::new(path.to_owned(), None);
        sample.header()?;
        Ok(Self {
            path: path.to_owned(),
            samples: vec![sample],
        })
    }

    /// A folder of images and labels; no file is opened yet.
    ///
    /// # Errors
    /// There is no folder `image`, or no raster in it, or two of one name.
    pub fn open_folder(path: &Path) -> Result<Self> {
        let images = path.join("image");
        if !images.is_dir() {
            return Err(Error::unsupported(
                path.display(),
                "a folder of samples has a folder `image` with NAME.tif and a folder `label` \
                 with NAME.tif of the same names",
            ));
        }
        let images = rasters(&images)?;
        let label_folder = path.join("label");
        let labels = if label_folder.is_dir() {
            rasters(&label_folder)?
        } else {
            Vec::new()
        };
        if images.is_empty() {
            let message = "no .tif, .png or .jpg in its folder `image`";
            return Err(Error::format(path, message));
        }
        if let Some(twice) = images.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            let message = format!("two images called `{}`", twice[0].0);
            return Err(Error::format(path, message));
        }
        let label = |name: &str| {
            let position = labels.binary_search_by(|(label, _)| label.as_str().cmp(name));
            position.ok().map(|position| labels[position].1.clone())
        };
        let samples = images
            .into_iter()
            .map(|(name, image)| {
                let label = label(&name);
                Sample::new(image, label)
            })
            .collect();
        Ok(Self {
            path: path.to_owned(),
            samples,
        })
    }

    fn sample(&self, index: usize) -> Result<&Sample> {
        check_sample(&self.path, index, self.samples.len())?;
        Ok(&self.samples[index])
    }
}

impl Sample {
    fn new(image: PathBuf, label: Option<PathBuf>) -> Self {
        Self {
            name: stem(&image),
            image,
            label,
            header: OnceLock::new(),
        }
    }

    fn header(&self) -> Result<&(RasterFormat, RasterHeader)> {
        if let Some(header) = self.header.get() {
            return Ok(header);
        }
        let format = format_of(&self.image)?;
        let header = format.header(&self.image)?;
        Ok(self.header.get_or_init(|| (format, header)))
    }
}

fn format_of(path: &Path) -> Result<RasterFormat> {
    RasterFormat::of(&first_bytes(path)?)
        .ok_or_else(|| Error::format_at(path, 0, "neither a TIFF nor a PNG nor a JPEG"))
}

/// Name and path of each raster of a folder, sorted by name.
fn rasters(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let fail = |e| Error::io(folder, e);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        let known = path
            .extension()
            .is_some_and(|e| EXTENSIONS.iter().any(|known| e.eq_ignore_ascii_case(known)));
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if known && !hidden {
            found.push((stem(&path), path));
        }
    }
    found.sort();
    Ok(found)
}

impl SampleSource for RasterSource {
    fn len(&self) -> usize {
        self.samples.len()
    }

    fn name(&self, index: usize) -> String {
        match self.samples.get(index) {
            Some(sample) => sample.name.clone(),
            None => index.to_string(),
        }
    }

    fn shape(&self, index: usize) -> Result<[usize; 3]> {
        Ok(self.sample(index)?.header()?.1.shape)
    }

    fn dtype(&self, index: usize) -> Result<DType> {
        Ok(self.sample(index)?.header()?.1.dtype)
    }

    fn channel_names(&self, index: usize) -> Result<Option<Vec<String>>> {
        Ok(self.sample(index)?.header()?.1.names.clone())
    }

    fn read(&self, index: usize, channels: &[usize]) -> Result<Array3<f32>> {
        let sample = self.sample(index)?;
        let (format, header) = sample.header()?;
        check_channels(&sample.image, channels, header.shape[0])?;
        format.read(&sample.image, channels)
    }

    fn read_label(&self, index: usize) -> Result<Option<Array2<i64>>> {
        let sample = self.sample(index)?;
        let Some(path) = &sample.label else {
            return Ok(None);
        };
        let [_, h, w] = sample.header()?.1.shape;
        let format = format_of(path)?;
        let shape = format.header(path)?.shape;
        if shape != [1, h, w] {
            return Err(Error::format(
                path,
                format!("a label of shape {shape:?}; its image needs [1, {h}, {w}]"),
            ));
        }
        let label = format.read(path, &[0])?;
        whole_numbers(path, &label.index_axis(Axis(0), 0)).map(Some)
    }

    fn georeference(&self, index: usize) -> Result<Georeference> {
        let sample = self.sample(index)?;
        match sample.header()?.0 {
            RasterFormat::Tiff => Georeference::read(&sample.image),
            RasterFormat::Picture => Ok(Georeference::default()),
        }
    }

    fn scene(&self, index: usize, options: &SceneOptions) -> Result<Option<Box<dyn Scene>>> {
        let sample = self.sample(index)?;
        Ok(Some(match sample.header()?.0 {
            RasterFormat::Tiff => Box::new(RasterScene::open_file(&sample.image, options)?),
            RasterFormat::Picture => Box::new(PictureScene::open(&sample.image, options)?),
        }))
    }

    fn read_raw(&self, index: usize) -> Result<(DType, [usize; 3], Vec<u8>)> {
        let sample = self.sample(index)?;
        let (format, _) = sample.header()?;
        let (header, raw) = format.read_raw(&sample.image)?;
        Ok((header.dtype, header.shape, raw))
    }
}
