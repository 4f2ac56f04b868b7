//! A mask as an item of a SpatioTemporal Asset Catalog (STAC 1.1.0).

use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::dates::Dates;
use super::footprint::Footprint;
use super::ground::Ground;
use super::lonlat::{LonLat, near};
use super::meridian::{Polygon, range, split};
use super::summary::MaskSummary;
use crate::class::{Class, IGNORE};
use crate::error::{Error, Result};
use crate::output;
use crate::raster::Georeference;

/// Points of the footprint along the longest side of the raster: its sides are straight
/// on the map, not in degrees.
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
    /// The page to look at, HTML.
    Page,
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
            Self::Page => ["html", "text/html", "overview", "The mask over the image"],
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
    /// Name of the scene. The item's own id is made of it and the model's name.
    pub scene: &'a str,
    /// Path of the scene as seen from the item's folder, for the link `derived_from`.
    pub derived_from: Option<&'a str>,
    /// When the scene was taken.
    pub dates: &'a Dates,
    /// When the mask was made, see [`created`](super::created).
    pub created: &'a str,
    /// Rows and columns of the mask.
    pub size: [usize; 2],
    /// Georeference of the mask.
    pub georeference: &'a Georeference,
    /// Outline of its valid pixels.
    pub footprint: &'a Footprint,
    /// The mask's counts.
    pub summary: &'a MaskSummary,
    /// Files: what they are and how they are referred to, relative to the item.
    pub assets: &'a [(AssetKind, String)],
}

/// Refuses a georeference that no item can have.
///
/// # Errors
/// An unknown coordinate system: STAC has no such items.
pub fn check_stac(place: &Georeference) -> Result<()> {
    projection(place, "`options.side_outputs = stac`").map(|_| ())
}

/// The projection and EPSG code of a georeference.
fn projection(place: &Georeference, subject: &str) -> Result<(LonLat, u16)> {
    let found = LonLat::of(place).and_then(|projection| {
        let code = projection.code()?;
        Some((projection, code))
    });
    found.ok_or_else(|| {
        let more = match place.points.is_empty() && place.rpc.is_empty() {
            true => "",
            false => {
                ". Control points or RPCs alone are not enough; rectify the scene first \
                      (gdalwarp)"
            }
        };
        Error::usage(format!(
            "{subject}: a STAC item needs a raster with a transform and a coordinate system of \
             a known EPSG code{more}"
        ))
    })
}

