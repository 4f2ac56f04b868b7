//! The running mean of the weights, which often scores better than the weights
//! themselves (Polyak & Juditsky 1992; with a decay, Tarvainen & Valpola 2017).

use crate::weights::Parameter;

/// Decay of the mean at update `updates` (from 0): the first weights decay
/// faster, so that a short run does not average its start.
pub(super) fn decay(most: f64, updates: usize) -> f64 {
    let updates = updates as f64;
    most.min((1.0 + updates) / (10.0 + updates))
}

/// Moves `average` towards `weights`, of the same network: `decay` times the first and the
/// rest of the second.
pub(super) fn update(average: &mut [Parameter], weights: &[Parameter], decay: f64) {
    let decay = decay as f32;
    for (average, weights) in average.iter_mut().zip(weights) {
        for (mean, weight) in average.values.iter_mut().zip(&weights.values) {
            *mean = weight + decay * (*mean - weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: [f32; 2]) -> Vec<Parameter> {
        vec![Parameter {
            name: "weight".to_owned(),
            shape: vec![1, 2],
            values: values.to_vec(),
        }]
    }

    #[test]
    fn the_mean_moves_by_the_rest_of_the_decay() {
        let mut average = of([1.0, -2.0]);
        update(&mut average, &of([3.0, 2.0]), 0.75);
        assert_eq!(average, of([1.5, -1.0]));
    }

    #[test]
    fn the_start_is_forgotten_fast() {
        assert_eq!(decay(0.999, 0), 0.1);
        assert_eq!(decay(0.5, 10_000), 0.5);
        assert!(decay(0.999, 100) > 0.9 && decay(0.999, 100) < 0.999);
    }
}
