//! Samples of a small codestream.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};

use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};

/// Tiles of more samples than this are decoded one at a time, for their memory.
const LARGE: usize = 1 << 24;
static LARGE_TILE: Mutex<()> = Mutex::new(());

/// Decodes a codestream of one unsigned component of `bits` bits that should be
/// `size` rows and columns, row by row.
///
/// Reversible coding gives the stored numbers: the decoder computes in f32, which
/// holds whole numbers of 24 bits. Irreversible coding is rounded and clamped.
pub fn decode(codestream: &[u8], size: [usize; 2], bits: u8) -> Result<Vec<u16>, String> {
    let samples = size[0] * size[1];
    let _turn =
        (samples > LARGE).then(|| LARGE_TILE.lock().unwrap_or_else(PoisonError::into_inner));
    // The decoder should not panic on broken data, but where it does, that is an
    // error of the file and must not stop other scenes.
    catch_unwind(AssertUnwindSafe(|| samples_of(codestream, size, bits)))
        .unwrap_or_else(|_| Err("the data are broken: the decoder gave up".to_owned()))
}

fn samples_of(codestream: &[u8], size: [usize; 2], bits: u8) -> Result<Vec<u16>, String> {
    let settings = DecodeSettings {
        resolve_palette_indices: false,
        // What is cut off or inconsistent is an error, never a guessed pixel.
        strict: true,
        target_resolution: None,
    };
    let broken = |e| format!("the data are broken: {e}");
    let image = Image::new(codestream, &settings).map_err(broken)?;
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(broken)?;
    let [component] = decoded.components() else {
        return Err("the data are broken: not one component".to_owned());
    };
    let found = component.samples();
    if found.len() != size[0] * size[1] {
        return Err(format!(
            "{} × {} samples are expected, {} decoded",
            size[0],
            size[1],
            found.len()
        ));
    }
    let largest = f32::from(u16::MAX >> (16 - bits));
    Ok(found
        .iter()
        .map(|sample| sample.round_ties_even().clamp(0.0, largest) as u16)
        .collect())
}
