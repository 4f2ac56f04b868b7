//! Reading of state dicts.

use std::collections::HashSet;
use std::io::Cursor;
use std::ops::Range;
use std::path::Path;

use half::{bf16, f16};
use zip::{CompressionMethod, ZipArchive};

use super::NamedTensor;
use super::host::{Number, StoredTensor, TorchHost};
use crate::error::{Error, Result};
use crate::raster::mapping::Mapping;
use crate::samples::pickle::cursor::Fault;
use crate::samples::pickle::machine;
use crate::samples::pickle::value::{Heap, LONGEST_NAME, Value};

/// Keys under which a checkpoint keeps its state dict.
const NESTED: [&str; 3] = ["state_dict", "model_state_dict", "model"];
/// Longest name of a tensor, in bytes.
const LONGEST_KEY: usize = 1024;

/// The tensors of a `.pth` file in the order of its dict, as f32, in C order.
///
/// The file holds a state dict, or a dict with one under `state_dict`,
/// `model_state_dict` or `model`. float16, bfloat16, float32 and float64 are
/// read, and strides honoured; tensors of whole numbers (as
/// `num_batches_tracked`) are left out.
///
/// # Errors
/// The file can't be read, is broken, names anything but tensors, or is in the
/// format of PyTorch before 1.6.
pub fn read(path: &Path) -> Result<Vec<NamedTensor>> {
    Mapping::open(path)?.checked(|file| read_from(path, file))
}

fn read_from(path: &Path, file: &[u8]) -> Result<Vec<NamedTensor>> {
    if !file.starts_with(b"PK") {
        return Err(Error::unsupported(
            path.display(),
            "not a zip archive; files of PyTorch before 1.6 are read after \
             `torch.save(torch.load(PATH, map_location='cpu'), PATH)` in Python",
        ));
    }
    let mut archive = Archive::open(path, file)?;
    let pickle = archive.entry("data.pkl")?;
    let start = pickle.start;
    // Positions in the pickle are reported as positions in the file.
    let at = |fault: Fault| Error::format_at(path, fault.offset + start as u64, fault.message);
    let mut host = TorchHost::default();
    let (value, heap) = machine::run(&file[pickle], &mut host).map_err(at)?;
    let dict = state_dict(&host, &heap, value).map_err(|m| Error::format(path, m))?;
    let big_endian = match archive.entry("byteorder") {
        Ok(range) => &file[range] == b"big",
        Err(_) => false,
    };
    // Tensors may share a storage, but not without end: as f32 they take at most
    // four times the file's size.
    let mut budget = file.len();
    let mut tensors = Vec::new();
    let mut names = HashSet::new();
    for (key, value) in heap.entries(dict).unwrap_or_default() {
        let Value::Text(key) = key else {
            return Err(Error::format(path, format!("a key is {}", key.kind())));
        };
        let name = key.text(heap.file, LONGEST_KEY).map_err(at)?;
        let tensor = host.tensor(*value).ok_or_else(|| {
            Error::format(path, format!("`{name}` is {}, not a tensor", value.kind()))
        })?;
        let Some(size) = tensor.storage.number.size() else {
            continue;
        };
        let entry = tensor
            .storage
            .key
            .text(heap.file, LONGEST_NAME)
            .map_err(at)?;
        let range = archive.entry(&format!("data/{entry}"))?;
        let broken = |message: String| Error::format(path, format!("`{name}`: {message}"));
        let count = count(tensor, range.len() / size).map_err(broken)?;
        budget = budget.checked_sub(count).ok_or_else(|| {
            Error::limits(
                path.display(),
                format!("`{name}` and those before it repeat the file's numbers too often"),
            )
        })?;
        let values = gather(tensor, &file[range], count, big_endian);
        if !names.insert(name.clone()) {
            return Err(broken("the name comes twice".to_owned()));
        }
        tensors.push((name, tensor.shape.clone(), values));
    }
    Ok(tensors)
}

/// The entries of a PyTorch archive, all in one folder and none compressed.
struct Archive<'a> {
    path: &'a Path,
    zip: ZipArchive<Cursor<&'a [u8]>>,
    file: &'a [u8],
    folder: String,
}

impl<'a> Archive<'a> {
    fn open(path: &'a Path, file: &'a [u8]) -> Result<Self> {
        let zip = ZipArchive::new(Cursor::new(file))
            .map_err(|e| Error::format(path, format!("a broken zip archive: {e}")))?;
        let folder = zip
            .file_names()
            .find_map(|name| name.strip_suffix("data.pkl"))
            .ok_or_else(|| Error::format(path, "no `data.pkl` in this archive"))?
            .to_owned();
        Ok(Self {
            path,
            zip,
            file,
            folder,
        })
    }

