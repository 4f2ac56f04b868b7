//! Provenance records in nephos's rasters.

use std::path::{Path, PathBuf};

use ndarray::ArrayView2;
use tiff_reader::TiffFile;

use super::format::MaskFormat;
use super::palette::palette;
use super::summary::MaskCounts;
use super::{MaskReader, geotiff, numpy, png};
use crate::class::{Class, IGNORE};
use crate::error::Result;
use crate::raster::{Georeference, tiff_items};
use crate::scene::{Kind, detect};

/// Which of its rasters a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaskKind {
    /// Classes.
    Classes,
    /// Cloud or no cloud.
    Cloud,
    /// Probabilities of the classes.
    Probabilities,
}

/// A raster that nephos made.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskRecord {
    /// What it holds.
    pub kind: MaskKind,
    /// Rows and columns.
    pub size: [usize; 2],
    /// Georeference.
    pub georeference: Georeference,
    /// Names and values of its provenance, in their order; empty where the file has none.
    pub tags: Vec<(String, String)>,
    /// The summary beside it that names it, for formats that hold no record.
    pub summary: Option<PathBuf>,
    /// Pixels by code; of probabilities only whether they are valid, as code 0.
    pub counts: MaskCounts,
}

/// The record of a mask, cloud mask or probabilities that nephos wrote: a GeoTIFF with
/// its tags, a PNG with its palette, or a `.npy` that the summary beside it names. `None`
/// for other files.
///
/// # Errors
/// A broken file.
pub fn read_record(path: &Path) -> Result<Option<MaskRecord>> {
    match detect(path) {
        Ok(Kind::Tiff) => of_tiff(path),
        Ok(Kind::Picture) => of_png(path),
        Ok(Kind::Npy) if summary_of(path).is_some() => {
            let codes = numpy::read_mask(path)?;
            Ok(Some(whole(path, codes.view(), Georeference::default())))
        }
        _ => Ok(None),
    }
}

fn of_tiff(path: &Path) -> Result<Option<MaskRecord>> {
    let tags = tiff_items(path)?;
    let has = |name: &str| tags.iter().any(|(own, _)| own == name);
    // The classes' names are written into masks without a record, too.
    let classes = has("CLASS_0") && has("CLASS_1");
    if !has("NEPHOS_VERSION") && !classes {
        return Ok(None);
    }
    let file = TiffFile::open(path).map_err(|e| geotiff::broken(path, e))?;
    let ifd = file.ifd(0).map_err(|e| geotiff::broken(path, e))?;
    let layout = ifd.raster_layout().map_err(|e| geotiff::broken(path, e))?;
    if layout.bytes_per_sample != 1 {
        return Ok(None);
    }
    let kind = match (layout.samples_per_pixel, has("CLASS_3")) {
        (1, true) => MaskKind::Classes,
        (1, false) if classes => MaskKind::Cloud,
        _ => MaskKind::Probabilities,
    };
    let mut counts = MaskCounts::default();
    if kind == MaskKind::Probabilities {
        let first = (file.read_band::<u8>(0, 0)).map_err(|e| geotiff::broken(path, e))?;
        counts.no_data = first.iter().filter(|code| **code == IGNORE).count() as u64;
        counts.classes[0] = first.len() as u64 - counts.no_data;
    } else {
        MaskReader::open(path)?.strips(|rows| {
            counts.add(rows.view());
            Ok(())
        })?;
    }
    Ok(Some(MaskRecord {
        kind,
        size: [layout.height, layout.width],
        georeference: Georeference::read(path)?,
        tags,
        summary: summary_of(path),
        counts,
    }))
}

/// A PNG with exactly the colours of a mask. Its codes are counted.
fn of_png(path: &Path) -> Result<Option<MaskRecord>> {
    if MaskFormat::of(path).ok() != Some(MaskFormat::Png)
        || png::colours(path).as_deref() != Some(palette().concat().as_slice())
    {
        return Ok(None);
    }
    let codes = png::read_mask(path)?;
    let place = crate::raster::georeference_files::with_files(path, Georeference::default());
    Ok(Some(whole(path, codes.view(), place)))
}

fn whole(path: &Path, codes: ArrayView2<'_, u8>, georeference: Georeference) -> MaskRecord {
    let mut counts = MaskCounts::default();
    counts.add(codes);
    MaskRecord {
        kind: MaskKind::Classes,
        size: [codes.nrows(), codes.ncols()],
        georeference,
        tags: Vec::new(),
        summary: summary_of(path),
        counts,
    }
}

/// The summary beside a raster that lists it among its files.
fn summary_of(path: &Path) -> Option<PathBuf> {
    let stem = path.file_stem()?.to_string_lossy().into_owned();
    let name = path.file_name()?.to_string_lossy().into_owned();
    ["", "_cloud", "_probabilities"]
        .iter()
        .filter_map(|ending| stem.strip_suffix(ending))
        .map(|stem| path.with_file_name(format!("{stem}.json")))
        .find(|file| {
            let text = std::fs::read(file).unwrap_or_default();
            let found: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
            let files = found["files"].as_array();
            !found["run"].is_null()
                && files.is_some_and(|files| files.iter().any(|file| file == name.as_str()))
        })
}

impl MaskRecord {
    /// What the raster's codes mean, in the order of the codes, and how many pixels have
    /// each.
    pub fn shares(&self) -> Vec<(u8, &'static str, u64)> {
        match self.kind {
            MaskKind::Classes => Class::ALL
                .map(|class| {
                    (
                        class as u8,
                        class.name(),
                        self.counts.classes[class as usize],
                    )
                })
                .into(),
            MaskKind::Cloud => vec![
                (0, "clear", self.counts.classes[0]),
                (1, "cloud", self.counts.classes[1]),
            ],
            MaskKind::Probabilities => Vec::new(),
        }
    }

    /// Valid pixels.
    pub fn valid(&self) -> u64 {
        self.counts.classes.iter().sum()
    }
}