/// The item.
///
/// The footprint is on WGS 84, without what has no data; across the 180th meridian it is
/// cut into a `MultiPolygon`, and the `bbox` has a west greater than its east (RFC 7946).
/// A mask without valid pixels has neither. A time that is not known is null, with a
/// `start_datetime` and `end_datetime` that bound it.
///
/// # Errors
/// A raster of unknown coordinate system: STAC has no such items.
pub fn stac_item(input: &StacInput<'_>) -> Result<Value> {
    let [height, width] = input.size;
    let place = input.georeference;
    let (projection, code) = projection(place, input.scene)?;
    let nowhere = || {
        Error::usage(format!(
            "{}: the raster is where its coordinate system has no longitude and latitude",
            input.scene
        ))
    };
    let t = place.transform.ok_or_else(nowhere)?;
    let (geometry, bbox) = geometry(&projection, input, t).ok_or_else(nowhere)?;
    let ground = Ground::of(place, input.size, input.scene)?;
    let [across, down] = ground.pixel(height / 2);
    let mut properties = json!({
        "title": format!("Clouds and cloud shadows of {}", input.scene),
        "datetime": match input.dates {
            Dates::At(time) => json!(time),
            _ => Value::Null,
        },
    });
    if !matches!(input.dates, Dates::At(_)) {
        let [start, end] = input.dates.range();
        properties["start_datetime"] = json!(start);
        properties["end_datetime"] = json!(end);
    }
    if matches!(input.dates, Dates::Unknown { .. }) {
        properties["description"] = json!(
            "The time of the scene is not known: its start is that of the first satellite, its \
             end the time at which the scene's file was written."
        );
    }
    let rest = json!({
        "created": input.created,
        "gsd": rounded((across * down).sqrt(), 1e4),
        "proj:code": format!("EPSG:{code}"),
        "proj:shape": [height, width],
        // STAC has rows of the affine matrix, columns first.
        "proj:transform": [t[1], t[2], t[0], t[4], t[5], t[3]],
        "processing:software": {"nephos": env!("CARGO_PKG_VERSION")},
        "nephos:model": input.summary.model,
        "nephos:scene": input.scene,
    });
    if let (Some(all), Value::Object(rest)) = (properties.as_object_mut(), rest) {
        all.extend(rest);
    }
    if let Some(cover) = input.summary.cloud_cover {
        properties["eo:cloud_cover"] = json!(rounded(cover, 1e4));
    }
    let assets: Map<String, Value> = (input.assets.iter())
        .map(|(kind, href)| {
            (
                kind.terms()[0].to_owned(),
                asset(*kind, href, input.summary),
            )
        })
        .collect();
    let links: Vec<Value> = (input.derived_from.iter())
        .map(|href| {
            let title = format!("The scene {}", input.scene);
            json!({"rel": "derived_from", "href": href, "title": title})
        })
        .collect();
    let mut item = json!({
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
            "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
            "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
            "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
            "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
        ],
        "id": identifier(input.scene, &input.summary.model),
        "geometry": geometry,
        "properties": properties,
        "links": links,
        "assets": assets,
    });
    // A bbox must not be there where the geometry is null.
    if let (Some(bbox), Some(item)) = (bbox, item.as_object_mut()) {
        item.insert("bbox".to_owned(), json!(bbox));
    }
    Ok(item)
}

/// An id that is not the scene's own: two items of one catalogue must not share one.
/// Characters that have a meaning in paths and addresses become `_`.
fn identifier(scene: &str, model: &str) -> String {
    format!("{scene}_nephos_{model}_mask")
        .chars()
        .map(|c| match c.is_alphanumeric() || "-_.".contains(c) {
            true => c,
            false => '_',
        })
        .collect()
}

/// The footprint on WGS 84 and its bounds; null and none without a valid pixel. `None`
/// where it can't be projected.
fn geometry(
    projection: &LonLat,
    input: &StacInput<'_>,
    t: [f64; 6],
) -> Option<(Value, Option<[f64; 4]>)> {
    let [height, width] = input.size;
    let step = ((width.max(height) as f64) / POINTS).max(1.0);
    let mirrored = t[1] * t[5] - t[2] * t[4] > 0.0;
    let [middle, _] = projection.at(width as f64 / 2.0, height as f64 / 2.0)?;
    let mut polygons: Vec<Polygon> = Vec::new();
    for rings in &input.footprint.0 {
        let mut polygon: Polygon = Vec::new();
        for corners in rings {
            let mut corners = corners.clone();
            if mirrored {
                corners.reverse();
            }
            let mut ring = projection.ring(&corners, step)?;
            for degrees in ring.iter_mut().flatten() {
                *degrees = rounded(*degrees, 1e7);
            }
            polygon.push(ring);
        }
        polygons.push(polygon);
    }
    // All on the same turn around the Earth, for the bounds.
    let bounds = (polygons.iter())
        .filter_map(|polygon| polygon.first())
        .map(|ring| {
            let [low, high] = range(ring);
            let shift = near(0.5 * (low + high), middle) - 0.5 * (low + high);
            let latitudes = ring.iter().map(|point| point[1]);
            let south = latitudes.clone().fold(f64::INFINITY, f64::min);
            [
                low + shift,
                south,
                high + shift,
                latitudes.fold(f64::NEG_INFINITY, f64::max),
            ]
        })
        .reduce(|a, b| {
            [
                a[0].min(b[0]),
                a[1].min(b[1]),
                a[2].max(b[2]),
                a[3].max(b[3]),
            ]
        });
    let bbox = bounds.map(|[west, south, east, north]| match east - west >= 360.0 {
        true => [-180.0, south, 180.0, north],
        false => [wrapped(west, -180.0), south, wrapped(east, 180.0), north]
            .map(|degrees| rounded(degrees, 1e7)),
    });
    let mut parts: Vec<Polygon> = polygons.into_iter().flat_map(split).collect();
    let geometry = match parts.len() {
        0 => Value::Null,
        1 => json!({"type": "Polygon", "coordinates": parts.pop()}),
        _ => json!({"type": "MultiPolygon", "coordinates": parts}),
    };
    Some((geometry, bbox))
}

