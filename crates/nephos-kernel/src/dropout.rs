//! Dropout (Srivastava et al. 2014) whose masks are functions, not arrays.
//!
//! Whether an element is dropped is a hash of the key and of the element's index
//! (a counter-based generator, after Salmon et al. 2011). So no mask is stored:
//! the backward pass asks again. Elements can be asked for in any order, in any
//! block, by any number of threads.
//!
//! The hash is integer arithmetic on 32-bit lanes and the same on every machine;
//! the inlined forms vectorise with the instructions of the function that calls
//! them.

use crate::versions::versions;

/// The function of a layer in a step: which elements it drops, and by how much the
/// others grow.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    key: u64,
    /// Of the indices below 2³²; derived from the key.
    first: Lane,
    /// A hash below this is dropped.
    threshold: u32,
    /// `1 / (1 - rate)`.
    kept: f32,
}

/// Bits that look random, another 64 for each value: a key of what follows from several
/// numbers. (SplitMix64, Steele et al. 2014.)
#[inline]
pub fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The key of one run of 2³² indices.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Lane {
    before: u32,
    between: u32,
}

impl Lane {
    #[inline]
    fn new(key: u64) -> Self {
        let mixed = mix(key);
        Self {
            before: mixed as u32,
            between: (mixed >> 32) as u32,
        }
    }
}

impl Dropout {
    /// Drops each element with probability `rate`. Another `key` drops others,
    /// independently.
    ///
    /// # Panics
    /// `rate` is not in 0 ≤ rate < 1.
    pub fn new(key: u64, rate: f32) -> Self {
        assert!((0.0..1.0).contains(&rate), "a dropout rate of {rate}");
        Self {
            key,
            first: Lane::new(key),
            threshold: (f64::from(rate) * 2f64.powi(32)) as u32,
            kept: 1.0 / (1.0 - rate),
        }
    }

    /// Drops nothing.
    pub fn off() -> Self {
        Self::new(0, 0.0)
    }

    /// Whether nothing is dropped.
    #[inline]
    pub fn is_off(&self) -> bool {
        self.threshold == 0
    }

    /// The factor of what is not dropped, `1 / (1 - rate)`.
    #[inline]
    pub fn kept(&self) -> f32 {
        self.kept
    }

    /// The factor of element `index`: 0, or `1 / (1 - rate)`.
    #[inline(always)]
    pub fn scale(&self, index: u64) -> f32 {
        self.factor(self.lane(index), index as u32)
    }

    /// The factors of `N` elements from `start`, to be inlined into a loop over
    /// vectors of `N`.
    #[inline(always)]
    pub fn scales<const N: usize>(&self, start: u64) -> [f32; N] {
        let mut factors = [0.0; N];
        let low = start as u32;
        if low.checked_add(N as u32).is_some() {
            let lane = self.lane(start);
            for (i, factor) in factors.iter_mut().enumerate() {
                *factor = self.factor(lane, low.wrapping_add(i as u32));
            }
        } else {
            for (i, factor) in factors.iter_mut().enumerate() {
                *factor = self.scale(start + i as u64);
            }
        }
        factors
    }

    /// Writes the factors of the elements from `start`.
    pub fn fill(&self, start: u64, out: &mut [f32]) {
        fill(self, start, out);
    }

    /// Multiplies `values` by the factors of the elements from `start`.
    pub fn apply(&self, start: u64, values: &mut [f32]) {
        if !self.is_off() {
            apply(self, start, values);
        }
    }

