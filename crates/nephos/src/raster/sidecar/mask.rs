//! GDAL's external mask, `NAME.tif.msk`: a TIFF that is 0 where the raster has no data.

use std::path::Path;

use super::appended;
use crate::error::{Error, Result};
use crate::raster::Window;
use crate::raster::tiff::TiffRaster;

/// A mask beside a raster: one for all bands, or one per band.
pub(crate) struct MaskFile {
    raster: TiffRaster,
}

impl MaskFile {
    /// That of a raster of `count` bands and `size` rows and columns, if there is one.
    ///
    /// # Errors
    /// It can't be read, or has another size or number of bands.
    pub fn beside(raster: &Path, count: usize, size: [usize; 2]) -> Result<Option<Self>> {
        let path = appended(raster, ".msk");
        if !path.is_file() {
            return Ok(None);
        }
        let mask = TiffRaster::open_alone(&path)?;
        let bands = mask.bands.len();
        if mask.size() != size || (bands != 1 && bands != count) {
            let [rows, cols] = mask.size();
            let message = format!(
                "a mask of {bands} bands and {rows} × {cols} pixels beside a raster of {count} \
                 and {} × {}; the mask of a raster has its size, and one band or as many",
                size[0], size[1]
            );
            return Err(Error::format(&path, message));
        }
        Ok(Some(Self { raster: mask }))
    }

    /// What it does, in a sentence.
    pub fn note(&self) -> String {
        let name = self.raster.path().file_name().unwrap_or_default();
        let name = name.to_string_lossy();
        format!("{name} beside the file masks it: where it is 0 there is no data.")
    }

    /// Calls `blank` with the position of a plane of `bands` and which of its pixels are
    /// valid.
    ///
    /// # Errors
    /// A broken file.
    pub fn each(
        &self,
        bands: &[usize],
        window: Window,
        mut blank: impl FnMut(usize, &[bool]),
    ) -> Result<()> {
        let read = |band: usize| -> Result<Vec<bool>> {
            let valid = self
                .raster
                .read(&[band], window, |_, stored| stored != 0.0)?;
            Ok(valid.into_raw_vec_and_offset().0)
        };
        if self.raster.bands.len() == 1 {
            let valid = read(0)?;
            (0..bands.len()).for_each(|position| blank(position, &valid));
            return Ok(());
        }
        for (position, band) in bands.iter().enumerate() {
            blank(position, &read(*band)?);
        }
        Ok(())
    }
}
