//! Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019), one pass over the
//! weights.

use rayon::prelude::*;

use crate::versions::versions;

/// Numbers that one task takes.
const BLOCK: usize = 1 << 14;

/// How weights decay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decay {
    /// The weight, times this, joins the gradient.
    Coupled(f64),
    /// The weight shrinks by this times the learning rate, decoupled from the gradient.
    Decoupled(f64),
}

/// A step of Adam.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// The learning rate.
    pub lr: f64,
    /// Decay rates of the mean of gradients and of that of their squares.
    pub betas: [f64; 2],
    /// Added to the corrected root of the second.
    pub epsilon: f64,
    /// How weights decay.
    pub decay: Decay,
    /// Number of the step, from 1.
    pub time: i32,
}

/// The numbers of a step that are the same for all weights.
#[derive(Clone, Copy)]
struct Factors {
    gradient: f32,
    coupled: f32,
    shrink: f32,
    first: [f32; 2],
    second: [f32; 2],
    step: f32,
    epsilon: f32,
}

impl Adam {
    /// Moves `weights` along `gradient` times `factor`, and the `moments`, both of them
    /// zero before the first step, with them.
    ///
    /// # Panics
    /// The slices differ in length.
    pub fn step(
        &self,
        weights: &mut [f32],
        gradient: &[f32],
        factor: f64,
        [first, second]: [&mut [f32]; 2],
    ) {
        let count = weights.len();
        let same = [gradient.len(), first.len(), second.len()]
            .iter()
            .all(|l| *l == count);
        assert!(same, "one gradient and two moments a weight");
        let factors = self.factors(factor);
        (weights.par_chunks_mut(BLOCK))
            .zip(gradient.par_chunks(BLOCK))
            .zip(first.par_chunks_mut(BLOCK))
            .zip(second.par_chunks_mut(BLOCK))
            .for_each(|(((weights, gradient), first), second)| {
                update(weights, gradient, first, second, factors);
            });
    }

    fn factors(&self, gradient: f64) -> Factors {
        let [first, second] = self.betas;
        let root = (1.0 - second.powi(self.time)).sqrt();
        let (coupled, decoupled) = match self.decay {
            Decay::Coupled(decay) => (decay, 0.0),
            Decay::Decoupled(decay) => (0.0, decay),
        };
        Factors {
            gradient: gradient as f32,
            coupled: coupled as f32,
            shrink: (1.0 - self.lr * decoupled) as f32,
            first: [first as f32, (1.0 - first) as f32],
            second: [second as f32, (1.0 - second) as f32],
            step: (self.lr * root / (1.0 - first.powi(self.time))) as f32,
            epsilon: (self.epsilon * root) as f32,
        }
    }
}

versions! {
    fn update(weights: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], f: Factors) {
        let moments = first.iter_mut().zip(second);
        for ((weight, gradient), (first, second)) in weights.iter_mut().zip(gradient).zip(moments) {
            let gradient = gradient * f.gradient + *weight * f.coupled;
            *first = *first * f.first[0] + gradient * f.first[1];
            *second = *second * f.second[0] + gradient * gradient * f.second[1];
            *weight = *weight * f.shrink - f.step * *first / (second.sqrt() + f.epsilon);
        }
    }
}

/// The sum of squares, in an order that depends on the length only; not finite where
/// a number is not.
pub fn sum_of_squares(values: &[f32]) -> f64 {
    let blocks: Vec<f64> = values.par_chunks(BLOCK).map(squares).collect();
    blocks.iter().sum()
}

versions! {
    fn squares(values: &[f32]) -> f64 {
        let (blocks, rest) = values.as_chunks::<16>();
        let mut sums = [0.0f64; 16];
        for block in blocks {
            for (sum, x) in sums.iter_mut().zip(block) {
                *sum += f64::from(*x) * f64::from(*x);
            }
        }
        let rest: f64 = rest.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        sums.iter().sum::<f64>() + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, step: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * step) % 1013) as f32 / 300.0 - 1.7)
            .collect()
    }

    #[test]
    fn ten_steps_are_those_of_the_definition() {
        let count = BLOCK + 37;
        for decay in [
            Decay::Coupled(0.0),
            Decay::Coupled(0.1),
            Decay::Decoupled(0.2),
        ] {
            let mut weights = numbers(count, 7);
            let (mut first, mut second) = (vec![0.0; count], vec![0.0; count]);
            let mut exact: Vec<[f64; 3]> =
                weights.iter().map(|w| [f64::from(*w), 0.0, 0.0]).collect();
            for time in 1..=10 {
                let adam = Adam {
                    lr: 0.01,
                    betas: [0.9, 0.99],
                    epsilon: 1e-8,
                    decay,
                    time,
                };
                let gradient = numbers(count, 11 + time as usize);
                adam.step(&mut weights, &gradient, 0.5, [&mut first, &mut second]);
                for ([w, m, v], g) in exact.iter_mut().zip(&gradient) {
                    let mut g = 0.5 * f64::from(*g);
                    match decay {
                        Decay::Coupled(decay) => g += decay * *w,
                        Decay::Decoupled(decay) => *w -= 0.01 * decay * *w,
                    }
                    *m = 0.9 * *m + 0.1 * g;
                    *v = 0.99 * *v + 0.01 * g * g;
                    let mean = *m / (1.0 - 0.9f64.powi(time));
                    let root = (*v / (1.0 - 0.99f64.powi(time))).sqrt();
                    *w -= 0.01 * mean / (root + 1e-8);
                }
            }
            for (ours, [w, m, v]) in weights.iter().zip(&exact) {
                assert!(
                    (f64::from(*ours) - w).abs() < 1e-5,
                    "{decay:?}: {ours} {w} {m} {v}"
                );
            }
        }
    }

    #[test]
    fn squares_are_summed_and_what_is_not_finite_shows() {
        for count in [0, 1, 17, 3 * BLOCK + 5] {
            let mut values = numbers(count, 13);
            let exact: f64 = values.iter().map(|x| f64::from(*x).powi(2)).sum();
            assert!((sum_of_squares(&values) - exact).abs() <= 1e-9 * exact);
            if let Some(last) = values.last_mut() {
                *last = f32::NAN;
                assert!(sum_of_squares(&values).is_nan());
            }
        }
    }
}
