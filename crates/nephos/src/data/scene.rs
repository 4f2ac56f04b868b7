//! A sample as a scene.

use ndarray::Axis;

use super::Dataset;
use super::empty::empty_bands;
use crate::error::Result;
use crate::scene::MemoryScene;

impl Dataset {
    /// Sample `index` as a scene, so that it is predicted like a scene. Its
    /// bands are those of the configured ones that it has, in units of the model's
    /// input: gain 1; their radiometries record the conversion. Optional bands that are
    /// empty are left out, and named in its notes. Its label is not read.
    ///
    /// # Errors
    /// As for [`Dataset::image`].
    pub fn scene(&self, index: usize) -> Result<MemoryScene> {
        let pixels = self.pixels(index)?;
        let (dtype, missing) = (pixels.dtype, pixels.inputs.absences());
        let mut radiometry = pixels.radiometry.clone().into_iter();
        let mut example = self.crop(self.masked(index, pixels, None));
        for mut plane in example.image.outer_iter_mut() {
            plane.zip_mut_with(&example.valid, |value, valid| {
                if !valid {
                    *value = f32::NAN;
                }
            });
        }
        let (mut bands, mut there, mut empty) = (Vec::new(), Vec::new(), Vec::new());
        let mut made = Vec::new();
        let own = self.config.bands.iter().enumerate();
        for ((band, name), radiometry) in
            own.filter(|(band, _)| !missing[*band]).zip(&mut radiometry)
        {
            if example.absent[band] {
                empty.push(name.as_str());
                continue;
            }
            bands.push(name.clone());
            there.push(band);
            made.push(radiometry);
        }
        let image = example.image.select(Axis(0), &there);
        let place = self.source.georeference(index)?;
        let scene = MemoryScene::new(&example.name, &bands, image, place)?;
        let mut scene = scene.described(made, dtype);
        if !empty.is_empty() {
            scene.note(empty_bands(&empty));
        }
        Ok(scene)
    }
}
