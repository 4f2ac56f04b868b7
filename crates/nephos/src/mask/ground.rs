//! Size of pixels on the ground.

use super::system::{System, metres};
use crate::error::{Error, Result};
use crate::raster::Georeference;

/// Radius of the sphere that has the Earth's surface, in metres.
const RADIUS: f64 = 6_371_007.2;

/// A system whose lengths differ by less from those on the ground is taken as true:
/// UTM zones and national grids are.
const TRUE_TO: f64 = 5e-3;

/// How much sides of a pixel may differ from a right angle: the cosine of their angle.
const SQUARE: f64 = 1e-3;

/// Size of pixels in metres, by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ground {
    rows: Rows,
    /// Whether pixels are rectangles on the ground.
    rectangles: bool,
    transform: [f64; 6],
}

/// Width and height in metres and area in m² of pixels.
#[derive(Debug, Clone, PartialEq)]
enum Rows {
    /// All equal: a system true to scale.
    Same([f64; 3]),
    /// In degrees: width and height, and the latitude of the first row's upper edge
    /// and from one row to the next.
    Degrees { pixel: [f64; 2], latitude: [f64; 2] },
    /// Row by row, of the column in the middle: a system whose scale varies.
    Each(Vec<[f64; 3]>),
}

impl Ground {
    /// From a georeference; `purpose` is named where it is lacking. A system that is
    /// not true to scale (Web Mercator, whose metres are longer than those on the ground
    /// by the cosine of the latitude, or degrees) is measured row by row.
    ///
    /// # Errors
    /// No transform, no coordinate system, or pixels without an area.
    pub(super) fn of(place: &Georeference, size: [usize; 2], purpose: &str) -> Result<Self> {
        let lacks = |what: &str| {
            let more = match place.points.is_empty() && place.rpc.is_empty() {
                true => "",
                false => {
                    " but control points or RPCs alone; rectify it first, as `gdalwarp scene.tif \
                     rectified.tif` does"
                }
            };
            Error::usage(format!(
                "{purpose} needs the size of pixels in metres, and the raster has no {what}{more}"
            ))
        };
        let t = place.transform.ok_or_else(|| lacks("transform"))?;
        let keys = (place.keys.as_ref()).ok_or_else(|| lacks("coordinate system"))?;
        let pixel = place.pixel_size().ok_or_else(|| lacks("transform"))?;
        let area = (t[1] * t[5] - t[2] * t[4]).abs();
        if !pixel.iter().all(|side| side.is_normal()) || !area.is_normal() {
            let message = format!("{purpose} needs pixels with an area, not {t:?}");
            return Err(Error::usage(message));
        }
        let square = (area / (pixel[0] * pixel[1]) - 1.0).abs() <= 1e-6;
        let ground = |rows, rectangles| Self {
            rows,
            rectangles,
            transform: t,
        };
        let system = System::of(keys);
        if keys.is_geographic() && t[2] == 0.0 && t[4] == 0.0 {
            let latitude = [t[3], t[5]];
            return Ok(ground(Rows::Degrees { pixel, latitude }, true));
        }
        if let Some(system) = &system
            && let Some(each) = measured(place, size, system)
        {
            let same = [0, each.len() / 2, each.len() - 1].map(|row| each[row].0);
            let unit = metres(keys);
            let is_true = !system.is_geographic()
                && same.iter().all(|[width, height, _]| {
                    let near = |ground: f64, map: f64| (ground / map - 1.0).abs() < TRUE_TO;
                    near(*width, pixel[0] * unit) && near(*height, pixel[1] * unit)
                });
            if !is_true {
                let rectangles = each.iter().all(|(_, cosine)| cosine.abs() < SQUARE);
                let rows = each.into_iter().map(|(row, _)| row).collect();
                return Ok(ground(Rows::Each(rows), rectangles));
            }
        }
        if keys.is_geographic() {
            let message = format!("{purpose} needs rows along latitudes, not {t:?}");
            return Err(Error::usage(message));
        }
        let unit = metres(keys);
        let same = [pixel[0] * unit, pixel[1] * unit, area * unit * unit];
        Ok(ground(Rows::Same(same), square))
    }

    /// As it is, where pixels are rectangles.
    ///
    /// # Errors
    /// They are not; `purpose` is named.
    pub(super) fn with_rectangles(self, purpose: &str) -> Result<Self> {
        match self.rectangles {
            true => Ok(self),
            false => Err(Error::usage(format!(
                "{purpose} needs pixels that are rectangles on the ground, not {:?}",
                self.transform
            ))),
        }
    }

