//! What one patch looks at, drawn over the image.

use burn::tensor::{Device, Tensor, TensorData};
use image::RgbImage;
use ndarray::{Array2, Array3};

use super::colour_map::ColourMap;
use super::overlay::{heat_over, mark};
use super::panel::{ColourScale, Figure, Panel, Row};
use crate::config::{ModelConfig, PatchConfig};
use crate::error::{Error, Result};
use crate::model::{Explanation, Segmenter};

/// Largest number of patches whose pairs are looked at: each matrix of all pairs
/// takes 4 bytes a pair, 400 MB at this bound.
const MAX_PATCHES: usize = 10_000;

/// Share of the numbers' colours over the image.
const OPACITY: f32 = 0.7;

/// Least span of a panel's colours, in cosines and in multiples of the mean: less
/// is no pattern, and must not be drawn as one.
const LEAST_SPAN: f32 = 0.01;

/// What one patch of an image looks at: numbers for every patch.
#[derive(Debug, Clone)]
pub struct Gaze {
    /// Row and column of the patch in the grid.
    pub patch: (usize, usize),
    /// Cosines of the patch's encoder output with every patch's, `[rows, cols]`.
    pub affinity: Array2<f32>,
    /// Weights of each graph attention layer, the mean of its heads,
    /// `[rows, cols]`; they sum to one.
    pub attention: Vec<Array2<f32>>,
}

impl Gaze {
    /// Follows the patch under the pixel `at = (row, column)` of an image
    /// `[bands, height, width]`, scaled as in training.
    ///
    /// # Errors
    /// The pixel lies outside the image, the image is smaller than one patch or has too
    /// many, or the model has no graph of patches.
    pub fn follow(
        segmenter: &Segmenter,
        config: &ModelConfig,
        image: &Array3<f32>,
        at: (usize, usize),
        device: &Device,
    ) -> Result<Self> {
        let (bands, height, width) = image.dim();
        if at.0 >= height || at.1 >= width {
            return Err(Error::usage(format!(
                "pixel {},{} lies outside the image of {height} × {width} pixels",
                at.0, at.1
            )));
        }
        let (rows, cols) = config.grid(height, width).ok_or_else(|| {
            Error::usage(format!(
                "an image of {height} × {width} pixels is smaller than one patch of {}",
                config.patch.size
            ))
        })?;
        if rows * cols > MAX_PATCHES {
            return Err(Error::limits(
                format!("an image of {height} × {width} pixels"),
                format!(
                    "{} patches, each compared with each; at most {MAX_PATCHES}: crop it",
                    rows * cols
                ),
            ));
        }
        let values: Vec<f32> = image.iter().copied().collect();
        let images = TensorData::new(values, [1, bands, height, width]);
        let explanation = segmenter.explain(Tensor::from_data(images, device))?;
        let patch = (
            nearest(&config.patch, at.0, rows),
            nearest(&config.patch, at.1, cols),
        );
        Ok(Self::of(&explanation, patch))
    }

    /// The numbers of one patch of an explanation's first image.
    fn of(explanation: &Explanation, patch: (usize, usize)) -> Self {
        let (rows, cols) = explanation.grid;
        let index = patch.0 * cols + patch.1;
        let grid = |values: Vec<f32>| {
            Array2::from_shape_vec((rows, cols), values).expect("one number a patch")
        };
        let count = rows * cols;
        let affinity = explanation.affinity.clone().narrow(0, 0, 1); // [1, N, N]
        let row = numbers(affinity.clone().narrow(1, index, 1));
        // |z_i|² stands on the diagonal.
        let diagonal = (0..count).map(|i| affinity.clone().slice([0..1, i..i + 1, i..i + 1]));
        let squares: Vec<f32> = diagonal.flat_map(numbers).collect();
        let cosines = (row.iter().zip(&squares))
            .map(|(product, square)| product / (square * squares[index]).sqrt().max(1e-12));
        let attention = explanation.attention.iter().map(|layer| {
            let mean = layer.clone().narrow(0, 0, 1).mean_dim(1); // [1, 1, N, N]
            grid(numbers(mean.narrow(2, index, 1)))
        });
        Self {
            patch,
            affinity: grid(cosines.collect()),
            attention: attention.collect(),
        }
    }

