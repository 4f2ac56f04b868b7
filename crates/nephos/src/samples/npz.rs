//! NumPy's `.npz`: a zip of `.npy` entries.

use std::io::{Cursor, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use ndarray::{Array2, Array3};
use zip::ZipArchive;

use super::array::{ArrayLayout, SampleLayout};
use super::numpy::{Header, LONGEST_HEADER};
use super::{SampleSource, check_sample, whole_numbers};
use crate::error::{Error, Result};
use crate::raster::mapping::Mapping;
use crate::raster::{DType, check_channels};

/// Largest sample that is unpacked, in bytes: a small archive can announce any
/// size.
const LARGEST_SAMPLE: usize = 1 << 30;

/// A `.npz` file.
///
/// An entry `image` or `images` holds the samples, `[C, H, W]` or `[N, C, H, W]`,
/// and `label` or `labels`, where there is one, their labels, `[H, W]` or `[N, H, W]`.
/// Where there are no such images, each entry of three or four axes holds samples.
pub struct NpzSource {
    path: PathBuf,
    mapping: Mapping,
    arrays: Vec<Entry>,
    /// The entry of the labels, or its error, which is returned when labels are read.
    label: Option<std::result::Result<Entry, String>>,
    samples: usize,
}

/// One array of the archive.
struct Entry {
    name: String,
    /// Position in the archive.
    position: usize,
    layout: ArrayLayout,
    /// Byte of the unpacked entry at which the numbers begin.
    data: usize,
    /// Number of the array's first sample in the container.
    first: usize,
}

type Archive<'a> = ZipArchive<Cursor<&'a [u8]>>;

impl NpzSource {
    /// Reads the headers of the arrays at `path`.
    ///
    /// # Errors
    /// The file can't be read, is no zip, or holds no samples.
    pub fn open(path: &Path) -> Result<Self> {
        let mapping = Mapping::open(path)?;
        let headers = mapping.checked(|bytes| headers(path, bytes))?;
        let find = |names: [&str; 2]| {
            headers
                .iter()
                .position(|(name, ..)| names.contains(&name.as_str()))
        };
        let mut source = Self {
            path: path.to_owned(),
            arrays: Vec::new(),
            label: None,
            samples: 0,
            mapping,
        };
        if let Some(image) = find(["image", "images"]) {
            let image = &headers[image];
            let image = source.entry(image, &image.2.axes)?;
            source.samples = image.layout.samples();
            source.label =
                find(["label", "labels"]).map(|label| source.label(&image, &headers[label]));
            source.arrays.push(image);
        } else {
            for header in headers
                .iter()
                .filter(|(_, _, h, _)| matches!(h.axes.len(), 3 | 4))
            {
                let entry = source.entry(header, &header.2.axes)?;
                source.samples += entry.layout.samples();
                source.arrays.push(entry);
            }
        }
        if source.arrays.is_empty() {
            return Err(Error::format(
                path,
                "no array of shape [channels, height, width] or [samples, channels, height, \
                 width] in this .npz",
            ));
        }
        Ok(source)
    }

    /// The labels of `image`.
    fn label(&self, image: &Entry, label: &Found) -> std::result::Result<Entry, String> {
        // A label is an image of one channel.
        let mut axes = label.2.axes.clone();
        axes.insert(axes.len().saturating_sub(2), 1);
        let label = self.entry(label, &axes).map_err(|error| match error {
            Error::Format { message, .. } => message,
            other => other.to_string(),
        })?;
        let [c, h, w] = image.layout.sample(0).shape;
        let of = label.layout.sample(0).shape;
        // The channels may come last.
        if label.layout.samples() != image.layout.samples() || of != [1, h, w] && of != [1, c, h] {
            return Err(format!(
                "`{}` has {} samples of {h} × {w}, `{}` has shape {axes:?} (with a 1 for channels)",
                image.name,
                image.layout.samples(),
                label.name,
            ));
        }
        Ok(label)
    }

    fn entry(&self, (name, position, header, size): &Found, axes: &[u64]) -> Result<Entry> {
        let layout = ArrayLayout::new(header.element, header.fortran, axes)
            .map_err(|m| Error::format(&self.path, format!("`{name}`: {m}")))?;
        let expected = header.data as u64 + layout.byte_len() as u64;
        if expected != *size {
            return Err(Error::format(
                &self.path,
                format!("`{name}`: the shape needs {expected} bytes, the entry has {size}"),
            ));
        }
        Ok(Entry {
            name: name.clone(),
            position: *position,
            layout,
            data: header.data,
            first: self.samples,
        })
    }

    fn find(&self, index: usize) -> Result<(&Entry, usize)> {
        check_sample(&self.path, index, self.samples)?;
        let position = self.arrays.partition_point(|entry| entry.first <= index) - 1;
        let entry = &self.arrays[position];
        Ok((entry, index - entry.first))
    }

    fn sample(&self, index: usize) -> Result<SampleLayout> {
        let (entry, within) = self.find(index)?;
        Ok(entry.layout.sample(within))
    }

    /// Bytes `range` of an array's numbers, unpacked.
    fn unpack(&self, entry: &Entry, range: Range<usize>) -> Result<Vec<u8>> {
        if range.len() > LARGEST_SAMPLE {
            return Err(Error::limits(
                self.path.display(),
                format!(
                    "`{}` holds samples of {} bytes; at most {LARGEST_SAMPLE} are unpacked, \
                     save it as .npy",
                    entry.name,
                    range.len()
                ),
            ));
        }
        self.mapping
            .checked(|file| self.unpack_from(file, entry, range))
    }

    fn unpack_from(&self, file: &[u8], entry: &Entry, range: Range<usize>) -> Result<Vec<u8>> {
        let fail =
            |e: &dyn std::fmt::Display| Error::format(&self.path, format!("`{}`: {e}", entry.name));
        let mut archive = archive(&self.path, file)?;
        let mut file = archive.by_index(entry.position).map_err(|e| fail(&e))?;
        let skip = (entry.data + range.start) as u64;
        std::io::copy(&mut file.by_ref().take(skip), &mut std::io::sink()).map_err(|e| fail(&e))?;
        // Grows with what is there, not with what is announced.
        let mut bytes = Vec::new();
        file.take(range.len() as u64)
            .read_to_end(&mut bytes)
            .map_err(|e| fail(&e))?;
        if bytes.len() != range.len() {
            return Err(fail(&"the entry is cut"));
        }
        Ok(bytes)
    }
}

/// Name, position in the archive, header, and unpacked size of an entry.
type Found = (String, usize, Header, u64);

fn archive<'a>(path: &Path, bytes: &'a [u8]) -> Result<Archive<'a>> {
    ZipArchive::new(Cursor::new(bytes)).map_err(|e| broken(path, &e))
}

