//! The instrument: resolution, noise, saturation and whole numbers.

use ndarray::{Array2, ArrayViewMut2};
use rand::{Rng, RngExt};

use super::spectra::BANDS;

/// Stored number per unit of reflectance.
pub const QUANTIFICATION: f32 = 10_000.0;

/// What the Multi-Spectral Instrument does in one band: ground sampling in metres,
/// signal to noise ratio at a reference radiance, reference and largest radiance
/// (W m⁻² sr⁻¹ µm⁻¹), and solar irradiance (W m⁻² µm⁻¹). ESA, Sentinel-2 MSI
/// technical guide and the products' own metadata, rounded.
struct Channel {
    metres: f64,
    snr: f32,
    reference: f32,
    largest: f32,
    irradiance: f32,
}

const fn channel(metres: f64, snr: f32, reference: f32, largest: f32, irradiance: f32) -> Channel {
    Channel {
        metres,
        snr,
        reference,
        largest,
        irradiance,
    }
}

const CHANNELS: [Channel; BANDS] = [
    channel(60.0, 129.0, 129.0, 588.0, 1884.0),
    channel(10.0, 154.0, 128.0, 615.5, 1959.0),
    channel(10.0, 168.0, 128.0, 559.0, 1823.0),
    channel(10.0, 142.0, 108.0, 484.0, 1512.0),
    channel(20.0, 117.0, 74.5, 449.5, 1424.0),
    channel(20.0, 89.0, 68.0, 413.0, 1287.0),
    channel(20.0, 105.0, 67.0, 387.0, 1162.0),
    channel(10.0, 174.0, 103.0, 308.0, 1041.0),
    channel(20.0, 72.0, 52.5, 308.0, 955.0),
    channel(60.0, 114.0, 9.0, 233.0, 813.0),
    channel(60.0, 50.0, 6.0, 45.0, 367.0),
    channel(20.0, 100.0, 4.0, 70.0, 246.0),
    channel(20.0, 100.0, 1.5, 24.5, 85.0),
];

/// Stored numbers per step of a picture of 8 bits, as the Sentinel-2 Cloud Mask Catalogue
/// has them: 357 steps per unit of reflectance, saturated at 0.714.
pub const EIGHT_BIT_STEP: f32 = QUANTIFICATION / 357.0;

/// `number` as it comes out of a picture of 8 bits; never 0, no data.
pub fn eight_bit(number: u16) -> u16 {
    let step = (f32::from(number) / EIGHT_BIT_STEP)
        .round()
        .clamp(1.0, 255.0);
    (step * EIGHT_BIT_STEP).round() as u16
}

/// Reflectance noise at zero signal, as a share of that at the reference radiance.
const READ_SHARE: f32 = 0.4;

/// Records the `scene` of reflectances as band `band` under a sun of `sun_cosine`.
///
/// Bands of 20 and 60 m are averaged over their larger pixels and repeated, as in
/// products brought to 10 m. Shot noise grows with the root of the signal. Radiance
/// beyond the instrument's range is cut off. The number 0, no data, is never given.
pub fn record(
    scene: &Array2<f32>,
    band: usize,
    sun_cosine: f32,
    pixel: f64,
    rng: &mut impl Rng,
    mut image: ArrayViewMut2<'_, u16>,
) {
    let channel = &CHANNELS[band];
    let per_radiance = std::f32::consts::PI / (channel.irradiance * sun_cosine);
    let reference = channel.reference * per_radiance;
    let largest = channel.largest * per_radiance;
    let noise = reference / channel.snr;
    let shot = (1.0 - READ_SHARE * READ_SHARE) * noise * noise / reference;
    let read = READ_SHARE * READ_SHARE * noise * noise;
    let side = (channel.metres / pixel).round().max(1.0) as usize;
    let (height, width) = scene.dim();
    for top in (0..height).step_by(side) {
        let bottom = (top + side).min(height);
        for left in (0..width).step_by(side) {
            let right = (left + side).min(width);
            let block = ndarray::s![top..bottom, left..right];
            let signal = if side == 1 {
                scene[[top, left]]
            } else {
                let pixels = (bottom - top) * (right - left);
                scene.slice(block).sum() / pixels as f32
            };
            let spread = (read + shot * signal.max(0.0)).sqrt();
            let value = (signal + spread * normal(rng)).min(largest);
            let number = (value * QUANTIFICATION).round().clamp(1.0, 65_535.0) as u16;
            if side == 1 {
                image[[top, left]] = number;
            } else {
                image.slice_mut(block).fill(number);
            }
        }
    }
}

/// A draw of mean 0 and variance 1, nearly normal: the sum of four uniform ones.
fn normal(rng: &mut impl Rng) -> f32 {
    let bits: u64 = rng.random();
    let sum: u64 = (0..4).map(|k| (bits >> (16 * k)) & 0xFFFF).sum();
    // Four uniform draws on 0..65536: mean 4 · 32767.5, variance 4 · 65536² / 12.
    (sum as f32 - 131_070.0) / (65_536.0 / 3f32.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn noise_is_that_of_the_data_sheet() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let band = 2;
        let reference = CHANNELS[band].reference * std::f32::consts::PI / 1823.0;
        let scene = Array2::from_elem((200, 200), reference);
        let mut image = Array2::zeros((200, 200));
        record(&scene, band, 1.0, 10.0, &mut rng, image.view_mut());
        let values = image.mapv(|v: u16| f32::from(v) / QUANTIFICATION);
        let mean = values.mean().unwrap_or(f32::NAN);
        let spread = values.std(0.0);
        assert!((mean / reference - 1.0).abs() < 0.001);
        assert!(
            (mean / spread / CHANNELS[band].snr - 1.0).abs() < 0.05,
            "{}",
            mean / spread
        );
    }

    #[test]
    fn too_bright_saturates_and_black_is_not_no_data() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for (level, lowest, highest) in [(9.0, 9_000, 15_000), (0.0, 1, 30)] {
            let scene = Array2::from_elem((12, 12), level);
            let mut image = Array2::zeros((12, 12));
            record(&scene, 3, 0.8, 10.0, &mut rng, image.view_mut());
            assert!(
                image.iter().all(|v| (lowest..=highest).contains(v)),
                "{image}"
            );
        }
    }
}
