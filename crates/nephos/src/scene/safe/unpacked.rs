//! Images of bands outside of a product: the folder `IMG_DATA` by itself, or a tile as it
//! is stored on AWS (`B02.jp2`, `R10m/B02.jp2`, `metadata.xml`, `tileInfo.json`).
//!
//! What the numbers mean is in the product's metadata alone. Where these are neither in the
//! folder nor beside it, the user must say.

use std::path::{Path, PathBuf};

use super::bands::{self, COUNT, RESOLUTIONS};
use super::files::{Files, is_main, is_product};
use super::images;
use super::product::Product;
use super::tile::{Tile, TileGrid};
use super::{Parts, SafeScene, georeference, odd_offsets};
use crate::band::SENTINEL2;
use crate::error::{Error, Result};
use crate::raster::jp2::Jp2Info;
use crate::raster::xml;
use crate::scene::SceneOptions;

/// Folders within that images may be in.
const FOLDERS: [&str; 3] = ["R10m", "R20m", "R60m"];
/// Entries of a folder that are listed.
const MOST_ENTRIES: usize = 4096;
/// Parents that may be the product's folder.
const PARENTS: usize = 5;

/// Whether a folder has images of at least one band.
pub fn has_bands(path: &Path) -> bool {
    !image_names(path).is_empty()
}

/// Names of a folder's images of bands, in order.
fn image_names(path: &Path) -> Vec<String> {
    let list = |folder: &Path, prefix: &str| -> Vec<String> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .take(MOST_ENTRIES)
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| super::band_of_file(name).is_some() && !name.starts_with("MSK_"))
            .map(|name| format!("{prefix}{name}"))
            .collect()
    };
    let mut names = list(path, "");
    for folder in FOLDERS {
        names.extend(list(&path.join(folder), &format!("{folder}/")));
    }
    names.sort();
    names
}

impl SafeScene {
    /// Opens a folder with Sentinel-2's images and no product around them. The folder of a
    /// product that contains it goes first; then metadata in the folder or beside it.
    ///
    /// # Errors
    /// No metadata of the product and neither scale nor offset in `options`; two images of
    /// one band and pixel size, or of sizes that don't fit; and as [`Self::open`].
    pub fn open_bands(path: &Path, options: &SceneOptions) -> Result<Self> {
        let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut around = whole.ancestors().skip(1).take(PARENTS);
        let is_around = |folder: &&Path| {
            let within = whole.strip_prefix(folder);
            within.is_ok_and(|within| within.starts_with("GRANULE")) && is_product(folder)
        };
        if let Some(product) = around.find(is_around) {
            return Self::open(product, options);
        }
        if options.bands.is_some() {
            let message = "`options.bands`: Sentinel-2's images name their bands themselves";
            return Err(Error::usage(format!("{}: {message}", path.display())));
        }
        let names = image_names(path);
        refuse_doubles(path, &names)?;
        let metadata = Metadata::of(path, &names)?;
        let files = Files::bands(path, names.clone());
        let mut notes = Vec::new();
        let is_given = options.scale.is_some() || options.offset.is_some();
        let (main, product, words) = match metadata.product {
            Some((main, product)) => {
                let words = format!(
                    "{} {}, processing baseline {}, images without their product",
                    product.spacecraft,
                    product.level.name(),
                    product.baseline
                );
                (main, product, words)
            }
            None if is_given => {
                let words = "Sentinel-2, images without metadata of their product".to_owned();
                (path.to_owned(), Product::unknown(), words)
            }
            None => return Err(unscaled(path, &names)),
        };
        let name = crate::scene::raster_scene::name_of(path);
        if !is_given {
            notes.extend(odd_offsets(&product, ""));
        }
        let tile = match metadata.tile {
            Some(tile) => tile,
            None => tile_of(&files, &product, &mut notes)?,
        };
        let opened = images::open(&files, names, &product, &tile)?;
        let grid = images::grid(options.resolution, &tile, &opened.images, &mut notes)?;
        let parts = Parts {
            files,
            main,
            product,
            opened,
            tile,
            grid,
        };
        Self::build(path, name, words, parts, notes, options)
    }
}

/// Two dates in one folder.
fn refuse_doubles(path: &Path, names: &[String]) -> Result<()> {
    for (position, name) in names.iter().enumerate() {
        let same = |other: &&String| bands::of_file(other) == bands::of_file(name);
        if let Some(first) = names[..position].iter().find(same) {
            let band = super::band_of_file(name).unwrap_or_default();
            let message = format!(
                "{first} and {name} are both {band}: a scene has each band once, of one date and \
                 tile; give each date a folder of its own"
            );
            return Err(Error::format(path, message));
        }
    }
    Ok(())
}

