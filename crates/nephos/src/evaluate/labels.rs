//! Label rasters on the grid of a scene.

use std::path::Path;

use ndarray::{Array2, s};

use crate::class::IGNORE;
use crate::error::{Error, Result};
use crate::raster::{Georeference, Window};
use crate::scene::{self, Scene, SceneInfo, SceneOptions};

/// A label raster read on the grid of a scene.
pub struct Labels {
    raster: Box<dyn Scene>,
    grid: Grid,
}

/// Where the scene's pixels are on the label's.
enum Grid {
    /// One to one.
    Same,
    /// Through coordinates: label column = a₀ + column·a₁ + row·a₂, label row
    /// likewise, in pixels from the corner.
    Nearest([[f64; 3]; 2]),
}

impl Labels {
    /// Opens the label raster of a scene: one band of whole numbers.
    ///
    /// # Errors
    /// The file can't be read, has several bands, is in another coordinate
    /// system, or has another size and no georeference to match the two by.
    pub fn open(path: &Path, scene: &SceneInfo) -> Result<Self> {
        let raster = scene::open_scene(path, &SceneOptions::stored())?;
        let info = raster.info();
        if info.bands.len() != 1 {
            let message = format!("a label raster has one band, this has {}", info.bands.len());
            return Err(Error::format(path, message));
        }
        let grid = grid(path, scene, info)?;
        Ok(Self { raster, grid })
    }

    /// What was done to bring the labels onto the scene's grid, in words; `None`
    /// where the grids are the same.
    pub fn resampling(&self) -> Option<String> {
        match self.grid {
            Grid::Same => None,
            Grid::Nearest(_) => {
                let info = self.raster.info();
                let size = info.georeference.pixel_size().unwrap_or_default();
                Some(format!(
                    "{}: the labels are on another grid ({} × {} pixels of {} × {}) and are \
                     resampled by nearest neighbour",
                    info.path.display(),
                    info.size[0],
                    info.size[1],
                    size[0],
                    size[1]
                ))
            }
        }
    }

    /// Stored labels of rows `first..first + rows` of the scene, as wide as it; `None`
    /// outside the label raster and where it has no data.
    ///
    /// # Errors
    /// A broken file, or labels that are no whole numbers.
    pub fn rows(&self, first: usize, rows: usize, cols: usize) -> Result<Array2<Option<i64>>> {
        let labels = match self.grid {
            Grid::Same => self.read(Window {
                row: first,
                col: 0,
                rows,
                cols,
            })?,
            Grid::Nearest(affine) => self.nearest(affine, first, rows, cols)?,
        };
        let path = &self.raster.info().path;
        let mut odd = None;
        let labels = labels.mapv(|value| {
            if value.fract() != 0.0 && value.is_finite() {
                odd = Some(value);
            }
            value.is_finite().then_some(value as i64)
        });
        match odd {
            None => Ok(labels),
            Some(value) => Err(Error::format(
                path,
                format!("a label is {value}, not a whole number"),
            )),
        }
    }

    fn read(&self, window: Window) -> Result<Array2<f32>> {
        let pixels = self.raster.read(&[0], window)?;
        Ok(pixels.slice_move(s![0, .., ..]))
    }

