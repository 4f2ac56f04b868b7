//! Georeference of a PNG mask: a world file and GDAL's metadata beside it.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::system::System;
use super::xml::escaped;
use crate::error::{Error, Result};
use crate::output;
use crate::raster::{GeoKeys, Georeference, georeference_files};

/// The files beside a PNG mask that hold its georeference: `MASK.pgw` (in place of the
/// extension) and `MASK.png.aux.xml`.
pub(super) fn paths(mask: &Path) -> [PathBuf; 2] {
    let mut auxiliary = mask.as_os_str().to_owned();
    auxiliary.push(".aux.xml");
    [mask.with_extension("pgw"), PathBuf::from(auxiliary)]
}

/// Writes them: the transform as a world file, and in the metadata the coordinate
/// system where it has a code, control points and coefficients. A file with nothing
/// to state is removed: an older one would be of another mask.
///
/// # Errors
/// A file can't be written or removed.
pub(super) fn write(mask: &Path, place: &Georeference) -> Result<()> {
    let [world, auxiliary] = paths(mask);
    let world_text = place.transform.map(|[x, a, b, y, d, e]| {
        // World files refer to the centre of the first pixel.
        let centre = [x + 0.5 * (a + b), y + 0.5 * (d + e)];
        [a, d, b, e, centre[0], centre[1]]
            .map(|number| format!("{number}\n"))
            .concat()
    });
    put(&world, world_text)?;
    put(&auxiliary, metadata(place))
}

/// Whether the coordinate system can be kept.
pub(super) fn has_system(place: &Georeference) -> bool {
    code(place).is_some()
}

/// EPSG code of the coordinate system, in the units that it has.
fn code(place: &Georeference) -> Option<u16> {
    let keys = place.keys.as_ref()?;
    match System::of(keys) {
        Some(system) => system.code(),
        None => keys.epsg(),
    }
}

fn metadata(place: &Georeference) -> Option<String> {
    let code = code(place);
    let mut text = String::new();
    if let (Some(code), Some(_)) = (code, place.transform) {
        text += &format!("  <SRS dataAxisToSRSAxisMapping=\"1,2\">EPSG:{code}</SRS>\n");
        if place.keys.as_ref().is_some_and(GeoKeys::is_geographic) {
            text = format!("  <SRS dataAxisToSRSAxisMapping=\"2,1\">EPSG:{code}</SRS>\n");
        }
    }
    if !place.points.is_empty() {
        let system = code.map_or(String::new(), |code| format!(" Projection=\"EPSG:{code}\""));
        text += &format!("  <GCPList{system}>\n");
        let shift = match place.keys.as_ref().is_some_and(GeoKeys::is_point) {
            true => 0.5,
            false => 0.0,
        };
        for (index, [col, row, _, x, y, z]) in place.points.iter().enumerate() {
            text += &format!(
                "    <GCP Id=\"{}\" Pixel=\"{}\" Line=\"{}\" X=\"{x}\" Y=\"{y}\" Z=\"{z}\"/>\n",
                index + 1,
                col + shift,
                row + shift
            );
        }
        text += "  </GCPList>\n";
    }
    if !place.rpc.is_empty() {
        text += "  <Metadata domain=\"RPC\">\n";
        for (key, value) in georeference_files::rpc_items(&place.rpc) {
            text += &format!("    <MDI key=\"{key}\">{}</MDI>\n", escaped(&value));
        }
        text += "  </Metadata>\n";
    }
    let version = env!("CARGO_PKG_VERSION");
    let software =
        format!("  <Metadata>\n    <MDI key=\"NEPHOS_VERSION\">{version}</MDI>\n  </Metadata>\n");
    (!text.is_empty()).then(|| format!("<PAMDataset>\n{software}{text}</PAMDataset>\n"))
}

fn put(path: &Path, text: Option<String>) -> Result<()> {
    match text {
        Some(text) => output::write_atomic(path, |writer| {
            (writer.write_all(text.as_bytes())).map_err(|e| Error::io(path, e))
        }),
        None => match std::fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, e)),
            _ => Ok(()),
        },
    }
}
