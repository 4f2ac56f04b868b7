//! Choice of the reader of a container.

use std::path::Path;

use super::SampleSource;
use super::channels_last::ChannelsLast;
use super::npz::NpzSource;
use super::numpy::NpySource;
use super::pairs::RasterSource;
use super::pickle::PickleSource;
use super::sample_list::SampleList;
use super::taco::TacoSource;
use crate::error::{Error, Result};
use crate::scene::formats::READ;
use crate::scene::{Kind, detect};

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
/// [`open_scene`](crate::scene::open_scene) takes. A broken or unknown file counts as a
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
