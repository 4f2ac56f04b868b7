//! A sample as a scene.

use super::Dataset;
use crate::error::Result;
use crate::scene::MemoryScene;

impl Dataset {
    /// Sample `index` as a scene, so that it goes through a model as scenes do. Its
    /// bands are the configured ones, in units of the model's input: gain 1.
    ///
    /// # Errors
    /// As for [`Dataset::get_unlabelled`].
    pub fn scene(&self, index: usize) -> Result<MemoryScene> {
        let mut example = self.get_unlabelled(index)?;
        for mut plane in example.image.outer_iter_mut() {
            plane.zip_mut_with(&example.valid, |value, valid| {
                if !valid {
                    *value = f32::NAN;
                }
            });
        }
        let place = self.source.georeference(index)?;
        MemoryScene::new(&example.name, &self.config.bands, example.image, place)
    }
}
