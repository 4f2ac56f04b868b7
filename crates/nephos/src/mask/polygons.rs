//! A mask's regions as polygons, GeoJSON (RFC 7946).

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use super::ground::Ground;
use super::lonlat::LonLat;
use super::meridian::split;
use super::reader::MaskReader;
use super::regions::{Corner, Region, Tracer};
use crate::class::Class;
use crate::error::{Error, Result};
use crate::output;
use crate::raster::Georeference;

/// Longest straight piece of an outline in pixels, where it is projected.
const STEP: f64 = 128.0;

/// Which regions become polygons.
#[derive(Debug, Clone, PartialEq)]
pub struct PolygonOptions {
    /// Classes; one polygon per connected region of one class.
    pub classes: Vec<Class>,
    /// Least area in m²; smaller regions are left out.
    pub min_area: f64,
}

impl Default for PolygonOptions {
    /// All regions of cloud and shadow.
    fn default() -> Self {
        Self {
            classes: vec![Class::Thick, Class::Thin, Class::Shadow],
            min_area: 0.0,
        }
    }
}

/// Refuses a georeference that is insufficient for polygons.
///
/// # Errors
/// What it lacks.
pub fn check_polygons(place: &Georeference) -> Result<()> {
    Ground::of(place, [1, 1], "`options.side_outputs = polygons`").map(|_| ())
}

/// Writes the regions of the class mask in the GeoTIFF `mask` as GeoJSON: one feature
/// per region of pixels that share sides, with `class`, `code`, `pixels` and
/// `area_m2`; returns their number. Memory grows with the outlines of the regions
/// that are open at once, not with the mask.
///
/// Coordinates are longitude and latitude on WGS 84, outer rings counter-clockwise,
/// where the mask's system is known; else they are the system's own, and a member
/// `crs` and a `note` record it. What crosses the 180th meridian is cut there into a
/// `MultiPolygon`. Areas are those of the pixels on the ground: in the plane of a
/// projected system that is true to scale, on a sphere for a geographic one and for one
/// that is not, as Web Mercator.
///
/// # Errors
/// A broken mask, one without a georeference, or the file can't be written.
pub fn write_polygons(path: &Path, mask: &Path, options: &PolygonOptions) -> Result<u64> {
    let reader = MaskReader::open(mask)?;
    let place = reader.georeference();
    let purpose = format!("{}: polygons", mask.display());
    let ground = Ground::of(place, reader.size(), &purpose)?;
    let projection = LonLat::of(place);
    let fail = |e| Error::io(path, e);
    let mut written = 0;
    output::write_atomic(path, |writer| {
        writer
            .write_all(opening(place, projection.is_some()).as_bytes())
            .map_err(fail)?;
        let mut take = |class: Class, region: Region| -> Result<()> {
            if region.area < options.min_area {
                return Ok(());
            }
            let rings = (region.rings.iter())
                .map(|ring| coordinates(ring, place, projection.as_ref()))
                .collect::<Option<Vec<_>>>()
                .ok_or_else(|| {
                    let (col, row) = region.rings[0][0];
                    let message = format!(
                        "the region at row {row}, column {col} is where its coordinate \
                         system has no longitude and latitude"
                    );
                    Error::format(mask, message)
                })?;
            let comma = if written == 0 { "\n" } else { ",\n" };
            written += 1;
            let properties = json!({
                "class": class.name(),
                "code": class as u8,
                "pixels": region.pixels,
                "area_m2": rounded(region.area, 1e3),
            });
            let mut parts = match projection {
                Some(_) => split(rings),
                None => vec![rings],
            };
            let kind = if parts.len() == 1 {
                "Polygon"
            } else {
                "MultiPolygon"
            };
            write!(
                writer,
                "{comma}{{\"type\":\"Feature\",\"properties\":{properties},\
                 \"geometry\":{{\"type\":\"{kind}\",\"coordinates\":"
            )
            .map_err(fail)?;
            // Not by way of a `Value`, which takes many times the memory.
            match (parts.len(), parts.pop()) {
                (1, Some(part)) => serde_json::to_writer(&mut *writer, &part),
                (_, last) => {
                    parts.extend(last);
                    serde_json::to_writer(&mut *writer, &parts)
                }
            }
            .map_err(|e| fail(e.into()))?;
            writer.write_all(b"}}").map_err(fail)
        };
        let mut tracers: Vec<(Class, Tracer)> = (options.classes.iter())
            .map(|class| (*class, Tracer::default()))
            .collect();
        let mut row = 0;
        reader.strips(|rows| {
            for codes in rows.rows() {
                let area = ground.area(row);
                row += 1;
                for (class, tracer) in &mut tracers {
                    let is = codes.iter().map(|code| *code == *class as u8);
                    for region in tracer.push(is, area) {
                        take(*class, region)?;
                    }
                }
            }
            Ok(())
        })?;
        for (class, tracer) in tracers {
            for region in tracer.finish() {
                take(class, region)?;
            }
        }
        writer.write_all(b"\n]}\n").map_err(fail)
    })?;
    Ok(written)
}

/// The file up to its first feature.
fn opening(place: &Georeference, projected: bool) -> String {
    let mut members = String::new();
    if !projected {
        let crs = match place.keys.as_ref().and_then(|keys| keys.epsg()) {
            None => Value::Null,
            Some(code) => json!({
                "type": "name",
                "properties": {"name": format!("urn:ogc:def:crs:EPSG::{code}")},
            }),
        };
        let note = "coordinates are those of the mask, not longitude and latitude: its \
                    coordinate system has no EPSG code that nephos supports";
        members = format!("\"crs\":{crs},\"note\":{},", json!(note));
    }
    format!("{{\"type\":\"FeatureCollection\",{members}\"features\":[")
}

/// A ring's coordinates, closed. The region is on the left of the ring on
/// screen; in a mirrored raster the ring is turned round so that it does on the map.
fn coordinates(
    ring: &[Corner],
    place: &Georeference,
    projection: Option<&LonLat>,
) -> Option<Vec<[f64; 2]>> {
    let t = place.transform?;
    let mut corners: Vec<[f64; 2]> = (ring.iter())
        .map(|(col, row)| [f64::from(*col), f64::from(*row)])
        .collect();
    if t[1] * t[5] - t[2] * t[4] > 0.0 {
        corners.reverse();
    }
    match projection {
        // A hundred-millionth of a degree is a millimetre.
        Some(projection) => Some(
            (projection.ring(&corners, STEP)?.into_iter())
                .map(|point| point.map(|degrees| rounded(degrees, 1e8)))
                .collect(),
        ),
        None => {
            corners.push(*corners.first()?);
            (corners.iter())
                .map(|[col, row]| place.to_map(*col, *row))
                .collect()
        }
    }
}

fn rounded(value: f64, places: f64) -> f64 {
    (value * places).round() / places
}
