//! NumPy's `.npy` and `.npz` files.
//!
//! The reader serves any type, byte order and layout from the file as it is, with the code that
//! reads pickles.

use std::path::{Path, PathBuf};

use ndarray::Array3;

use super::array::{ArrayLayout, ElementType, SampleLayout};
use super::{SampleSource, check_sample};
use crate::error::{Error, Result};
use crate::raster::mapping::Mapping;
use crate::raster::{DType, check_channels};
use crate::scene::NUMPY_MAGIC;

/// Longest header; NumPy's own limit is 10 000 characters.
pub(crate) const LONGEST_HEADER: usize = 16 << 10;

/// What a `.npy` header says.
#[derive(Debug)]
pub(crate) struct Header {
    pub element: ElementType,
    pub fortran: bool,
    pub axes: Vec<u64>,
    /// Byte at which the numbers begin.
    pub data: usize,
}

impl Header {
    /// Reads the header at the start of `bytes`, versions 1 to 3.
    ///
    /// Format: NumPy, `numpy.lib.format`.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let broken = || "a .npy header that is cut or longer than it may be".to_owned();
        let rest = bytes.strip_prefix(NUMPY_MAGIC).ok_or("not a .npy file")?;
        let (start, len) = match *rest {
            [1, _, a, b, ..] => (10, usize::from(u16::from_le_bytes([a, b]))),
            [2 | 3, _, a, b, c, d, ..] => (12, u32::from_le_bytes([a, b, c, d]) as usize),
            [version, ..] => return Err(format!(".npy version {version}; 1 to 3 are supported")),
            [] => return Err(broken()),
        };
        if len > LONGEST_HEADER {
            return Err(broken());
        }
        let text = bytes.get(start..start + len).ok_or_else(broken)?;
        let text = std::str::from_utf8(text).map_err(|_| "a .npy header that is not text")?;
        let value = |key: &str| {
            let quoted = [format!("'{key}'"), format!("\"{key}\"")];
            let at = quoted
                .iter()
                .find_map(|key| Some(text.find(key)? + key.len()));
            let rest = text[at?..].trim_start().strip_prefix(':')?;
            Some(rest.trim_start())
        };
        let missing = |key: &str| format!("a .npy header without a readable `{key}`: {text}");
        let descr = value("descr").ok_or_else(|| missing("descr"))?;
        let code = descr
            .strip_prefix(['\'', '"'])
            .and_then(|rest| rest.split(['\'', '"']).next())
            .ok_or("structured numbers; one type of number is read")?;
        let fortran = match value("fortran_order") {
            Some(text) if text.starts_with("True") => true,
            Some(text) if text.starts_with("False") => false,
            _ => return Err(missing("fortran_order")),
        };
        let axes = value("shape")
            .and_then(|text| text.strip_prefix('(')?.split(')').next())
            .and_then(|inside| {
                let lengths = inside.split(',').map(str::trim).filter(|s| !s.is_empty());
                lengths
                    .map(|s| s.parse().ok())
                    .collect::<Option<Vec<u64>>>()
            })
            .ok_or_else(|| missing("shape"))?;
        Ok(Self {
            element: ElementType::parse(code)?,
            fortran,
            axes,
            data: start + len,
        })
    }

    /// The bytes before the numbers of an array in C order, version 1. NumPy ends dict and
    /// tuple with commas, this does not: by that a mask of nephos is recognised as such
    /// ([`output`](crate::output)).
    pub fn bytes(descr: &str, shape: &[usize]) -> Vec<u8> {
        let axes: String = shape.iter().map(|axis| format!("{axis}, ")).collect();
        let mut text = format!(
            "{{'descr': '{descr}', 'fortran_order': False, 'shape': ({})}}",
            axes.trim_end_matches(if shape.len() > 1 { ", " } else { " " })
        );
        // With the line's end the numbers begin at a multiple of 64.
        while !(NUMPY_MAGIC.len() + 4 + text.len() + 1).is_multiple_of(64) {
            text.push(' ');
        }
        text.push('\n');
        let mut bytes = NUMPY_MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes
    }

    /// The array as samples.
    pub fn layout(&self) -> Result<ArrayLayout, String> {
        ArrayLayout::new(self.element, self.fortran, &self.axes)
    }
}

