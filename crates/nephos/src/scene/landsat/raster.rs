//! The file of one band: stored numbers a window at a time.

use std::path::{Path, PathBuf};

use ndarray::Array2;
use tiff_reader::{TiffError, TiffFile};

use crate::error::{Error, Result};
use crate::scene::{DType, GeoKeys, Georeference, Window};

/// Longest side of a band; real ones have some 8000 pixels.
const LONGEST_SIDE: usize = 1 << 15;

pub struct BandFile {
    path: PathBuf,
    tiff: TiffFile,
    pub size: [usize; 2],
    pub block: [usize; 2],
    pub dtype: DType,
}

impl BandFile {
    /// Opens a TIFF with one band of 8 or 16 bits.
    pub fn open(path: &Path) -> Result<Self> {
        let tiff = TiffFile::open(path).map_err(|e| broken(path, e))?;
        let ifd = tiff.ifd(0).map_err(|e| broken(path, e))?;
        let layout = ifd.raster_layout().map_err(|e| broken(path, e))?;
        let dtype = match (layout.sample_format, layout.bytes_per_sample) {
            (1 | 4, 1) => DType::U8,
            (1 | 4, 2) => DType::U16,
            _ => {
                let message = "a Landsat band is of unsigned numbers of 8 or 16 bits";
                return Err(Error::unsupported(path.display(), message));
            }
        };
        if layout.samples_per_pixel != 1 {
            let message = format!(
                "{} bands; a file of Landsat has one",
                layout.samples_per_pixel
            );
            return Err(Error::format(path, message));
        }
        let size = [layout.height, layout.width];
        if size.contains(&0) || size.iter().any(|side| *side > LONGEST_SIDE) {
            let message = format!("{size:?} pixels; at least 1 and at most {LONGEST_SIDE} a side");
            return Err(Error::limits(path.display(), message));
        }
        let block = match (ifd.tile_height(), ifd.tile_width()) {
            (Some(h), Some(w)) => [h as usize, w as usize],
            _ => [ifd.rows_per_strip() as usize, size[1]],
        };
        Ok(Self {
            path: path.to_owned(),
            size,
            block: [block[0].clamp(1, size[0]), block[1].clamp(1, size[1])],
            dtype,
            tiff,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn georeference(&self) -> Result<Georeference> {
        let ifd = self.tiff.ifd(0).map_err(|e| broken(&self.path, e))?;
        let doubles = |code: u16| ifd.tag(code)?.value.as_f64_vec();
        let transform = match (doubles(33550).as_deref(), doubles(33922).as_deref()) {
            (Some([dx, dy, ..]), Some([col, row, _, x, y, ..])) => {
                Some([x - col * dx, *dx, 0.0, y + row * dy, 0.0, -dy])
            }
            _ => None,
        };
        let keys = (ifd.tag(34735))
            .and_then(|tag| tag.value.as_u16_slice())
            .map(|directory| GeoKeys {
                directory: directory.to_vec(),
                doubles: doubles(34736).unwrap_or_default(),
                ascii: (ifd.tag(34737))
                    .and_then(|tag| tag.value.as_str())
                    .unwrap_or_default()
                    .to_owned(),
            });
        let point = keys.as_ref().is_some_and(GeoKeys::is_point);
        let corner = |mut t: [f64; 6]| {
            if point {
                t[0] -= t[1] / 2.0;
                t[3] -= t[5] / 2.0;
            }
            t
        };
        Ok(Georeference {
            transform: transform.map(corner),
            keys,
        })
    }

    /// Stored numbers of a window that is within the band.
    pub fn read(&self, window: Window) -> Result<Array2<f32>> {
        let Window {
            row,
            col,
            rows,
            cols,
        } = window;
        let bytes = (self.tiff)
            .read_band_window_bytes(0, 0, row, col, rows, cols)
            .map_err(|e| broken(&self.path, e))?;
        let values: Vec<f32> = match self.dtype {
            DType::U8 => bytes.iter().map(|byte| f32::from(*byte)).collect(),
            _ => (bytes.chunks_exact(2))
                .map(|pair| f32::from(u16::from_ne_bytes([pair[0], pair[1]])))
                .collect(),
        };
        Array2::from_shape_vec((rows, cols), values)
            .map_err(|e| Error::format(&self.path, e.to_string()))
    }
}

fn broken(path: &Path, error: TiffError) -> Error {
    match error {
        TiffError::Io(source, _) => Error::io(path, source),
        e @ TiffError::DecodeOutputTooLarge { .. } => Error::limits(path.display(), e.to_string()),
        other => Error::format(path, other.to_string()),
    }
}