    /// Width and height in metres of the pixels of a row.
    pub(super) fn pixel(&self, row: usize) -> [f64; 2] {
        match &self.rows {
            Rows::Same([width, height, _]) => [*width, *height],
            Rows::Degrees {
                pixel,
                latitude: [top, step],
            } => {
                let latitude = top + (row as f64 + 0.5) * step;
                let degree = RADIUS.to_radians();
                let [width, height] = pixel.map(|side| side * degree);
                // At a pole, a pixel would have no width at all.
                [width * latitude.to_radians().cos().max(1e-6), height]
            }
            Rows::Each(rows) => {
                let [width, height, _] = rows[row.min(rows.len() - 1)];
                [width, height]
            }
        }
    }

    /// Area in m² of a pixel of a row.
    pub(super) fn area(&self, row: usize) -> f64 {
        match &self.rows {
            Rows::Same([_, _, area]) => *area,
            Rows::Degrees {
                pixel,
                latitude: [top, step],
            } => {
                let sine = |row: f64| (top + row * step).clamp(-90.0, 90.0).to_radians().sin();
                let band = (sine(row as f64) - sine(row as f64 + 1.0)).abs();
                RADIUS * RADIUS * pixel[0].to_radians() * band
            }
            Rows::Each(rows) => rows[row.min(rows.len() - 1)][2],
        }
    }

    /// Least height of a pixel of the first `rows` rows.
    pub(super) fn least_height(&self, rows: usize) -> f64 {
        match &self.rows {
            Rows::Each(_) => (0..rows.max(1))
                .map(|row| self.pixel(row)[1])
                .fold(f64::INFINITY, f64::min),
            _ => self.pixel(0)[1],
        }
    }
}

/// Width on the ground in metres of the pixels in the middle of a raster of `[rows, columns]`;
/// `None` where its place is not known well enough.
pub fn pixel_metres(place: &Georeference, size: [usize; 2]) -> Option<f64> {
    let ground = Ground::of(place, size, "the scale").ok()?;
    let [width, _] = ground.pixel(size[0] / 2);
    width.is_normal().then_some(width)
}

