//! A mask as an item of a SpatioTemporal Asset Catalog (STAC 1.1.0).

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::lonlat::LonLat;
use super::summary::MaskSummary;
use crate::class::Class;
use crate::error::{Error, Result};
use crate::output;
use crate::scene::Georeference;

/// Points of the footprint on each side of the raster: its sides are straight on
/// the map, not in degrees.
const POINTS: f64 = 16.0;

/// What an asset is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssetKind {
    /// The class mask, a COG.
    Mask,
    /// The cloud mask, a COG.
    CloudMask,
    /// The class probabilities, a COG.
    Probabilities,
    /// The regions, GeoJSON.
    Polygons,
    /// The quick-look, PNG.
    Quicklook,
    /// The summary, JSON.
    Summary,
}

impl AssetKind {
    /// Key, media type, role and title.
    fn terms(self) -> [&'static str; 4] {
        const COG: &str = "image/tiff; application=geotiff; profile=cloud-optimized";
        match self {
            Self::Mask => ["mask", COG, "data", "Cloud and shadow classes"],
            Self::CloudMask => ["cloud_mask", COG, "data", "Cloud mask"],
            Self::Probabilities => ["probabilities", COG, "data", "Class probabilities × 250"],
            Self::Polygons => ["polygons", "application/geo+json", "data", "Regions"],
            Self::Quicklook => ["quicklook", "image/png", "overview", "Quick-look"],
            Self::Summary => [
                "summary",
                "application/json",
                "metadata",
                "Shares of classes",
            ],
        }
    }
}

/// What an item is made of.
#[derive(Debug, Clone, Copy)]
pub struct StacInput<'a> {
    /// Unique name of the item.
    pub id: &'a str,
    /// When the scene was taken, ISO 8601 in UTC. STAC demands that the member is
    /// there; it is null where this is not known.
    pub datetime: Option<&'a str>,
    /// Rows and columns of the mask.
    pub size: [usize; 2],
    /// Where the mask lies.
    pub georeference: &'a Georeference,
    /// The mask's counts.
    pub summary: &'a MaskSummary,
    /// Files: what they are and how they are referred to, relative to the item.
    pub assets: &'a [(AssetKind, String)],
}

/// The item.
///
/// The footprint is that of the raster's corners on WGS 84. A raster across the
/// 180th meridian has longitudes that go on past 180 degrees, and a `bbox` whose
/// west is greater than its east (RFC 7946).
///
/// # Errors
/// A raster whose place on the Earth is not known: STAC has no such items.
pub fn stac_item(input: &StacInput<'_>) -> Result<Value> {
    let [height, width] = input.size;
    let place = input.georeference;
    let unknown = || {
        Error::usage(format!(
            "{}: a STAC item needs a raster with a transform and a coordinate system of a \
             known EPSG code",
            input.id
        ))
    };
    let projection = LonLat::of(place).ok_or_else(unknown)?;
    let (t, code) = (place.transform)
        .zip(place.keys.as_ref().and_then(|keys| keys.epsg()))
        .ok_or_else(unknown)?;
    let [right, bottom] = [width as f64, height as f64];
    let mut corners = vec![[0.0, 0.0], [0.0, bottom], [right, bottom], [right, 0.0]];
    if t[1] * t[5] - t[2] * t[4] > 0.0 {
        corners.reverse();
    }
    let step = (right.max(bottom) / POINTS).max(1.0);
    let mut ring = projection.ring(&corners, step).ok_or_else(unknown)?;
    for degrees in ring.iter_mut().flatten() {
        *degrees = (*degrees * 1e7).round() / 1e7;
    }
    let range = |axis: usize| {
        ring.iter()
            .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], point| {
                [low.min(point[axis]), high.max(point[axis])]
            })
    };
    let ([west, east], [south, north]) = (range(0), range(1));
    let wrapped = |longitude: f64| match longitude {
        l if l > 180.0 => l - 360.0,
        l if l < -180.0 => l + 360.0,
        l => l,
    };
    let mut properties = json!({
        "datetime": input.datetime,
        "proj:code": format!("EPSG:{code}"),
        "proj:shape": [height, width],
        // STAC has rows of the affine matrix, columns first.
        "proj:transform": [t[1], t[2], t[0], t[4], t[5], t[3]],
        "processing:software": {"nephos": env!("CARGO_PKG_VERSION")},
        "nephos:model": input.summary.model,
    });
    if let Some(cover) = input.summary.cloud_cover {
        properties["eo:cloud_cover"] = json!((cover * 1e4).round() / 1e4);
    }
    let assets: Map<String, Value> = (input.assets.iter())
        .map(|(kind, href)| (kind.terms()[0].to_owned(), asset(*kind, href)))
        .collect();
    Ok(json!({
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
            "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
            "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
            "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
        ],
        "id": input.id,
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "bbox": [wrapped(west), south, wrapped(east), north],
        "properties": properties,
        "links": [],
        "assets": assets,
    }))
}

fn asset(kind: AssetKind, href: &str) -> Value {
    let [_, media, role, title] = kind.terms();
    let mut asset = json!({"href": href, "type": media, "roles": [role], "title": title});
    let raster = matches!(
        kind,
        AssetKind::Mask | AssetKind::CloudMask | AssetKind::Probabilities
    );
    if raster {
        asset["data_type"] = json!("uint8");
        asset["nodata"] = json!(255);
    }
    let hex = |[red, green, blue]: [u8; 3]| format!("{red:02X}{green:02X}{blue:02X}");
    match kind {
        AssetKind::Mask => {
            let classes = Class::ALL.map(|class| {
                json!({
                    "value": class as u8,
                    "name": class.name().replace(' ', "_"),
                    "description": class.name(),
                    "color_hint": hex(class.colour()),
                })
            });
            asset["classification:classes"] = json!(classes);
        }
        AssetKind::CloudMask => {
            asset["classification:classes"] = json!([
                {"value": 0, "name": "clear", "description": "clear", "color_hint": "000000"},
                {"value": 1, "name": "cloud", "description": "cloud", "color_hint": "FFFFFF"},
            ]);
        }
        AssetKind::Probabilities => {
            let bands = Class::ALL.map(|class| {
                json!({"name": class.name().replace(' ', "_"), "description": class.name()})
            });
            asset["bands"] = json!(bands);
        }
        AssetKind::Polygons | AssetKind::Quicklook | AssetKind::Summary => {}
    }
    asset
}

/// Writes a value as indented JSON: a STAC item, or a [`MaskSummary`].
///
/// # Errors
/// The file can't be written.
pub fn write_json(path: &Path, value: &impl serde::Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Error::unsupported(path.display(), e.to_string()))?;
    output::write_atomic(path, |writer| {
        writeln!(writer, "{text}").map_err(|e| Error::io(path, e))
    })
}
