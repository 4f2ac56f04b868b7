//! A ViT's position embedding on the grid of a configuration.

use nephos_kernel::interpolate::Bilinear;

use super::file::{File, Numbers};
use crate::config::{ModelConfig, PositionKind};

/// The embedding `[1, width, rows, cols]` for `config`, and how it was taken; else why it
/// was not.
pub(super) fn take(file: &mut File, config: &ModelConfig) -> Result<(Numbers, String), String> {
    let Some((name, shape, values)) = file.positions.clone() else {
        return Err("the file has no position embedding".to_owned());
    };
    if config.encoder.position != PositionKind::Learned {
        return Err(format!("{name}: model.encoder.position is not \"learned\""));
    }
    let &[1, places, width] = shape.as_slice() else {
        return Err(format!("{name} is {shape:?}, expected [1, places, width]"));
    };
    // Those of other tokens come first, where there are any.
    let others: usize = (file.tokens.iter())
        .map(|(_, shape, _)| shape.get(1).copied().unwrap_or(0))
        .sum();
    let square = |places: usize| {
        let side = places.isqrt();
        (side > 0 && side * side == places).then_some(side)
    };
    let of_patches = places.checked_sub(others).and_then(square);
    let Some(from) = of_patches.or_else(|| square(places)) else {
        return Err(format!("{name}: {places} places are no square of patches"));
    };
    let grid = config.grid(config.image_size, config.image_size);
    let Some((rows, cols)) = grid.filter(|_| width == config.patch.width) else {
        return Err(format!("{name} is {shape:?}, of another width"));
    };
    let tokens = &values[(places - from * from) * width..];
    let plane = |feature: usize| tokens[feature..].iter().step_by(width).copied();
    let planes: Vec<f32> = (0..width).flat_map(plane).collect();
    let mut taken = vec![0.0; width * rows * cols];
    Bilinear::new([from, from], [rows, cols], false).resample(&planes, &mut taken, &mut Vec::new());
    file.positions = None;
    let how = match [from, from] == [rows, cols] {
        true => format!("positions on {from} × {from} patches"),
        false => format!("positions on {from} × {from} patches, interpolated to {rows} × {cols}"),
    };
    Ok(((vec![1, width, rows, cols], taken), how))
}
