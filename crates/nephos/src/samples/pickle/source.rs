//! A pickle of arrays as a container of samples.

use std::borrow::Cow;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use ndarray::Array3;

use super::cursor::Fault;
use super::machine;
use super::numpy::{NumpyHost, StoredArray};
use super::value::{Heap, Value};
use crate::error::Result;
use crate::raster::mapping::Mapping;
use crate::raster::{DType, check_channels};
use crate::samples::array::SampleLayout;
use crate::samples::{SampleSource, check_sample};

/// Longest key of a dict, in bytes.
const LONGEST_KEY: usize = 4096;

/// A Python pickle that holds a list, tuple or dict of arrays, or one array.
///
/// Opening it reads the pickle's structure and no numbers; the numbers of a
/// sample are read on request. The file must not be cut while it is open.
pub struct PickleSource {
    path: PathBuf,
    mapping: Mapping,
    /// In the order of the pickle.
    arrays: Vec<Entry>,
    samples: usize,
}

struct Entry {
    array: StoredArray,
    /// Number of the array's first sample in the container.
    first: usize,
    /// Key in a dict; else the position is the name.
    key: Option<String>,
}

impl PickleSource {
    /// Indexes the pickle at `path`, protocols 0 to 5.
    ///
    /// # Errors
    /// The file can't be read, is no pickle of arrays, or names anything but
    /// NumPy arrays.
    pub fn open(path: &Path) -> Result<Self> {
        let mapping = Mapping::open(path)?;
        let arrays =
            mapping.checked(|bytes| index(bytes).map_err(|fault| fault.into_error(path)))?;
        mapping.release(0..mapping.bytes().len());
        let samples = arrays
            .last()
            .map_or(0, |entry| entry.first + entry.array.layout.samples());
        Ok(Self {
            path: path.to_owned(),
            mapping,
            arrays,
            samples,
        })
    }

    fn entry(&self, index: usize) -> Result<(&Entry, usize)> {
        check_sample(&self.path, index, self.samples)?;
        let position = self.arrays.partition_point(|entry| entry.first <= index) - 1;
        let entry = &self.arrays[position];
        Ok((entry, index - entry.first))
    }

    fn layout(&self, index: usize) -> Result<SampleLayout> {
        let (entry, within) = self.entry(index)?;
        Ok(entry.array.layout.sample(within))
    }

    /// Bytes `range` of the array's data.
    fn bytes(&self, array: &StoredArray, range: std::ops::Range<usize>) -> Result<Cow<'_, [u8]>> {
        let total = array.layout.byte_len();
        array
            .payload
            .bytes(self.mapping.bytes(), total, range)
            .map_err(|fault| fault.into_error(&self.path))
    }

    fn release(&self, array: &StoredArray) {
        self.mapping
            .release(array.payload.start..array.payload.start + array.payload.len);
    }
}

/// How samples are saved that nephos reads, for messages.
const HOW_TO_SAVE: &str = "A pickle of samples is a list, tuple or dict of arrays \
     [channels, height, width], whose label, if any, is one of the channels \
     (data.label_channel); separate images and labels are saved as np.savez('samples.npz', \
     images=np.stack(images), labels=np.stack(labels)), images alone as \
     np.save('images.npy', np.stack(images))";
/// Keys of a dict that are of labels beside images.
const LABELS: [&str; 8] = [
    "label", "labels", "mask", "masks", "target", "targets", "y", "gt",
];

/// What a sample is that is a list, tuple or dict of several things: pairs of image and
/// mask, mostly.
fn no_array(heap: &Heap<'_>, value: Value) -> Option<String> {
    match value {
        Value::List(_) | Value::Tuple { .. } => {
            let count = heap.items(value).map_or(0, <[Value]>::len);
            let pair = if count == 2 {
                ", as of image and mask"
            } else {
                ""
            };
            Some(format!("{} of {count}{pair}, not an array", value.kind()))
        }
        Value::Dict(_) => {
            let keys: Vec<String> = (heap.entries(value).unwrap_or_default().iter().take(4))
                .filter_map(|(key, _)| heap.name(*key).ok())
                .map(|key| format!("`{}`", key.escape_debug()))
                .collect();
            Some(match keys.is_empty() {
                true => "a dict, not an array".to_owned(),
                false => format!("a dict with {}, not an array", keys.join(", ")),
            })
        }
        _ => None,
    }
}

