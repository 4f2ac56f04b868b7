//! Simulated sky over a folder of real images, as folders of pairs that training reads.

use std::path::{Path, PathBuf};

use ndarray::Array3;
use rayon::prelude::*;

use crate::class::Class;
use crate::data::SPLIT_NAMES;
use crate::error::{Error, Result};
use crate::mask;
use crate::output::write_atomic;
use crate::raster::{DType, Window, stem};
use crate::scene::{SceneOptions, open_scene};

use super::noise::hash;
use super::tiff::{self, Image, Stored};
use super::{Overcast, SkyOver};

/// Label of pixels that are not labelled.
const IGNORED: u8 = 255;

/// Scale of the images written where the ground's is not in whole numbers.
const PLAIN_SCALE: [f64; 2] = [1e-4, 0.0];

/// What [`write_over`] makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OverPlan {
    /// Samples for training, validation and test.
    pub counts: [usize; 3],
    /// Seed of all skies and of which ground is for which split.
    pub seed: u64,
    /// Side of a pixel in metres of images that don't state theirs.
    pub pixel: Option<f64>,
}

/// What [`write_over`] made of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OverReport {
    /// Images that serve as ground.
    pub grounds: usize,
    /// Images whose label shows cloud or shadow, which don't.
    pub cloudy: usize,
    /// Of the grounds, those without a label, which are taken to be clear.
    pub unlabelled: usize,
    /// Bands in which no light is simulated, which are left out.
    pub left_out: Vec<String>,
}

/// An image without clouds.
struct Ground {
    name: String,
    /// Reflectance, NaN for no data.
    bands: Array3<f32>,
    pixel: f64,
    dtype: DType,
    /// Reflectance = stored × gain + bias.
    scale: Vec<[f64; 2]>,
}

/// Puts simulated skies over the images of `ground`, a folder with `image/NAME.tif` and,
/// where there are labels, `label/NAME.tif`, and writes `SPLIT/image/NAME_K.tif` and
/// `SPLIT/label/NAME_K.tif` for the splits `train`, `val` and `test` into `folder`, as
/// training reads them, and `metadata.csv`.
///
/// Images whose label is 0 throughout (255 aside) serve, each for one split only; those
/// without a label are taken to be clear. What is written has the image's own bands,
/// numbers and scale, so that it saturates where the image would. Equal arguments give
/// equal files; `progress` is called after each sample with the name of its split.
///
/// # Errors
/// No image that serves, fewer than splits requested, images of different bands, an
/// image without a pixel size where `plan` gives none, other files where samples are
/// to be written, or a file that can't be read or written.
pub fn write_over(
    over: &SkyOver,
    ground: &Path,
    folder: &Path,
    plan: &OverPlan,
    mut progress: impl FnMut(&str),
) -> Result<OverReport> {
    if plan.counts == [0; 3] {
        return Err(Error::usage("no sample was requested"));
    }
    let (mut names, mut report) = clear_images(ground)?;
    // By a hash of the name: what is added to the folder moves few others.
    names.sort_by_key(|path| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        (of_name(plan.seed, &name), name.into_owned())
    });
    let (bands, left_out) = usable_bands(&names[0])?;
    report.left_out = left_out;
    let parts = divide(names.len(), plan.counts, ground)?;
    let mut rows = Vec::new();
    let mut first = 0;
    for (k, split) in SPLIT_NAMES.iter().enumerate() {
        let (count, grounds) = (plan.counts[k], parts[k]);
        let mine = &names[first..first + grounds];
        first += grounds;
        if count == 0 {
            continue;
        }
        let seed = hash(plan.seed, [k as u64, 0x6f76, 0]);
        let place = |index: usize, kind: &str| {
            let ground = stem(&mine[index % grounds]);
            folder
                .join(split)
                .join(kind)
                .join(format!("{ground}_{index:04}.tif"))
        };
        refuse_others(&folder.join(split), (0..count).map(|k| place(k, "image")))?;
        let chunk = 2 * rayon::current_num_threads().max(1);
        for start in (0..count).step_by(chunk) {
            let made: Vec<Result<(usize, Overcast)>> = (start..(start + chunk).min(count))
                .into_par_iter()
                .map(|index| {
                    let path = &mine[index % grounds];
                    let ground = Ground::read(path, &bands, plan.pixel)?;
                    let sky = over
                        .render(
                            ground.bands.view(),
                            &bands,
                            ground.pixel,
                            seed,
                            index as u64,
                        )
                        .map_err(|e| Error::format(path, e.to_string()))?;
                    ground.write(&place(index, "image"), &bands, &sky)?;
                    mask::write(&place(index, "label"), &sky.label, None)?;
                    Ok((index, sky))
                })
                .collect();
            for made in made {
                let (index, sky) = made?;
                rows.push(row(
                    split,
                    &place(index, "image"),
                    &mine[index % grounds],
                    &sky,
                ));
                progress(split);
            }
        }
    }
    write_metadata(&folder.join("metadata.csv"), &rows)?;
    Ok(report)
}

