//! The safetensors format: a length, a JSON header, the numbers.
//!
//! Reading is left to the `safetensors` crate, which checks every length and
//! offset before anything is allocated. Writing is done here so that it streams,
//! and so that the header's keys keep their order: the same weights give the
//! same bytes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::Bytes;
use crate::error::{Error, Result};
use crate::output::write_atomic;
use crate::weights::torch::NamedTensor;

/// Tensors and metadata of a safetensors file, or of weights that come with nephos; floats of any width become f32.
///
/// # Errors
/// The file can't be read, its header is broken, or a tensor is no float.
pub(super) fn read(path: &Path) -> Result<(Vec<NamedTensor>, BTreeMap<String, String>)> {
    Bytes::of(path)?.checked(|bytes| read_from(path, bytes))
}

fn read_from(path: &Path, bytes: &[u8]) -> Result<(Vec<NamedTensor>, BTreeMap<String, String>)> {
    let broken = |e| Error::format(path, format!("no valid safetensors file: {e}"));
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(broken)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let tensors = SafeTensors::deserialize(bytes).map_err(broken)?;
    let tensors = (tensors.iter())
        .filter(|(name, _)| !super::names::is_counter(name))
        .map(|(name, view)| {
            let values = floats(&view).ok_or_else(|| {
                let found = view.dtype();
                Error::format(path, format!("tensor `{name}` is {found:?}, not a float"))
            })?;
            Ok((name.to_owned(), view.shape().to_vec(), values))
        })
        .collect::<Result<_>>()?;
    Ok((tensors, metadata.into_iter().collect()))
}

/// The numbers of a tensor, or `None` where they are no floats.
fn floats(view: &TensorView<'_>) -> Option<Vec<f32>> {
    let data = view.data();
    Some(match view.dtype() {
        Dtype::F32 => decode(data, f32::from_le_bytes),
        Dtype::F64 => decode(data, |b| f64::from_le_bytes(b) as f32),
        Dtype::F16 => decode(data, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => decode(data, |b| bf16::from_le_bytes(b).to_f32()),
        _ => return None,
    })
}

fn decode<const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (numbers, _) = data.as_chunks::<N>();
    numbers.iter().map(|bytes| number(*bytes)).collect()
}

/// Name of the tensor of 32 bytes that ends a file with a checksum: the SHA-256 of all bytes
/// before it.
pub(crate) const CHECKSUM: &str = "checksum";

/// Bytes of a SHA-256.
pub(crate) const DIGEST: usize = 32;

/// One tensor to write.
pub(crate) struct Tensor<'a> {
    pub name: String,
    pub shape: Vec<usize>,
    pub values: &'a [f32],
}

/// Writes a safetensors file of f32 tensors in the order given.
///
/// # Errors
/// The file can't be written.
pub(super) fn write(
    path: &Path,
    tensors: &[NamedTensor],
    metadata: &[(&str, String)],
) -> Result<()> {
    let tensors: Vec<Tensor<'_>> = (tensors.iter())
        .map(|(name, shape, values)| Tensor {
            name: name.clone(),
            shape: shape.clone(),
            values,
        })
        .collect();
    write_tensors(path, &tensors, metadata, false)
}

/// The same of borrowed tensors; with `checksum` a last tensor of bytes, [`CHECKSUM`], holds the
/// digest of all before it.
///
/// # Errors
/// The file can't be written; a file that is there is kept.
pub(crate) fn write_tensors(
    path: &Path,
    tensors: &[Tensor<'_>],
    metadata: &[(&str, String)],
    checksum: bool,
) -> Result<()> {
    let mut header = Map::new();
    let metadata: Map<_, _> = (metadata.iter())
        .map(|(key, value)| ((*key).to_owned(), Value::from(value.as_str())))
        .collect();
    if !metadata.is_empty() {
        header.insert("__metadata__".to_owned(), metadata.into());
    }
    let mut end = 0;
    let mut entry = |name: &str, dtype: &str, shape: &[usize], bytes: usize| {
        let begin = end;
        end += bytes;
        let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [begin, end]});
        header.insert(name.to_owned(), entry);
    };
    for tensor in tensors {
        entry(
            &tensor.name,
            "F32",
            &tensor.shape,
            size_of_val(tensor.values),
        );
    }
    if checksum {
        entry(CHECKSUM, "U8", &[DIGEST], DIGEST);
    }
    let mut header = Value::from(header).to_string().into_bytes();
    // The numbers start at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    write_atomic(path, |file| {
        let fail = |e| Error::io(path, e);
        let mut hash = Sha256::new();
        let mut put = |bytes: &[u8]| {
            if checksum {
                hash.update(bytes);
            }
            file.write_all(bytes).map_err(fail)
        };
        put(&(header.len() as u64).to_le_bytes())?;
        put(&header)?;
        for tensor in tensors {
            for block in tensor.values.chunks(4096) {
                let bytes: Vec<u8> = block.iter().flat_map(|value| value.to_le_bytes()).collect();
                put(&bytes)?;
            }
        }
        match checksum {
            true => file.write_all(&hash.finalize()).map_err(fail),
            false => Ok(()),
        }
    })
}
