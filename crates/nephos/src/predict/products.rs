//! The files beside a mask that are made from it once it is there.

use std::path::Path;

use serde_json::json;

use super::outputs::{Also, Outputs};
use super::picture::reduced_rgb;
use crate::error::{Error, Result};
use crate::mask::{
    self, AssetKind, CLOUDY, MaskFormat, MaskReader, MaskSummary, PolygonOptions, StacInput,
};
use crate::report::quicklook;
use crate::scene::Scene;

/// Longest side of the pictures in a quick-look, in pixels.
const QUICKLOOK_SIDE: usize = 900;

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
    if let Some(path) = outputs.wanted(Also::Polygons) {
        mask::write_polygons(&path, mask, &PolygonOptions::default())?;
    }
    if let Some(path) = outputs.wanted(Also::Quicklook) {
        let reduced = MaskReader::open(mask)?.reduced(QUICKLOOK_SIDE)?;
        let (rows, cols) = reduced.dim();
        let image = reduced_rgb(scene, [rows, cols])?;
        quicklook(image.as_ref(), &reduced, summary)?.save(&path)?;
    }
    if outputs.wanted(Also::Style).is_some() {
        mask::write_qgis_style(mask)?;
    }
    if let Some(path) = outputs.wanted(Also::Stac) {
        let info = scene.info();
        let item = mask::stac_item(&StacInput {
            id: &info.name,
            datetime: info.acquired.as_deref(),
            size: info.size,
            georeference: &info.georeference,
            summary,
            assets: &assets(outputs),
        })?;
        mask::write_json(&path, &item)?;
    }
    if let Some(path) = outputs.wanted(Also::Summary) {
        write_summary(&path, outputs, summary, tags, run)?;
    }
    Ok(())
}

/// The files that a STAC item refers to.
fn assets(outputs: &Outputs) -> Vec<(AssetKind, String)> {
    let mut assets = vec![(AssetKind::Mask, format!("./{}", beside(&outputs.mask)))];
    for (also, kind) in [
        (Also::Probabilities, AssetKind::Probabilities),
        (Also::Cloud, AssetKind::CloudMask),
        (Also::Polygons, AssetKind::Polygons),
        (Also::Quicklook, AssetKind::Quicklook),
        (Also::Summary, AssetKind::Summary),
    ] {
        let file = outputs.wanted(also);
        assets.extend(file.map(|path| (kind, format!("./{}", beside(&path)))));
    }
    assets
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
    mask::write_json(path, &text)
}

/// Name of a file as seen from the mask's folder.
fn beside(path: &Path) -> String {
    (path.file_name().unwrap_or_default().to_string_lossy()).into_owned()
}
