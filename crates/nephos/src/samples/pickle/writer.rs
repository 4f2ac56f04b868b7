//! Pickles as `pickle.dump(list_of_arrays, file, protocol=4)` writes them.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use ndarray::Array3;

use crate::error::{Error, Result};
use crate::output::write_atomic;
use crate::raster::DType;

/// Memo numbers of what every array repeats.
const RECONSTRUCT: u32 = 0;
const RECONSTRUCT_ARGUMENTS: u32 = 1;
/// Memo number of the first data type.
const FIRST_DTYPE: u32 = 2;

/// Writes a list of NumPy arrays `[channels, height, width]`, one by one; each
/// goes straight to the file.
///
/// Arrays are named `numpy.core.multiarray`, the one module that NumPy 1.x and
/// 2.x both read, without a warning (2.x itself writes `numpy._core`, which NumPy
/// before 1.26 lacks).
pub struct Writer<W> {
    out: W,
    /// Data types written so far, and their memo numbers.
    dtypes: HashMap<DType, u32>,
    /// Whether the functions are in the memo yet.
    started: bool,
}

impl<W: Write> Writer<W> {
    /// Starts a list in `out`, which should be buffered.
    ///
    /// # Errors
    /// [`Error::Io`] of `out`, without a path.
    pub fn new(mut out: W) -> Result<Self> {
        // Protocol 4, an empty list.
        out.write_all(b"\x80\x04]").map_err(write_failed)?;
        Ok(Self {
            out,
            dtypes: HashMap::new(),
            started: false,
        })
    }

    /// Adds one array; `bytes` are little-endian numbers in C order.
    ///
    /// # Errors
    /// [`Error::Usage`] when `bytes` are not as many as `shape` and `dtype`
    /// need; [`Error::Io`].
    pub fn push(&mut self, dtype: DType, shape: [usize; 3], bytes: &[u8]) -> Result<()> {
        let expected = shape
            .iter()
            .try_fold(dtype.size(), |size, axis| size.checked_mul(*axis));
        if expected != Some(bytes.len()) {
            return Err(Error::usage(format!(
                "an array {shape:?} of {} can't be made of {} bytes",
                dtype.name(),
                bytes.len()
            )));
        }
        self.array(dtype, shape, bytes).map_err(write_failed)
    }

