//! How large pixels are on the ground.

use proj4rs::Proj;

use crate::error::{Error, Result};
use crate::scene::Georeference;

/// Radius of the sphere that has the Earth's surface, in metres.
const RADIUS: f64 = 6_371_007.2;

/// Size of pixels in metres, by row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ground {
    /// Width and height of a pixel: metres, or degrees where geographic.
    pixel: [f64; 2],
    /// Degrees of latitude of the first row's upper edge, and from one row to the
    /// next; only where geographic.
    latitude: Option<[f64; 2]>,
    /// Area of a pixel in units of the coordinate system.
    area: f64,
}

impl Ground {
    /// From a georeference; `purpose` is named where it is lacking.
    ///
    /// # Errors
    /// No transform, no coordinate system, or pixels that are no rectangles.
    pub(super) fn of(place: &Georeference, purpose: &str) -> Result<Self> {
        let lacks = |what: &str| {
            Error::usage(format!(
                "{purpose} needs the size of pixels in metres, and the raster has no {what}"
            ))
        };
        let t = place.transform.ok_or_else(|| lacks("transform"))?;
        let keys = (place.keys.as_ref()).ok_or_else(|| lacks("coordinate system"))?;
        let pixel = place.pixel_size().ok_or_else(|| lacks("transform"))?;
        let area = (t[1] * t[5] - t[2] * t[4]).abs();
        let usable = pixel.iter().all(|side| side.is_normal()) && area.is_normal();
        // Equal but for rounding where the axes are at right angles.
        if !usable || (area / (pixel[0] * pixel[1]) - 1.0).abs() > 1e-6 {
            let message = format!("{purpose} needs pixels that are rectangles, not {t:?}");
            return Err(Error::usage(message));
        }
        if keys.is_geographic() {
            if t[2] != 0.0 || t[4] != 0.0 {
                let message = format!("{purpose} needs rows along latitudes, not {t:?}");
                return Err(Error::usage(message));
            }
            return Ok(Self {
                pixel,
                latitude: Some([t[3], t[5]]),
                area,
            });
        }
        let unit = metres(keys.short(3076), keys.epsg());
        Ok(Self {
            pixel: pixel.map(|side| side * unit),
            latitude: None,
            area: area * unit * unit,
        })
    }

    /// Width and height in metres of the pixels of a row.
    pub(super) fn pixel(&self, row: usize) -> [f64; 2] {
        match self.latitude {
            None => self.pixel,
            Some([top, step]) => {
                let latitude = top + (row as f64 + 0.5) * step;
                let degree = RADIUS.to_radians();
                let [width, height] = self.pixel.map(|side| side * degree);
                // At a pole, a pixel would have no width at all.
                [width * latitude.to_radians().cos().max(1e-6), height]
            }
        }
    }

    /// Area in m² of a pixel of a row.
    pub(super) fn area(&self, row: usize) -> f64 {
        match self.latitude {
            None => self.area,
            Some([top, step]) => {
                let sine = |row: f64| (top + row * step).clamp(-90.0, 90.0).to_radians().sin();
                let band = (sine(row as f64) - sine(row as f64 + 1.0)).abs();
                RADIUS * RADIUS * self.pixel[0].to_radians() * band
            }
        }
    }
}

/// Metres in a unit of a projected system: by ProjLinearUnitsGeoKey, else by the
/// system's definition, else one.
fn metres(unit: Option<u16>, epsg: Option<u16>) -> f64 {
    match unit {
        Some(9001) => 1.0,
        Some(9002) => 0.3048,
        Some(9003) => 1200.0 / 3937.0,
        _ => epsg
            .and_then(|code| Proj::from_epsg_code(code).ok())
            .map_or(1.0, |system| system.to_meter()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scene::GeoKeys;

    fn place(transform: [f64; 6], keys: GeoKeys) -> Georeference {
        Georeference {
            transform: Some(transform),
            keys: Some(keys),
        }
    }

    #[test]
    fn projected_pixels_are_alike_everywhere() {
        let utm = place([0.0, 8.0, 6.0, 0.0, 6.0, -8.0], GeoKeys::projected(32633));
        let ground = Ground::of(&utm, "x").unwrap();
        assert_eq!((ground.pixel(0), ground.area(9)), ([10.0, 10.0], 100.0));
        let mut feet = GeoKeys::projected(2263);
        feet.directory[19] = 9003;
        let ground = Ground::of(&place([0.0, 100.0, 0.0, 0.0, 0.0, -50.0], feet), "x");
        let [width, height] = ground.unwrap().pixel(3);
        assert!((width - 30.48006).abs() < 1e-4 && (height - 15.24003).abs() < 1e-4);
    }

    #[test]
    fn geographic_pixels_are_narrow_in_the_north() {
        let world = place(
            [-180.0, 1.0, 0.0, 90.0, 0.0, -1.0],
            GeoKeys::geographic(4326),
        );
        let ground = Ground::of(&world, "x").unwrap();
        let [width, height] = ground.pixel(30);
        assert!((height - 111_195.0).abs() < 1.0);
        assert!((width / height - 59.5f64.to_radians().cos()).abs() < 1e-9);
        let all: f64 = (0..180).map(|row| 360.0 * ground.area(row)).sum();
        let sphere = 4.0 * std::f64::consts::PI * RADIUS * RADIUS;
        assert!((all / sphere - 1.0).abs() < 1e-12);
    }

    #[test]
    fn what_lacks_is_named() {
        let error = Ground::of(&Georeference::default(), "--dilate").unwrap_err();
        assert!(error.to_string().starts_with("--dilate needs"), "{error}");
        let sheared = place([0.0, 8.0, 8.0, 0.0, 0.0, -8.0], GeoKeys::projected(32633));
        assert!(Ground::of(&sheared, "x").is_err());
    }
}
