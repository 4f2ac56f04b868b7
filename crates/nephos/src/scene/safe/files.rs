//! The files of a product: in a folder, or in a zip archive that holds the folder.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zip::{CompressionMethod, ZipArchive};

use crate::error::{Error, Result};
use crate::raster::jp2::LONGEST_HEADER;
use crate::raster::mapping::{MappedRange, Mapping};
use crate::raster::xml;

/// Most files that a product or archive may have; real ones have some hundred.
const MOST_FILES: usize = 1 << 16;
/// Largest image that is unpacked, in bytes; real ones have less than 0.2 GB.
const LARGEST_IMAGE: u64 = 2 << 30;

/// The files of a product, by their names within it (`GRANULE/…/MTD_TL.xml`).
pub struct Files {
    /// The folder or archive.
    path: PathBuf,
    store: Store,
    /// Name of the product's metadata file.
    pub main: String,
    /// All files that are read, in order.
    pub names: Vec<String>,
}

enum Store {
    Folder,
    Archive {
        mapping: Arc<Mapping>,
        /// What precedes a file's name within the product.
        root: String,
        /// Position, method, place and sizes, one per name.
        entries: Vec<Entry>,
    },
}

struct Entry {
    position: usize,
    stored: bool,
    start: u64,
    length: u64,
}

/// Whether a file of this name is a product's metadata. Before the end of 2016
/// names were long.
pub fn is_main(name: &str) -> bool {
    let old = |kind: &str| name.contains(kind) && name.ends_with(".xml");
    matches!(name, "MTD_MSIL1C.xml" | "MTD_MSIL2A.xml")
        || old("_MTD_SAFL1C_")
        || old("_MTD_SAFL2A_")
}

/// Whether a file belongs to what is read: metadata of product and tile, images.
fn matters(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    let is = |file: &str, extension: &str| {
        file.len() > extension.len()
            && file.is_char_boundary(file.len() - extension.len())
            && file[file.len() - extension.len()..].eq_ignore_ascii_case(extension)
    };
    match parts.as_slice() {
        [file] => is(file, ".xml"),
        ["GRANULE", _, file] => is(file, ".xml"),
        ["GRANULE", _, "IMG_DATA", file] | ["GRANULE", _, "IMG_DATA", _, file] => is(file, ".jp2"),
        _ => false,
    }
}