    /// The figure: the image with the patch marked, then the affinity and each
    /// layer's attention, as multiples of its mean, laid over it. Each panel has its own colours, from its
    /// smallest to its largest number; the patch itself does not stretch them.
    ///
    /// # Errors
    /// The picture is empty.
    pub fn figure(&self, picture: &RgbImage, patch: &PatchConfig) -> Result<Figure> {
        let centre = |index: usize, side: u32| {
            let centre = index * patch.stride + patch.size / 2;
            (centre.saturating_sub(patch.padding) as u32).min(side.saturating_sub(1))
        };
        let (row, col) = (
            centre(self.patch.0, picture.height()),
            centre(self.patch.1, picture.width()),
        );
        let mut marked = picture.clone();
        mark(&mut marked, row, col);
        let title = format!("patch at {row},{col}");
        let mut panels = vec![Panel::new(title, marked)];
        let affinity = ("affinity (cosine)".to_owned(), self.affinity.clone());
        let layers = (self.attention.iter().enumerate()).map(|(i, heat)| {
            let title = format!("attention {} (× mean)", i + 1);
            (title, heat * heat.len() as f32)
        });
        for (title, heat) in std::iter::once(affinity).chain(layers) {
            let (low, high) = self.range(&heat);
            let pixels = over_pixels(&heat, patch, picture);
            let map = ColourMap::Viridis;
            let mut drawn = heat_over(picture, pixels.view(), map, (low, high), OPACITY)?;
            mark(&mut drawn, row, col);
            panels.push(Panel {
                title,
                image: drawn,
                scale: Some(ColourScale {
                    map,
                    low: low.into(),
                    high: high.into(),
                }),
            });
        }
        Ok(Figure {
            rows: vec![Row {
                name: String::new(),
                panels,
            }],
            ..Figure::default()
        })
    }

    /// Smallest and largest number over all other patches, some way apart.
    fn range(&self, heat: &Array2<f32>) -> (f32, f32) {
        let others = (heat.indexed_iter()).filter(|(place, _)| *place != self.patch);
        let (low, high) = others.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), (_, v)| {
            (low.min(*v), high.max(*v))
        });
        let own = heat[self.patch];
        if low > high {
            return (own, own + LEAST_SPAN);
        }
        (low, high.max(low + LEAST_SPAN))
    }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    (tensor.into_data().try_into_vec_as()).expect("activations are floats")
}

/// The patch, of `count` along one side, whose centre is nearest to `pixel`.
fn nearest(patch: &PatchConfig, pixel: usize, count: usize) -> usize {
    // Patch i is centred on i · stride + (size − 1) / 2 − padding.
    let offset = (pixel + patch.padding) as f64 - (patch.size - 1) as f64 / 2.0;
    let index = (offset / patch.stride as f64).round().max(0.0) as usize;
    index.min(count - 1)
}

/// Every pixel's number: that of the patch with the nearest centre.
fn over_pixels(heat: &Array2<f32>, patch: &PatchConfig, picture: &RgbImage) -> Array2<f32> {
    let (rows, cols) = heat.dim();
    let size = (picture.height() as usize, picture.width() as usize);
    Array2::from_shape_fn(size, |(row, col)| {
        heat[[nearest(patch, row, rows), nearest(patch, col, cols)]]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::GraphConfig;

    #[test]
    fn a_pixel_belongs_to_the_patch_around_it() {
        let patch = PatchConfig::default();
        // Patches of the reference start at −5, 14, 33, …, 489.
        for (pixel, index) in [
            (0, 0),
            (13, 0),
            (14, 1),
            (32, 1),
            (33, 2),
            (489, 26),
            (508, 26),
        ] {
            assert_eq!(nearest(&patch, pixel, 27), index, "pixel {pixel}");
        }
    }

    fn tiny() -> ModelConfig {
        let mut config = ModelConfig {
            image_size: 24,
            ..ModelConfig::default()
        };
        config.patch = PatchConfig {
            size: 8,
            stride: 8,
            padding: 0,
            width: 8,
        };
        config.encoder.depth = 1;
        config.graph = GraphConfig {
            width: 8,
            heads: 2,
            ..GraphConfig::default()
        };
        config
    }

    #[test]
    fn numbers_are_cosines_and_shares() {
        let (config, device) = (tiny(), Device::flex());
        let segmenter = Segmenter::new(&config, 3, &device);
        let image = Array3::from_shape_fn((3, 24, 33), |(c, y, x)| {
            ((c * 7 + y * 3 + x * 5) % 11) as f32 / 11.0
        });
        let gaze = Gaze::follow(&segmenter, &config, &image, (17, 9), &device).unwrap();
        assert_eq!(gaze.patch, (2, 1));
        assert_eq!(gaze.affinity.dim(), (3, 4));
        assert!((gaze.affinity[[2, 1]] - 1.0).abs() < 1e-5);
        assert!(gaze.affinity.iter().all(|v| v.abs() <= 1.0 + 1e-5));
        assert_eq!(gaze.attention.len(), 2);
        for layer in &gaze.attention {
            assert!((layer.sum() - 1.0).abs() < 1e-5);
        }
        let figure = gaze.figure(&RgbImage::new(33, 24), &config.patch).unwrap();
        assert_eq!(figure.rows[0].panels.len(), 4);
    }

    #[test]
    fn what_can_not_be_followed_is_an_error() {
        let (config, device) = (tiny(), Device::flex());
        let segmenter = Segmenter::new(&config, 3, &device);
        let follow = |height, width, at| {
            let image = Array3::zeros((3, height, width));
            Gaze::follow(&segmenter, &config, &image, at, &device)
                .unwrap_err()
                .to_string()
        };
        assert!(follow(24, 24, (24, 0)).contains("24,0 lies outside"));
        assert!(follow(7, 24, (0, 0)).contains("smaller than one patch"));
        assert!(follow(1000, 1000, (0, 0)).contains("15625 patches"));
    }
}