/// A longitude within −180 to 180; of the two that the 180th meridian has, `edge`.
fn wrapped(longitude: f64, edge: f64) -> f64 {
    let within = longitude - ((longitude + 180.0) / 360.0).floor() * 360.0;
    match within.abs() == 180.0 {
        true => edge,
        false => within,
    }
}

fn rounded(value: f64, places: f64) -> f64 {
    (value * places).round() / places
}

/// A class: value, name, colour, share of the valid pixels in per cent, and count.
fn class(value: u8, name: &str, [red, green, blue]: [u8; 3], share: (u64, Option<f64>)) -> Value {
    let mut class = json!({
        "value": value,
        "name": name.replace(' ', "_"),
        "title": name,
        "description": name,
        "color_hint": format!("{red:02X}{green:02X}{blue:02X}"),
        "count": share.0,
    });
    if let Some(percent) = share.1 {
        class["percentage"] = json!(rounded(percent, 1e4));
    }
    class
}

/// The class of the pixels without data, which are no share of the valid ones.
fn no_data(summary: &MaskSummary) -> Value {
    json!({
        "value": IGNORE,
        "name": "no_data",
        "title": "no data",
        "description": "no data",
        "nodata": true,
        "count": summary.no_data,
    })
}

fn asset(kind: AssetKind, href: &str, summary: &MaskSummary) -> Value {
    let [_, media, role, title] = kind.terms();
    let mut asset = json!({"href": href, "type": media, "roles": [role], "title": title});
    let raster = matches!(
        kind,
        AssetKind::Mask | AssetKind::CloudMask | AssetKind::Probabilities
    );
    if raster {
        asset["data_type"] = json!("uint8");
        asset["nodata"] = json!(IGNORE);
        asset["raster:sampling"] = json!("area");
    }
    match kind {
        AssetKind::Mask => {
            let mut classes: Vec<Value> = (summary.classes.iter())
                .filter_map(|share| {
                    let colour = Class::from_code(share.code)?.colour();
                    let counts = (share.pixels, share.percent);
                    Some(class(share.code, share.name, colour, counts))
                })
                .collect();
            classes.push(no_data(summary));
            asset["classification:classes"] = json!(classes);
        }
        AssetKind::CloudMask => {
            let cloudy = |is: bool| -> (u64, Option<f64>) {
                let of = summary.classes.iter().filter(|share| {
                    Class::from_code(share.code).is_some_and(|class| class.is_cloud() == is)
                });
                let pixels = of.map(|share| share.pixels).sum();
                let cover = summary.cloud_cover;
                (
                    pixels,
                    cover.map(|cover| if is { cover } else { 100.0 - cover }),
                )
            };
            asset["classification:classes"] = json!([
                class(0, "clear", [0; 3], cloudy(false)),
                class(1, "cloud", [255; 3], cloudy(true)),
                no_data(summary),
            ]);
        }
        AssetKind::Probabilities => {
            asset["raster:scale"] = json!(0.004);
            asset["raster:offset"] = json!(0.0);
            let bands = Class::ALL.map(|class| {
                json!({"name": class.name().replace(' ', "_"), "description": class.name()})
            });
            asset["bands"] = json!(bands);
        }
        AssetKind::Polygons | AssetKind::Quicklook | AssetKind::Page | AssetKind::Summary => {}
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
