//! Report on a scene.

use std::fmt;
use std::path::Path;

use nephos::scene::{self, SceneInfo, SceneOptions};
use nephos::text::one_line;
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
    /// Ground control points, where they georeference it.
    control_points: usize,
    /// Whether it has rational polynomial coefficients.
    rpc: bool,
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
        epsg: place.keys.as_ref().and_then(nephos::raster::GeoKeys::epsg),
        transform: place.transform,
        control_points: place.points.len(),
        rpc: !place.rpc.is_empty(),
        sun_elevation: info.sun.map(|sun| sun.elevation),
        sun_azimuth: info.sun.map(|sun| sun.azimuth),
        acquired: info.acquired.clone(),
        notes: (info.notes.iter().cloned())
            .chain(
                place
                    .note()
                    .filter(|_| !place.points.is_empty() || !place.rpc.is_empty()),
            )
            .collect(),
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Scene:      {}", one_line(&self.name))?;
        writeln!(f, "Product:    {}", one_line(&self.product))?;
        writeln!(f, "Size:       {} × {} pixels", self.rows, self.columns)?;
        write_place(
            f,
            11,
            self.transform,
            self.epsg,
            self.control_points,
            self.rpc,
        )?;
        if let Some(acquired) = &self.acquired {
            writeln!(f, "Acquired:   {}", one_line(acquired))?;
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
                one_line(&band.name),
                one_line(&band.source),
                band.dtype,
                resolution.unwrap_or_default(),
                one_line(&band.radiometry)
            )?;
        }
        for note in &self.notes {
            writeln!(f, "Note: {}", one_line(note))?;
        }
        Ok(())
    }
}

/// The lines on a raster's georeference, their titles `width` wide.
pub(super) fn write_place(
    f: &mut fmt::Formatter<'_>,
    width: usize,
    transform: Option<[f64; 6]>,
    epsg: Option<u16>,
    control_points: usize,
    rpc: bool,
) -> fmt::Result {
    let system = epsg.map_or("no EPSG code".to_owned(), |code| format!("EPSG:{code}"));
    let mut lines = Vec::new();
    if let Some(t) = transform {
        lines.push(("Place:", format!("{system}, corner {} {}", t[0], t[3])));
        let (width, height) = (t[1].hypot(t[4]), t[2].hypot(t[5]));
        lines.push(("Pixel:", format!("{width} × {height}")));
    }
    if control_points > 0 {
        let text = format!("{control_points} ground control points, {system}");
        lines.push(("Place:", text));
    }
    if rpc {
        lines.push(("Place:", "rational polynomial coefficients".to_owned()));
    }
    if lines.is_empty() {
        lines.push(("Place:", "unknown".to_owned()));
    }
    for (title, text) in lines {
        writeln!(f, "{title:<width$} {text}")?;
    }
    Ok(())
}
