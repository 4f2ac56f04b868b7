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
    let key = |i: usize| {
        let parts = draws[i * PARTS..][..PARTS].iter();
        parts.fold(0, |key, draw| {
            key << 16 | u64::from((draw * 65536.0) as u16)
        })
    };
    std::array::from_fn(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_the_keys() {
        let device = Device::flex().autodiff();
        let keys = |seed| {
            device.seed(seed);
            keys::<3>(&device)
        };
        let first = keys(7);
        assert_eq!(keys(7), first);
        assert!(keys(8).iter().all(|key| !first.contains(key)));
        assert!(first[0] != first[1] && first[1] != first[2]);
        // All bits take part.
        let bits = (0..20).fold(0, |bits, seed| bits | keys(seed)[0]);
        assert!(bits.count_ones() > 60, "{bits:x}");
    }
}
