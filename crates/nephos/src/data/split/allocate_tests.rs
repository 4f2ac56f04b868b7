//! What every allocation must keep, whatever the samples.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn items(strata: &[usize], groups: &[usize]) -> Vec<Item> {
    strata
        .iter()
        .zip(groups.iter().chain(std::iter::repeat(&0)))
        .map(|(stratum, group)| Item {
            stratum: *stratum,
            group: Some(group.to_string()),
        })
        .collect()
}

/// Counts that `total` items can give, from two random cuts and a rest.
fn counts(total: usize, shares: [usize; 4]) -> [usize; 3] {
    let sum = shares.iter().sum::<usize>().max(1);
    [0, 1, 2].map(|k| total * shares[k] / sum)
}

fn check_counts(parts: &[Vec<usize>; 3], counts: [usize; 3], total: usize) {
    let mut seen = BTreeSet::new();
    for (part, count) in parts.iter().zip(counts) {
        assert_eq!(part.len(), count);
        assert!(part.iter().all(|k| *k < total && seen.insert(*k)));
    }
}

proptest! {
    #[test]
    fn strata_are_within_one_of_their_share(
        strata in prop::collection::vec(0usize..5, 1..200),
        shares in prop::array::uniform4(0usize..10),
        seed: u64,
    ) {
        let items = items(&strata, &[]);
        let counts = counts(items.len(), shares);
        let parts = stratified(&items, counts, seed);
        check_counts(&parts, counts, items.len());
        prop_assert_eq!(&parts, &stratified(&items, counts, seed));
        for stratum in 0..5 {
            let size = strata.iter().filter(|s| **s == stratum).count();
            for (part, count) in parts.iter().zip(counts) {
                let got = part.iter().filter(|k| strata[**k] == stratum).count() as f64;
                let share = count as f64 * size as f64 / items.len() as f64;
                prop_assert!((got - share).abs() < 1.0, "{} of {}", got, share);
            }
        }
    }

    #[test]
    fn no_group_is_in_two_splits(
        samples in prop::collection::vec((0usize..5, 0usize..30), 1..150),
        shares in prop::array::uniform4(0usize..10),
        seed: u64,
    ) {
        let (strata, groups): (Vec<_>, Vec<_>) = samples.into_iter().unzip();
        let items = items(&strata, &groups);
        let counts = counts(items.len(), shares);
        let outcome = grouped(&items, counts, seed);
        prop_assert_eq!(&outcome, &grouped(&items, counts, seed));
        if let Ok(parts) = outcome {
            check_counts(&parts, counts, items.len());
            let mut homes = BTreeMap::new();
            for (part, chosen) in parts.iter().enumerate() {
                for k in chosen {
                    prop_assert_eq!(*homes.entry(groups[*k]).or_insert(part), part);
                }
            }
        }
    }

    #[test]
    fn a_grouping_is_found_where_there_is_one(
        sizes in prop::collection::vec(1usize..6, 1..7),
        counts in prop::array::uniform3(0usize..8),
    ) {
        // All 4^n ways to place the groups.
        let ways = (0..4usize.pow(sizes.len() as u32)).any(|way| {
            let mut sums = [0usize; 4];
            for (k, size) in sizes.iter().enumerate() {
                sums[way / 4usize.pow(k as u32) % 4] += size;
            }
            (0..3).all(|part| sums[part] >= counts[part])
        });
        match homes(&sizes, counts) {
            Err(message) => prop_assert!(!ways, "{} for {:?} of {:?}", message, counts, sizes),
            Ok(homes) => {
                prop_assert!(ways);
                for (part, count) in counts.iter().enumerate() {
                    let sum: usize = homes
                        .iter()
                        .zip(&sizes)
                        .filter(|(home, _)| **home == Some(part))
                        .map(|(_, size)| size)
                        .sum();
                    prop_assert!(sum >= *count);
                }
            }
        }
    }
}

#[test]
fn errors_of_impossible_groups_name_possible_counts() {
    let groups = [0, 0, 0, 0, 0, 0, 1, 1];
    let items = items(&[1; 8], &groups);
    let message = grouped(&items, [4, 2, 2], 1).unwrap_err();
    assert_eq!(
        message,
        "8 samples in 2 groups of 2 to 6 samples give at most train 0 beside val 2 and test 2"
    );
    let message = grouped(&items, [7, 1, 0], 1).unwrap_err();
    assert!(
        message.ends_with("at most train 6 beside test 0 and val 1"),
        "{message}"
    );
}