/// The error where nothing says what the numbers mean.
fn unscaled(path: &Path, names: &[String]) -> Error {
    let mut bands: Vec<&str> = (0..COUNT)
        .filter(|band| (names.iter()).any(|n| bands::of_file(n).is_some_and(|(b, _)| b == *band)))
        .map(|band| SENTINEL2[band].0)
        .collect();
    bands.dedup();
    let product = aws_name(path).map_or(String::new(), |name| format!(" of {name}"));
    Error::usage(format!(
        "{}: Sentinel-2's images ({}){product} without the metadata of their product, \
         MTD_MSIL1C.xml or MTD_MSIL2A.xml, which alone say how numbers become reflectance. Put \
         that file into the folder, or give the SAFE folder, or say it: `options.scale = 10000` with \
         `options.offset = -1000` for processing baseline 04.00 and later (N0400 in the product's \
         name), with `options.offset = 0` before",
        path.display(),
        bands.join(", ")
    ))
}

/// Name of the product in `productInfo.json`, which AWS has beside the images.
fn aws_name(path: &Path) -> Option<String> {
    let text = std::fs::read(path.join("productInfo.json")).ok()?;
    let json: serde_json::Value = serde_json::from_slice(&text).ok()?;
    let name = json.get("name")?.as_str()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    (name.len() <= 100 && name.chars().all(is_plain)).then(|| name.to_owned())
}

/// Metadata in the folder or beside it.
#[derive(Default)]
struct Metadata {
    product: Option<(PathBuf, Product)>,
    tile: Option<Tile>,
}

impl Metadata {
    /// `names` are the images'.
    fn of(path: &Path, names: &[String]) -> Result<Self> {
        let mut found = Self::default();
        let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut files = xml_files(path, |_| true);
        if let Some(parent) = whole.parent() {
            files.extend(xml_files(parent, |name| {
                is_main(name) || name == "MTD_TL.xml"
            }));
        }
        for file in files {
            let Ok(bytes) = read(&file) else { continue };
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            match Product::parse(&file, &bytes) {
                Ok(product) if found.product.is_none() => {
                    check_images(&file, &product, names)?;
                    found.product = Some((file, product));
                    continue;
                }
                // Its own name identifies it.
                Err(error) if is_main(&name) => return Err(error),
                _ => {}
            }
            if found.tile.is_none() {
                found.tile = match Tile::parse(&file, &bytes) {
                    Ok(tile) => Some(tile),
                    Err(error) if name == "MTD_TL.xml" => return Err(error),
                    Err(_) => None,
                };
            }
        }
        Ok(found)
    }
}

/// Refuses metadata that list other images than there are, of the same manner of naming.
fn check_images(path: &Path, product: &Product, names: &[String]) -> Result<()> {
    let listed: Vec<&str> = product
        .images
        .iter()
        .map(|name| bands::stem(name))
        .collect();
    let own: Vec<&str> = names.iter().map(|name| bands::stem(name)).collect();
    // On AWS an image is named after its band alone.
    let is_bare = own.iter().all(|name| !name.contains('_'));
    if is_bare || listed.is_empty() || own.iter().any(|name| listed.contains(name)) {
        return Ok(());
    }
    let message = format!(
        "it lists other images ({}, …) than there are ({}, …): it is of another product",
        listed[0], own[0]
    );
    Err(Error::format(path, message))
}

fn xml_files(folder: &Path, fits: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = (entries.take(MOST_ENTRIES))
        .filter(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.to_ascii_lowercase().ends_with(".xml") && fits(&name)
        })
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

fn read(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let fail = |e| Error::io(path, e);
    let file = std::fs::File::open(path).map_err(fail)?;
    let mut bytes = Vec::new();
    // One byte more than allowed, for the parser to refuse.
    (file.take(xml::LARGEST as u64 + 1).read_to_end(&mut bytes)).map_err(fail)?;
    Ok(bytes)
}

/// The tile's grids by the images themselves, and the georeference where one states it.
fn tile_of(files: &Files, product: &Product, notes: &mut Vec<String>) -> Result<Tile> {
    let mut grids: Vec<TileGrid> = Vec::new();
    let mut place = None;
    for name in &files.names {
        let Some((band, own)) = bands::of_file(name) else {
            continue;
        };
        let path = files.path(name);
        let mut of_image = None;
        let info = files.image_header(name, |bytes, length| {
            of_image = georeference::of(bytes);
            Jp2Info::parse(&path, bytes, length)
        });
        // A broken image is an error when its band is read.
        let Ok(info) = info else { continue };
        let resolution = own.unwrap_or(product.resolutions[band]);
        place = place.or(of_image.filter(|(_, t): &(u16, [f64; 6])| t[1] == f64::from(resolution)));
        if !grids.iter().any(|grid| grid.resolution == resolution) {
            grids.push(TileGrid {
                resolution,
                size: info.size,
                transform: [0.0; 6],
            });
        }
    }
    grids.retain(|grid| RESOLUTIONS.contains(&grid.resolution));
    grids.sort_by_key(|grid| grid.resolution);
    let epsg = place.map(|(epsg, _)| epsg);
    match place {
        Some((_, [x, _, _, y, ..])) => {
            for grid in &mut grids {
                let pixel = f64::from(grid.resolution);
                grid.transform = [x, pixel, 0.0, y, 0.0, -pixel];
            }
        }
        None => notes.push(
            "Neither the images nor a file beside them (MTD_TL.xml) give a georeference: the \
             mask has no georeference."
                .to_owned(),
        ),
    }
    Ok(Tile {
        epsg,
        grids,
        sun: None,
        sensed: None,
    })
}
