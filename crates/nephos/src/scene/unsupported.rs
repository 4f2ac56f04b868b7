//! Formats that nephos recognises and does not read, and how to convert them.
//!
//! Every command opens what it is given by [`open`](crate::samples::open()) or
//! [`open_scene`](super::open_scene()), and both check here, so that all messages are the same.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use super::formats::READ;
use super::kind::{NUMPY_MAGIC, is_taco_zip};
use super::safe;
use crate::error::{Error, Result};
use crate::raster::format::RasterFormat;
use crate::raster::mapping::Mapping;

/// Bytes of a file that are read.
const START: usize = 1 << 16;
/// Most parents of a file that are searched for the product it is part of.
const PARENTS: usize = 5;

/// Something that is recognised, and not read.
pub(crate) struct Unsupported {
    subject: String,
    what: String,
    /// What to do.
    how: String,
    /// Whether a build with GDAL reads it.
    pub gdal: bool,
}

impl Unsupported {
    fn new(path: &Path, what: impl Into<String>, how: impl Into<String>) -> Self {
        Self {
            subject: path.display().to_string(),
            what: what.into(),
            how: how.into(),
            gdal: false,
        }
    }

    /// As [`Self::new`], of what GDAL reads.
    fn of_gdal(path: &Path, what: impl Into<String>, how: impl Into<String>) -> Self {
        Self {
            gdal: true,
            ..Self::new(path, what, how)
        }
    }

    /// What it is, what to do, and what is read.
    pub fn error(&self) -> Error {
        let gdal = match self.gdal && cfg!(not(feature = "gdal")) {
            true => {
                " A build of nephos with the feature `gdal` reads it as a scene, where GDAL does."
            }
            false => "",
        };
        let message = format!(
            "{}, which nephos does not read. {}.{gdal} {READ}",
            self.what, self.how
        );
        Error::unsupported(&self.subject, message)
    }
}

/// Refuses paths that name no file or folder on disk: URLs, GDAL's virtual files, standard
/// input, pipes and devices.
///
/// # Errors
/// The path is one of these.
pub fn refuse_remote(path: &Path) -> Result<()> {
    if let Ok(metadata) = std::fs::metadata(path) {
        if metadata.is_file() || metadata.is_dir() {
            return Ok(());
        }
        let how = "Write it to a file first: a scene is read in parts, from more than one thread";
        return Err(Unsupported::new(path, "a pipe or device", how).error());
    }
    let text = path.to_string_lossy();
    let of = |what: &str, how: String| Err(Unsupported::new(path, what, how).error());
    if text == "-" {
        let how = "Write it to a file first, as in `… > scene.tif`: a scene is read in parts";
        return of("standard input", how.to_owned());
    }
    if text.starts_with("/vsi") {
        let how = format!("Copy it first: `gdal_translate {text} scene.tif`");
        return of("a file of GDAL's virtual file systems", how);
    }
    // `https://a` may come with a slash less where shells or scripts clean paths.
    if let Some((scheme, rest)) = text.split_once(":/")
        && (2..=8).contains(&scheme.len())
        && scheme
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'+')
    {
        let rest = rest.trim_start_matches('/');
        let how = match scheme.to_ascii_lowercase().as_str() {
            "s3" => format!("Download it first: `aws s3 cp s3://{rest} .`"),
            "gs" | "gcs" => format!("Download it first: `gcloud storage cp gs://{rest} .`"),
            "file" => format!("Give the path itself: /{rest}"),
            _ => format!("Download it first: `curl -LO '{scheme}://{rest}'`"),
        };
        return of("a URL", how);
    }
    let driver = text.split_once(':').map_or("", |(driver, _)| driver);
    if [
        "NETCDF",
        "HDF5",
        "HDF4",
        "ZARR",
        "GPKG",
        "SENTINEL2_L1C",
        "SENTINEL2_L2A",
    ]
    .contains(&driver)
        || driver == "HDF4_EOS"
    {
        let how = format!("Make a GeoTIFF of it: `gdal_translate '{text}' scene.tif`");
        return of("a GDAL subdataset name", how);
    }
    Ok(())
}

/// What a file or folder is, where it is recognised and not read.
///
/// # Errors
/// The file can't be read, or is empty.
pub(crate) fn of(path: &Path) -> Result<Option<Unsupported>> {
    let fail = |e| Error::io(path, e);
    let metadata = std::fs::metadata(path).map_err(fail)?;
    if metadata.is_dir() {
        return Ok(of_folder(path));
    }
    let mut start = Vec::new();
    let file = File::open(path).map_err(fail)?;
    (file.take(START as u64).read_to_end(&mut start)).map_err(fail)?;
    if start.is_empty() {
        return Err(Error::format_at(path, 0, "the file is empty"));
    }
    if is_read(&start) {
        return Ok(None);
    }
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let extension = extension.to_ascii_lowercase();
    Ok(archive(path, &start)
        .or_else(|| raster(path, &start, &extension))
        .or_else(|| other(path, &start, &extension)))
}

