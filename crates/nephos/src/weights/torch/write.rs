//! Writing of state dicts.

use std::io::Write;
use std::path::Path;

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::NamedTensor;
use crate::error::{Error, Result};
use crate::output::write_atomic;

/// Folder of all entries; PyTorch takes any.
const FOLDER: &str = "archive";
/// Storages begin at multiples of this, as PyTorch's do.
const ALIGNMENT: u16 = 64;

/// Writes tensors so that `torch.load(path, weights_only=True)` gives an
/// `OrderedDict` of them, float32, in the same order.
///
/// # Errors
/// [`Error::Usage`] where a shape does not fit the number of values;
/// [`Error::Io`].
pub fn write(path: &Path, tensors: &[NamedTensor]) -> Result<()> {
    for (name, shape, values) in tensors {
        if shape.iter().product::<usize>() != values.len() {
            return Err(Error::usage(format!(
                "tensor `{name}` of shape {shape:?} can't be made of {} numbers",
                values.len()
            )));
        }
    }
    write_atomic(path, |out| {
        let fail = |e: zip::result::ZipError| Error::io(path, e.into());
        let mut archive = ZipWriter::new(out);
        let mut entry = |name: &str, content: &[u8]| -> Result<()> {
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Stored)
                .with_alignment(ALIGNMENT)
                .large_file(u32::try_from(content.len()).is_err());
            archive
                .start_file(format!("{FOLDER}/{name}"), options)
                .map_err(fail)?;
            archive.write_all(content).map_err(|e| Error::io(path, e))
        };
        entry("data.pkl", &pickle(tensors))?;
        entry("byteorder", b"little")?;
        for (key, (_, _, values)) in tensors.iter().enumerate() {
            let numbers: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            entry(&format!("data/{key}"), &numbers)?;
        }
        entry("version", b"3\n")?;
        archive.finish().map_err(fail)?;
        Ok(())
    })
}

/// The dict, protocol 2 as PyTorch's own; storage `i` belongs to tensor `i`.
fn pickle(tensors: &[NamedTensor]) -> Vec<u8> {
    const ORDERED_DICT: &[u8] = b"ccollections\nOrderedDict\n)R";
    let mut out = b"\x80\x02".to_vec();
    out.extend(ORDERED_DICT);
    out.push(b'(');
    for (key, (name, shape, values)) in tensors.iter().enumerate() {
        text(&mut out, name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(b"ctorch\nFloatStorage\n");
        text(&mut out, &key.to_string());
        text(&mut out, "cpu");
        integer(&mut out, values.len());
        // The storage by its name, then offset, shape, strides, no gradient, no
        // hooks.
        out.extend(b"tQK\0");
        tuple(&mut out, shape);
        tuple(&mut out, &strides(shape));
        out.push(0x89);
        out.extend(ORDERED_DICT);
        out.extend(b"tR");
    }
    out.extend(b"u.");
    out
}

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis].max(1);
    }
    strides
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn integer(out: &mut Vec<u8>, value: usize) {
    out.extend([0x8a, 8]);
    out.extend((value as u64).to_le_bytes());
}

fn tuple(out: &mut Vec<u8>, values: &[usize]) {
    out.push(b'(');
    for value in values {
        integer(out, *value);
    }
    out.push(b't');
}
