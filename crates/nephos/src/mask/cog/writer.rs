//! From rows to a COG.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ndarray::ArrayView3;

use super::directory::{self, Directory, Value};
use super::level::{Level, Storage, Tiles};
use super::reduce::{CODES, Reducer};
use super::spec::{CogSpec, Resampling};
use super::{georeference, metadata};
use crate::error::{Error, Result};
use crate::output;

/// Side of a tile, in pixels.
const TILE: usize = 512;

/// Side of a tile of rasters that fit into [`TILE`] on both sides.
const SMALL_TILE: usize = 256;

/// A COG that is being written, from the top down.
///
/// No file of its name exists before [`CogWriter::finish`]; one that is dropped
/// leaves nothing. Memory: one row of tiles, however high the raster; of wide rasters that is on
/// disk, too.
pub struct CogWriter {
    path: PathBuf,
    spec: CogSpec,
    tile: usize,
    /// Full resolution, then the overviews, each half as large.
    levels: Vec<Level>,
    /// The next row of each overview.
    reducers: Vec<Reducer>,
    /// Rows taken.
    rows: usize,
    /// One row, `[columns, bands]`.
    row: Vec<u8>,
    /// Bytes of the largest file that is a classic TIFF, not a BigTIFF.
    largest_classic: u64,
}

impl CogWriter {
    /// Begins a raster that will be `path`. Missing folders are made.
    ///
    /// # Errors
    /// A size that can't be written, names or a palette that don't fit the bands,
    /// or no file can be made in the folder.
    pub fn create(path: &Path, spec: CogSpec) -> Result<Self> {
        spec.check()?;
        let tile = if spec.width.max(spec.height) > TILE {
            TILE
        } else {
            SMALL_TILE
        };
        let storage = Storage {
            bands: spec.bands,
            tile,
            differences: predictor(&spec) == 2,
            fill: spec.nodata.unwrap_or(0),
        };
        let mut levels = Vec::new();
        let mut reducers = Vec::new();
        let mut size = [spec.height, spec.width];
        loop {
            levels.push(Level::new(size, storage, || output::spool(path))?);
            if size[0].max(size[1]) <= TILE {
                break;
            }
            size = size.map(|side| side.div_ceil(2));
            let reducer = Reducer::new(spec.overview, spec.nodata, size[1], spec.bands);
            reducers.push(reducer);
        }
        Ok(Self {
            path: path.to_owned(),
            row: vec![0; spec.width * spec.bands],
            tile,
            levels,
            reducers,
            rows: 0,
            spec,
            largest_classic: u64::from(u32::MAX),
        })
    }

    /// Adds a name and a text to [`CogSpec::tags`].
    pub fn tag(&mut self, tag: &(String, String)) {
        self.spec.tags.push(tag.clone());
    }

    /// Writes the next rows, `[bands, rows, width]`, in order from the top; any
    /// number of them.
    ///
    /// # Errors
    /// Another number of bands or columns, more rows than the raster has, a code
    /// that [`Resampling::Mode`] does not have, or the disk is full.
    pub fn write_rows(&mut self, rows: ArrayView3<'_, u8>) -> Result<()> {
        let (bands, count, width) = rows.dim();
        let spec = &self.spec;
        if (bands, width) != (spec.bands, spec.width) || count > spec.height - self.rows {
            return Err(Error::usage(format!(
                "{}: {bands} × {count} × {width} at row {} of a raster of {} × {} × {}",
                self.path.display(),
                self.rows,
                spec.bands,
                spec.height,
                spec.width
            )));
        }
        let known = |code: u8| usize::from(code) < CODES || Some(code) == spec.nodata;
        if spec.overview == Resampling::Mode
            && let Some(code) = rows.iter().find(|code| !known(**code))
        {
            return Err(Error::usage(format!(
                "{}: code {code}; classes have codes below {CODES}",
                self.path.display()
            )));
        }
        for row in 0..count {
            for (band, pixels) in rows.outer_iter().enumerate() {
                let to = self.row[band..].iter_mut().step_by(bands);
                for (to, value) in to.zip(pixels.row(row)) {
                    *to = *value;
                }
            }
            self.push_row().map_err(|e| Error::io(&self.path, e))?;
        }
        Ok(())
    }

    /// Passes the row at hand to all levels that it completes a row of.
    fn push_row(&mut self) -> io::Result<()> {
        let mut index = self.rows;
        self.rows += 1;
        let ends = |index: usize, level: &Level| index + 1 == level.size()[0];
        let mut last = ends(index, &self.levels[0]);
        self.levels[0].push(&self.row, last)?;
        for k in 0..self.reducers.len() {
            let (finer, coarser) = self.reducers.split_at_mut(k);
            match finer.last_mut() {
                None => coarser[0].add_pixels(&self.row),
                Some(finer) => {
                    coarser[0].add_finer(finer);
                    finer.clear();
                }
            }
            // A row of the overview is whole after two finer ones, or at their end.
            if index.is_multiple_of(2) && !last {
                return Ok(());
            }
            index /= 2;
            last = ends(index, &self.levels[k + 1]);
            self.levels[k + 1].push(&coarser[0].pixels(), last)?;
        }
        if let Some(reducer) = self.reducers.last_mut() {
            reducer.clear();
        }
        Ok(())
    }