/// Whether a file begins as those that nephos reads.
fn is_read(start: &[u8]) -> bool {
    RasterFormat::of(start).is_some()
        || start.starts_with(NUMPY_MAGIC)
        || matches!(
            start,
            [0x80, 0..=5, ..] | [b'#', b'y', ..] | [b'W', b'X', ..]
        )
        || matches!(start, [_, _, _, _, _, 0, 0, 0, b'{', ..])
}

fn of_folder(path: &Path) -> Option<Unsupported> {
    let has = |name: &str| path.join(name).exists();
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.to_ascii_uppercase();
    if [".zarray", ".zgroup", ".zmetadata", "zarr.json"]
        .into_iter()
        .any(has)
        || name.ends_with(".ZARR")
    {
        return Some(zarr(path));
    }
    let is_safe = name.ends_with(".SAFE") || name.ends_with(".SEN3");
    if is_safe && (name.starts_with("S1") || name.starts_with("S3") || name.starts_with("S5")) {
        let what = format!("a product of Sentinel-{}", &name[1..2]);
        let how = "Of the Sentinels it reads Sentinel-2's MSI, Level-1C and Level-2A";
        return Some(Unsupported::new(path, what, how));
    }
    None
}

fn zarr(path: &Path) -> Unsupported {
    let how = format!(
        "Write a GeoTIFF of the bands of one date, as with xarray and rioxarray: \
         `xarray.open_zarr('{}')['NAME'].rio.to_raster('scene.tif')`",
        path.display()
    );
    Unsupported::of_gdal(path, "a Zarr store", how)
}

/// Archives and compressed files.
fn archive(path: &Path, start: &[u8]) -> Option<Unsupported> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let lower = name.to_ascii_lowercase();
    let stem = lower.split(".t").next().map_or(0, str::len);
    let folder = name
        .get(..stem)
        .filter(|stem| !stem.is_empty())
        .unwrap_or("FOLDER");
    let unpacked = |option: &str| {
        format!(
            "Unpack it into a folder of its own, and give that: `mkdir {folder} && tar \
             {option} {} -C {folder}`",
            path.display()
        )
    };
    if start.get(257..262) == Some(b"ustar") {
        return Some(Unsupported::new(path, "a tar archive", unpacked("xf")));
    }
    let packed: [(&[u8], &str, &str, &[&str]); 4] = [
        (&[0x1f, 0x8b], "gunzip", "xzf", &[".tar.gz", ".tgz"]),
        (b"BZh", "bunzip2", "xjf", &[".tar.bz2", ".tbz", ".tbz2"]),
        (b"\xfd7zXZ", "unxz", "xJf", &[".tar.xz", ".txz"]),
        (
            &[0x28, 0xb5, 0x2f, 0xfd],
            "unzstd",
            "--zstd -xf",
            &[".tar.zst", ".tzst"],
        ),
    ];
    for (magic, program, option, endings) in packed {
        if start.starts_with(magic) {
            return Some(match endings.iter().any(|ending| lower.ends_with(ending)) {
                true => Unsupported::new(path, "a compressed tar archive", unpacked(option)),
                false => {
                    let how = format!("The file is compressed; unpack it first with `{program}`");
                    Unsupported::new(path, "a compressed file", how)
                }
            });
        }
    }
    let by: [(&[u8], &str); 2] = [(b"7z\xbc\xaf", "7-Zip"), (b"Rar!", "RAR")];
    if let Some((_, kind)) = by.iter().find(|(magic, _)| start.starts_with(magic)) {
        let how = "Unpack it, and give the folder";
        return Some(Unsupported::new(path, format!("a {kind} archive"), how));
    }
    match start.starts_with(b"PK\x03\x04") || start.starts_with(b"PK\x05\x06") {
        true => zip(path),
        false => None,
    }
}

