//! Arrays of stored numbers in memory as scenes.

use std::path::PathBuf;

use ndarray::{Array3, ArrayView1, ArrayView4, s};
use rayon::prelude::*;

use super::infer_radiometry::{Sampled, infer_radiometry};
use super::nodata::{self, NoData};
use super::{Origin, Radiometry, Scene, SceneBand, SceneInfo, SceneOptions};
use crate::band::{self, Product};
use crate::error::{Error, Result};
use crate::raster::{DType, Georeference, Window};
use crate::text::count;

/// Rows and columns that are sampled as if they were stored as one block.
const BLOCK: usize = 256;
/// Numbers that one thread converts at least.
const NUMBERS_PER_TASK: usize = 1 << 14;

/// A view of stored numbers, `[images, bands, height, width]`, of any strides.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum ArrayValues<'a> {
    U8(ArrayView4<'a, u8>),
    I8(ArrayView4<'a, i8>),
    U16(ArrayView4<'a, u16>),
    I16(ArrayView4<'a, i16>),
    U32(ArrayView4<'a, u32>),
    I32(ArrayView4<'a, i32>),
    I64(ArrayView4<'a, i64>),
    F32(ArrayView4<'a, f32>),
    F64(ArrayView4<'a, f64>),
}

/// Evaluates an expression for the view of whichever number format.
macro_rules! with_view {
    ($values:expr, $view:ident => $result:expr) => {
        match $values {
            ArrayValues::U8($view) => $result,
            ArrayValues::I8($view) => $result,
            ArrayValues::U16($view) => $result,
            ArrayValues::I16($view) => $result,
            ArrayValues::U32($view) => $result,
            ArrayValues::I32($view) => $result,
            ArrayValues::I64($view) => $result,
            ArrayValues::F32($view) => $result,
            ArrayValues::F64($view) => $result,
        }
    };
}

impl<'a> ArrayValues<'a> {
    /// `[images, bands, height, width]`.
    pub fn shape(&self) -> [usize; 4] {
        with_view!(self, view => view.dim().into())
    }

    /// Their number format.
    pub fn dtype(&self) -> DType {
        match self {
            Self::U8(_) => DType::U8,
            Self::I8(_) => DType::I8,
            Self::U16(_) => DType::U16,
            Self::I16(_) => DType::I16,
            Self::U32(_) => DType::U32,
            Self::I32(_) => DType::I32,
            Self::I64(_) => DType::I64,
            Self::F32(_) => DType::F32,
            Self::F64(_) => DType::F64,
        }
    }

    /// The images of `range` alone.
    fn images(&self, range: std::ops::Range<usize>) -> Self {
        macro_rules! cut {
            ($($format:ident),*) => {
                match self {
                    $(Self::$format(view) => {
                        let view = view.clone();
                        Self::$format(view.slice_move(s![range, .., .., ..]))
                    })*
                }
            };
        }
        cut!(U8, I8, U16, I16, U32, I32, I64, F32, F64)
    }
}

/// One band of an array: its name, and what is known of its numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArrayBand {
    /// STAC common name, Sentinel-2's own, or a name that the model has; `-` for a plane that
    /// is no band of the scene.
    pub name: String,
    /// Reflectance = stored × `scale_factor` + `add_offset`, as in the CF conventions; `None`:
    /// inferred from number format and range.
    pub scale_factor: Option<f64>,
    /// See `scale_factor`; reflectance. `None`: 0.
    pub add_offset: Option<f64>,
    /// Stored number that means no data; NaN: no number does. Where no band has one, what is
    /// recognised as a fill means no data.
    pub nodata: Option<f64>,
}

/// How an array becomes a scene, beside its bands.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArrayOptions {
    /// Names that bands may have beside STAC's common names: the model's.
    pub model_bands: Vec<String>,
    /// Side of a pixel in metres on the ground, where it is known.
    pub resolution: Option<f64>,
    /// Accepts numbers that can't be reflectance as they are read; see
    /// [`implausible`](super::implausible).
    pub assume_reflectance: bool,
    /// No fill is recognised beside what the bands declare.
    pub declared_only: bool,
}

/// An array of stored numbers in memory as a scene; of several images of one size as one scene,
/// each below the one before.
///
/// Numbers are read where they lie: nothing of the array is copied. What is not stated of them is
/// inferred and checked as for a GeoTIFF, for all images together ([`SceneInfo::notes`],
/// [`Scene::no_data`]).
#[derive(Debug, Clone)]
pub struct ArrayScene<'a> {
    values: ArrayValues<'a>,
    /// Position in the array of each band of the scene.
    places: Vec<usize>,
    info: SceneInfo,
    nodata: NoData,
}

impl<'a> ArrayScene<'a> {
    /// A scene called `name` of the planes of `values`, with one of `bands` for each.
    ///
    /// # Errors
    /// An array without pixels; another number of bands than planes; a name that is no band's, or
    /// one band twice; a scale of 0, a scale, offset or resolution that is not finite, or a
    /// no-data number that the format does not have.
    pub fn new(
        name: &str,
        values: ArrayValues<'a>,
        bands: &[ArrayBand],
        options: &ArrayOptions,
    ) -> Result<Self> {
        let [images, planes, height, width] = values.shape();
        if images == 0 || height == 0 || width == 0 {
            return Err(Error::usage(format!(
                "{name}: {images} images of {height} × {width} pixels; there must be one pixel at \
                 least"
            )));
        }
        let names: Vec<String> = bands.iter().map(|band| band.name.clone()).collect();
        if names.len() != planes {
            return Err(Error::usage(format!(
                "{name}: {} for an array of {}; `options.bands` names each, `{}` skips one",
                count(names.len(), "band name"),
                count(planes, "band"),
                band::SKIP
            )));
        }
        let path = PathBuf::from(name);
        let dtype = values.dtype();
        let named = band::given(&names, &Product::default(), &options.model_bands)?;
        let mut places = Vec::with_capacity(planes);
        let mut found = Vec::with_capacity(planes);
        for (place, (common, band)) in named.into_iter().zip(bands).enumerate() {
            let Some(common) = common else { continue };
            band.check(name)?;
            let radiometry = band.stated(options.assume_reflectance);
            let nodata = match band.nodata {
                Some(number) => nodata::given(&path, number, dtype)?,
                None => None,
            };
            places.push(place);
            found.push(SceneBand {
                name: common,
                source: band.name.clone(),
                dtype,
                resolution: None,
                radiometry: radiometry.with_nodata(nodata),
            });
        }
        if found.is_empty() {
            return Err(Error::usage("`options.bands`: no band is left"));
        }
        let block = match images {
            1 => [height.min(BLOCK), width.min(BLOCK)],
            _ => [height, width],
        };
        let mut scene = Self {
            info: SceneInfo {
                name: name.to_owned(),
                path,
                product: format!("array, {} of {}", count(found.len(), "band"), dtype.name()),
                size: [images * height, width],
                block,
                georeference: on_the_ground(options.resolution)?,
                bands: found,
                sun: None,
                acquired: None,
                notes: Vec::new(),
            },
            values,
            places,
            nodata: NoData::default(),
        };
        let stated: Vec<&ArrayBand> = scene.places.iter().map(|place| &bands[*place]).collect();
        scene.infer(&stated, options)?;
        Ok(scene)
    }

    /// One image of the array as a scene by itself, whose numbers are read as those of all; `None`
    /// where there is none of this number.
    pub fn image(&self, image: usize) -> Option<ArrayScene<'a>> {
        let [images, _, height, width] = self.values.shape();
        (image < images).then(|| {
            let mut one = self.clone();
            one.values = self.values.images(image..image + 1);
            one.info.size = [height, width];
            one
        })
    }

    /// Finds fills and scales that are not stated.
    fn infer(&mut self, stated: &[&ArrayBand], options: &ArrayOptions) -> Result<()> {
        let nodata_stated = stated.iter().any(|band| band.nodata.is_some());
        if !nodata_stated && !options.declared_only {
            let (found, shown) = nodata::recognise(&self.info, &self.nodata, |bands, window| {
                Ok(self.stored(bands, window))
            })?;
            self.nodata = found;
            for (band, number) in shown {
                self.info.bands[band].radiometry.nodata = Some(number);
            }
            self.info.notes.extend(self.nodata.notes());
        }
        if stated.iter().all(|band| band.scale_factor.is_some()) {
            return Ok(());
        }
        let sampled = Sampled::of(&self.info, |bands, window| Ok(self.stored(bands, window)))?;
        let offset_stated = stated.iter().any(|band| band.add_offset.is_some());
        let inferred = SceneOptions {
            // In place of hints at offsets.
            offset: offset_stated.then_some(0.0),
            assume_reflectance: options.assume_reflectance,
            ..SceneOptions::default()
        };
        infer_radiometry(&mut self.info, &sampled, &inferred);
        for (band, stated) in self.info.bands.iter_mut().zip(stated) {
            if stated.scale_factor.is_none() {
                band.radiometry.bias = stated.add_offset.unwrap_or(0.0);
            }
        }
        Ok(())
    }

    /// Stored numbers, NaN where there is no data; for few pixels at a time.
    fn stored(&self, bands: &[usize], window: Window) -> Array3<f64> {
        let mut stored = Array3::zeros((bands.len(), window.rows, window.cols));
        self.each_row(bands, window, &mut stored, |_, number| number);
        self.nodata.blank(&self.info.bands, bands, &mut stored);
        stored
    }

    /// Fills `out` with what `convert` makes of the band and the stored number.
    fn each_row<T: Send>(
        &self,
        bands: &[usize],
        window: Window,
        out: &mut Array3<T>,
        convert: impl Fn(usize, f64) -> T + Sync,
    ) {
        let height = self.values.shape()[2];
        let cols = window.col..window.col + window.cols;
        let Some(numbers) = out.as_slice_mut() else {
            unreachable!("the caller's own array is contiguous");
        };
        with_view!(&self.values, view => {
            numbers
                .par_chunks_mut(window.cols.max(1))
                .with_min_len(NUMBERS_PER_TASK.div_ceil(window.cols.max(1)))
                .enumerate()
                .for_each(|(index, out)| {
                    let band = bands[index / window.rows];
                    let row = window.row + index % window.rows;
                    let place = s![row / height, self.places[band], row % height, cols.clone()];
                    fill(out, view.slice(place), |number| convert(band, number));
                });
        });
    }
}

/// Converts a row of numbers.
fn fill<N: Number, T>(out: &mut [T], row: ArrayView1<'_, N>, convert: impl Fn(f64) -> T) {
    match row.as_slice() {
        Some(row) => {
            for (out, number) in out.iter_mut().zip(row) {
                *out = convert(number.wide());
            }
        }
        None => {
            for (out, number) in out.iter_mut().zip(row) {
                *out = convert(number.wide());
            }
        }
    }
}

/// A stored number.
trait Number: Copy + Send + Sync {
    /// As f64, which holds it exactly (of 64 bits: rounded).
    fn wide(self) -> f64;
}

macro_rules! numbers {
    ($($format:ty),*) => {
        $(impl Number for $format {
            fn wide(self) -> f64 {
                self as f64
            }
        })*
    };
}
numbers!(u8, i8, u16, i16, u32, i32, i64, f32, f64);

impl ArrayBand {
    /// # Errors
    /// Numbers that can't be meant.
    fn check(&self, array: &str) -> Result<()> {
        let wrong = |option: &str, value: f64, expected: &str| {
            let band = crate::text::one_line(&self.name);
            let message =
                format!("{array}, band {band}: {option} = {value}; {expected} is expected");
            Err(Error::usage(message))
        };
        match (self.scale_factor, self.add_offset) {
            (Some(scale), _) if !scale.is_finite() || scale == 0.0 => {
                wrong("scale_factor", scale, "a finite number other than 0")
            }
            (_, Some(offset)) if !offset.is_finite() => {
                wrong("add_offset", offset, "a finite number")
            }
            _ => Ok(()),
        }
    }

    /// What is stated; [`Origin::Guessed`] with a scale of 1 where no scale is.
    fn stated(&self, assumed: bool) -> Radiometry {
        let origin = match (self.scale_factor, assumed) {
            (None, _) => Origin::Guessed,
            (Some(_), true) => Origin::MetadataAssumed,
            (Some(_), false) => Origin::Given,
        };
        Radiometry {
            gain: self.scale_factor.unwrap_or(1.0),
            bias: self.add_offset.unwrap_or(0.0),
            ..Radiometry::scaled(1.0, 0.0, origin)
        }
    }
}

/// A place of which only the size of pixels is known.
fn on_the_ground(resolution: Option<f64>) -> Result<Georeference> {
    match resolution {
        None => Ok(Georeference::default()),
        Some(metres) if metres.is_finite() && metres > 0.0 => Ok(Georeference::of_pixels(metres)),
        Some(metres) => Err(Error::usage(format!(
            "`options.resolution = {metres}`: a number of metres above 0 is expected"
        ))),
    }
}

impl Scene for ArrayScene<'_> {
    fn info(&self) -> &SceneInfo {
        &self.info
    }

    fn read(&self, bands: &[usize], window: Window) -> Result<Array3<f32>> {
        self.info.check(bands, window)?;
        (self.nodata).reflectance(&self.info.bands, bands, |bands, converter| {
            let mut out = Array3::zeros((bands.len(), window.rows, window.cols));
            self.each_row(bands, window, &mut out, |band, stored| {
                converter.convert(band, stored)
            });
            Ok(out)
        })
    }

    fn no_data(&self) -> &[String] {
        &self.nodata.found
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array4;

    use super::*;

    fn bands(names: &[&str]) -> Vec<ArrayBand> {
        let band = |name: &&str| ArrayBand {
            name: (*name).to_owned(),
            ..ArrayBand::default()
        };
        names.iter().map(band).collect()
    }

    fn whole(scene: &ArrayScene<'_>) -> Array3<f32> {
        let [rows, cols] = scene.info().size;
        let all: Vec<usize> = (0..scene.info().bands.len()).collect();
        let (row, col) = (0, 0);
        let window = Window {
            row,
            col,
            rows,
            cols,
        };
        scene.read(&all, window).unwrap()
    }

    #[test]
    fn numbers_are_read_where_they_lie_whatever_their_strides() {
        // [height, width, bands], seen as [1, bands, height, width].
        let stored = Array4::from_shape_fn((1, 3, 4, 2), |(_, row, col, band)| {
            (1000 * band + 10 * row + col) as u16 + 1
        });
        let view = stored.view().permuted_axes([0, 3, 1, 2]);
        let mut named = bands(&["B04", "-"]);
        named[0].scale_factor = Some(2e-4);
        named[0].add_offset = Some(-0.1);
        named[0].nodata = Some(12.0);
        let scene = ArrayScene::new(
            "x",
            ArrayValues::U16(view),
            &named,
            &ArrayOptions::default(),
        )
        .unwrap();
        assert_eq!(scene.info().bands.len(), 1);
        assert_eq!(scene.info().bands[0].name, "red");
        let red = whole(&scene);
        assert_eq!(red.dim(), (1, 3, 4));
        assert_eq!(red[[0, 2, 3]], (24.0 * 2e-4 - 0.1) as f32);
        assert!(red[[0, 1, 1]].is_nan());
    }

    #[test]
    fn a_scale_is_inferred_for_all_images_together() {
        // Alone, the first would be brightness of 8 bits.
        let stored = Array4::from_shape_fn((2, 3, 32, 32), |(image, band, row, col)| {
            let number = 1 + (row * 32 + col) as u16 / 5 + band as u16;
            number * if image == 0 { 1 } else { 40 }
        });
        let scene = ArrayScene::new(
            "x",
            ArrayValues::U16(stored.view()),
            &bands(&["red", "green", "blue"]),
            &ArrayOptions::default(),
        )
        .unwrap();
        assert!(scene.info().notes[0].contains("reflectance × 10000"));
        let all = whole(&scene);
        assert!(scene.image(2).is_none());
        for image in 0..2 {
            let one = scene.image(image).unwrap();
            assert_eq!(one.info().size, [32, 32]);
            let rows = s![.., 32 * image..32 * (image + 1), ..];
            assert_eq!(whole(&one), all.slice(rows));
        }
    }

    #[test]
    fn what_is_not_stated_is_inferred_and_what_is_is_kept() {
        let stored = Array4::from_shape_fn((1, 2, 64, 64), |(_, _, row, col)| match row {
            0..20 => -9999.0,
            _ => 0.01 * (row + col) as f32 / 2.0,
        });
        let view = || ArrayValues::F32(stored.view());
        let mut named = bands(&["red", "nir"]);
        let options = ArrayOptions::default();
        let scene = ArrayScene::new("x", view(), &named, &options).unwrap();
        assert!(whole(&scene)[[0, 0, 0]].is_nan());
        assert_eq!(scene.no_data().len(), 1);
        assert!(
            scene
                .info()
                .notes
                .iter()
                .any(|n| n.contains("`options.nodata = none`"))
        );
        named
            .iter_mut()
            .for_each(|band| band.nodata = Some(f64::NAN));
        named[0].add_offset = Some(0.5);
        let scene = ArrayScene::new("x", view(), &named, &options).unwrap();
        assert_eq!(whole(&scene)[[1, 0, 0]], -9999.0);
        let radiometry = &scene.info().bands[0].radiometry;
        assert_eq!((radiometry.gain, radiometry.bias), (1.0, 0.5));
    }

    #[test]
    fn arrays_that_can_t_be_scenes_are_errors() {
        let stored = Array4::<u8>::zeros((1, 2, 3, 3));
        let error = |named: &[ArrayBand], resolution| {
            let options = ArrayOptions {
                resolution,
                ..ArrayOptions::default()
            };
            let values = ArrayValues::U8(stored.view());
            ArrayScene::new("x", values, named, &options)
                .err()
                .map(|e| e.to_string())
        };
        assert!(
            error(&bands(&["red"]), None)
                .unwrap()
                .contains("1 band name for an array")
        );
        assert!(
            error(&bands(&["red", "rot"]), None)
                .unwrap()
                .contains("`rot`")
        );
        assert!(
            error(&bands(&["-", "-"]), None)
                .unwrap()
                .contains("no band is left")
        );
        let mut named = bands(&["red", "nir"]);
        assert!(error(&named, Some(0.0)).unwrap().contains("resolution"));
        named[1].nodata = Some(300.0);
        assert!(error(&named, None).unwrap().contains("uint8"));
        named[1].nodata = None;
        named[1].scale_factor = Some(0.0);
        assert!(error(&named, None).unwrap().contains("scale_factor = 0"));
        let empty = Array4::<u8>::zeros((1, 2, 0, 3));
        let options = ArrayOptions::default();
        let values = ArrayValues::U8(empty.view());
        assert!(ArrayScene::new("x", values, &bands(&["red", "nir"]), &options).is_err());
    }
}
