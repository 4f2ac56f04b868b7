//! A picture of simulated images for people: true colour above classes.

use std::path::Path;

use image::{ImageBuffer, ImageFormat, Rgb, RgbImage};
use rayon::prelude::*;

use crate::class::Class;
use crate::error::{Error, Result};
use crate::output::{with_software, write_atomic};

use super::sensor::QUANTIFICATION;
use super::{SimulatedScene, Simulator};

/// Largest side of one image in the picture, pixels.
const SIDE: usize = 180;

/// Space between images, pixels.
const GAP: usize = 4;

/// Colour of clear land in the class image; [`Class::colour`] is for overlays, where
/// clear is see-through.
const CLEAR: [u8; 3] = [40, 44, 52];

/// Reflectance drawn white, and the exponent that lifts the dark.
const WHITE: f32 = 0.55;
const GAMMA: f32 = 0.62;

/// Simulates the first `count` images of `seed` and draws them side by side into a
/// PNG at `path`, true colour above classes, reduced to at most 180 pixels each.
///
/// # Errors
/// As for [`Simulator::check`], no image requested, or the file can't be written.
pub fn write_preview(
    simulator: &Simulator,
    path: &Path,
    seed: u64,
    count: usize,
    size: usize,
) -> Result<()> {
    simulator.check(size)?;
    if count == 0 {
        return Err(Error::usage("a preview needs at least one image"));
    }
    // Full images are dropped as soon as they are reduced.
    let tiles: Vec<[RgbImage; 2]> = (0..count as u64)
        .into_par_iter()
        .map(|index| {
            simulator
                .simulate(seed, index, size)
                .map(|scene| reduce(&scene))
        })
        .collect::<Result<_>>()?;
    let side = tiles[0][0].width() as usize;
    let mut sheet = ImageBuffer::from_pixel(
        (count * (side + GAP) + GAP) as u32,
        (2 * (side + GAP) + GAP) as u32,
        Rgb([255, 255, 255]),
    );
    for (column, pair) in tiles.iter().enumerate() {
        for (row, tile) in pair.iter().enumerate() {
            let at = |k: usize| (GAP + k * (side + GAP)) as i64;
            image::imageops::replace(&mut sheet, tile, at(column), at(row));
        }
    }
    let mut png = std::io::Cursor::new(Vec::new());
    sheet
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|e| Error::format(path, e.to_string()))?;
    let png = with_software(png.get_ref());
    write_atomic(path, |file| {
        std::io::Write::write_all(file, &png).map_err(|e| Error::io(path, e))
    })
}

/// True colour and classes, both averaged over blocks of pixels.
fn reduce(scene: &SimulatedScene) -> [RgbImage; 2] {
    let size = scene.label.nrows();
    let step = size.div_ceil(SIDE);
    let side = (size / step) as u32;
    let tile = |colour: &dyn Fn(usize, usize) -> [f32; 3]| {
        ImageBuffer::from_fn(side, side, |x, y| {
            let mut sum = [0f32; 3];
            for row in y as usize * step..(y as usize + 1) * step {
                for col in x as usize * step..(x as usize + 1) * step {
                    let add = colour(row, col);
                    sum.iter_mut().zip(add).for_each(|(sum, add)| *sum += add);
                }
            }
            Rgb(sum.map(|v| (v / (step * step) as f32).round() as u8))
        })
    };
    let seen = tile(&|row, col| {
        [3, 2, 1].map(|band| {
            let reflectance = f32::from(scene.bands[[band, row, col]]) / QUANTIFICATION;
            255.0 * (reflectance / WHITE).min(1.0).powf(GAMMA)
        })
    });
    let classes = tile(&|row, col| {
        match Class::from_code(scene.label[[row, col]]) {
            None | Some(Class::Clear) => CLEAR,
            Some(class) => class.colour(),
        }
        .map(f32::from)
    });
    [seen, classes]
}
