//! Choice of the reader of a scene.

use std::path::{Path, PathBuf};

use super::formats::READ;
use super::picture::PictureScene;
use super::raster_scene::RasterScene;
use super::unsupported;
use super::{LandsatScene, SafeScene, Scene, SceneOptions, landsat, raster_names, safe};
use crate::error::{Error, Result};
use crate::raster::format::RasterFormat;
use crate::scene::kind::{Kind, detect, first_bytes};

/// Files and folders of a folder that are searched for products.
const MOST_ENTRIES: usize = 4096;
/// Products that a message lists.
const MOST_LISTED: usize = 8;

/// What a path holds, detected from the names in a folder and the first bytes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SceneKind {
    Sentinel2,
    /// Images of bands outside of a product.
    Sentinel2Bands,
    Landsat,
    Tiff,
    TiffFolder,
    Picture,
    /// Anything else; a build with the feature `gdal` opens it with GDAL.
    Other,
}

/// Opens a scene: a GeoTIFF, a folder of GeoTIFFs or of Sentinel-2's JPEG 2000 files with
/// one band each, a Sentinel-2 SAFE folder or its zip, a Landsat folder or the MTL file in
/// it, a PNG or JPEG; or a folder in which one of these folders is the only one.
///
/// # Errors
/// The path is not there, or its format is unknown or broken; options that the
/// format does not take; a folder of several products, listed.
pub fn open_scene(path: &Path, options: &SceneOptions) -> Result<Box<dyn Scene>> {
    let (kind, path) = locate(path)?;
    let path = path.as_path();
    Ok(match kind {
        SceneKind::Sentinel2 => Box::new(SafeScene::open(path, options)?),
        SceneKind::Sentinel2Bands => Box::new(SafeScene::open_bands(path, options)?),
        SceneKind::Landsat => Box::new(LandsatScene::open(path, options)?),
        SceneKind::Tiff => {
            one_grid(path, options)?;
            Box::new(RasterScene::open_file(path, options)?)
        }
        SceneKind::TiffFolder => {
            one_grid(path, options)?;
            Box::new(RasterScene::open_folder(path, options)?)
        }
        SceneKind::Picture => {
            one_grid(path, options)?;
            Box::new(PictureScene::open(path, options)?)
        }
        #[cfg(feature = "gdal")]
        SceneKind::Other => {
            one_grid(path, options)?;
            Box::new(super::GdalScene::open(path, options)?)
        }
        #[cfg(not(feature = "gdal"))]
        SceneKind::Other => return Err(unknown(path)),
    })
}

/// The error of a file of unknown format.
#[cfg_attr(feature = "gdal", allow(dead_code))]
fn unknown(path: &Path) -> Error {
    let what = match detect(path) {
        Ok(Kind::Torch | Kind::Safetensors) => "these are weights, not a scene",
        Ok(_) => "a container of samples, not a scene",
        Err(error @ Error::Io { .. }) => return error,
        Err(_) => "an unknown format",
    };
    let gdal = "A build with the feature `gdal` reads what GDAL reads";
    Error::unsupported(path.display(), format!("{what}. {READ}. {gdal}"))
}

/// What a path holds, and its path: the folder itself, or the one product
/// in it.
fn locate(path: &Path) -> Result<(SceneKind, PathBuf)> {
    unsupported::refuse_remote(path)?;
    let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
    // A pipe must not be opened to look what it holds.
    let is_on_disk = metadata.is_dir() || metadata.is_file();
    if let Some(product) = is_on_disk.then(|| product(path)).flatten() {
        return Ok(product);
    }
    if let Some(unsupported) = unsupported::of(path)?
        && !(unsupported.gdal && cfg!(feature = "gdal"))
    {
        return Err(unsupported.error());
    }
    if metadata.is_dir() {
        return in_folder(path);
    }
    let kind = match RasterFormat::of(&first_bytes(path)?) {
        Some(RasterFormat::Tiff) => SceneKind::Tiff,
        Some(RasterFormat::Picture) => SceneKind::Picture,
        None => SceneKind::Other,
    };
    Ok((kind, path.to_owned()))
}

/// What a file or folder is that is a product, and its path.
fn product(path: &Path) -> Option<(SceneKind, PathBuf)> {
    if path.is_dir() && unsupported::of(path).is_ok_and(|unsupported| unsupported.is_some()) {
        return None;
    }
    if safe::is_product(path) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let folder = match path.parent() {
            Some(parent) if safe::is_main(&name) => match parent.as_os_str().is_empty() {
                true => Path::new("."),
                false => parent,
            },
            _ => path,
        };
        // Metadata beside images, without the product's folders.
        let is_unpacked = !folder.join("GRANULE").is_dir() && safe::has_bands(folder);
        return Some(match is_unpacked {
            true => (SceneKind::Sentinel2Bands, folder.to_owned()),
            false => (SceneKind::Sentinel2, path.to_owned()),
        });
    }
    landsat::is_landsat(path).then(|| (SceneKind::Landsat, path.to_owned()))
}

