//! Attention weights of a query patch, drawn over the image.

use image::{DynamicImage, RgbImage, imageops};
use ndarray::{Array2, Array3, Axis};

use super::colour_map::ColourMap;
use super::overlay::{OPACITY, class_legend, heat_over, mark, overlay};
use super::panel::{ColourScale, Figure, Panel, Row};
use crate::class::IGNORE;
use crate::config::{ModelConfig, PatchConfig};
use crate::error::{Error, Result};
use crate::figures::rgb::percentile;
use crate::mirror::mirrored;
use crate::network::{Explanation, Network};

/// Largest number of patches whose pairs are compared: each matrix of all pairs
/// takes 4 bytes per pair, 400 MB at this bound.
const MAX_PATCHES: usize = 10_000;

/// Share of the numbers' colours over the image, which is drawn in grey under them: the
/// colours are those of the scale below.
const HEAT: f32 = 0.85;

/// The numbers between these percentiles of a panel span its colours: one patch unlike all
/// others would leave one colour for the rest.
const SPAN: [f32; 2] = [2.0, 98.0];

/// Least span of a panel's colours, in cosines and in multiples of the mean: less
/// is no pattern, and must not be drawn as one.
const LEAST_SPAN: f32 = 0.01;

/// Panels of a row.
const COLUMNS: usize = 3;

/// Affinity and attention weights of one query patch, for every patch of the image.
#[derive(Debug, Clone)]
pub struct AttentionMap {
    /// Row and column of the query patch in the grid.
    pub patch: (usize, usize),
    /// Cosines of the patch's encoder output with every patch's, `[rows, cols]`.
    pub affinity: Array2<f32>,
    /// Weights of each graph attention layer, the mean of its heads,
    /// `[rows, cols]`; they sum to one.
    pub attention: Vec<Array2<f32>>,
}

impl AttentionMap {
    /// Computes them for the patch under the pixel `at = (row, column)` of an image
    /// `[bands, height, width]`, scaled as in training; what is missing to whole patches is
    /// filled in as for a prediction.
    ///
    /// # Errors
    /// The pixel is outside the image, the image has too many patches, or the model has
    /// no graph of patches.
    pub fn of_pixel(
        network: &dyn Network,
        config: &ModelConfig,
        image: &Array3<f32>,
        at: (usize, usize),
    ) -> Result<Self> {
        let (bands, height, width) = image.dim();
        if at.0 >= height || at.1 >= width {
            return Err(Error::usage(format!(
                "pixel {},{} lies outside the image of {height} × {width} pixels",
                at.0, at.1
            )));
        }
        let [tall, wide] = [height, width].map(|side| side.max(config.least_side()));
        let (rows, cols) = config
            .grid(tall, wide)
            .ok_or_else(|| Error::usage(format!("no patches in {height} × {width} pixels")))?;
        if rows * cols > MAX_PATCHES {
            return Err(Error::limits(
                format!("an image of {height} × {width} pixels"),
                format!(
                    "{} patches, each compared with each; at most {MAX_PATCHES}: crop it",
                    rows * cols
                ),
            ));
        }
        let place = |at: usize, length: usize| mirrored(at as isize, length);
        let filled = Array3::from_shape_fn((bands, tall, wide), |(band, row, col)| {
            image[[band, place(row, height), place(col, width)]]
        });
        let explanation = network.explain(filled)?;
        let patch = (
            nearest(&config.patch, at.0, rows),
            nearest(&config.patch, at.1, cols),
        );
        Ok(Self::of(&explanation, patch))
    }

    /// The numbers of one patch of an explanation.
    fn of(explanation: &Explanation, patch: (usize, usize)) -> Self {
        let (rows, cols) = explanation.grid;
        let index = patch.0 * cols + patch.1;
        let grid = |values: Vec<f32>| {
            Array2::from_shape_vec((rows, cols), values).expect("one number per patch")
        };
        // |z_i|² is on the diagonal.
        let squares = explanation.affinity.diag();
        let products = explanation.affinity.row(index);
        let cosines = (products.iter().zip(&squares))
            .map(|(product, square)| product / (square * squares[index]).sqrt().max(1e-12));
        let attention = explanation.attention.iter().map(|heads| {
            let row = heads.index_axis(Axis(1), index); // [heads, N]
            grid(
                row.mean_axis(Axis(0))
                    .map_or_else(Vec::new, |mean| mean.to_vec()),
            )
        });
        Self {
            patch,
            affinity: grid(cosines.collect()),
            attention: attention.collect(),
        }
    }