/// Images of the folder whose label shows nothing but clear ground.
fn clear_images(ground: &Path) -> Result<(Vec<PathBuf>, OverReport)> {
    let images = ground.join("image");
    let mut report = OverReport::default();
    let mut found = Vec::new();
    let entries = std::fs::read_dir(&images).map_err(|e| Error::io(&images, e))?;
    for entry in entries {
        let path = entry.map_err(|e| Error::io(&images, e))?.path();
        let tiff = path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("tif") || e.eq_ignore_ascii_case("tiff"));
        if !tiff || stem(&path).starts_with('.') {
            continue;
        }
        let label = ground
            .join("label")
            .join(path.file_name().unwrap_or_default());
        if !label.exists() {
            report.unlabelled += 1;
        } else if !mask::read(&label)?
            .iter()
            .all(|code| *code == Class::Clear as u8 || *code == IGNORED)
        {
            report.cloudy += 1;
            continue;
        }
        found.push(path);
    }
    if found.is_empty() {
        let message = format!(
            "none of its *.tif is without cloud ({} have a label that shows some)",
            report.cloudy
        );
        return Err(Error::format(&images, message));
    }
    report.grounds = found.len();
    Ok((found, report))
}

/// The bands of an image in which light is simulated, and the others.
fn usable_bands(path: &Path) -> Result<(Vec<String>, Vec<String>)> {
    let scene = open_scene(path, &SceneOptions::default())?;
    let names = scene.info().bands.iter().map(|band| band.name.clone());
    let (use_, leave): (Vec<_>, Vec<_>) = names.partition(|name| SkyOver::band(name).is_some());
    if use_.is_empty() {
        let message = format!("none of its bands is simulated: {}", leave.join(", "));
        return Err(Error::format(path, message));
    }
    Ok((use_, leave))
}

/// How many of `images` each split gets: in proportion to its samples, at least one.
fn divide(images: usize, counts: [usize; 3], folder: &Path) -> Result<[usize; 3]> {
    let requested = counts.iter().filter(|count| **count > 0).count();
    if images < requested {
        let message =
            format!("{images} images without cloud can't serve {requested} splits: none is in two");
        return Err(Error::format(folder, message));
    }
    let total: usize = counts.iter().sum();
    let mut parts = counts.map(|count| match count {
        0 => 0,
        count => (images * count / total).max(1),
    });
    // What rounding leaves, or took too much of, is the largest split's.
    let largest = (0..3).max_by_key(|k| (counts[*k], 3 - k)).unwrap_or(0);
    let others: usize = (0..3).filter(|k| *k != largest).map(|k| parts[k]).sum();
    parts[largest] = images - others;
    Ok(parts)
}

/// Refuses a folder of samples with others in it: training would take them as well.
fn refuse_others(split: &Path, own: impl Iterator<Item = PathBuf>) -> Result<()> {
    let folder = split.join("image");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return Ok(());
    };
    let own: std::collections::HashSet<PathBuf> = own.collect();
    for entry in entries {
        let path = entry.map_err(|e| Error::io(&folder, e))?.path();
        if !own.contains(&path) {
            let message = format!(
                "{} is there already, and is none of the samples to be written; choose an empty \
                 folder for `options.folder`",
                path.display()
            );
            return Err(Error::usage(message));
        }
    }
    Ok(())
}