impl Files {
    /// Of a product's folder, its metadata file, its `manifest.safe` or its zip.
    pub fn open(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|e| Error::io(path, e))?;
        if metadata.is_dir() {
            return Self::folder(path, None);
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if is_main(&name) || name == "manifest.safe" {
            let folder = match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            };
            return Self::folder(folder, is_main(&name).then(|| name.into_owned()));
        }
        Self::archive(path)
    }

    /// Images of bands in a folder that is no product; `names` are within it.
    pub fn bands(path: &Path, names: Vec<String>) -> Self {
        Self {
            path: path.to_owned(),
            store: Store::Folder,
            main: String::new(),
            names,
        }
    }

    fn folder(path: &Path, main: Option<String>) -> Result<Self> {
        let mut names = Vec::new();
        walk(path, "", 0, &mut names)?;
        names.sort();
        let main = match main {
            Some(main) => main,
            None => single_main(path, names.iter().filter(|name| is_main(name)))?,
        };
        Ok(Self {
            path: path.to_owned(),
            store: Store::Folder,
            main,
            names,
        })
    }

    fn archive(path: &Path) -> Result<Self> {
        let mapping = Arc::new(Mapping::open(path)?);
        let mut archive = open_archive(path, &mapping)?;
        if archive.len() > MOST_FILES {
            let message = format!("{} files, at most {MOST_FILES} are read", archive.len());
            return Err(Error::limits(path.display(), message));
        }
        let all: Vec<String> = (archive.file_names())
            .map(|name| name.replace('\\', "/"))
            .collect();
        let file_name = |name: &str| name.rsplit('/').next().is_some_and(is_main);
        let main = single_main(path, all.iter().filter(|name| file_name(name)))?;
        let (root, main) = match main.rfind('/') {
            Some(at) => (main[..=at].to_owned(), main[at + 1..].to_owned()),
            None => (String::new(), main),
        };
        let mut found = Vec::new();
        for position in 0..archive.len() {
            let file = archive
                .by_index_raw(position)
                .map_err(|e| broken(path, &e))?;
            let name = file.name().replace('\\', "/");
            let Some(name) = name.strip_prefix(&root).filter(|name| matters(name)) else {
                continue;
            };
            let entry = Entry {
                position,
                stored: file.compression() == CompressionMethod::Stored && !file.encrypted(),
                start: file.data_start(),
                length: file.size(),
            };
            found.push((name.to_owned(), entry));
        }
        mapping.intact()?;
        found.sort_by(|a, b| a.0.cmp(&b.0));
        let (names, entries) = found.into_iter().unzip();
        Ok(Self {
            path: path.to_owned(),
            store: Store::Archive {
                mapping,
                root,
                entries,
            },
            main,
            names,
        })
    }

    /// Name of the product's folder, as far as there is one.
    pub fn folder_name(&self) -> Option<String> {
        match &self.store {
            Store::Folder => {
                let path = self.path.canonicalize().ok()?;
                Some(path.file_name()?.to_string_lossy().into_owned())
            }
            Store::Archive { root, .. } => {
                let name = root.trim_end_matches('/').rsplit('/').next()?;
                Some(name.to_owned()).filter(|name| !name.is_empty())
            }
        }
    }

    /// What messages call a file.
    pub fn path(&self, name: &str) -> PathBuf {
        match &self.store {
            Store::Folder => self.path.join(name),
            Store::Archive { root, .. } => self.path.join(format!("{root}{name}")),
        }
    }

    /// An XML file's bytes.
    pub fn xml(&self, name: &str) -> Result<Vec<u8>> {
        // One byte more than allowed, for the parser to refuse.
        self.start(name, xml::LARGEST + 1).map(|(bytes, _)| bytes)
    }

    /// Reads an image's headers with `parse`, which gets the bytes that they are
    /// searched in and the image's length. Nothing else is read or unpacked.
    pub fn image_header<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&[u8], usize) -> Result<T>,
    ) -> Result<T> {
        let is_packed = match &self.store {
            Store::Folder => false,
            Store::Archive { .. } => !self.entry(name)?.stored,
        };
        if is_packed {
            let (bytes, length) = self.start(name, LONGEST_HEADER)?;
            return parse(&bytes, length);
        }
        self.image(name)?
            .checked(|bytes| parse(&bytes[..bytes.len().min(LONGEST_HEADER)], bytes.len()))
    }

    /// At most `most` bytes of a file, and its length.
    fn start(&self, name: &str, most: usize) -> Result<(Vec<u8>, usize)> {
        let path = self.path(name);
        let fail = |e| Error::io(&path, e);
        let mut bytes = Vec::new();
        let length = match &self.store {
            Store::Folder => {
                let file = File::open(&path).map_err(fail)?;
                let length = file.metadata().map_err(fail)?.len();
                file.take(most as u64)
                    .read_to_end(&mut bytes)
                    .map_err(fail)?;
                length
            }
            Store::Archive { mapping, .. } => {
                let entry = self.entry(name)?;
                let mut archive = open_archive(&self.path, mapping)?;
                let file = (archive.by_index(entry.position)).map_err(|e| broken(&path, &e))?;
                (file.take(most as u64).read_to_end(&mut bytes)).map_err(|e| broken(&path, &e))?;
                mapping.intact()?;
                entry.length
            }
        };
        let length = usize::try_from(length)
            .map_err(|_| Error::limits(path.display(), format!("a file of {length} bytes")))?;
        Ok((bytes, length))
    }

    /// An image's bytes: mapped in place (the archive's checksum would cost a
    /// walk through all of them), or unpacked into a temporary file
    /// without a name, which goes with the last use.
    pub fn image(&self, name: &str) -> Result<MappedRange> {
        let path = self.path(name);
        let Store::Archive { mapping, .. } = &self.store else {
            return Mapping::open(&path).map(MappedRange::whole);
        };
        let entry = self.entry(name)?;
        if entry.stored {
            let bounds = usize::try_from(entry.start)
                .ok()
                .zip(usize::try_from(entry.length).ok());
            return bounds
                .and_then(|(start, length)| Some(start..start.checked_add(length)?))
                .and_then(|range| MappedRange::new(Arc::clone(mapping), range))
                .ok_or_else(|| broken(&path, &"the entry is cut off"));
        }
        if entry.length > LARGEST_IMAGE {
            let message = format!(
                "{} bytes, at most {LARGEST_IMAGE} are unpacked",
                entry.length
            );
            return Err(Error::limits(path.display(), message));
        }
        let mut archive = open_archive(&self.path, mapping)?;
        let file = (archive.by_index(entry.position)).map_err(|e| broken(&path, &e))?;
        let fail = |e| Error::io(std::env::temp_dir(), e);
        let mut unpacked = tempfile::tempfile().map_err(fail)?;
        unpack(
            &path,
            file.take(entry.length + 1),
            &mut unpacked,
            entry.length,
        )?;
        mapping.intact()?;
        Mapping::of_file(&path, unpacked).map(MappedRange::whole)
    }

    fn entry(&self, name: &str) -> Result<&Entry> {
        let missing = || {
            let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
            Error::io(self.path(name), missing)
        };
        let position = (self.names.iter())
            .position(|own| own == name)
            .ok_or_else(missing)?;
        match &self.store {
            Store::Archive { entries, .. } => entries.get(position).ok_or_else(missing),
            Store::Folder => Err(missing()),
        }
    }
}

