//! The files beside a mask that are made from it once it is there.

use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::outputs::{Also, Outputs};
use crate::error::{Error, Result};
use crate::mask::{self, CLOUDY, MaskFormat, MaskSummary};
use crate::output;
use crate::scene::Scene;

/// Writes what `outputs` asks for beside a mask that is there, the summary last.
pub(super) fn write(
    scene: &dyn Scene,
    outputs: &Outputs,
    summary: &MaskSummary,
    tags: &[(String, String)],
    run: &str,
) -> Result<()> {
    let mask = &outputs.mask;
    if MaskFormat::of(mask)? == MaskFormat::GeoTiff {
        mask::write_class_names(mask)?;
    }
    if let Some(path) = outputs.wanted(Also::Cloud) {
        mask::write_cloud_mask(&path, mask, &CLOUDY, tags)?;
    }
    if outputs.wanted(Also::Style).is_some() {
        mask::write_qgis_style(mask)?;
    }
    if let Some(path) = outputs.wanted(Also::Summary) {
        write_summary(&path, outputs, summary, tags, run)?;
    }
    Ok(())
}

/// Writes the summary: shares of the classes, what made the mask, and `run`, by which
/// a later run knows that the scene is done.
fn write_summary(
    path: &Path,
    outputs: &Outputs,
    summary: &MaskSummary,
    tags: &[(String, String)],
    run: &str,
) -> Result<()> {
    let broken = |e: serde_json::Error| Error::unsupported(path.display(), e.to_string());
    let mut text = serde_json::to_value(summary).map_err(broken)?;
    if let Some(object) = text.as_object_mut() {
        let made: serde_json::Map<_, _> = (tags.iter())
            .map(|(key, value)| (key.to_lowercase(), json!(value)))
            .collect();
        object.insert("made".to_owned(), made.into());
        let files: Vec<String> = outputs.paths().iter().map(|path| beside(path)).collect();
        object.insert("files".to_owned(), json!(files));
        object.insert("run".to_owned(), json!(run));
    }
    let text = serde_json::to_string_pretty(&text).map_err(broken)?;
    output::write_atomic(path, |writer| {
        writeln!(writer, "{text}").map_err(|e| Error::io(path, e))
    })
}

/// Name of a file as seen from the mask's folder.
fn beside(path: &Path) -> String {
    (path.file_name().unwrap_or_default().to_string_lossy()).into_owned()
}