    /// Puts the file together under a temporary name, syncs it and renames it.
    ///
    /// # Errors
    /// Rows are missing, or the disk is full.
    pub fn finish(self) -> Result<()> {
        if self.rows != self.spec.height {
            return Err(Error::usage(format!(
                "{}: {} rows of {} were written",
                self.path.display(),
                self.rows,
                self.spec.height
            )));
        }
        let fail = |e| Error::io(&self.path, e);
        let sizes: Vec<[usize; 2]> = self.levels.iter().map(Level::size).collect();
        let mut images: Vec<Tiles> = (self.levels.into_iter())
            .map(Level::finish)
            .collect::<io::Result<_>>()
            .map_err(fail)?;
        let directories = |starts: &[u64]| -> Vec<Directory> {
            (sizes.iter().zip(&images).zip(starts).enumerate())
                .map(|(k, ((size, tiles), start))| {
                    tags(&self.spec, self.tile, k > 0, *size, tiles, *start)
                })
                .collect()
        };
        let head = head(&images, self.largest_classic, directories);
        output::write_atomic(&self.path, |writer| {
            writer.write_all(&head).map_err(fail)?;
            for image in images.iter_mut().rev() {
                io::copy(&mut image.spool, writer).map_err(fail)?;
            }
            Ok(())
        })
    }
}

/// Header and directories; `directories` makes these from where each image's
/// tiles begin.
fn head(
    images: &[Tiles],
    largest_classic: u64,
    directories: impl Fn(&[u64]) -> Vec<Directory>,
) -> Vec<u8> {
    let data: u64 = images.iter().map(Tiles::length).sum();
    let unknown = directories(&vec![0; images.len()]);
    let length = |big| {
        let lengths = unknown.iter().map(|d| directory::length(d, big));
        directory::header(big).len() + lengths.sum::<usize>()
    };
    let big = length(false) as u64 + data > largest_classic;
    // The smallest overview comes first.
    let mut starts = vec![0; images.len()];
    let mut next = length(big) as u64;
    for (start, image) in starts.iter_mut().zip(images).rev() {
        *start = next;
        next += image.length();
    }
    let mut head = directory::header(big);
    for (k, directory) in directories(&starts).iter().enumerate() {
        let last = k + 1 == images.len();
        head.extend(directory::encode(directory, big, head.len() as u64, last));
    }
    head
}

/// Differences help where values vary smoothly, and harm where they are codes.
fn predictor(spec: &CogSpec) -> u16 {
    match spec.overview {
        Resampling::Mode => 1,
        Resampling::Mean => 2,
    }
}

/// The tags of one image whose tiles begin at byte `start`.
fn tags(
    spec: &CogSpec,
    tile: usize,
    reduced: bool,
    [height, width]: [usize; 2],
    tiles: &Tiles,
    start: u64,
) -> Directory {
    let short = |value: u16| Value::Short(vec![value]);
    // A side is at most MAX_SIDE.
    let long = |value: usize| Value::Long(vec![value as u32]);
    let photometric = if spec.palette.is_some() { 3 } else { 1 };
    let mut tags = vec![
        (254, long(usize::from(reduced))),
        (256, long(width)),
        (257, long(height)),
        (258, Value::Short(vec![8; spec.bands])),
        (259, short(8)),
        (262, short(photometric)),
        (277, short(spec.bands as u16)),
        (284, short(1)),
        (317, short(predictor(spec))),
        (322, short(tile as u16)),
        (323, short(tile as u16)),
        (324, Value::Offsets(tiles.offsets(start))),
        (325, Value::Long(tiles.sizes.clone())),
        (339, Value::Short(vec![1; spec.bands])),
    ];
    if let Some(palette) = &spec.palette {
        // All reds, all greens, all blues, of 16 bits each.
        let plane = |channel| {
            palette
                .iter()
                .map(move |c: &[u8; 3]| u16::from(c[channel]) * 257)
        };
        tags.push((320, Value::Short((0..3).flat_map(plane).collect())));
    }
    if spec.bands > 1 {
        tags.push((338, Value::Short(vec![0; spec.bands - 1])));
    }
    if let Some(nodata) = spec.nodata {
        tags.push((42113, Value::Ascii(nodata.to_string())));
    }
    if !reduced {
        tags.extend(georeference::tags(&spec.georeference));
        tags.extend(metadata::xml(spec).map(|xml| (42112, Value::Ascii(xml))));
    }
    tags.sort_by_key(|(tag, _)| *tag);
    tags
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use tiff_reader::TiffFile;

    use super::*;
    use crate::raster::Georeference;

    #[test]
    fn a_large_file_is_a_bigtiff() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.tif");
        let pixels = Array3::from_shape_fn((4, 1100, 700), |(b, r, c)| (b + r * c % 60) as u8);
        for big in [false, true] {
            let names = crate::class::class_names().map(str::to_owned).into();
            let spec = CogSpec::probabilities(700, 1100, names, Georeference::default());
            let mut writer = CogWriter::create(&path, spec).unwrap();
            if big {
                writer.largest_classic = 1000;
            }
            writer.write_rows(pixels.view()).unwrap();
            writer.finish().unwrap();
            let file = TiffFile::open(&path).unwrap();
            assert_eq!(file.is_bigtiff(), big);
            assert_eq!(file.ifd_count(), 3);
            for band in 0..4 {
                let read = file.read_band::<u8>(0, band).unwrap();
                assert!(read == pixels.index_axis(ndarray::Axis(0), band).into_dyn());
            }
            assert_eq!(file.ifd(2).unwrap().height(), 275);
            file.read_band::<u8>(2, 3).unwrap();
        }
    }
}