/// A `.npy` file of `[C, H, W]` or `[N, C, H, W]`.
pub struct NpySource {
    path: PathBuf,
    mapping: Mapping,
    layout: ArrayLayout,
    data: usize,
}

impl NpySource {
    /// Reads the header of the file at `path`.
    ///
    /// # Errors
    /// The file can't be read, its header is broken, or its size is not what the
    /// header needs.
    pub fn open(path: &Path) -> Result<Self> {
        let mapping = Mapping::open(path)?;
        let header = mapping
            .checked(|bytes| Header::parse(bytes).map_err(|m| Error::format_at(path, 0, m)))?;
        let layout = header
            .layout()
            .map_err(|m| Error::format_at(path, NUMPY_MAGIC.len() as u64, m))?;
        let (expected, found) = (layout.byte_len(), mapping.bytes().len() - header.data);
        if expected != found {
            return Err(Error::format_at(
                path,
                header.data as u64,
                format!(
                    "the shape {:?} needs {expected} bytes, the data are {found}",
                    header.axes
                ),
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            mapping,
            layout,
            data: header.data,
        })
    }

    fn layout(&self, index: usize) -> Result<SampleLayout> {
        check_sample(&self.path, index, self.layout.samples())?;
        Ok(self.layout.sample(index))
    }

    /// What `read` makes of the bytes of a sample.
    fn with_bytes<T>(&self, sample: &SampleLayout, read: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let range = sample.byte_range();
        let range = self.data + range.start..self.data + range.end;
        let out = (self.mapping).checked(|bytes| Ok(read(&bytes[range.clone()])));
        self.mapping.release(range);
        out
    }
}

impl SampleSource for NpySource {
    fn len(&self) -> usize {
        self.layout.samples()
    }

    fn name(&self, index: usize) -> String {
        index.to_string()
    }

    fn shape(&self, index: usize) -> Result<[usize; 3]> {
        Ok(self.layout(index)?.shape)
    }

    fn dtype(&self, index: usize) -> Result<DType> {
        Ok(self.layout(index)?.element.dtype)
    }

    fn read(&self, index: usize, channels: &[usize]) -> Result<Array3<f32>> {
        let sample = self.layout(index)?;
        check_channels(&self.path, channels, sample.shape[0])?;
        self.with_bytes(&sample, |bytes| sample.read(channels, bytes))
    }

    fn read_raw(&self, index: usize) -> Result<(DType, [usize; 3], Vec<u8>)> {
        let sample = self.layout(index)?;
        let raw = self.with_bytes(&sample, |bytes| sample.raw(bytes))?;
        Ok((sample.element.dtype, sample.shape, raw))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: u8, text: &str) -> Vec<u8> {
        let mut bytes = NUMPY_MAGIC.to_vec();
        bytes.extend([version, 0]);
        match version {
            1 => bytes.extend((text.len() as u16).to_le_bytes()),
            _ => bytes.extend((text.len() as u32).to_le_bytes()),
        }
        bytes.extend(text.as_bytes());
        bytes
    }

    #[test]
    fn headers_of_all_versions_are_read() {
        let text = "{'descr': '>f4', 'fortran_order': True, 'shape': (2, 3, 4, 5), }   \n";
        for version in 1..=3 {
            let header = Header::parse(&header(version, text)).unwrap();
            assert_eq!(header.axes, [2, 3, 4, 5]);
            assert_eq!(header.element.dtype, DType::F32);
            assert!(header.element.big_endian && header.fortran);
            assert_eq!(header.layout().unwrap().samples(), 2);
        }
    }

    #[test]
    fn broken_headers_are_errors() {
        let shape = "{'descr': '<u2', 'fortran_order': False, 'shape': (2, x), }";
        let object = "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }";
        let fields = "{'descr': [('a', '<u2')], 'fortran_order': False, 'shape': (2,), }";
        for text in [shape, object, fields, "{}", "'shape': ("] {
            assert!(Header::parse(&header(1, text)).is_err(), "{text}");
        }
        assert!(Header::parse(&header(4, shape)).is_err());
        let whole = header(
            1,
            "{'descr': '<u2', 'fortran_order': False, 'shape': (1, 1, 1), }",
        );
        for len in 0..whole.len() {
            assert!(Header::parse(&whole[..len]).is_err());
        }
    }
}