    /// The figure: the image with the patch framed, the mask over it if there is one, the
    /// affinity, and each layer's attention as multiples of its mean. Each panel has
    /// colours of its own, which span most of its numbers and are those of the
    /// scale under it; the patch itself does not stretch them.
    ///
    /// # Shapes
    /// - mask: class codes, of the picture's size
    ///
    /// # Errors
    /// The picture is empty, or the mask has another size.
    pub fn figure(
        &self,
        picture: &RgbImage,
        mask: Option<&Array2<u8>>,
        patch: &PatchConfig,
    ) -> Result<Figure> {
        let pixels = |index: usize, side: u32| {
            let first = (index * patch.stride).saturating_sub(patch.padding);
            let end = (index * patch.stride + patch.size).saturating_sub(patch.padding);
            (first as u32).min(side.saturating_sub(1))..(end as u32).min(side)
        };
        let framed = |mut picture: RgbImage| {
            let rows = pixels(self.patch.0, picture.height());
            let cols = pixels(self.patch.1, picture.width());
            mark(&mut picture, rows, cols);
            picture
        };
        let mut panels = vec![Panel::new("image", framed(picture.clone()))];
        if let Some(mask) = mask {
            let drawn = overlay(picture, mask, OPACITY)?;
            panels.push(Panel::new("prediction", framed(drawn)));
        }
        let grey = imageops::grayscale(picture);
        let grey = DynamicImage::ImageLuma8(grey).into_rgb8();
        let affinity = ("affinity (cosine)".to_owned(), self.affinity.clone());
        let layers = (self.attention.iter().enumerate()).map(|(i, heat)| {
            let title = format!("attention {} (× mean)", i + 1);
            (title, heat * heat.len() as f32)
        });
        for (title, heat) in std::iter::once(affinity).chain(layers) {
            let (low, high) = self.range(&heat);
            let pixels = over_pixels(&heat, patch, picture);
            let map = ColourMap::Viridis;
            let drawn = heat_over(&grey, pixels.view(), map, (low, high), HEAT)?;
            panels.push(Panel {
                title,
                image: framed(drawn),
                scale: Some(ColourScale {
                    map,
                    low: low.into(),
                    high: high.into(),
                }),
            });
        }
        let hatched = |mask: &Array2<u8>| mask.iter().any(|code| *code == IGNORE);
        Ok(Figure {
            title: String::new(),
            rows: panels
                .chunks(COLUMNS)
                .map(|panels| Row {
                    name: String::new(),
                    panels: panels.to_vec(),
                })
                .collect(),
            legend: mask.map_or_else(Vec::new, |mask| class_legend(hatched(mask))),
        })
    }

    /// The range of most other patches' numbers, at least [`LEAST_SPAN`] wide.
    fn range(&self, heat: &Array2<f32>) -> (f32, f32) {
        let others = (heat.indexed_iter()).filter(|(place, _)| *place != self.patch);
        let mut others: Vec<f32> = others.map(|(_, value)| *value).collect();
        let [low, high] = SPAN.map(|percent| percentile(&mut others, percent));
        let (low, high) = low
            .zip(high)
            .unwrap_or((heat[self.patch], heat[self.patch]));
        (low, high.max(low + LEAST_SPAN))
    }
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
    use crate::engine::CpuNetwork;
    use crate::weights::Parameters;

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

    fn tiny_network() -> (ModelConfig, CpuNetwork) {
        let model = tiny();
        let tensors = Parameters::draw(&model, 3, 1).to_torch();
        let network = CpuNetwork::new(&model, 3, tensors, "tiny".as_ref()).unwrap();
        (model, network)
    }

    #[test]
    fn numbers_are_cosines_and_shares() {
        let (config, network) = tiny_network();
        let image = Array3::from_shape_fn((3, 24, 33), |(c, y, x)| {
            ((c * 7 + y * 3 + x * 5) % 11) as f32 / 11.0
        });
        let map = AttentionMap::of_pixel(&network, &config, &image, (17, 9)).unwrap();
        assert_eq!(map.patch, (2, 1));
        assert_eq!(map.affinity.dim(), (3, 4));
        assert!((map.affinity[[2, 1]] - 1.0).abs() < 1e-5);
        assert!(map.affinity.iter().all(|v| v.abs() <= 1.0 + 1e-5));
        assert_eq!(map.attention.len(), 2);
        for layer in &map.attention {
            assert!((layer.sum() - 1.0).abs() < 1e-5);
        }
        let picture = RgbImage::new(33, 24);
        let figure = map.figure(&picture, None, &config.patch).unwrap();
        let panels = |figure: &Figure| -> Vec<usize> {
            figure.rows.iter().map(|row| row.panels.len()).collect()
        };
        assert_eq!(panels(&figure), [3, 1]);
        let mask = Array2::zeros((24, 33));
        let figure = map.figure(&picture, Some(&mask), &config.patch).unwrap();
        assert_eq!(panels(&figure), [3, 2]);
        assert_eq!(figure.legend.len(), 3);
        let other = Array2::zeros((24, 32));
        assert!(map.figure(&picture, Some(&other), &config.patch).is_err());
    }

    #[test]
    fn one_outlier_does_not_compress_the_colour_scale() {
        let mut affinity = Array2::from_shape_fn((12, 12), |(row, col)| {
            0.9 + 0.08 * (row * 12 + col) as f32 / 143.0
        });
        affinity[[0, 0]] = -0.3;
        affinity[[5, 5]] = 1.0;
        let map = AttentionMap {
            patch: (5, 5),
            affinity,
            attention: Vec::new(),
        };
        let (low, high) = map.range(&map.affinity);
        assert!(
            (0.9..0.905).contains(&low) && (0.975..=0.98).contains(&high),
            "{low} {high}"
        );
        // Nearly constant numbers are not stretched to a pattern.
        let even = Array2::from_elem((12, 12), 1.0);
        assert_eq!(map.range(&even), (1.0, 1.0 + LEAST_SPAN));
    }

    #[test]
    fn pixels_outside_and_too_many_patches_are_errors() {
        let (config, network) = tiny_network();
        let follow = |height, width, at| {
            let image = Array3::zeros((3, height, width));
            AttentionMap::of_pixel(&network, &config, &image, at)
                .unwrap_err()
                .to_string()
        };
        assert!(follow(24, 24, (24, 0)).contains("24,0 lies outside"));
        assert!(follow(1000, 1000, (0, 0)).contains("15625 patches"));
    }
}