/// Of a folder that is no product with metadata itself.
fn in_folder(path: &Path) -> Result<(SceneKind, PathBuf)> {
    let tiffs = raster_names::files_of(path)?;
    if tiffs.iter().any(|file| raster_names::is_band(file)) {
        return Ok((SceneKind::TiffFolder, path.to_owned()));
    }
    if safe::has_bands(path) {
        return Ok((SceneKind::Sentinel2Bands, path.to_owned()));
    }
    let mut within: Vec<(SceneKind, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(path)
        .map_err(|e| Error::io(path, e))?
        .take(MOST_ENTRIES)
    {
        let entry = entry.map_err(|e| Error::io(path, e))?.path();
        let name = entry.file_name().unwrap_or_default().to_string_lossy();
        let is_zip = name.to_ascii_lowercase().ends_with(".zip");
        if name.starts_with('.') || !(entry.is_dir() || is_zip) {
            continue;
        }
        let found = product(&entry).or_else(|| Some((bands_in(&entry)?, entry)));
        within.extend(found);
    }
    within.sort_by(|a, b| a.1.cmp(&b.1));
    // A product and its zip are one.
    let unpacked: Vec<String> = (within.iter())
        .filter(|(_, path)| path.is_dir())
        .map(|(_, path)| bare_name(path))
        .collect();
    within.retain(|(_, path)| path.is_dir() || !unpacked.contains(&bare_name(path)));
    if within.len() > 1 {
        let names: Vec<String> = (within.iter().take(MOST_LISTED))
            .map(|(_, path)| {
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        let more = match within.len() > MOST_LISTED {
            true => ", …",
            false => "",
        };
        let message = format!(
            "a folder of {} products ({}{more}), and a scene is one. Give one of them, or all \
             of them as {}/*",
            within.len(),
            names.join(", "),
            path.display()
        );
        return Err(Error::unsupported(path.display(), message));
    }
    if let Some(one) = within.pop() {
        return Ok(one);
    }
    if !tiffs.is_empty() {
        return Ok((SceneKind::TiffFolder, path.to_owned()));
    }
    Err(Error::unsupported(
        path.display(),
        format!(
            "a folder without GeoTIFFs, and neither a Sentinel-2 SAFE product nor a Landsat \
             product with its MTL file{}. {READ}",
            contents(path)
        ),
    ))
}

/// Bands without metadata in a folder within that which is given.
fn bands_in(path: &Path) -> Option<SceneKind> {
    if !path.is_dir() {
        return None;
    }
    let tiffs = raster_names::files_of(path).unwrap_or_default();
    match tiffs.iter().any(|file| raster_names::is_band(file)) {
        true => Some(SceneKind::TiffFolder),
        false => safe::has_bands(path).then_some(SceneKind::Sentinel2Bands),
    }
}

/// A product's name without `.zip` and `.SAFE`.
fn bare_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut name = name.to_ascii_lowercase();
    for ending in [".zip", ".safe"] {
        if let Some(bare) = name.strip_suffix(ending) {
            name = bare.to_owned();
        }
    }
    name
}

/// What is in a folder, in words: the first names.
fn contents(path: &Path) -> String {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut names: Vec<String> = (entries.take(MOST_ENTRIES))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    let is_archive = |name: &&String| {
        let name = name.to_ascii_lowercase();
        [".tar", ".tar.gz", ".tgz", ".zip"]
            .iter()
            .any(|ending| name.ends_with(ending))
    };
    if let Some(archive) = names.iter().find(is_archive) {
        return format!("; it holds {archive}, which is to be unpacked first");
    }
    match names.len() {
        0 => "; it is empty".to_owned(),
        count if count <= 3 => format!("; it holds {}", names.join(", ")),
        count => format!(
            "; it holds {} and {} more",
            names[..3].join(", "),
            count - 3
        ),
    }
}

/// Refuses a resolution for a format that has but one.
fn one_grid(path: &Path, options: &SceneOptions) -> Result<()> {
    match options.resolution {
        None => Ok(()),
        Some(_) => Err(Error::usage(format!(
            "{}: `options.resolution` is for products whose bands have several, as Sentinel-2's; \
             this raster is read as it is",
            path.display()
        ))),
    }
}
