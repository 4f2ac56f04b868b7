//! The images of a product, and which of them serve a band on a grid.

use std::sync::{Arc, Mutex, PoisonError};

use super::bands::{self, COUNT};
use super::files::Files;
use super::product::Product;
use super::tile::{Tile, TileGrid};
use crate::band::SENTINEL2;
use crate::error::{Error, Result};
use crate::raster::jp2::{Jp2, Jp2Info};

/// One image file of a band.
pub struct Image {
    /// Name within the product.
    pub name: String,
    pub band: usize,
    /// Pixel size in metres, one of the tile's grids.
    pub resolution: u32,
    pub info: Jp2Info,
    /// Opened when it is first read.
    open: Mutex<Option<Arc<Jp2>>>,
}

impl Image {
    /// The opened image.
    pub fn get(&self, files: &Files) -> Result<Arc<Jp2>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = open.as_ref() {
            return Ok(Arc::clone(image));
        }
        let image = Jp2::open(files.path(&self.name), files.image(&self.name)?)?;
        if image.info() != self.info {
            let message = "the file changed while it was open";
            return Err(Error::format(files.path(&self.name), message));
        }
        let image = Arc::new(image);
        *open = Some(Arc::clone(&image));
        Ok(image)
    }
}

/// Names of a product's image files that are there, and the folder of the granule
/// they are in; inconsistencies go to `notes`.
pub fn names(
    files: &Files,
    product: &Product,
    notes: &mut Vec<String>,
) -> Result<(Vec<String>, String)> {
    let there: Vec<&String> = (files.names.iter())
        .filter(|name| name.contains("/IMG_DATA/") && bands::of_file(name).is_some())
        .collect();
    let listed: Vec<&str> = (product.images.iter())
        .map(|file| bands::stem(file))
        .filter(|stem| bands::of_file(stem).is_some())
        .collect();
    let is_listed = |name: &&&String| listed.contains(&bands::stem(name));
    let mut found: Vec<String> = there
        .iter()
        .filter(is_listed)
        .map(|s| s.to_string())
        .collect();
    if found.is_empty() && !there.is_empty() {
        if !listed.is_empty() {
            notes.push(
                "The product's metadata list other image files than there are: those in \
                 GRANULE/*/IMG_DATA are read."
                    .to_owned(),
            );
        }
        found = there.iter().map(|s| s.to_string()).collect();
    }
    let granule = |name: &String| name.splitn(3, '/').take(2).collect::<Vec<_>>().join("/");
    let main = files.path(&files.main);
    let Some(first) = found.first().map(granule) else {
        let message = "no band's image is there (GRANULE/*/IMG_DATA, element `IMAGE_FILE`)";
        return Err(Error::format(main, message));
    };
    if let Some(other) = found.iter().map(granule).find(|other| *other != first) {
        let message = format!(
            "several tiles (`{first}`, `{other}`); nephos reads products of one, as they are \
             since the end of 2016"
        );
        return Err(Error::unsupported(main.display(), message));
    }
    let absent = (0..COUNT).filter(|band| {
        let of_band = |stem: &str| bands::of_file(stem).is_some_and(|(own, _)| own == *band);
        listed.iter().any(|stem| of_band(stem)) && !found.iter().any(|name| of_band(name))
    });
    let absent: Vec<&str> = absent.map(|band| SENTINEL2[band].0).collect();
    if !absent.is_empty() {
        notes.push(format!(
            "The product's metadata list images of {} that are not there; these bands are left \
             out.",
            absent.join(", ")
        ));
    }
    Ok((found, first))
}

/// Images that can be read, and bands of which one can't be, with the reason.
pub struct Opened {
    pub images: Vec<Image>,
    /// Number of the band, and what is wrong.
    pub broken: Vec<(usize, Error)>,
}

/// Reads the images' headers; their sizes must be those of the tile's grids. What is wrong
/// with one is returned when its band is read.
///
/// # Errors
/// No image can be read: the first one's.
pub fn open(files: &Files, names: Vec<String>, product: &Product, tile: &Tile) -> Result<Opened> {
    let mut opened = Opened {
        images: Vec::new(),
        broken: Vec::new(),
    };
    for name in names {
        let Some((band, own)) = bands::of_file(&name) else {
            continue;
        };
        let resolution = own.unwrap_or(product.resolutions[band]);
        match header(files, &name, resolution, tile) {
            Ok(info) => opened.images.push(Image {
                name,
                band,
                resolution,
                info,
                open: Mutex::default(),
            }),
            Err(error) => opened.broken.push((band, error)),
        }
    }
    match (opened.images.is_empty(), opened.broken.is_empty()) {
        (true, false) => Err(opened.broken.swap_remove(0).1),
        _ => Ok(opened),
    }
}

fn header(files: &Files, name: &str, resolution: u32, tile: &Tile) -> Result<Jp2Info> {
    let path = files.path(name);
    let grid = tile.grid(resolution).ok_or_else(|| {
        let message = format!(
            "an image of {resolution} m, but the tile's metadata have no element `Size` of this \
             resolution"
        );
        Error::format(&path, message)
    })?;
    let info = files.image_header(name, |bytes, length| Jp2Info::parse(&path, bytes, length))?;
    if info.size != grid.size {
        let ([rows, cols], [height, width]) = (info.size, grid.size);
        let message = format!(
            "{rows} × {cols} pixels, but the tile's metadata (element `Size`) say {height} × \
             {width} at {resolution} m"
        );
        return Err(Error::format(&path, message));
    }
    Ok(info)
}

/// The image that serves a band on a grid of `resolution` metres: the one of that
/// pixel size, else the finest of the finer ones, else the finest of the coarser.
pub fn choose(images: &[Image], band: usize, resolution: u32) -> Option<usize> {
    let of_band = || (images.iter().enumerate()).filter(|(_, image)| image.band == band);
    of_band()
        .find(|(_, image)| image.resolution == resolution)
        .or_else(|| of_band().min_by_key(|(_, image)| image.resolution))
        .map(|(index, _)| index)
}

/// The grid that the scene gets: the requested one, else 10 m or the finest that
/// any image has.
pub fn grid(
    requested: Option<f64>,
    tile: &Tile,
    images: &[Image],
    notes: &mut Vec<String>,
) -> Result<TileGrid> {
    let list = || {
        let all: Vec<String> = (tile.grids.iter())
            .map(|g| g.resolution.to_string())
            .collect();
        all.join(", ")
    };
    if let Some(requested) = requested {
        return (tile.grids.iter())
            .find(|grid| f64::from(grid.resolution) == requested)
            .copied()
            .ok_or_else(|| {
                Error::usage(format!(
                    "`options.resolution = {requested}`: the product's bands come in {} m",
                    list()
                ))
            });
    }
    let has_images = |grid: &&TileGrid| images.iter().any(|i| i.resolution == grid.resolution);
    let grid = (tile.grids.iter())
        .find(has_images)
        .ok_or_else(|| Error::usage("a product without images has no grid".to_owned()))?;
    if let Some(finest) = tile.grids.first()
        && finest.resolution < grid.resolution
    {
        notes.push(format!(
            "The product has no image of {} m; the finest there is, {} m, is taken \
             (`options.resolution`: one of {}).",
            finest.resolution,
            grid.resolution,
            list()
        ));
    }
    Ok(*grid)
}
