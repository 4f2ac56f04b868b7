//! The files beside a mask that are made from it once it is written.

use std::path::{Component, Path};

use serde_json::json;

use super::outputs::{Outputs, SideOutput};
use super::record::RunRecord;
use crate::error::{Error, Result};
use crate::mask::{
    self, AssetKind, CLOUDY, Dates, MaskFormat, MaskSummary, PolygonOptions, StacInput,
};
use crate::scene::Scene;

/// Writes the requested `outputs` beside an existing mask, and in the end the record of
/// the run, which marks the outputs as complete.
pub(super) fn write(
    scene: &dyn Scene,
    outputs: &Outputs,
    summary: &MaskSummary,
    tags: &[(String, String)],
    dates: Option<&Dates>,
    run: &RunRecord,
) -> Result<()> {
    let mask = &outputs.mask;
    if let Some(path) = outputs.requested(SideOutput::Cloud) {
        mask::write_cloud_mask(&path, mask, &CLOUDY, tags)?;
    }
    if let Some(path) = outputs.requested(SideOutput::Polygons) {
        mask::write_polygons(&path, mask, &PolygonOptions::default())?;
    }
    #[cfg(feature = "figures")]
    if let Some(path) = outputs.requested(SideOutput::Quicklook) {
        super::picture::write_quicklook(scene, mask, summary, &path)?;
    }
    if let Some(path) = outputs.requested(SideOutput::Page) {
        super::page::write(scene, outputs, summary, tags, &path)?;
    }
    if outputs.requested(SideOutput::Style).is_some() {
        mask::write_qgis_style(mask)?;
    }
    if let Some(path) = outputs.requested(SideOutput::Stac) {
        let info = scene.info();
        let dates = match dates {
            Some(dates) => dates.clone(),
            None => Dates::of(mask::stated_date(info).as_deref(), &info.path),
        };
        let item = mask::stac_item(&StacInput {
            scene: &info.name,
            derived_from: derived_from(&path, &info.path).as_deref(),
            dates: &dates,
            created: &mask::created(),
            size: info.size,
            georeference: &info.georeference,
            footprint: &mask::footprint(mask)?,
            summary,
            assets: &assets(outputs),
        })?;
        mask::write_json(&path, &item)?;
    }
    let run = run.with_mask(mask)?;
    if MaskFormat::of(mask)? == MaskFormat::GeoTiff {
        let record = serde_json::to_string(&run)
            .map_err(|e| Error::unsupported(mask.display(), e.to_string()))?;
        mask::write_class_names(mask, Some(&record))?;
    }
    if let Some(path) = outputs.requested(SideOutput::Summary) {
        write_summary(&path, outputs, summary, tags, &run)?;
    }
    Ok(())
}

/// The path of the scene as seen from the folder of the item at `item`; whole where they
/// have no folder in common. `None` for what is no file.
fn derived_from(item: &Path, scene: &Path) -> Option<String> {
    let to = std::path::absolute(scene)
        .ok()
        .filter(|path| path.exists())?;
    let from = std::path::absolute(item).ok()?;
    let from: Vec<Component<'_>> = from.parent()?.components().collect();
    let parts: Vec<Component<'_>> = to.components().collect();
    let common = from.iter().zip(&parts).take_while(|(a, b)| a == b).count();
    let is_plain = |part: &Component<'_>| matches!(part, Component::Normal(_));
    if !from[..common].iter().any(is_plain) || !from[common..].iter().all(is_plain) {
        return Some(to.to_string_lossy().into_owned());
    }
    let mut words = vec!["..".to_owned(); from.len() - common];
    if words.is_empty() {
        words.push(".".to_owned());
    }
    let rest = parts[common..].iter();
    words.extend(rest.map(|part| part.as_os_str().to_string_lossy().into_owned()));
    Some(words.join("/"))
}

/// The files that a STAC item refers to.
fn assets(outputs: &Outputs) -> Vec<(AssetKind, String)> {
    let mut assets = vec![(AssetKind::Mask, format!("./{}", beside(&outputs.mask)))];
    for (output, kind) in [
        (SideOutput::Probabilities, AssetKind::Probabilities),
        (SideOutput::Cloud, AssetKind::CloudMask),
        (SideOutput::Polygons, AssetKind::Polygons),
        (SideOutput::Quicklook, AssetKind::Quicklook),
        (SideOutput::Page, AssetKind::Page),
        (SideOutput::Summary, AssetKind::Summary),
    ] {
        let file = outputs.requested(output);
        assets.extend(file.map(|path| (kind, format!("./{}", beside(&path)))));
    }
    assets
}

/// Writes the summary: shares of the classes, what made the mask, and the record of the
/// run, by which a later one skips the scene.
fn write_summary(
    path: &Path,
    outputs: &Outputs,
    summary: &MaskSummary,
    tags: &[(String, String)],
    run: &RunRecord,
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
