//! Choice of the reader of a path.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::SampleSource;
use super::channels_last::ChannelsLast;
use super::formats::READ;
use super::mapping::Mapping;
use super::npz::NpzSource;
use super::numpy::{self, NpySource};
use super::pairs::RasterSource;
use super::pickle::PickleSource;
use super::raster::RasterFormat;
use super::sample_list::{self, SampleList};
use super::taco::{self, TacoSource};
use super::unsupported;
use crate::error::{Error, Result};

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

/// Opens a container of samples: a Python pickle, `.npy`, `.npz`, a GeoTIFF, PNG or
/// JPEG, a `.taco`, `.tortilla`, `.tacozip` or `.mlstac`, a list of samples
/// ([`SampleList`]), or a folder with `image/NAME.tif` and `label/NAME.tif`; see
/// [`detect`].
///
/// # Errors
/// The path is not there, or its format is unknown or broken.
pub fn open(path: &Path) -> Result<Box<dyn SampleSource>> {
    open_as(path, false)
}

/// The same; with `channels_last` arrays are `[height, width, channels]`, or
/// `[samples, height, width, channels]`. Rasters are as they are.
///
/// # Errors
/// As for [`open`].
pub fn open_as(path: &Path, channels_last: bool) -> Result<Box<dyn SampleSource>> {
    let kind = detect(path)?;
    let source: Box<dyn SampleSource> = match kind {
        Kind::Folder => Box::new(RasterSource::open_folder(path)?),
        Kind::Pickle => Box::new(PickleSource::open(path)?),
        Kind::Npy => Box::new(NpySource::open(path)?),
        Kind::Npz => Box::new(NpzSource::open(path)?),
        Kind::Taco => Box::new(TacoSource::open(path)?),
        Kind::SampleList => Box::new(SampleList::open_as(path, channels_last)?),
        Kind::Tiff | Kind::Picture => Box::new(RasterSource::open_file(path)?),
        Kind::Torch | Kind::Safetensors => {
            return Err(Error::unsupported(
                path.display(),
                format!("these are weights, not samples. {READ}"),
            ));
        }
    };
    Ok(match kind {
        Kind::Pickle | Kind::Npy | Kind::Npz if channels_last => {
            Box::new(ChannelsLast::new(source))
        }
        _ => source,
    })
}

/// Whether `path` holds samples, which [`open`] takes, rather than a scene, which
/// [`open_scene`](super::open_scene) takes. A broken or unknown file counts as a
/// scene: opening it says what is wrong.
pub fn is_container(path: &Path) -> bool {
    match detect(path) {
        Ok(Kind::Folder) => path.join("image").is_dir(),
        Ok(kind) => !matches!(
            kind,
            Kind::Tiff | Kind::Picture | Kind::Torch | Kind::Safetensors
        ),
        Err(_) => false,
    }
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
        _ if magic.starts_with(numpy::MAGIC) => Ok(Kind::Npy),
        [b'P', b'K', 3 | 5, 4 | 6, ..] => zip_kind(path),
        // The length of a JSON header, then the header.
        [_, _, _, _, _, 0, 0, 0, b'{', ..] => Ok(Kind::Safetensors),
        // After weights, whose length may begin with the same bytes.
        [b'#', b'y', ..] | [b'W', b'X', ..] => Ok(Kind::Taco),
        // Old PyTorch files are several pickles, the first a large number.
        [0x80, 0..=5, ..] if named(&["pth", "pt"]) => Ok(Kind::Torch),
        [0x80, 0..=5, ..] => Ok(Kind::Pickle),
        [b'{', ..] if sample_list::is_sample_list(path)? => Ok(Kind::SampleList),
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
    } else if taco::is_zip(archive.file_names()) {
        Ok(Kind::Taco)
    } else {
        Err(Error::unsupported(
            path.display(),
            format!("a zip archive with neither arrays nor weights. {READ}"),
        ))
    }
}