/// The arrays of a pickle.
fn index(file: &[u8]) -> Result<Vec<Entry>, Fault> {
    let mut host = NumpyHost::default();
    let (value, heap) = machine::run(file, &mut host)?;
    let end = |message: String| Fault::new(file.len(), format!("at its end: {message}"));
    let mut entries = Vec::new();
    let mut first = 0usize;
    let mut keep = |value: Value, key: Option<String>| {
        let array = host.array(value)?;
        entries.push(Entry { array, first, key });
        first = first
            .checked_add(array.layout.samples())
            .ok_or("too many samples")?;
        Ok(())
    };
    match value {
        Value::List(_) | Value::Tuple { .. } => {
            let items = heap.items(value).unwrap_or_default();
            for (position, item) in items.iter().enumerate() {
                if let Some(what) = no_array(&heap, *item) {
                    return Err(end(format!("item {position} is {what}. {HOW_TO_SAVE}")));
                }
                keep(*item, None)
                    .map_err(|message: String| end(format!("item {position}: {message}")))?;
            }
        }
        Value::Dict(_) => {
            let mut keys = HashSet::new();
            let mut label = None;
            for (key, item) in heap.entries(value).unwrap_or_default() {
                let key = match key {
                    Value::Text(payload) | Value::Bytes(payload) => {
                        payload.text(file, LONGEST_KEY)?
                    }
                    Value::Int(number) => number.to_string(),
                    other => {
                        return Err(end(format!("a key of a dict is {}", other.kind())));
                    }
                };
                if !keys.insert(key.clone()) {
                    return Err(end(format!("the key `{}` twice", key.escape_debug())));
                }
                if let Some(what) = no_array(&heap, *item) {
                    let key = key.escape_debug();
                    return Err(end(format!("`{key}` is {what}. {HOW_TO_SAVE}")));
                }
                if LABELS.contains(&key.to_ascii_lowercase().as_str()) {
                    label = Some(key.clone());
                }
                keep(*item, Some(key.clone()))
                    .map_err(|message| end(format!("`{}`: {message}", key.escape_debug())))?;
            }
            if let Some(label) = label.filter(|_| keys.len() > 1) {
                return Err(end(format!(
                    "a dict of images and labels (`{}`), whose labels would be taken for images. \
                     {HOW_TO_SAVE}",
                    label.escape_debug()
                )));
            }
        }
        single => keep(single, None).map_err(|message| {
            end(format!(
                "{message}; a pickle of samples is a list, tuple or dict of arrays, or one array"
            ))
        })?,
    }
    Ok(entries)
}

impl SampleSource for PickleSource {
    fn len(&self) -> usize {
        self.samples
    }

    fn name(&self, index: usize) -> String {
        let Ok((entry, within)) = self.entry(index) else {
            return index.to_string();
        };
        match &entry.key {
            Some(key) if entry.array.layout.is_batch() => format!("{key}/{within}"),
            Some(key) => key.clone(),
            None => index.to_string(),
        }
    }

    fn shape(&self, index: usize) -> Result<[usize; 3]> {
        Ok(self.layout(index)?.shape)
    }

    fn dtype(&self, index: usize) -> Result<DType> {
        Ok(self.layout(index)?.element.dtype)
    }

    fn read(&self, index: usize, channels: &[usize]) -> Result<Array3<f32>> {
        let (entry, within) = self.entry(index)?;
        let sample = entry.array.layout.sample(within);
        check_channels(&self.path, channels, sample.shape[0])?;
        let image = sample.read(channels, &self.bytes(&entry.array, sample.byte_range())?);
        self.release(&entry.array);
        self.mapping.intact()?;
        Ok(image)
    }

    fn read_raw(&self, index: usize) -> Result<(DType, [usize; 3], Vec<u8>)> {
        let (entry, within) = self.entry(index)?;
        let sample = entry.array.layout.sample(within);
        let raw = sample.raw(&self.bytes(&entry.array, sample.byte_range())?);
        self.release(&entry.array);
        self.mapping.intact()?;
        Ok((sample.element.dtype, sample.shape, raw))
    }
}
