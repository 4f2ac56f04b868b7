//! What a scene is.

use std::fmt;
use std::path::Path;

use nephos::scene::{self, SceneInfo, SceneOptions};
use serde::Serialize;

/// A scene, without its pixels.
#[derive(Debug, Serialize)]
pub struct Report {
    name: String,
    product: String,
    rows: usize,
    columns: usize,
    bands: Vec<Band>,
    /// EPSG code of the coordinate system.
    epsg: Option<u16>,
    /// GDAL's six numbers.
    transform: Option<[f64; 6]>,
    sun_elevation: Option<f64>,
    sun_azimuth: Option<f64>,
    acquired: Option<String>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Band {
    name: String,
    source: String,
    dtype: &'static str,
    resolution: Option<f64>,
    radiometry: String,
}

/// Reads the header of a scene.
pub fn report(path: &Path) -> anyhow::Result<Report> {
    let scene = scene::open_scene(path, &SceneOptions::default())?;
    let info: &SceneInfo = scene.info();
    let place = &info.georeference;
    let band = |band: &scene::SceneBand| Band {
        name: band.name.clone(),
        source: band.source.clone(),
        dtype: band.dtype.name(),
        resolution: band.resolution,
        radiometry: band.radiometry.to_string(),
    };
    Ok(Report {
        name: info.name.clone(),
        product: info.product.clone(),
        rows: info.size[0],
        columns: info.size[1],
        bands: info.bands.iter().map(band).collect(),
        epsg: place.keys.as_ref().and_then(scene::GeoKeys::epsg),
        transform: place.transform,
        sun_elevation: info.sun.map(|sun| sun.elevation),
        sun_azimuth: info.sun.map(|sun| sun.azimuth),
        acquired: info.acquired.clone(),
        notes: info.notes.clone(),
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Scene:      {}", self.name)?;
        writeln!(f, "Product:    {}", self.product)?;
        writeln!(f, "Size:       {} × {} pixels", self.rows, self.columns)?;
        match (self.transform, self.epsg) {
            (None, _) => writeln!(f, "Place:      unknown")?,
            (Some(t), epsg) => {
                let system = epsg.map_or("no EPSG code".to_owned(), |code| format!("EPSG:{code}"));
                writeln!(f, "Place:      {system}, corner {} {}", t[0], t[3])?;
                writeln!(f, "Pixel:      {} × {}", t[1].hypot(t[4]), t[2].hypot(t[5]))?;
            }
        }
        if let Some(acquired) = &self.acquired {
            writeln!(f, "Acquired:   {acquired}")?;
        }
        if let (Some(elevation), Some(azimuth)) = (self.sun_elevation, self.sun_azimuth) {
            writeln!(
                f,
                "Sun:        elevation {elevation:.2}°, azimuth {azimuth:.2}°"
            )?;
        }
        writeln!(f, "Bands:      {}", self.bands.len())?;
        for band in &self.bands {
            let resolution = band.resolution.map(|metres| format!(", {metres} m"));
            writeln!(
                f,
                "  {:<12} {:<10} {}{}: {}",
                band.name,
                band.source,
                band.dtype,
                resolution.unwrap_or_default(),
                band.radiometry
            )?;
        }
        for note in &self.notes {
            writeln!(f, "Note: {note}")?;
        }
        Ok(())
    }
}