    /// The key of the indices that share the upper half of `index`.
    #[inline(always)]
    fn lane(&self, index: u64) -> Lane {
        match index >> 32 {
            0 => self.first,
            high => Lane::new(self.key ^ high.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        }
    }

    /// Two rounds of xor-shift and multiplication, each after half of the key.
    #[inline(always)]
    fn factor(&self, lane: Lane, low: u32) -> f32 {
        let x = low ^ lane.before;
        let x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
        let x = (x ^ (x >> 15)).wrapping_add(lane.between);
        let x = (x ^ (x >> 14)).wrapping_mul(0x846c_a68b);
        let x = x ^ (x >> 16);
        if x < self.threshold { 0.0 } else { self.kept }
    }
}

versions! {
    fn fill(dropout: &Dropout, start: u64, out: &mut [f32]) {
        each(dropout, start, out, |_, factor| factor);
    }
}

versions! {
    fn apply(dropout: &Dropout, start: u64, values: &mut [f32]) {
        each(dropout, start, values, |value, factor| value * factor);
    }
}

/// `values[i] = put(values[i], factor of start + i)`.
#[inline(always)]
fn each(dropout: &Dropout, start: u64, values: &mut [f32], put: impl Fn(f32, f32) -> f32) {
    const LANES: usize = 16;
    let (blocks, rest) = values.as_chunks_mut::<LANES>();
    let mut index = start;
    for block in blocks {
        let factors = dropout.scales::<LANES>(index);
        for (value, factor) in block.iter_mut().zip(factors) {
            *value = put(*value, factor);
        }
        index += LANES as u64;
    }
    for (value, index) in rest.iter_mut().zip(index..) {
        *value = put(*value, dropout.scale(index));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A number with mean 0 and variance 1 for each element: standardised drops.
    fn standard(dropout: &Dropout, rate: f32, start: u64, len: usize) -> Vec<f64> {
        let mut factors = vec![0.0; len];
        dropout.fill(start, &mut factors);
        let rate = f64::from(rate);
        let dropped = factors.iter().map(|f| f64::from(u8::from(*f == 0.0)));
        dropped
            .map(|d| (d - rate) / (rate * (1.0 - rate)).sqrt())
            .collect()
    }

    /// Sum of products over √n: of standard normal size where independent.
    fn correlation(a: &[f64], b: &[f64]) -> f64 {
        let n = a.len().min(b.len()) as f64;
        a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>() / n.sqrt()
    }

    /// Far beyond what a few hundred independent normal numbers reach.
    const SIGMAS: f64 = 4.8;

    #[test]
    fn the_rate_is_kept_for_any_key() {
        for rate in [0.1f32, 0.5, 0.93] {
            for key in [
                0,
                1,
                2,
                3,
                u64::MAX,
                0x1234_5678_9abc_def0,
                1 << 32,
                1 << 63,
            ] {
                let drops = standard(&Dropout::new(key, rate), rate, 0, 1 << 18);
                let deviation = drops.iter().sum::<f64>() / (drops.len() as f64).sqrt();
                assert!(deviation.abs() < SIGMAS, "{rate} {key}: {deviation}");
            }
        }
    }

    #[test]
    fn neighbours_along_rows_and_columns_are_independent() {
        let rate = 0.1;
        for key in [0, 1, 77, u64::MAX / 3] {
            let drops = standard(&Dropout::new(key, rate), rate, 0, 1 << 18);
            let widths = [
                32,
                96,
                256,
                512,
                729,
                1024,
                2048,
                4096,
                65536,
                729 * 729 % 200_000,
            ];
            for shift in (1..=32).chain(widths) {
                let r = correlation(&drops, &drops[shift..]);
                assert!(r.abs() < SIGMAS, "key {key}, distance {shift}: {r}");
            }
            // Sums of whole rows and whole columns are of normal size too.
            for width in [256, 512, 1024] {
                let rows = drops.chunks(width).map(|row| row.iter().sum::<f64>());
                let columns = (0..width).map(|c| drops.iter().skip(c).step_by(width).sum::<f64>());
                let row_scale = (width as f64).sqrt();
                let column_scale = ((drops.len() / width) as f64).sqrt();
                for (sum, scale) in
                    (rows.map(|s| (s, row_scale))).chain(columns.map(|s| (s, column_scale)))
                {
                    // Binomial tails are heavier than normal ones.
                    assert!(
                        (sum / scale).abs() < SIGMAS + 1.0,
                        "{width}: {}",
                        sum / scale
                    );
                }
            }
        }
    }

    #[test]
    fn keys_are_independent_of_each_other() {
        let rate = 0.1;
        let len = 1 << 16;
        let keys = (0..24).chain((0..24).map(|bit| 1 << (bit + 30)));
        let all: Vec<_> = keys
            .map(|key| standard(&Dropout::new(key, rate), rate, 0, len))
            .collect();
        for (i, a) in all.iter().enumerate() {
            for b in &all[..i] {
                for shift in [0, 1, 16] {
                    let r = correlation(a, &b[shift..]);
                    assert!(r.abs() < SIGMAS + 0.6, "{r}");
                }
            }
        }
    }

    #[test]
    fn every_form_gives_the_same_factors() {
        let dropout = Dropout::new(42, 0.3);
        // The last start crosses a multiple of 2³².
        for start in [0u64, 5, 1 << 40, (1 << 32) - 19] {
            for len in [0, 1, 15, 16, 17, 100] {
                let one_by_one: Vec<f32> =
                    (0..len as u64).map(|i| dropout.scale(start + i)).collect();
                let mut filled = vec![f32::NAN; len];
                dropout.fill(start, &mut filled);
                assert_eq!(filled, one_by_one);
                let mut applied = vec![1.0; len];
                dropout.apply(start, &mut applied);
                assert_eq!(applied, one_by_one);
                let mut portable = vec![f32::NAN; len];
                each(&dropout, start, &mut portable, |_, factor| factor);
                assert_eq!(portable, one_by_one);
                assert!(
                    one_by_one
                        .iter()
                        .all(|f| *f == 0.0 || *f == 1.0 / (1.0 - 0.3))
                );
            }
        }
    }

    #[test]
    fn off_changes_nothing() {
        let off = Dropout::off();
        assert!(off.is_off() && Dropout::new(9, 0.0).is_off());
        assert!((0..1000).all(|i| off.scale(i) == 1.0));
        let mut values = [1.5, -2.0, f32::INFINITY];
        off.apply(3, &mut values);
        assert_eq!(values, [1.5, -2.0, f32::INFINITY]);
    }
}
