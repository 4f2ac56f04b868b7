//! Whether rasters have the same grid.

use crate::error::{Error, Result};
use crate::raster::GeoKeys;
use crate::raster::tiff::TiffRaster;

/// Refuses files of one scene that don't have the same grid.
pub(super) fn same_grid(first: &TiffRaster, other: &TiffRaster) -> Result<()> {
    let differ = |what: &str, one: String, two: String| {
        let message = format!(
            "its {what} is {two}, that of {} is {one}; the files of a folder are bands of one \
             scene and lie on one grid",
            first.path().display()
        );
        Err(Error::format(other.path(), message))
    };
    let ([h0, w0], [h1, w1]) = (first.size(), other.size());
    if [h0, w0] != [h1, w1] {
        let text = |h: usize, w: usize| format!("{h} rows × {w} columns");
        return differ("size", text(h0, w0), text(h1, w1));
    }
    let (a, b) = (&first.georeference, &other.georeference);
    let close = match (a.transform, b.transform) {
        (Some(a), Some(b)) => {
            // A thousandth of a pixel: writers round differently.
            let pixel = a[1].hypot(a[4]).min(a[2].hypot(a[5]));
            let side = h0.max(w0) as f64;
            (a.iter().zip(b).enumerate()).all(|(position, (a, b))| {
                let reach = if position % 3 == 0 { 1.0 } else { side };
                (a - b).abs() * reach <= 1e-3 * pixel
            })
        }
        (None, None) => true,
        _ => false,
    };
    if !close {
        let text = |t: Option<[f64; 6]>| t.map_or("none".to_owned(), |t| format!("{t:?}"));
        return differ("transform", text(a.transform), text(b.transform));
    }
    let crs = |keys: &Option<GeoKeys>| match keys {
        None => "none".to_owned(),
        Some(keys) => {
            (keys.epsg()).map_or("one of its own".to_owned(), |code| format!("EPSG:{code}"))
        }
    };
    let same = match (&a.keys, &b.keys) {
        (Some(a), Some(b)) => a.is_same_system(b),
        (None, None) => true,
        _ => false,
    };
    if !same {
        return differ("coordinate system", crs(&a.keys), crs(&b.keys));
    }
    Ok(())
}