impl Ground {
    fn read(path: &Path, bands: &[String], pixel: Option<f64>) -> Result<Self> {
        let scene = open_scene(path, &SceneOptions::default())?;
        let info = scene.info();
        let positions = bands
            .iter()
            .map(|name| {
                let position = info.bands.iter().position(|band| band.name == *name);
                position.ok_or_else(|| {
                    let have: Vec<&str> = info.bands.iter().map(|b| b.name.as_str()).collect();
                    let message = format!("no band {name}, as other images have; it has {have:?}");
                    Error::format(path, message)
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let place = &info.georeference;
        let stated = place.pixel_size().filter(|_| {
            place
                .keys
                .as_ref()
                .is_some_and(|keys| !keys.is_geographic())
        });
        let pixel = stated.map(|[width, _]| width).or(pixel).ok_or_else(|| {
            Error::format(path, "states no pixel size in metres; give `options.pixel`")
        })?;
        let [rows, cols] = info.size;
        let window = Window {
            row: 0,
            col: 0,
            rows,
            cols,
        };
        let first = info.bands[positions[0]].dtype;
        let same = positions.iter().all(|k| info.bands[*k].dtype == first);
        let whole = same && matches!(first, DType::U8 | DType::U16);
        Ok(Self {
            name: stem(path),
            bands: scene.read(&positions, window)?,
            pixel,
            dtype: if whole { first } else { DType::U16 },
            scale: positions
                .iter()
                .map(|k| match whole {
                    true => [
                        info.bands[*k].radiometry.gain,
                        info.bands[*k].radiometry.bias,
                    ],
                    false => PLAIN_SCALE,
                })
                .collect(),
        })
    }

    /// Writes what is seen of it, in its own numbers.
    fn write(&self, path: &Path, bands: &[String], sky: &Overcast) -> Result<()> {
        let (_, rows, cols) = sky.bands.dim();
        let most: f64 = match self.dtype {
            DType::U8 => 255.0,
            _ => 65_535.0,
        };
        let stored = sky
            .bands
            .axis_iter(ndarray::Axis(0))
            .zip(&self.scale)
            .flat_map(|(plane, [gain, bias])| {
                let number = |value: &f32| match value.is_finite() {
                    true => ((f64::from(*value) - bias) / gain).round().clamp(1.0, most) as u16,
                    false => 0,
                };
                plane.iter().map(number).collect::<Vec<u16>>()
            })
            .collect::<Vec<u16>>();
        let bytes: Vec<u8>;
        let pixels = match self.dtype {
            DType::U8 => {
                bytes = stored.iter().map(|v| *v as u8).collect();
                Stored::U8(&bytes)
            }
            _ => Stored::U16(&stored),
        };
        let image = Image {
            pixels,
            shape: [rows, cols],
            bands,
            scale: &self.scale,
        };
        tiff::write(path, &image).map_err(|e| Error::format(path, format!("{}: {e}", self.name)))
    }
}

fn of_name(seed: u64, name: &str) -> u64 {
    name.bytes()
        .fold(seed, |key, byte| hash(key, [u64::from(byte), 1, 0]))
}

const COLUMNS: [&str; 7] = [
    "split",
    "image",
    "ground",
    "weather",
    "sun_azimuth",
    "sun_zenith",
    "haze",
];

fn row(split: &str, image: &Path, ground: &Path, sky: &Overcast) -> Vec<String> {
    let mut row = vec![
        split.to_owned(),
        stem(image),
        stem(ground),
        sky.weather.name().to_owned(),
        format!("{:.2}", sky.sun_azimuth),
        format!("{:.2}", sky.sun_zenith),
        format!("{:.3}", sky.haze),
    ];
    row.extend(Class::ALL.map(|class| {
        let count = sky
            .label
            .iter()
            .filter(|code| **code == class as u8)
            .count();
        format!("{:.5}", count as f64 / sky.label.len() as f64)
    }));
    row
}

fn write_metadata(path: &Path, rows: &[Vec<String>]) -> Result<()> {
    let classes = Class::ALL.map(|class| class.name().replace(' ', "_"));
    write_atomic(path, |out| {
        let fail = |e: csv::Error| Error::io(path, std::io::Error::other(e));
        let mut table = csv::Writer::from_writer(out);
        let header = COLUMNS
            .iter()
            .copied()
            .chain(classes.iter().map(String::as_str));
        table.write_record(header).map_err(fail)?;
        for row in rows {
            table.write_record(row).map_err(fail)?;
        }
        table.flush().map_err(|e| Error::io(path, e))
    })
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::samples;

    const SIDE: usize = 64;

    /// A folder of `count` clear pictures of 8 bits and one with a cloud in its label.
    fn grounds(folder: &Path, count: usize) {
        let bands: Vec<String> = ["red", "green", "blue"].map(str::to_owned).into();
        let scale = [[1.0 / 357.0, 0.0]; 3];
        for k in 0..=count {
            let name = format!("g{k}.tif");
            let pixels: Vec<u8> = (0..3 * SIDE * SIDE)
                .map(|p| 30 + (p / 8 % 5) as u8 + 3 * k as u8)
                .collect();
            let image = Image {
                pixels: Stored::U8(&pixels),
                shape: [SIDE, SIDE],
                bands: &bands,
                scale: &scale,
            };
            tiff::write(&folder.join("image").join(&name), &image).unwrap();
            let label = Array2::from_elem((SIDE, SIDE), u8::from(k == count));
            mask::write(&folder.join("label").join(&name), &label, None).unwrap();
        }
    }

    fn plan(counts: [usize; 3]) -> OverPlan {
        OverPlan {
            counts,
            seed: 3,
            pixel: Some(45.0),
        }
    }

    #[test]
    fn training_reads_the_written_pairs_and_each_ground_is_in_one_split() {
        let (real, out, again) = (
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
        );
        grounds(real.path(), 4);
        let make = |folder: &Path| {
            let over = SkyOver { hard: 0.2 };
            write_over(&over, real.path(), folder, &plan([9, 4, 0]), |_| {}).unwrap()
        };
        let report = make(out.path());
        assert_eq!(
            (report.grounds, report.cloudy, report.unlabelled),
            (4, 1, 0)
        );
        make(again.path());
        let table = std::fs::read_to_string(out.path().join("metadata.csv")).unwrap();
        assert_eq!(table.lines().count(), 14);
        let mut of_split = [
            std::collections::HashSet::new(),
            std::collections::HashSet::new(),
        ];
        for line in table.lines().skip(1) {
            let cells: Vec<&str> = line.split(',').collect();
            of_split[usize::from(cells[0] == "val")].insert(cells[2].to_owned());
            for kind in ["image", "label"] {
                let file = Path::new(cells[0])
                    .join(kind)
                    .join(format!("{}.tif", cells[1]));
                let read = |folder: &Path| std::fs::read(folder.join(&file)).unwrap();
                assert!(read(out.path()) == read(again.path()), "{file:?} differs");
            }
        }
        assert!(of_split[0].is_disjoint(&of_split[1]) && !of_split[1].is_empty());
        assert!(!of_split[0].contains("g4") && !of_split[1].contains("g4"));
        assert!(!out.path().join("test").exists());
        // Read as training reads them: a picture's own bytes and bands, and exact labels.
        let data = samples::open(&out.path().join("train")).unwrap();
        assert_eq!(data.len(), 9);
        let mut classes = [0; 4];
        for index in 0..9 {
            assert_eq!(data.dtype(index).unwrap(), DType::U8);
            assert_eq!(data.shape(index).unwrap(), [3, SIDE, SIDE]);
            let names = data.channel_names(index).unwrap().unwrap();
            assert_eq!(names, ["red", "green", "blue"]);
            let label = data.read_label(index).unwrap().unwrap();
            label.iter().for_each(|class| classes[*class as usize] += 1);
        }
        assert!(classes[0] > 0 && classes[1] + classes[2] > 0, "{classes:?}");
    }

    #[test]
    fn wrong_grounds_are_errors_that_name_the_cause() {
        let (real, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        grounds(real.path(), 1);
        let run = |plan: &OverPlan| {
            write_over(&SkyOver::default(), real.path(), out.path(), plan, |_| {})
                .map_err(|e| e.to_string())
        };
        let none = OverPlan {
            pixel: None,
            ..plan([1, 0, 0])
        };
        assert!(run(&none).unwrap_err().contains("`options.pixel`"));
        assert!(run(&plan([1, 1, 0])).unwrap_err().contains("2 splits"));
        assert!(run(&plan([0, 0, 0])).unwrap_err().contains("no sample"));
        run(&plan([2, 0, 0])).unwrap();
        assert!(run(&plan([1, 0, 0])).unwrap_err().contains("there already"));
    }

    #[test]
    fn samples_divide_the_grounds() {
        let folder = Path::new("f");
        assert_eq!(divide(10, [8, 1, 1], folder).unwrap(), [8, 1, 1]);
        assert_eq!(divide(3, [300, 1, 1], folder).unwrap(), [1, 1, 1]);
        assert_eq!(divide(5, [7, 0, 0], folder).unwrap(), [5, 0, 0]);
        assert_eq!(divide(31, [100, 20, 0], folder).unwrap(), [26, 5, 0]);
    }
}