/// Copies an entry of `length` bytes; errors of the archive and of the temporary
/// file are distinguished.
fn unpack(path: &Path, mut from: impl Read, to: &mut File, length: u64) -> Result<()> {
    use std::io::Write;
    let mut buffer = vec![0; 1 << 16];
    let mut total = 0;
    loop {
        let count = from.read(&mut buffer).map_err(|e| broken(path, &e))?;
        if count == 0 {
            break;
        }
        total += count as u64;
        to.write_all(&buffer[..count])
            .map_err(|e| Error::io(std::env::temp_dir(), e))?;
    }
    if total == length {
        return Ok(());
    }
    Err(broken(
        path,
        &format!("{total} bytes unpacked, {length} announced"),
    ))
}

/// The names of the files that are read below `folder`.
fn walk(folder: &Path, prefix: &str, depth: usize, names: &mut Vec<String>) -> Result<()> {
    let fail = |e| Error::io(folder, e);
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        // A name that is not UTF-8 is none of a product's.
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let name = format!("{prefix}{name}");
        if names.len() > MOST_FILES {
            let message = format!("more than {MOST_FILES} files");
            return Err(Error::limits(folder.display(), message));
        }
        if matters(&name) {
            names.push(name);
        } else if name.starts_with("GRANULE") && depth < 4 && entry.path().is_dir() {
            walk(&entry.path(), &format!("{name}/"), depth + 1, names)?;
        }
    }
    Ok(())
}

/// The one product metadata file among `found`.
fn single_main<'a>(path: &Path, mut found: impl Iterator<Item = &'a String>) -> Result<String> {
    let expected = "MTD_MSIL1C.xml or MTD_MSIL2A.xml";
    match (found.next(), found.next()) {
        (Some(main), None) => Ok(main.clone()),
        (None, _) => Err(Error::format(
            path,
            format!("no Sentinel-2 product: {expected} is missing"),
        )),
        (Some(one), Some(other)) => Err(Error::unsupported(
            path.display(),
            format!("several products (`{one}`, `{other}`); nephos reads one at a time"),
        )),
    }
}

fn open_archive<'a>(path: &Path, mapping: &'a Mapping) -> Result<ZipArchive<Cursor<&'a [u8]>>> {
    ZipArchive::new(Cursor::new(mapping.bytes())).map_err(|e| broken(path, &e))
}

fn broken(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::format(path, format!("a broken zip archive: {error}"))
}

/// Whether `path` is a product: a folder or archive with a product's metadata
/// file, or that file. Broken archives are not.
pub fn is_product(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if path.is_dir() {
        let is_named = name.to_ascii_uppercase().ends_with(".SAFE");
        return is_named
            || std::fs::read_dir(path).is_ok_and(|entries| {
                entries
                    .flatten()
                    .any(|entry| is_main(&entry.file_name().to_string_lossy()))
            });
    }
    if is_main(&name) || name == "manifest.safe" {
        return true;
    }
    let is_zip = crate::scene::kind::first_bytes(path).is_ok_and(|start| start.starts_with(b"PK"));
    is_zip
        && Mapping::open(path).is_ok_and(|mapping| {
            open_archive(path, &mapping).is_ok_and(|archive| {
                (archive.file_names())
                    .any(|name| name.rsplit(['/', '\\']).next().is_some_and(is_main))
            })
        })
}
