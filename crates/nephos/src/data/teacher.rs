//! Soft targets from a teacher network where labels are sets of classes.
//!
//! A teacher gives each pixel a probability of cloud and one of cloud shadow, or none. Each
//! time a sample is drawn, one level in [0, 1) is drawn for all its pixels: the target is
//! cloud where the probability of cloud exceeds the level, else shadow where one minus the
//! probability of shadow is at most the level. Over many draws a pixel is a target of cloud
//! as often as its probability is, so the expected loss is the cross-entropy with the
//! teacher's probabilities (Hinton et al. 2015, doi:10.48550/arXiv.1503.02531, temperature 1),
//! and every single target is a mask with sharp borders.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Array3, ArrayView3, ArrayViewMut2, Axis};
use nephos_kernel::loss::{Label, SETS};

use crate::band;
use crate::class::{CLASS_COUNT, Class};
use crate::error::{Error, Result};
use crate::raster::Window;
use crate::scene::{self, SceneOptions};

/// Number of a probability of 1.
const ONE: f32 = 250.0;
/// Number where the teacher gives no probability.
pub(crate) const UNKNOWN: u8 = 255;
/// Names of the bands, in the order of the planes.
const BANDS: [&str; 2] = ["cloud", "shadow"];

/// A folder of probabilities, a file for each sample.
#[derive(Clone)]
pub(crate) struct Teacher {
    folder: PathBuf,
}

impl Teacher {
    /// # Errors
    /// There is no such folder.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        match folder.is_dir() {
            true => Ok(Self {
                folder: folder.to_owned(),
            }),
            false => Err(Error::format(
                folder,
                "no folder; a teacher is a folder with NAME.tif for each sample, bands cloud \
                 and shadow (docs/teacher.md)",
            )),
        }
    }

    /// Probabilities × 250 of cloud and shadow in the sample of that name, 255 where unknown;
    /// `None` where there is no file for it.
    ///
    /// # Shapes
    /// - output: `[2, rows, cols]` for `size = [rows, cols]`
    ///
    /// # Errors
    /// A broken file, one of another size, or without the two bands.
    pub(crate) fn read(&self, sample: &str, size: [usize; 2]) -> Result<Option<Array3<u8>>> {
        let path = self.folder.join(format!("{sample}.tif"));
        if !path.exists() {
            return Ok(None);
        }
        let raster = scene::open_scene(&path, &SceneOptions::stored())?;
        let info = raster.info();
        let [rows, cols] = info.size;
        if info.size != size {
            let message = format!(
                "{rows} × {cols} pixels of a teacher for a sample of {} × {}",
                size[0], size[1]
            );
            return Err(Error::format(&path, message));
        }
        let mut planes = Vec::with_capacity(BANDS.len());
        for name in BANDS {
            let place = (info.bands.iter())
                .position(|known| band::canonical(&known.name) == name)
                .ok_or_else(|| {
                    let names: Vec<&str> = info.bands.iter().map(|b| b.name.as_str()).collect();
                    let message = format!(
                        "a teacher's file has bands named cloud and shadow; this has {}",
                        names.join(", ")
                    );
                    Error::format(&path, message)
                })?;
            planes.push(place);
        }
        let window = Window {
            row: 0,
            col: 0,
            rows,
            cols,
        };
        let numbers = raster.read(&planes, window)?;
        let mut wrong = None;
        let probabilities = numbers.mapv(|number| {
            if number.is_nan() || number == f32::from(UNKNOWN) {
                return UNKNOWN;
            }
            if !(0.0..=ONE).contains(&number) {
                wrong.get_or_insert(number);
            }
            number as u8
        });
        match wrong {
            None => Ok(Some(probabilities)),
            Some(number) => Err(Error::format(
                &path,
                format!("{number} is no probability × 250, and not 255"),
            )),
        }
    }
}