/// Width, height and area of the pixels of each row in its middle column, and the cosine
/// of the angle between their sides; `None` where a row has no longitude and latitude,
/// or there are none.
fn measured(
    place: &Georeference,
    [rows, cols]: [usize; 2],
    system: &System,
) -> Option<Vec<([f64; 3], f64)>> {
    let col = cols as f64 / 2.0;
    let at = |col: f64, row: f64| system.lon_lat(place.to_map(col, row)?);
    let measure = |row: usize| {
        let row = row as f64 + 0.5;
        let [_, latitude] = at(col, row)?;
        let degree = RADIUS.to_radians();
        let step = |from: [f64; 2], to: [f64; 2]| {
            let mut east = to[0] - from[0];
            east -= (east / 360.0).round() * 360.0;
            [
                east * degree * latitude.to_radians().cos().max(1e-6),
                (to[1] - from[1]) * degree,
            ]
        };
        let across = step(at(col - 0.5, row)?, at(col + 0.5, row)?);
        let down = step(at(col, row - 0.5)?, at(col, row + 0.5)?);
        let (width, height) = (across[0].hypot(across[1]), down[0].hypot(down[1]));
        let area = (across[0] * down[1] - across[1] * down[0]).abs();
        let cosine = (across[0] * down[0] + across[1] * down[1]) / (width * height);
        let usable = width.is_normal() && height.is_normal() && area.is_normal();
        usable.then_some(([width, height, area], cosine))
    };
    let all: Vec<_> = (0..rows).map(measure).collect::<Option<_>>()?;
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::GeoKeys;

    fn place(transform: [f64; 6], keys: GeoKeys) -> Georeference {
        Georeference::new(Some(transform), Some(keys))
    }

    #[test]
    fn projected_pixels_are_equal_everywhere() {
        let utm = place([5e5, 8.0, 6.0, 5e6, 6.0, -8.0], GeoKeys::projected(32633));
        let ground = Ground::of(&utm, [10, 10], "x").unwrap();
        assert_eq!((ground.pixel(0), ground.area(9)), ([10.0, 10.0], 100.0));
        let feet = place(
            [1e6, 100.0, 0.0, 2e5, 0.0, -50.0],
            GeoKeys::of_epsg(2263, false),
        );
        let ground = Ground::of(&feet, [10, 10], "x").unwrap();
        let [width, height] = ground.pixel(3);
        assert!((width - 30.48006).abs() < 1e-4 && (height - 15.24003).abs() < 1e-4);
        // A unit that is not the system's own goes before it.
        let mut keys = GeoKeys::projected(32633);
        keys.directory[19] = 9002;
        let scale = 1.0 / 0.3048;
        let utm = place([5e5 * scale, 100.0, 0.0, 5e6 * scale, 0.0, -100.0], keys);
        let ground = Ground::of(&utm, [10, 10], "x").unwrap();
        assert!((ground.area(0) - 30.48 * 30.48).abs() < 1e-6);
        let [longitude, latitude] = System::of(utm.keys.as_ref().unwrap())
            .unwrap()
            .lon_lat([5e5 * scale, 5e6 * scale])
            .unwrap();
        assert!((longitude - 15.0).abs() < 1e-9 && (latitude - 45.15).abs() < 0.01);
    }

    #[test]
    fn geographic_pixels_are_narrow_in_the_north() {
        let world = place(
            [-180.0, 1.0, 0.0, 90.0, 0.0, -1.0],
            GeoKeys::geographic(4326),
        );
        let ground = Ground::of(&world, [180, 360], "x").unwrap();
        let [width, height] = ground.pixel(30);
        assert!((height - 111_195.0).abs() < 1.0);
        assert!((width / height - 59.5f64.to_radians().cos()).abs() < 1e-9);
        let all: f64 = (0..180).map(|row| 360.0 * ground.area(row)).sum();
        let sphere = 4.0 * std::f64::consts::PI * RADIUS * RADIUS;
        assert!((all / sphere - 1.0).abs() < 1e-12);
    }

    /// Web Mercator's metres are longer by 1 / cos(latitude), at 60° twice.
    #[test]
    fn web_mercator_is_measured_on_the_ground() {
        let y = 6_378_137.0 * 60f64.to_radians().tan().asinh();
        let by_code = GeoKeys::projected(3857);
        let mut named = GeoKeys::projected(32767);
        named.directory.extend([3075, 0, 1, 7]);
        named.directory[3] += 1;
        named.ascii = "WGS 84 / Pseudo-Mercator|WGS 84|".to_owned();
        for keys in [by_code, named] {
            let north_up = place([1e6, 10.0, 0.0, y, 0.0, -10.0], keys.clone());
            let ground = Ground::of(&north_up, [200, 100], "x").unwrap();
            let [width, height] = ground.pixel(0);
            assert!((width - 5.0).abs() < 0.02 && (height - 5.0).abs() < 0.02);
            assert!((ground.area(0) - 25.0).abs() < 0.1, "{}", ground.area(0));
            assert!(ground.area(0) < ground.area(199));
            let south_up = place([1e6, 10.0, 0.0, -y, 0.0, -10.0], keys.clone());
            let south = Ground::of(&south_up, [200, 100], "x").unwrap();
            assert!(south.area(0) > south.area(199));
            let rotated = place([1e6, 8.0, 6.0, y, 6.0, -8.0], keys);
            let rotated = Ground::of(&rotated, [20, 20], "x").unwrap();
            assert!((rotated.area(0) - 25.0).abs() < 0.1);
            assert!(rotated.with_rectangles("x").is_ok());
        }
    }

    #[test]
    fn errors_name_the_missing_part() {
        let error = Ground::of(&Georeference::default(), [1, 1], "polygons").unwrap_err();
        assert!(error.to_string().starts_with("polygons needs"), "{error}");
        let points = Georeference {
            points: vec![[0.0; 6]],
            ..Georeference::default()
        };
        let error = Ground::of(&points, [1, 1], "polygons").unwrap_err();
        assert!(error.to_string().contains("gdalwarp"), "{error}");
        let sheared = place([5e5, 8.0, 8.0, 5e6, 0.0, -8.0], GeoKeys::projected(32633));
        let ground = Ground::of(&sheared, [4, 4], "x").unwrap();
        assert_eq!(ground.area(0), 64.0);
        assert!(ground.with_rectangles("x").is_err());
    }
}