/// The arrays in an archive; one whose header can't be read is left out.
fn headers(path: &Path, bytes: &[u8]) -> Result<Vec<Found>> {
    let mut archive = archive(path, bytes)?;
    let mut headers = Vec::new();
    for position in 0..archive.len() {
        let mut file = archive.by_index(position).map_err(|e| broken(path, &e))?;
        let Some(name) = file.name().strip_suffix(".npy").map(str::to_owned) else {
            continue;
        };
        let mut start = Vec::new();
        file.by_ref()
            .take(LONGEST_HEADER as u64)
            .read_to_end(&mut start)
            .map_err(|e| broken(path, &e))?;
        match Header::parse(&start) {
            Ok(header) => headers.push((name, position, header, file.size())),
            Err(message) => tracing::warn!("{}: `{name}` left out: {message}", path.display()),
        }
    }
    Ok(headers)
}

fn broken(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::format(path, format!("a broken zip archive: {error}"))
}

impl SampleSource for NpzSource {
    fn len(&self) -> usize {
        self.samples
    }

    fn name(&self, index: usize) -> String {
        match self.find(index) {
            Ok((entry, within)) if entry.layout.is_batch() => format!("{}/{within}", entry.name),
            Ok((entry, _)) => entry.name.clone(),
            Err(_) => index.to_string(),
        }
    }

    fn shape(&self, index: usize) -> Result<[usize; 3]> {
        Ok(self.sample(index)?.shape)
    }

    fn dtype(&self, index: usize) -> Result<DType> {
        Ok(self.sample(index)?.element.dtype)
    }

    fn read(&self, index: usize, channels: &[usize]) -> Result<Array3<f32>> {
        let (entry, within) = self.find(index)?;
        let sample = entry.layout.sample(within);
        check_channels(&self.path, channels, sample.shape[0])?;
        Ok(sample.read(channels, &self.unpack(entry, sample.byte_range())?))
    }

    fn read_label(&self, index: usize) -> Result<Option<Array2<i64>>> {
        let (_, within) = self.find(index)?;
        let entry = match &self.label {
            None => return Ok(None),
            Some(Ok(entry)) => entry,
            Some(Err(message)) => return Err(Error::format(&self.path, message.clone())),
        };
        let sample = entry.layout.sample(within);
        let label = sample.read(&[0], &self.unpack(entry, sample.byte_range())?);
        whole_numbers(&self.path, &label.index_axis(ndarray::Axis(0), 0)).map(Some)
    }

    fn read_raw(&self, index: usize) -> Result<(DType, [usize; 3], Vec<u8>)> {
        let (entry, within) = self.find(index)?;
        let sample = entry.layout.sample(within);
        let raw = sample.raw(&self.unpack(entry, sample.byte_range())?);
        Ok((sample.element.dtype, sample.shape, raw))
    }
}
