//! The quick-look: a scene in true colour and its mask, reduced to fit a page.

use std::path::Path;

use ndarray::{Array2, Array3, s};

use crate::error::Result;
use crate::figures::{Stretch, quicklook, true_colour};
use crate::mask::{self, MaskSummary};
use crate::raster::Window;
use crate::scene::Scene;

/// Longest side of the pictures in a quick-look, in pixels.
const QUICKLOOK_SIDE: usize = 900;
/// Least rows that are read at once.
const READ_ROWS: usize = 64;

/// Writes the quick-look of a scene and its `mask`.
pub(super) fn write_quicklook(
    scene: &dyn Scene,
    mask: &Path,
    summary: &MaskSummary,
    path: &Path,
) -> Result<()> {
    let reduced = mask::reduced(mask, QUICKLOOK_SIDE)?;
    let (rows, cols) = reduced.dim();
    let image = reduced_rgb(scene, [rows, cols])?;
    quicklook(image.as_ref(), &reduced, summary)?.save(path)
}

/// Red, green and blue of a scene at `rows` × `cols` pixels picked evenly from it,
/// `[3, rows, cols]`; `None` where it lacks one of these bands.
///
/// # Errors
/// A broken scene.
fn reduced_rgb(scene: &dyn Scene, [rows, cols]: [usize; 2]) -> Result<Option<Array3<u8>>> {
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
    Ok(Some(Array3::from_shape_fn(
        (3, rows, cols),
        |(band, row, col)| picture.get_pixel(col as u32, row as u32)[band],
    )))
}
