//! Simulated train, validation and test samples in the layout of CloudSEN12+.

use std::path::{Path, PathBuf};

use ndarray::{Array3, s};
use rayon::prelude::*;

use crate::class::Class;
use crate::data::SPLIT_NAMES;
use crate::error::{Error, Result};
use crate::output::write_atomic;
use crate::samples::pickle;

use super::noise::hash;
use super::spectra::BANDS;
use super::{SimulatedScene, Simulator};

/// Channels of a sample: the bands, the label, and a spare one of zeros.
const CHANNELS: usize = BANDS + 2;

/// What [`write_splits`] makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitPlan {
    /// Samples for training, validation and test.
    pub counts: [usize; 3],
    /// Side of a sample, pixels.
    pub size: usize,
    /// Seed of all samples.
    pub seed: u64,
}

impl SplitPlan {
    /// The files that [`write_splits`] writes into `folder`.
    pub fn files(&self, folder: &Path) -> Vec<PathBuf> {
        let splits = SPLIT_NAMES
            .iter()
            .zip(self.counts)
            .filter(|(_, count)| *count > 0);
        let names = splits.map(|(name, _)| format!("{name}_split.pkl"));
        names
            .chain(["metadata.csv".to_owned()])
            .map(|name| folder.join(name))
            .collect()
    }
}

/// Writes `train_split.pkl`, `val_split.pkl`, `test_split.pkl` and `metadata.csv` into
/// `folder`: lists of uint16 arrays `[15, size, size]` with the 13 bands × 10000, the
/// label (channel 13) and zeros. A split of no samples is not written.
///
/// `metadata.csv` has a row per sample: `split`, `index` (in its file), `roi_id`,
/// `proj_shape` (the size), `landscape`, `weather`, `sun_azimuth`, `sun_zenith`
/// (degrees), and the share of each class. No region of interest is in two splits.
///
/// Samples are made in parallel, at most two per thread in memory; `progress` is called
/// after each with the name of its split. Equal arguments give equal files.
///
/// # Errors
/// As for [`Simulator::check`], no sample requested, or a file that can't be written.
pub fn write_splits(
    simulator: &Simulator,
    folder: &Path,
    plan: &SplitPlan,
    mut progress: impl FnMut(&str),
) -> Result<()> {
    simulator.check(plan.size)?;
    if plan.counts == [0; 3] {
        return Err(Error::usage("no sample was requested"));
    }
    let mut rows = Vec::new();
    for ((split, name), count) in (0u64..).zip(SPLIT_NAMES).zip(plan.counts) {
        if count == 0 {
            continue;
        }
        let seed = hash(plan.seed, [split, 0, 0]);
        let chunk = 2 * rayon::current_num_threads().max(1);
        let samples = (0..count).step_by(chunk).flat_map(|start| {
            let scenes: Vec<Result<SimulatedScene>> = (start..(start + chunk).min(count))
                .into_par_iter()
                .map(|index| simulator.simulate(seed, index as u64, plan.size))
                .collect();
            let arrays: Vec<Result<Array3<u16>>> = (start..)
                .zip(scenes)
                .map(|(index, scene)| {
                    let scene = scene?;
                    rows.push(row(name, index, &scene));
                    progress(name);
                    Ok(sample(&scene))
                })
                .collect();
            arrays
        });
        pickle::write_u16(&folder.join(format!("{name}_split.pkl")), samples)?;
    }
    write_metadata(&folder.join("metadata.csv"), &rows)
}

/// A scene as one array of the notebook's layout.
fn sample(scene: &SimulatedScene) -> Array3<u16> {
    let (rows, cols) = scene.label.dim();
    let mut array = Array3::zeros((CHANNELS, rows, cols));
    array.slice_mut(s![..BANDS, .., ..]).assign(&scene.bands);
    array
        .slice_mut(s![BANDS, .., ..])
        .assign(&scene.label.mapv(u16::from));
    array
}

fn row(split: &str, index: usize, scene: &SimulatedScene) -> Vec<String> {
    let (rows, _) = scene.label.dim();
    let mut row = vec![
        split.to_owned(),
        index.to_string(),
        format!("{split}_{}", scene.roi),
        rows.to_string(),
        scene.landscape.name().to_owned(),
        scene.weather.name().to_owned(),
        format!("{:.2}", scene.sun_azimuth),
        format!("{:.2}", scene.sun_zenith),
    ];
    row.extend(scene.class_shares().map(|share| format!("{share:.5}")));
    row
}

fn write_metadata(path: &Path, rows: &[Vec<String>]) -> Result<()> {
    let mut header = vec![
        "split".to_owned(),
        "index".to_owned(),
        "roi_id".to_owned(),
        "proj_shape".to_owned(),
        "landscape".to_owned(),
        "weather".to_owned(),
        "sun_azimuth".to_owned(),
        "sun_zenith".to_owned(),
    ];
    header.extend(Class::ALL.map(|class| class.name().replace(' ', "_")));
    write_atomic(path, |out| {
        let fail = |e: csv::Error| Error::io(path, std::io::Error::other(e));
        let mut table = csv::Writer::from_writer(out);
        table.write_record(&header).map_err(fail)?;
        for row in rows {
            table.write_record(row).map_err(fail)?;
        }
        table.flush().map_err(|e| Error::io(path, e))
    })
}