    /// Range of the content of an entry in the file.
    fn entry(&mut self, name: &str) -> Result<Range<usize>> {
        let name = format!("{}{name}", self.folder);
        let broken = |message: &dyn std::fmt::Display| {
            Error::format(self.path, format!("entry `{name}`: {message}"))
        };
        let entry = self.zip.by_name(&name).map_err(|e| broken(&e))?;
        if entry.compression() != CompressionMethod::Stored {
            return Err(broken(&"compressed, which PyTorch never does"));
        }
        let place = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let start = place(entry.data_start());
        let range = start..start.saturating_add(place(entry.size()));
        let content = self
            .file
            .get(range.clone())
            .ok_or_else(|| broken(&"past the end of the file"))?;
        // PyTorch can leave checksums out.
        if entry.crc32() != 0 && crc32fast::hash(content) != entry.crc32() {
            return Err(broken(&"its checksum is wrong: the file is damaged"));
        }
        Ok(range)
    }
}

/// The dict of tensors: `value`, or what it holds under one of [`NESTED`].
fn state_dict(host: &TorchHost, heap: &Heap<'_>, value: Value) -> Result<Value, String> {
    let entries = heap
        .entries(value)
        .ok_or_else(|| format!("expected a dict of tensors, found {}", value.kind()))?;
    if entries
        .iter()
        .any(|(_, value)| host.tensor(*value).is_some())
    {
        return Ok(value);
    }
    let named = |requested: &str| {
        let found = entries.iter().find(|(key, _)| {
            matches!(key, Value::Text(text) if text.text(heap.file, LONGEST_KEY).is_ok_and(|t| t == requested))
        });
        found.filter(|(_, value)| heap.entries(*value).is_some())
    };
    NESTED
        .iter()
        .find_map(|key| named(key))
        .map(|(_, dict)| *dict)
        .ok_or_else(|| {
            format!(
                "no tensors in this dict of {}, nor a dict under {}",
                crate::text::count(entries.len(), "entry"),
                NESTED.join(", ")
            )
        })
}

/// Numbers in the tensor, all of which are within a storage of `stored` numbers.
fn count(tensor: &StoredTensor, stored: usize) -> Result<usize, String> {
    let shape = &tensor.shape;
    let count = shape
        .iter()
        .try_fold(1usize, |n, axis| n.checked_mul(*axis));
    if count == Some(0) {
        return Ok(0);
    }
    let last = shape
        .iter()
        .zip(&tensor.strides)
        .try_fold(tensor.offset, |last, (axis, stride)| {
            last.checked_add((axis - 1).checked_mul(*stride)?)
        });
    match (count, last) {
        (Some(count), Some(last)) if last < stored => Ok(count),
        _ => Err(format!(
            "the shape {shape:?} reaches past its storage of {stored} numbers"
        )),
    }
}

/// The numbers of a tensor in C order; [`count`] has checked its bounds.
fn gather(tensor: &StoredTensor, stored: &[u8], count: usize, big_endian: bool) -> Vec<f32> {
    let at = |index: usize| match tensor.storage.number {
        Number::F16 => f16::from_le_bytes(number(stored, index, big_endian)).to_f32(),
        Number::BF16 => bf16::from_le_bytes(number(stored, index, big_endian)).to_f32(),
        Number::F32 => f32::from_le_bytes(number(stored, index, big_endian)),
        Number::F64 => f64::from_le_bytes(number(stored, index, big_endian)) as f32,
        Number::Whole => f32::NAN,
    };
    let mut values = Vec::with_capacity(count);
    // A stride along an axis of length 1 may be any number: it is added and taken
    // away again.
    let mut position = vec![0; tensor.shape.len()];
    let mut index = tensor.offset;
    for _ in 0..count {
        values.push(at(index));
        for axis in (0..position.len()).rev() {
            position[axis] += 1;
            index = index.wrapping_add(tensor.strides[axis]);
            if position[axis] < tensor.shape[axis] {
                break;
            }
            index = index.wrapping_sub(tensor.strides[axis].wrapping_mul(tensor.shape[axis]));
            position[axis] = 0;
        }
    }
    values
}

/// The bytes of one number, little-endian.
fn number<const N: usize>(stored: &[u8], index: usize, big_endian: bool) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&stored[index * N..(index + 1) * N]);
    if big_endian {
        bytes.reverse();
    }
    bytes
}
