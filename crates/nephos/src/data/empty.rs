//! Empty bands of a scene.

use super::Inputs;
use crate::error::{Error, Result};
use crate::raster::Window;
use crate::scene::{Scene, SceneBand, spread_places};

/// Least rows that are read at once where a band is read whole.
const ROWS: usize = 64;

impl Inputs {
    /// Declares optional bands absent that are empty: no data, or the stored number 0,
    /// in every pixel of the scene, while other bands have data. A sentence that names them
    /// is returned with the inputs.
    ///
    /// A few windows of the scene are sampled; only a band that is empty in all of them
    /// is read whole.
    ///
    /// # Errors
    /// A band that is not optional has no data at all, while others do; a broken file.
    pub fn without_empty(self, scene: &dyn Scene) -> Result<(Self, Option<String>)> {
        let info = scene.info();
        let positions = self.positions();
        let optional = self.are_optional();
        let mut suspects = suspects(scene, &positions, &optional)?;
        for band in suspects.clone() {
            if !is_empty(scene, positions[band], optional[band])? {
                suspects.retain(|other| *other != band);
            }
        }
        let names = self.present();
        if let Some(band) = suspects.iter().find(|band| !optional[**band]) {
            let label = info.bands[positions[*band]].label();
            return Err(Error::format(
                &info.path,
                format!(
                    "band {label} has no data in any pixel, and the model needs it; where \
                     numbers are taken for no data that are none, `options.nodata` says \
                     otherwise, and `options.bands` where another band is meant"
                ),
            ));
        }
        let empty: Vec<&str> = suspects.iter().map(|band| names[*band].as_str()).collect();
        let said = (!empty.is_empty()).then(|| empty_bands(&empty));
        Ok((self.without(&suspects), said))
    }
}

/// A sentence: these optional bands are empty.
pub(crate) fn empty_bands(names: &[&str]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!(
        "{} {verb} empty (no data or 0 in every pixel) and declared absent.",
        names.join(", ")
    )
}

/// Bands, counted among `positions`, that are empty wherever others have data in the
/// sampled windows.
fn suspects(scene: &dyn Scene, positions: &[usize], optional: &[bool]) -> Result<Vec<usize>> {
    let info = scene.info();
    let mut suspects: Vec<usize> = (0..positions.len()).collect();
    // Of each band: whether another had data in a window where it was sampled.
    let mut others = vec![false; positions.len()];
    for window in spread_places(info.size, info.block) {
        if suspects.is_empty() {
            break;
        }
        let read = scene.read(positions, window)?;
        let has_data: Vec<bool> = (read.outer_iter())
            .map(|plane| plane.iter().any(|value| value.is_finite()))
            .collect();
        let with_data = has_data.iter().filter(|has_data| **has_data).count();
        for (other, own) in others.iter_mut().zip(&has_data) {
            *other |= with_data > usize::from(*own);
        }
        suspects.retain(|band| {
            let own = &info.bands[positions[*band]];
            let plane = read.index_axis(ndarray::Axis(0), *band);
            !plane
                .iter()
                .any(|value| shows_data(*value, own, optional[*band]))
        });
    }
    suspects.retain(|band| others[*band]);
    Ok(suspects)
}

/// Whether a value shows that a band is not empty: in one that is optional neither 0 nor
/// what the stored number 0 becomes does.
fn shows_data(value: f32, band: &SceneBand, optional: bool) -> bool {
    let nothing = || value == 0.0 || value == band.radiometry.apply(0.0);
    value.is_finite() && !(optional && nothing())
}

/// Whether no pixel of a band shows data.
fn is_empty(scene: &dyn Scene, band: usize, optional: bool) -> Result<bool> {
    let info = scene.info();
    let [height, cols] = info.size;
    let block = info.block[0].clamp(1, height.max(1));
    let rows = block * ROWS.div_ceil(block);
    for row in (0..height).step_by(rows) {
        let window = Window {
            row,
            col: 0,
            rows: rows.min(height - row),
            cols,
        };
        let read = scene.read(&[band], window)?;
        let own = &info.bands[band];
        if read.iter().any(|value| shows_data(*value, own, optional)) {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::config::Config;
    use crate::raster::Georeference;
    use crate::scene::MemoryScene;

    /// `red` required, `nir` and `cirrus` optional; each band's numbers by `fill`.
    fn inputs_of(fill: impl Fn(usize, usize) -> f32) -> Result<(Inputs, Option<String>)> {
        let text = "[data]\nbands = ['red', 'nir', 'cirrus']\noptional_bands = ['nir', 'cirrus']";
        let data = Config::parse(text, "t.toml", &[]).unwrap().data;
        let pixels = Array3::from_shape_fn((3, 300, 300), |(band, row, _)| fill(band, row));
        let names = ["red", "nir", "cirrus"].map(str::to_owned);
        let scene = MemoryScene::new("s", &names, pixels, Georeference::default()).unwrap();
        Inputs::of_scene(scene.info(), &data)?.without_empty(&scene)
    }

    #[test]
    fn an_empty_optional_band_is_absent() {
        for nothing in [f32::NAN, 0.0] {
            let (inputs, empty) =
                inputs_of(|band, _| if band == 2 { nothing } else { 0.3 }).unwrap();
            assert_eq!(inputs.absent(), ["cirrus"]);
            assert!(empty.unwrap().starts_with("cirrus is empty"));
            assert_eq!(inputs.positions(), [0, 1]);
        }
        // A single row with numbers is enough.
        let (inputs, empty) = inputs_of(|band, row| match band {
            2 if row != 299 => 0.0,
            _ => 0.3,
        })
        .unwrap();
        assert!(empty.is_none() && inputs.absent().is_empty());
    }

    #[test]
    fn an_empty_required_band_is_an_error() {
        let error = inputs_of(|band, _| if band == 0 { f32::NAN } else { 0.3 }).unwrap_err();
        assert!(
            error.to_string().contains("band red has no data"),
            "{error}"
        );
        // Black is data, and a scene without any data is another error.
        assert!(inputs_of(|band, _| if band == 0 { 0.0 } else { 0.3 }).is_ok());
        assert!(inputs_of(|_, _| f32::NAN).unwrap().1.is_none());
    }
}