    fn nearest(
        &self,
        affine: [[f64; 3]; 2],
        first: usize,
        rows: usize,
        cols: usize,
    ) -> Result<Array2<f32>> {
        let [height, width] = self.raster.info().size;
        // Pixel of the label under the centre of a pixel of the scene.
        let place = |row: usize, col: usize| {
            let (x, y) = (col as f64 + 0.5, (first + row) as f64 + 0.5);
            let [col, row] = affine.map(|a| (a[0] + x * a[1] + y * a[2]).floor());
            let inside = (0.0..width as f64).contains(&col) && (0.0..height as f64).contains(&row);
            inside.then_some((row as usize, col as usize))
        };
        let mut found = Array2::from_elem((rows, cols), f32::NAN);
        // The rows needed are between those under the corners: the map is affine.
        let corner = |row: f64, col: f64| {
            affine[1][0] + col * affine[1][1] + (first as f64 + row) * affine[1][2]
        };
        let corners = [(0.0, 0), (0.0, cols), (rows as f64, 0), (rows as f64, cols)];
        let under = corners.map(|(row, col)| corner(row, col as f64));
        let lowest = under.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = under.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let top = (lowest.floor().max(0.0) as usize).min(height);
        let bottom = ((highest.ceil().max(0.0) as usize).saturating_add(1)).min(height);
        if top >= bottom {
            return Ok(found);
        }
        let labels = self.read(Window {
            row: top,
            col: 0,
            rows: bottom - top,
            cols: width,
        })?;
        for ((row, col), value) in found.indexed_iter_mut() {
            if let Some((label_row, label_col)) = place(row, col) {
                *value = labels[[label_row - top, label_col]];
            }
        }
        Ok(found)
    }
}

fn grid(path: &Path, scene: &SceneInfo, label: &SceneInfo) -> Result<Grid> {
    let same_size = scene.size == label.size;
    let (a, b) = (&scene.georeference, &label.georeference);
    let (Some(from), Some(to)) = (a.transform, b.transform) else {
        if same_size {
            return Ok(Grid::Same);
        }
        return Err(Error::usage(format!(
            "{}: {} × {} labels for {} with {} × {} pixels, and no georeference in both to \
             match them by",
            path.display(),
            label.size[0],
            label.size[1],
            scene.path.display(),
            scene.size[0],
            scene.size[1]
        )));
    };
    check_system(path, scene, a, b)?;
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0);
    if same_size && from.iter().zip(&to).all(near) {
        return Ok(Grid::Same);
    }
    let determinant = to[1] * to[5] - to[2] * to[4];
    if determinant == 0.0 || !determinant.is_finite() {
        return Err(Error::format(path, "its transform has no inverse"));
    }
    // Label pixel = to⁻¹(from(scene pixel)).
    let (dx, dy) = (from[0] - to[0], from[3] - to[3]);
    let solve = |x: f64, y: f64| {
        [
            (x * to[5] - y * to[2]) / determinant,
            (y * to[1] - x * to[4]) / determinant,
        ]
    };
    let (origin, right, down) = (
        solve(dx, dy),
        solve(from[1], from[4]),
        solve(from[2], from[5]),
    );
    Ok(Grid::Nearest(
        [0, 1].map(|axis| [origin[axis], right[axis], down[axis]]),
    ))
}

/// Refuses labels in another coordinate system.
fn check_system(path: &Path, scene: &SceneInfo, a: &Georeference, b: &Georeference) -> Result<()> {
    let (Some(a), Some(b)) = (&a.keys, &b.keys) else {
        return Ok(());
    };
    if a == b || (a.epsg().is_some() && a.epsg() == b.epsg()) {
        return Ok(());
    }
    let name = |code: Option<u16>| code.map_or("without a code".into(), |c| format!("EPSG:{c}"));
    Err(Error::usage(format!(
        "{}: the labels' coordinate system is {}, that of {} is {}; bring them to one, as with \
         gdalwarp -t_srs",
        path.display(),
        name(b.epsg()),
        scene.path.display(),
        name(a.epsg())
    )))
}

/// Class of a stored label by `classes`; 255 where there is none.
///
/// # Errors
/// The first label that is no class.
pub(crate) fn classes(
    path: &Path,
    stored: &Array2<Option<i64>>,
    class: impl Fn(i64) -> Option<u8>,
) -> Result<Array2<u8>> {
    let mut unknown = None;
    let labels = stored.mapv(|value| {
        let Some(value) = value else { return IGNORE };
        class(value).unwrap_or_else(|| {
            unknown.get_or_insert(value);
            IGNORE
        })
    });
    match unknown {
        None => Ok(labels),
        Some(value) => Err(Error::format(
            path,
            format!(
                "label {value} is no class 0..=3; list it in data.labels.ignore or map it in \
                 data.labels.map"
            ),
        )),
    }
}
