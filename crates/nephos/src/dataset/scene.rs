//! A sample as a scene.

use ndarray::Axis;

use super::Dataset;
use crate::error::Result;
use crate::scene::MemoryScene;

impl Dataset {
    /// Sample `index` as a scene, so that it goes through a model as scenes do. Its
    /// bands are those of the configured ones that it has, in units of the model's
    /// input: gain 1.
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
        let bands = self.inputs(index)?.present();
        let there: Vec<usize> = (0..example.absent.len())
            .filter(|band| !example.absent[*band])
            .collect();
        let image = example.image.select(Axis(0), &there);
        let place = self.source.georeference(index)?;
        MemoryScene::new(&example.name, &bands, image, place)
    }
}
