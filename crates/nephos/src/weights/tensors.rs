//! Tensors of files of weights.

use std::path::Path;

use super::{Bytes, safetensors};
use crate::error::Result;
use crate::weights::torch;
use crate::weights::torch::NamedTensor;

/// Reads the tensors of a PyTorch state dict (`.pth`), a `.safetensors` file or a
/// bundle, distinguished by the file's content; or of weights that come with nephos
/// ([`Shipped`](super::Shipped)).
///
/// # Errors
/// The file can't be read, or is broken.
pub fn read(path: &Path) -> Result<Vec<NamedTensor>> {
    let bytes = Bytes::of(path)?;
    match &bytes[..bytes.len().min(9)] {
        // Eight bytes of length, then the header: the length may look like anything.
        [_, _, _, _, _, _, _, _, b'{'] => Ok(safetensors::read(path)?.0),
        // A zip archive, or a bare pickle as PyTorch wrote before 1.6.
        [b'P', b'K', ..] | [0x80, ..] => torch::read(path),
        _ => Ok(safetensors::read(path)?.0),
    }
}

/// Writes tensors: a PyTorch state dict for `.pth` and `.pt`, else safetensors.
///
/// # Errors
/// The file can't be written.
pub fn write(path: &Path, tensors: &[NamedTensor]) -> Result<()> {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("pth" | "pt") => torch::write(path, tensors),
        _ => safetensors::write(path, tensors, &[("written_by", "nephos".to_owned())]),
    }
}
