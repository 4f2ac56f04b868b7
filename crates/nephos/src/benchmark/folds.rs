//! Folds of a cross-validation.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// The fold, from 0, of each sample: samples of one group stay together, folds have as
/// many groups as each other (but for one), and the classes are spread over them as
/// evenly as a greedy choice can, the rarest first. The same input gives the same folds.
///
/// - groups: of each sample, such as its scene
/// - pixels: of each sample, the pixels of each class
///
/// # Errors
/// Fewer groups than folds, or fewer than two folds.
pub fn folds(groups: &[String], pixels: &[Vec<u64>], count: usize) -> Result<Vec<usize>> {
    let mut members: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    let classes = pixels.iter().map(Vec::len).max().unwrap_or(0);
    for (group, pixels) in groups.iter().zip(pixels) {
        let sums = members.entry(group).or_insert_with(|| vec![0.0; classes]);
        for (sum, pixels) in sums.iter_mut().zip(pixels) {
            *sum += *pixels as f64;
        }
    }
    if count < 2 || members.len() < count {
        return Err(Error::usage(format!(
            "`options.folds = {count}`: at least 2, and at most as many as there are groups of \
             samples ({})",
            members.len()
        )));
    }
    // Shares of each class's pixels, so that rare classes weigh as much as common ones.
    let totals: Vec<f64> = (0..classes)
        .map(|class| members.values().map(|sums| sums[class]).sum::<f64>())
        .collect();
    for sums in members.values_mut() {
        for (sum, total) in sums.iter_mut().zip(&totals) {
            *sum /= total.max(1.0);
        }
    }
    let largest = |sums: &Vec<f64>| sums.iter().copied().fold(0.0, f64::max);
    let mut order: Vec<(&str, Vec<f64>)> = members.into_iter().collect();
    // Stable: equals stay in the order of their names.
    order.sort_by(|(_, a), (_, b)| largest(b).total_cmp(&largest(a)));
    let capacity = order.len().div_ceil(count);
    let full = match order.len() % count {
        0 => count,
        rest => rest,
    };
    let mut held = vec![(0usize, vec![0.0; classes]); count];
    let mut chosen: BTreeMap<&str, usize> = BTreeMap::new();
    for (group, sums) in order {
        let filled = held
            .iter()
            .filter(|(groups, _)| *groups == capacity)
            .count();
        let cost = |(groups, shares): &(usize, Vec<f64>)| {
            let grown = shares.iter().zip(&sums).map(|(a, b)| 2.0 * a * b + b * b);
            let open = *groups + 1 < capacity || (*groups < capacity && filled < full);
            // Where the classes are even, to the fold with the fewest groups.
            open.then_some((grown.sum::<f64>(), *groups))
        };
        let best = (held.iter().enumerate())
            .filter_map(|(fold, state)| Some((fold, cost(state)?)))
            .min_by(|(_, a), (_, b)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        // The folds' capacities add up to the number of groups, so some fold is always open.
        let Some((fold, _)) = best else { continue };
        held[fold].0 += 1;
        for (held, sum) in held[fold].1.iter_mut().zip(&sums) {
            *held += sum;
        }
        chosen.insert(group, fold);
    }
    Ok((groups.iter())
        .map(|group| chosen.get(group.as_str()).copied().unwrap_or(0))
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rare_classes_are_spread_and_groups_stay_together() {
        let groups: Vec<String> = (0..12).map(|i| format!("scene {}", i / 2)).collect();
        // Class 1 is in three of six scenes.
        let pixels: Vec<Vec<u64>> = (0..12)
            .map(|i| vec![100, if i / 2 < 3 { 5 } else { 0 }])
            .collect();
        let folds = folds(&groups, &pixels, 3).unwrap();
        for pair in folds.chunks(2) {
            assert_eq!(pair[0], pair[1]);
        }
        let with: std::collections::BTreeSet<usize> = folds[..6].iter().copied().collect();
        assert_eq!(with.len(), 3, "each fold has one: {folds:?}");
    }

    proptest! {
        #[test]
        fn folds_are_level(groups in 2usize..40, count in 2usize..9, seed in 0u64..99) {
            let names: Vec<String> = (0..groups).map(|i| format!("g{i}")).collect();
            let pixels: Vec<Vec<u64>> = (0..groups as u64)
                .map(|i| vec![(i * 7 + seed) % 13, (i * 5 + seed) % 3])
                .collect();
            let found = folds(&names, &pixels, count);
            if groups < count {
                prop_assert!(found.is_err());
            } else {
                let found = found.unwrap();
                let sizes: Vec<usize> = (0..count)
                    .map(|fold| found.iter().filter(|f| **f == fold).count())
                    .collect();
                let (least, most) = (sizes.iter().min(), sizes.iter().max());
                prop_assert!(most.unwrap() - least.unwrap() <= 1, "{sizes:?}");
            }
        }
    }
}
