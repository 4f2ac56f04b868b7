//! Sizes of images and of their grid of tokens.

use std::borrow::Cow;

use nephos_kernel::conv;
use nephos_kernel::reach::Reach;

use crate::config::ModelConfig;
use crate::mirror::mirrored;

/// Sizes of images and of their grid of tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub batch: usize,
    /// Height and width in pixels.
    pub pixels: [usize; 2],
    /// The same, mirrored up to whole patches before a stem or stages.
    pub padded: [usize; 2],
    /// Rows and columns of tokens.
    pub grid: [usize; 2],
    /// How many tokens away a token attends to others; `None`: to all.
    pub reach: Option<usize>,
}

impl Shape {
    /// Of so many images of so many rows and columns.
    ///
    /// # Panics
    /// Images smaller than one patch.
    pub fn of(config: &ModelConfig, [batch, height, width]: [usize; 3]) -> Self {
        let (rows, cols) = (config.grid(height, width))
            .unwrap_or_else(|| panic!("{height} x {width} pixels are smaller than one patch"));
        Self {
            batch,
            pixels: [height, width],
            padded: config.padded(height, width),
            grid: [rows, cols],
            reach: config.reach,
        }
    }

    /// Of one graph of so many nodes.
    pub fn of_graph(nodes: usize) -> Self {
        Self {
            batch: 1,
            pixels: [0; 2],
            padded: [0; 2],
            grid: [1, nodes],
            reach: None,
        }
    }

    /// As it is, each token attending to all of its image.
    pub fn without_reach(self) -> Self {
        Self {
            reach: None,
            ..self
        }
    }

    /// Tokens of an image.
    pub fn tokens(self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// How far tokens attend, where that limits any of them.
    pub fn near(self) -> Option<Reach> {
        let reach = Reach {
            grid: self.grid,
            reach: self.reach?,
        };
        reach.limits().then_some(reach)
    }

    /// The padded images at a resolution that is so many times lower.
    pub fn reduced(self, reduction: usize) -> conv::Shape {
        let [height, width] = self.padded.map(|side| side / reduction);
        conv::Shape {
            batch: self.batch,
            height,
            width,
        }
    }

    /// The grid of tokens.
    pub fn cells(self) -> conv::Shape {
        conv::Shape {
            batch: self.batch,
            height: self.grid[0],
            width: self.grid[1],
        }
    }
}

/// Images, [`mirrored`] below and to the right up to the padded size.
pub(super) fn padded(images: &[f32], shape: Shape) -> Cow<'_, [f32]> {
    let ([height, width], [rows, cols]) = (shape.pixels, shape.padded);
    if [height, width] == [rows, cols] {
        return Cow::Borrowed(images);
    }
    let image = |image: &[f32]| -> Vec<f32> {
        let line = |row: usize| &image[mirrored(row as isize, height) * width..][..width];
        let pixel = |line: &[f32], col: usize| line[mirrored(col as isize, width)];
        let places = (0..rows).flat_map(|row| (0..cols).map(move |col| (row, col)));
        places.map(|(row, col)| pixel(line(row), col)).collect()
    };
    Cow::Owned(
        images
            .chunks_exact(height * width)
            .flat_map(image)
            .collect(),
    )
}