    /// Ends the list and returns what was written to.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(mut self) -> Result<W> {
        self.out.write_all(b".").map_err(write_failed)?;
        Ok(self.out)
    }

    fn array(&mut self, dtype: DType, shape: [usize; 3], bytes: &[u8]) -> std::io::Result<()> {
        // _reconstruct(ndarray, (0,), b'b')
        if self.started {
            self.recall(RECONSTRUCT)?;
            self.recall(RECONSTRUCT_ARGUMENTS)?;
        } else {
            self.started = true;
            self.global("numpy.core.multiarray", "_reconstruct")?;
            self.out.write_all(b"\x94")?;
            self.global("numpy", "ndarray")?;
            self.out.write_all(b"K\x00\x85C\x01b\x87\x94")?;
        }
        self.out.write_all(b"R")?;
        // (1, shape, dtype, is_fortran, data)
        self.out.write_all(b"(K\x01")?;
        for axis in shape {
            self.integer(axis)?;
        }
        self.out.write_all(b"\x87")?;
        self.dtype(dtype)?;
        self.out.write_all(b"\x89")?;
        match u32::try_from(bytes.len()) {
            Ok(len) => {
                self.out.write_all(b"B")?;
                self.out.write_all(&len.to_le_bytes())?;
            }
            Err(_) => {
                self.out.write_all(b"\x8e")?;
                self.out.write_all(&(bytes.len() as u64).to_le_bytes())?;
            }
        }
        self.out.write_all(bytes)?;
        // The tuple, its use as state, and the array's place in the list.
        self.out.write_all(b"tba")
    }

    /// `dtype('u2', False, True)` with its state, or its memo.
    fn dtype(&mut self, dtype: DType) -> std::io::Result<()> {
        if let Some(id) = self.dtypes.get(&dtype) {
            return self.recall(*id);
        }
        self.global("numpy", "dtype")?;
        self.text(dtype.code())?;
        self.out.write_all(b"\x89\x88\x87R\x94(K\x03")?;
        self.text(if dtype.size() == 1 { "|" } else { "<" })?;
        self.out
            .write_all(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb")?;
        self.dtypes
            .insert(dtype, FIRST_DTYPE + self.dtypes.len() as u32);
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> std::io::Result<()> {
        self.text(module)?;
        self.text(name)?;
        self.out.write_all(b"\x93")
    }

    /// A text of at most 255 bytes.
    fn text(&mut self, text: &str) -> std::io::Result<()> {
        self.out.write_all(&[0x8c, text.len() as u8])?;
        self.out.write_all(text.as_bytes())
    }

    fn integer(&mut self, value: usize) -> std::io::Result<()> {
        match i32::try_from(value) {
            Ok(value) => {
                self.out.write_all(b"J")?;
                self.out.write_all(&value.to_le_bytes())
            }
            Err(_) => {
                self.out.write_all(b"\x8a\x08")?;
                self.out.write_all(&(value as u64).to_le_bytes())
            }
        }
    }

    fn recall(&mut self, id: u32) -> std::io::Result<()> {
        self.out.write_all(&[b'h', id as u8])
    }
}

/// Writes a pickle of uint16 arrays `[channels, height, width]` to `path`, whole
/// or not at all, holding one array at a time.
///
/// # Errors
/// The first error of `samples`, or [`Error::Io`].
pub fn write_u16(
    path: &Path,
    samples: impl IntoIterator<Item = Result<Array3<u16>>>,
) -> Result<()> {
    write_atomic(path, |out| {
        let write = || {
            let mut writer = Writer::new(out)?;
            for sample in samples {
                let sample = sample?;
                let (c, h, w) = sample.dim();
                let bytes: Vec<u8> = sample.iter().flat_map(|v| v.to_le_bytes()).collect();
                writer.push(DType::U16, [c, h, w], &bytes)?;
            }
            writer.finish().map(drop)
        };
        write().map_err(|error| named(path, error))
    })
}

/// Gives the path to an error of a writer without one.
fn named(path: &Path, error: Error) -> Error {
    match error {
        Error::Io {
            path: unknown,
            source,
        } if unknown.as_os_str().is_empty() => Error::io(path, source),
        other => other,
    }
}

fn write_failed(source: std::io::Error) -> Error {
    Error::io("", source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::SampleSource;
    use crate::samples::pickle::PickleSource;

    #[test]
    fn written_arrays_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pkl");
        let samples: Vec<Array3<u16>> = (0..5u16)
            .map(|seed| {
                Array3::from_shape_fn((3, 4, 5 + usize::from(seed)), |(c, h, w)| {
                    (c * 20_000 + h * 300 + w) as u16 + seed
                })
            })
            .collect();
        write_u16(&path, samples.iter().cloned().map(Ok)).unwrap();
        let source = PickleSource::open(&path).unwrap();
        assert_eq!(source.len(), samples.len());
        for (index, sample) in samples.iter().enumerate() {
            let (c, h, w) = sample.dim();
            assert_eq!(source.shape(index).unwrap(), [c, h, w]);
            assert_eq!(source.dtype(index).unwrap(), DType::U16);
            let read = source.read(index, &[2, 0]).unwrap();
            for (plane, channel) in read.outer_iter().zip([2, 0]) {
                let expected = sample.index_axis(ndarray::Axis(0), channel);
                assert_eq!(plane, expected.mapv(f32::from));
            }
        }
        assert!(source.read(0, &[3]).is_err());
        assert!(source.read(5, &[0]).is_err());
    }

    #[test]
    fn wrong_sizes_are_refused() {
        let mut writer = Writer::new(Vec::new()).unwrap();
        assert!(writer.push(DType::U16, [1, 2, 3], &[0; 11]).is_err());
        assert!(
            writer
                .push(DType::U16, [usize::MAX, 2, 3], &[0; 12])
                .is_err()
        );
        assert_eq!(writer.finish().unwrap(), b"\x80\x04].");
    }
}
