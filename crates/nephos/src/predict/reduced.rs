//! A scene in true colour, reduced to fit a page.

use image::RgbImage;
use ndarray::{Array2, Array3, s};

use crate::error::Result;
use crate::figures::{Stretch, true_colour};
use crate::raster::Window;
use crate::scene::Scene;

/// Least rows that are read at once.
const READ_ROWS: usize = 64;

/// Red, green and blue of a scene at `rows` × `cols` pixels picked evenly from it;
/// `None` where it lacks one of these bands.
///
/// # Errors
/// A broken scene.
pub(super) fn true_colour_of(
    scene: &dyn Scene,
    [rows, cols]: [usize; 2],
) -> Result<Option<RgbImage>> {
    let info = scene.info();
    let wanted = ["red", "green", "blue"].map(String::from);
    let Ok(bands) = info.positions(&wanted) else {
        return Ok(None);
    };
    let [height, width] = info.size;
    let block = info.block[0].max(1);
    let strip = block * READ_ROWS.div_ceil(block);
    let mut image = Array3::<f32>::zeros((bands.len(), rows, cols));
    let mut row = 0;
    for first in (0..height).step_by(strip) {
        let last = (first + strip).min(height);
        // Which rows fall into this strip; none are read for nothing.
        let mut within = Vec::new();
        while row < rows && row * height / rows < last {
            within.push(row);
            row += 1;
        }
        if within.is_empty() {
            continue;
        }
        let window = Window {
            row: first,
            col: 0,
            rows: last - first,
            cols: width,
        };
        let pixels = scene.read(&bands, window)?;
        for row in within {
            let from = row * height / rows - first;
            for col in 0..cols {
                let pixel = pixels.slice(s![.., from, col * width / cols]);
                image.slice_mut(s![.., row, col]).assign(&pixel);
            }
        }
    }
    let valid = Array2::from_shape_fn((rows, cols), |(row, col)| {
        image.slice(s![.., row, col]).iter().all(|v| v.is_finite())
    });
    let picture = true_colour(&image, [0, 1, 2], &valid, Stretch::default());
    Ok(Some(picture))
}