/// Narrows the labels of a sample to the teacher's target at `level`, a number drawn from
/// [0, 1). A label of one class stays; so does one that excludes the target.
///
/// # Shapes
/// - probabilities: `[2, rows, cols]`, see [`Teacher::read`]
pub(crate) fn narrow(
    mut label: ArrayViewMut2<'_, u8>,
    probabilities: ArrayView3<'_, u8>,
    level: f64,
    classes: usize,
) {
    let all = (1u8 << classes.min(CLASS_COUNT)) - 1;
    let of = |class: Class| 1u8 << class as u8;
    let cloud = of(Class::Thick) | of(Class::Thin);
    let (shadow, clear) = (of(Class::Shadow), of(Class::Clear));
    let level = (level * f64::from(ONE)) as f32;
    let planes = [0, 1].map(|plane| probabilities.index_axis(Axis(0), plane));
    ndarray::Zip::from(&mut label)
        .and(planes[0])
        .and(planes[1])
        .for_each(|label, of_cloud, of_shadow| {
            let open = match Label::of(*label) {
                Some(Label::Class(_)) => return,
                Some(Label::Either(bits)) => bits,
                None => all,
            };
            let is_cloud = (*of_cloud != UNKNOWN).then(|| f32::from(*of_cloud) > level);
            let is_shadow = (*of_shadow != UNKNOWN).then(|| ONE - f32::from(*of_shadow) <= level);
            let target = match (is_cloud, is_shadow) {
                (Some(true), _) => cloud,
                (_, Some(true)) => shadow,
                (Some(false), Some(false)) => clear,
                (Some(false), None) => clear | shadow,
                (None, Some(false)) => clear | cloud,
                (None, None) => return,
            } & all;
            let both = open & target;
            *label = match both.count_ones() {
                0 => *label,
                1 => both.trailing_zeros() as u8,
                _ => SETS | both,
            };
        });
}

/// No probability anywhere.
pub(crate) fn unknown(size: [usize; 2]) -> Array3<u8> {
    Array3::from_elem((BANDS.len(), size[0], size[1]), UNKNOWN)
}

/// Removes the probabilities of the pixels that `covered` marks.
pub(crate) fn remove(probabilities: &mut Array3<u8>, covered: &Array2<bool>) {
    for mut plane in probabilities.outer_iter_mut() {
        plane.zip_mut_with(covered, |number, covered| {
            if *covered {
                *number = UNKNOWN;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array, array};
    use nephos_kernel::loss::either;

    use super::*;
    use crate::class::IGNORE;

    fn narrowed(label: u8, cloud: u8, shadow: u8, level: f64) -> u8 {
        let mut label = array![[label]];
        let probabilities = array![[[cloud]], [[shadow]]];
        narrow(label.view_mut(), probabilities.view(), level, CLASS_COUNT);
        label[[0, 0]]
    }

    #[test]
    fn sets_of_classes_become_the_teachers_target() {
        let (clouds, dark) = (either(&[1, 2]), either(&[0, 3]));
        assert_eq!(narrowed(IGNORE, 250, 0, 0.5), clouds);
        assert_eq!(narrowed(IGNORE, 0, 250, 0.5), 3);
        assert_eq!(narrowed(IGNORE, 0, 0, 0.5), 0);
        assert_eq!(narrowed(IGNORE, 0, UNKNOWN, 0.5), dark);
        assert_eq!(narrowed(IGNORE, UNKNOWN, 0, 0.5), either(&[0, 1, 2]));
        assert_eq!(narrowed(IGNORE, UNKNOWN, UNKNOWN, 0.5), IGNORE);
        assert_eq!(narrowed(dark, 0, 250, 0.5), 3);
        assert_eq!(narrowed(dark, 0, 0, 0.5), 0);
        assert_eq!(narrowed(either(&[1, 2]), 250, 0, 0.5), clouds);
    }

    #[test]
    fn labels_of_one_class_stay() {
        assert_eq!(narrowed(0, 250, 0, 0.5), 0);
        assert_eq!(narrowed(2, 0, 250, 0.5), 2);
        let dark = either(&[0, 3]);
        assert_eq!(narrowed(dark, 250, 0, 0.5), dark, "a contradiction");
    }

    #[test]
    fn targets_have_the_frequencies_of_the_probabilities() {
        let levels = Array::linspace(0.0005, 0.9995, 1000);
        let count = |requested: u8| {
            let hits = levels
                .iter()
                .filter(|level| narrowed(IGNORE, 75, 50, **level) == requested);
            hits.count()
        };
        // 75 / 250 and 50 / 250.
        assert_eq!(count(either(&[1, 2])), 300);
        assert_eq!(count(3), 200);
        assert_eq!(count(0), 500);
    }
}
