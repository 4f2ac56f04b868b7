//! A ViT's patch embedding for the bands of a configuration.

use super::file::{File, Numbers};
use crate::config::Config;

/// Weight and bias for `config`, and how they were taken; else why they were not.
pub(super) fn take(file: &mut File, config: &Config) -> Result<([Numbers; 2], String), String> {
    let [Some((name, shape, weight)), Some((_, bias_shape, bias))] = file.patches.clone() else {
        return Err("the file's patch embedding lacks weight or bias".to_owned());
    };
    let &[width, channels, rows, cols] = shape.as_slice() else {
        return Err(format!("{name} is {shape:?}, expected four axes"));
    };
    let side = config.model.patch.size;
    if !config.model.stem.channels.is_empty() {
        return Err(format!(
            "{name}: patches are made of the stem's features, not of bands"
        ));
    }
    if [rows, cols] != [side; 2] {
        return Err(format!(
            "{name}: patches of {rows} × {cols} pixels, but model.patch.size is {side}"
        ));
    }
    if bias_shape != [width] || channels == 0 {
        return Err(format!("{name} is {shape:?}, its bias {bias_shape:?}"));
    }
    let (bands, inputs) = (config.data.bands.len(), config.channels());
    let pixels = rows * cols;
    let mut taken = Vec::with_capacity(width * inputs * pixels);
    for kernels in weight.chunks_exact(channels * pixels) {
        if bands == channels {
            taken.extend_from_slice(kernels);
        } else {
            // Of an image whose bands are all alike the token stays the same.
            let sum = |pixel: usize| kernels[pixel..].iter().step_by(pixels).sum::<f32>();
            let shared: Vec<f32> = (0..pixels).map(|pixel| sum(pixel) / bands as f32).collect();
            (0..bands).for_each(|_| taken.extend_from_slice(&shared));
        }
        // Channels that declare bands absent have no effect yet.
        taken.resize(taken.len() + (inputs - bands) * pixels, 0.0);
    }
    file.patches = [None, None];
    let how = match bands == channels {
        true => format!(
            "patch embedding, {} in their order",
            crate::text::count(channels, "band")
        ),
        false => format!(
            "patch embedding: each of {bands} bands has the sum of the file's {channels}, \
             divided by {bands}"
        ),
    };
    let shape = vec![width, inputs, rows, cols];
    Ok(([(shape, taken), (bias_shape, bias)], how))
}
