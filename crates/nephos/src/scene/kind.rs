//! What a path holds.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::formats::READ;
use super::unsupported;
use crate::error::{Error, Result};
use crate::raster::Mapping;
use crate::raster::format::RasterFormat;

/// The table of samples in a `.tacozip`.
pub(crate) const TACO_LEVEL_0: &str = "METADATA/level0.parquet";

/// The key of a list of samples (`samples::SampleList`).
const SAMPLE_LIST_KEY: &str = "\"nephos_samples\"";

/// The first bytes of a NumPy array's file.
pub(crate) const NUMPY_MAGIC: &[u8; 6] = b"\x93NUMPY";

/// What a path holds, detected from its first bytes and, where they are ambiguous, from
/// its extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A folder of rasters.
    Folder,
    /// A Python pickle.
    Pickle,
    /// One NumPy array.
    Npy,
    /// A zip of NumPy arrays.
    Npz,
    /// A TIFF raster.
    Tiff,
    /// A PNG or JPEG picture.
    Picture,
    /// A container of the TACO Foundation, as CloudSEN12+ comes in.
    Taco,
    /// A list of samples of other containers.
    SampleList,
    /// Weights that PyTorch saved.
    Torch,
    /// Weights as safetensors; a nephos bundle is one.
    Safetensors,
}

/// What the file or folder at `path` holds.
///
/// # Errors
/// The path is not there, or nothing that nephos reads.
pub fn detect(path: &Path) -> Result<Kind> {
    unsupported::refuse_remote(path)?;
    let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    if let Some(unsupported) = unsupported::of(path)? {
        return Err(unsupported.error());
    }
    if metadata.is_dir() {
        return Ok(Kind::Folder);
    }
    let magic = first_bytes(path)?;
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let named = |names: &[&str]| {
        names
            .iter()
            .any(|name| extension.eq_ignore_ascii_case(name))
    };
    match RasterFormat::of(&magic) {
        Some(RasterFormat::Tiff) => return Ok(Kind::Tiff),
        Some(RasterFormat::Picture) => return Ok(Kind::Picture),
        None => {}
    }
    match *magic.as_slice() {
        [] => Err(Error::format_at(path, 0, "the file is empty")),
        _ if magic.starts_with(NUMPY_MAGIC) => Ok(Kind::Npy),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => zip_kind(path),
        // The length of a JSON header, then the header.
        [_, _, _, _, _, 0, 0, 0, b'{', ..] => Ok(Kind::Safetensors),
        // After weights, whose length may begin with the same bytes.
        [b'#', b'y', ..] | [b'W', b'X', ..] => Ok(Kind::Taco),
        // Old PyTorch files are several pickles, the first a large number.
        [0x80, 0..=5, ..] if named(&["pth", "pt"]) => Ok(Kind::Torch),
        [0x80, 0..=5, ..] => Ok(Kind::Pickle),
        [b'{', ..] if is_sample_list(path)? => Ok(Kind::SampleList),
        // Protocol 0 has no magic; its opcodes are letters.
        _ if named(&["pkl", "pickle", "p"]) => Ok(Kind::Pickle),
        _ => Err(Error::unsupported(
            path.display(),
            format!("an unknown format. {READ}"),
        )),
    }
}

/// The first bytes of a file, at most 16.
pub(crate) fn first_bytes(path: &Path) -> Result<Vec<u8>> {
    let fail = |e| Error::io(path, e);
    let mut magic = Vec::with_capacity(16);
    File::open(path)
        .map_err(fail)?
        .take(16)
        .read_to_end(&mut magic)
        .map_err(fail)?;
    Ok(magic)
}

/// PyTorch's archives hold a pickle, NumPy's hold arrays.
fn zip_kind(path: &Path) -> Result<Kind> {
    Mapping::open(path)?.checked(|bytes| zip_kind_of(path, bytes))
}

fn zip_kind_of(path: &Path, bytes: &[u8]) -> Result<Kind> {
    let archive = zip::ZipArchive::new(std::io::Cursor::new(bytes))
        .map_err(|e| Error::format(path, format!("a broken zip archive: {e}")))?;
    if archive.file_names().any(|name| name.ends_with(".npy")) {
        Ok(Kind::Npz)
    } else if archive.file_names().any(|name| name.ends_with("data.pkl")) {
        Ok(Kind::Torch)
    } else if is_taco_zip(archive.file_names()) {
        Ok(Kind::Taco)
    } else {
        Err(Error::unsupported(
            path.display(),
            format!("a zip archive with neither arrays nor weights. {READ}"),
        ))
    }
}

/// Whether a zip archive with entries of these names is a `.tacozip`.
pub(crate) fn is_taco_zip<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    names.any(|name| name == TACO_LEVEL_0)
}

/// Whether the file at `path` has the key of a sample list near its beginning.
fn is_sample_list(path: &Path) -> Result<bool> {
    let fail = |e| Error::io(path, e);
    let mut start = Vec::new();
    let file = File::open(path).map_err(fail)?;
    file.take(256).read_to_end(&mut start).map_err(fail)?;
    Ok(String::from_utf8_lossy(&start).contains(SAMPLE_LIST_KEY))
}