/// A zip with neither samples, weights nor one Sentinel-2 product.
fn zip(path: &Path) -> Option<Unsupported> {
    let mapping = Mapping::open(path).ok()?;
    let archive = zip::ZipArchive::new(Cursor::new(mapping.bytes())).ok()?;
    let names: Vec<String> = archive.file_names().map(str::to_ascii_lowercase).collect();
    let file = |name: &str| {
        name.rsplit(['/', '\\'])
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    let is_read = |name: &String| {
        name.ends_with(".npy") || name.ends_with("data.pkl") || safe::is_main(&file(name))
    };
    let is_product = |name: &str| {
        let name = file(name);
        name.starts_with("mtd_msi") || name.contains("_mtd_saf")
    };
    if names.iter().any(|name| is_read(name) || is_product(name))
        || is_taco_zip(archive.file_names())
    {
        return None;
    }
    if names
        .iter()
        .any(|name| [".zarray", ".zgroup", "zarr.json"].contains(&file(name).as_str()))
    {
        return Some(zarr(path));
    }
    let count = |endings: &[&str]| {
        let ends = |name: &&String| endings.iter().any(|ending| name.ends_with(ending));
        names.iter().filter(ends).count()
    };
    let what = match (count(&[".tif", ".tiff"]), count(&[".jp2"])) {
        (0, 0) => {
            "a zip archive with neither arrays nor weights nor a Sentinel-2 product".to_owned()
        }
        (0, images) => {
            format!("a zip archive with {images} JPEG 2000 files and no metadata of a product")
        }
        (1, _) => "a zip archive with a GeoTIFF".to_owned(),
        (files, _) => format!("a zip archive with {files} GeoTIFFs"),
    };
    let how = format!(
        "Unpack it, and give the file or folder: `unzip {} -d FOLDER`",
        path.display()
    );
    Some(Unsupported::new(path, what, how))
}

/// Rasters of other formats.
fn raster(path: &Path, start: &[u8], extension: &str) -> Option<Unsupported> {
    let shown = path.display();
    let translate = format!("Make a GeoTIFF of it: `gdal_translate {shown} scene.tif`");
    let subdataset = |driver: &str| {
        format!(
            "Make a GeoTIFF of its bands: `gdal_translate {driver}:\"{shown}\":VARIABLE scene.tif` \
             (`gdalinfo {shown}` lists the variables)"
        )
    };
    let is = |magic: &[u8]| start.starts_with(magic);
    let gdal = |what: &str, how: &str| Some(Unsupported::of_gdal(path, what, how));
    match extension {
        _ if is(b"\0\0\0\x0cjP  ") || is(b"\xff\x4f\xff\x51") => Some(jpeg2000(path, &translate)),
        _ if is(b"\x89HDF\r\n\x1a\n") && ["nc", "nc4", "cdf"].contains(&extension) => {
            gdal("a NetCDF file", &subdataset("NETCDF"))
        }
        _ if is(b"\x89HDF\r\n\x1a\n") => gdal("an HDF5 file", &subdataset("HDF5")),
        _ if is(b"CDF\x01") || is(b"CDF\x02") || is(b"CDF\x05") => {
            gdal("a NetCDF file", &subdataset("NETCDF"))
        }
        _ if is(b"\x0e\x03\x13\x01") => gdal("an HDF4 file", &subdataset("HDF4_SDS")),
        _ if is(b"msid") || extension == "sid" => {
            Some(Unsupported::new(path, "a MrSID image", translate))
        }
        "ecw" => Some(Unsupported::new(path, "an ECW image", translate)),
        _ if is(b"NITF") || is(b"NSIF") => gdal("a NITF image", &translate),
        _ if is(b"EHFA_HEADER_TAG") => gdal("an ERDAS Imagine image", &translate),
        _ if is(b"GRIB") => gdal("a GRIB file", &translate),
        "hdr" if is(b"ENVI") => {
            let how = "Make a GeoTIFF of the image that it describes, the file beside it of the \
                       same name without .hdr: `gdal_translate IMAGE scene.tif`";
            Some(Unsupported::new(path, "the header of an ENVI image", how))
        }
        _ if has_envi_header(path) => gdal("an ENVI image, by the .hdr beside it", &translate),
        _ if is(b"RIFF") && start.get(8..12) == Some(b"WEBP") => gdal("a WebP picture", &translate),
        _ if is(b"GIF8") => gdal("a GIF picture", &translate),
        _ if is(b"BM") && extension == "bmp" => gdal("a BMP picture", &translate),
        _ if start.get(4..8) == Some(b"ftyp") => {
            let how = "Save it as PNG, JPEG or GeoTIFF";
            Some(Unsupported::new(path, "a HEIF, AVIF or video file", how))
        }
        _ => None,
    }
}

fn has_envi_header(path: &Path) -> bool {
    let beside = [
        path.with_extension("hdr"),
        PathBuf::from(format!("{}.hdr", path.display())),
    ];
    (beside.iter().filter(|header| *header != path)).any(|header| {
        let mut start = [0; 4];
        let read = File::open(header).and_then(|mut file| file.read_exact(&mut start));
        read.is_ok() && &start == b"ENVI"
    })
}

/// One image of JPEG 2000, by its name perhaps a band of Sentinel-2.
fn jpeg2000(path: &Path, translate: &str) -> Unsupported {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let band = safe::band_of_file(&name);
    let absolute = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let product =
        (absolute.ancestors().skip(1).take(PARENTS)).find(|folder| safe::is_product(folder));
    let what = match band {
        Some(band) => format!("a single band, {band}, of Sentinel-2 by its name (JPEG 2000)"),
        None => "a JPEG 2000 image".to_owned(),
    };
    let how = match (product, band) {
        (Some(product), _) => format!("Give the product it is part of: {}", product.display()),
        (None, Some(_)) => {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            format!(
                "Give the SAFE folder it is from, or the folder with all of its bands: {}",
                folder.display()
            )
        }
        (None, None) => translate.to_owned(),
    };
    Unsupported::of_gdal(path, what, how)
}

/// What is no raster at all.
fn other(path: &Path, start: &[u8], extension: &str) -> Option<Unsupported> {
    let is = |magic: &[u8]| start.starts_with(magic);
    let plain = |what: &str, how: &str| Some(Unsupported::new(path, what, how));
    let vector = "It holds shapes, not an image";
    match extension {
        _ if is(&[0, 0, 0x27, 0x0a]) => return plain("a shapefile", vector),
        "shp" | "shx" | "dbf" | "prj" => return plain("part of a shapefile", vector),
        _ if is(b"SQLite format 3\0") => {
            let how = "It holds shapes or tiles; of tiles, `gdal_translate` makes a GeoTIFF";
            return plain("a GeoPackage or another SQLite data base", how);
        }
        _ if is(b"PAR1") => return plain("a Parquet table", "Give the images that it lists"),
        _ if is(b"%PDF") => return plain("a PDF document", "Give the image it was made from"),
        _ if is(b"MATLAB ") => {
            let how = "Save its array as .npy: `numpy.save('scene.npy', scipy.io.loadmat(NAME)['VARIABLE'])`";
            return plain("a MATLAB file", how);
        }
        _ if is(b"LASF") => return plain("a point cloud", "It holds points, not an image"),
        _ => {}
    }
    let text = match std::str::from_utf8(start) {
        Ok(text) => text,
        // Cut within a letter.
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return None,
    };
    if text.contains('\0') {
        return None;
    }
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let has = |part: &str| text.contains(part);
    match text.chars().next()? {
        '<' if has("<VRTDataset") => {
            let how = format!(
                "Make a GeoTIFF of it: `gdal_translate {} scene.tif`",
                path.display()
            );
            Some(Unsupported::of_gdal(path, "a virtual raster (VRT)", how))
        }
        '<' if text
            .get(..64)
            .unwrap_or(text)
            .to_ascii_lowercase()
            .contains("<html")
            || text
                .get(..14)
                .is_some_and(|t| t.eq_ignore_ascii_case("<!doctype html")) =>
        {
            plain(
                "a web page",
                "A download may have ended in a page that asks to log in",
            )
        }
        '<' => plain(
            "an XML file",
            "Give the folder of the product that it describes",
        ),
        '{' if has("\"nephos_samples\"") => None,
        '{' if has("\"stac_version\"") => Some(stac(path, text)),
        '{' if has("\"Feature") || has("\"FeatureCollection\"") => plain("a GeoJSON file", vector),
        '{' | '[' => plain("a JSON file", "Give an image, or a folder of images"),
        _ if has("git-lfs.github.com/spec") => plain(
            "a pointer of Git LFS, in place of the file",
            "Fetch the file: `git lfs pull`",
        ),
        // Pickles of protocol 0 are text.
        _ if ["pkl", "pickle", "p"].contains(&extension) => None,
        _ if text.chars().all(|c| !c.is_control() || c.is_whitespace()) => {
            plain("a text file", "Give an image, or a folder of images")
        }
        _ => None,
    }
}

/// A catalogue entry, which points to images.
fn stac(path: &Path, text: &str) -> Unsupported {
    let compact: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let (what, how) = if compact.contains("\"type\":\"Collection\"") {
        (
            "a STAC collection",
            "Search it for an item, download the item's images",
        )
    } else if compact.contains("\"type\":\"Catalog\"") {
        (
            "a STAC catalogue",
            "Search it for an item, download the item's images",
        )
    } else if compact.contains("\"type\":\"FeatureCollection\"") {
        ("a list of STAC items", "Download the images of one")
    } else {
        (
            "a STAC item",
            "Download the images among its assets (red, green, blue, …)",
        )
    };
    let how = format!("{how} into one folder, and give that");
    Unsupported::new(path, format!("{what}, which points to images"), how)
}
