//! Keys of dropout, from the device's generator.

use burn::nn::Dropout;
use burn::tensor::{Device, Distribution, Tensor};

/// The rate at which a layer drops on `device`: none without autodiff, where nothing
/// is trained, as in Burn's own layer.
pub(crate) fn rate(dropout: &Dropout, device: &Device) -> f32 {
    if dropout.training.is_enabled() && device.is_autodiff() {
        dropout.prob as f32
    } else {
        0.0
    }
}

/// `N` keys drawn from the generator of `device`, so that a seed decides them as it
/// decides all else.
pub(crate) fn keys<const N: usize>(device: &Device) -> [u64; N] {
    // A draw holds at least 16 random bits.
    const PARTS: usize = 4;
    let draws = Tensor::<1>::random([N * PARTS], Distribution::Default, device);
    let draws: Vec<f32> = draws.into_data().try_into_vec().expect("draws are f32");
    std::array::from_fn(|i| key(&draws[i * PARTS..][..PARTS]))
}

/// A key of 16 bits from each draw in [0, 1).
fn key(draws: &[f32]) -> u64 {
    draws.iter().fold(0, |key, draw| {
        key << 16 | u64::from((draw * 65536.0) as u16)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bits_of_a_key_are_drawn() {
        assert_eq!(key(&[0.0, 0.5, 0.25, 0.0]), 0x0000_8000_4000_0000);
        assert_eq!(key(&[1.0 - f32::EPSILON; 4]), u64::MAX);
        let device = Device::flex();
        let drawn: Vec<u64> = (0..20).flat_map(|_| keys::<3>(&device)).collect();
        let bits = drawn.iter().fold(0, |bits, key| bits | key);
        assert!(bits.count_ones() > 60, "{bits:x}");
        assert!(drawn.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
