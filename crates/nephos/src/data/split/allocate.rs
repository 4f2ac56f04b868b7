//! Which sample goes to which split: counts, strata and groups, no files.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::text;

/// A sample to choose from.
#[derive(Debug, Clone)]
pub struct Item {
    /// Samples of one stratum are spread over the splits in proportion.
    pub stratum: usize,
    /// Samples of one group stay together on request.
    pub group: Option<String>,
}

/// Most cells of the exact search for a grouping, four bytes each.
const SEARCH_LIMIT: usize = 25_000_000;

/// Draws `counts` of `items`, so that each stratum's number in each split is its exact
/// share rounded up or down. Positions in `items`, ascending.
///
/// # Panics
/// When more is requested than there are items.
pub fn stratified(items: &[Item], counts: [usize; 3], seed: u64) -> [Vec<usize>; 3] {
    let requested: usize = counts.iter().sum();
    assert!(
        requested <= items.len(),
        "{requested} of {} items",
        items.len()
    );
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut strata = strata(items, 0..items.len());
    for members in strata.values_mut() {
        members.shuffle(&mut rng);
    }
    let sizes: Vec<usize> = strata.values().map(Vec::len).collect();
    let table = proportional(
        &sizes,
        [counts[0], counts[1], counts[2], items.len() - requested],
    );
    let mut parts: [Vec<usize>; 3] = Default::default();
    for (column, members) in strata.values().enumerate() {
        let mut members = members.iter().copied();
        for (part, row) in parts.iter_mut().zip(&table) {
            part.extend(members.by_ref().take(row[column]));
        }
    }
    parts.each_mut().map(|part| {
        part.sort_unstable();
        std::mem::take(part)
    })
}

fn strata(items: &[Item], among: impl Iterator<Item = usize>) -> BTreeMap<usize, Vec<usize>> {
    let mut strata: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for k in among {
        strata.entry(items[k].stratum).or_default().push(k);
    }
    strata
}

/// A table of whole numbers with these column and row sums, each cell
/// `row · column / total` rounded up or down, largest remainders first.
///
/// Such a table always exists (controlled rounding: Cox 1987,
/// doi:10.1080/01621459.1987.10478456): the remainders themselves are a fractional
/// flow from rows to columns, so a whole one of the same size exists.
fn proportional(columns: &[usize], rows: [usize; 4]) -> Vec<Vec<usize>> {
    let total = columns.iter().sum::<usize>().max(1);
    let mut table: Vec<Vec<usize>> = rows
        .iter()
        .map(|row| columns.iter().map(|column| row * column / total).collect())
        .collect();
    let remainder = |row: usize, column: usize| rows[row] * columns[column] % total;
    let mut room: Vec<usize> = (0..columns.len())
        .map(|c| columns[c] - table.iter().map(|row| row[c]).sum::<usize>())
        .collect();
    let mut raised = vec![vec![false; columns.len()]; rows.len()];
    for row in 0..rows.len() {
        let missing = rows[row] - table[row].iter().sum::<usize>();
        for _ in 0..missing {
            let mut visited = vec![false; columns.len()];
            let found = raise(row, &remainder, &mut room, &mut raised, &mut visited);
            debug_assert!(found, "a whole flow exists");
        }
    }
    for (cells, raised) in table.iter_mut().zip(&raised) {
        for (cell, raised) in cells.iter_mut().zip(raised) {
            *cell += usize::from(*raised);
        }
    }
    table
}

/// Raises one more cell of `row`, if need be by moving another row's raise to another cell.
fn raise(
    row: usize,
    remainder: &impl Fn(usize, usize) -> usize,
    room: &mut [usize],
    raised: &mut [Vec<bool>],
    visited: &mut [bool],
) -> bool {
    let mut columns: Vec<usize> = (0..room.len())
        .filter(|c| remainder(row, *c) > 0 && !raised[row][*c])
        .collect();
    columns.sort_by_key(|c| std::cmp::Reverse(remainder(row, *c)));
    for column in columns {
        if std::mem::replace(&mut visited[column], true) {
            continue;
        }
        if room[column] > 0 {
            room[column] -= 1;
            raised[row][column] = true;
            return true;
        }
        for other in 0..raised.len() {
            if raised[other][column] && raise(other, remainder, room, raised, visited) {
                raised[other][column] = false;
                raised[row][column] = true;
                return true;
            }
        }
    }
    false
}

/// Draws `counts` of `items`, no group in two splits. Within that, strata are
/// proportional as far as the groups allow. Positions in `items`, ascending.
///
/// # Errors
/// What is possible, where the groups don't allow these counts.
pub fn grouped(items: &[Item], counts: [usize; 3], seed: u64) -> Result<[Vec<usize>; 3], String> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (k, item) in items.iter().enumerate() {
        groups
            .entry(item.group.as_deref().unwrap_or(""))
            .or_default()
            .push(k);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    groups.shuffle(&mut rng);
    let sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
    let homes = homes(&sizes, counts)?;
    let sizes: Vec<usize> = strata(items, 0..items.len())
        .values()
        .map(Vec::len)
        .collect();
    let names: Vec<usize> = strata(items, 0..items.len()).into_keys().collect();
    let mut parts: [Vec<usize>; 3] = Default::default();
    for (part, chosen) in parts.iter_mut().enumerate() {
        let pool = groups
            .iter()
            .zip(&homes)
            .filter(|(_, home)| **home == Some(part));
        let mut pool = strata(items, pool.flat_map(|(group, _)| group.iter().copied()));
        for members in pool.values_mut() {
            members.shuffle(&mut rng);
        }
        let mut given = vec![0usize; names.len()];
        for _ in 0..counts[part] {
            // The stratum that is furthest behind its share and has samples left.
            let behind = |k: usize| {
                counts[part] as f64 * sizes[k] as f64 / items.len() as f64 - given[k] as f64
            };
            let next = (0..names.len())
                .filter(|k| {
                    pool.get(&names[*k])
                        .is_some_and(|members| !members.is_empty())
                })
                .max_by(|a, b| behind(*a).total_cmp(&behind(*b)));
            if let Some(k) = next {
                given[k] += 1;
                chosen.extend(pool.get_mut(&names[k]).and_then(Vec::pop));
            }
        }
        chosen.sort_unstable();
    }
    Ok(parts)
}

/// The split of each group of these `sizes`, so that each split has at least `counts`
/// samples to choose from.
fn homes(sizes: &[usize], counts: [usize; 3]) -> Result<Vec<Option<usize>>, String> {
    let in_order: Vec<usize> = (0..sizes.len()).collect();
    let mut by_size = in_order.clone();
    by_size.sort_by_key(|k| std::cmp::Reverse(sizes[*k]));
    [in_order, by_size]
        .into_iter()
        .find_map(|order| deal(sizes, counts, &order))
        .map_or_else(|| search(sizes, counts), Ok)
}

/// Deals groups in `order`, each to the split that lacks the largest share.
fn deal(sizes: &[usize], counts: [usize; 3], order: &[usize]) -> Option<Vec<Option<usize>>> {
    let mut lacking = counts;
    let mut homes = vec![None; sizes.len()];
    for group in order {
        let share = |part: &usize| lacking[*part] as f64 / counts[*part].max(1) as f64;
        let part = (0..3)
            .filter(|part| lacking[*part] > 0)
            .max_by(|a, b| share(a).total_cmp(&share(b)));
        let Some(part) = part else { break };
        lacking[part] = lacking[part].saturating_sub(sizes[*group]);
        homes[*group] = Some(part);
    }
    (lacking == [0; 3]).then_some(homes)
}

/// Tries all ways: for each number of samples of the two smaller splits, the most
/// that the largest can have.
fn search(sizes: &[usize], counts: [usize; 3]) -> Result<Vec<Option<usize>>, String> {
    let mut parts = [0, 1, 2];
    parts.sort_by_key(|part| counts[*part]);
    let [first, second, largest] = parts;
    let [a, b] = [counts[first], counts[second]];
    let width = b + 1;
    let cells = (a + 1) * width;
    let shape = format!(
        "{} in {} of {} to {}",
        text::count(sizes.iter().sum::<usize>(), "sample"),
        text::count(sizes.len(), "group"),
        sizes.iter().min().copied().unwrap_or(0),
        text::count(sizes.iter().max().copied().unwrap_or(0), "sample"),
    );
    if cells.saturating_mul(sizes.len()) > SEARCH_LIMIT {
        return Err(format!(
            "no way was found to give train {}, val {}, test {} from {shape}; ask for fewer",
            counts[0], counts[1], counts[2]
        ));
    }
    // best[i · width + j]: most samples of the largest split beside i and j of the
    // others, where that can be reached at all. origins[group][cell]: the cell before
    // the group was placed, and where it went, as 3 · cell + 0 | 1 | 2.
    let mut best: Vec<Option<usize>> = vec![None; cells];
    best[0] = Some(0);
    let mut origins: Vec<Vec<u32>> = Vec::with_capacity(sizes.len());
    for size in sizes {
        let mut next: Vec<Option<usize>> = best.iter().map(|v| v.map(|v| v + size)).collect();
        let mut origin: Vec<u32> = (0..cells as u32).map(|cell| 3 * cell).collect();
        for (cell, value) in best.iter().enumerate().filter(|(_, v)| v.is_some()) {
            let (i, j) = (cell / width, cell % width);
            let first = (i + size).min(a) * width + j;
            let second = i * width + (j + size).min(b);
            for (code, to) in [(1, first), (2, second)] {
                if next[to] < *value {
                    next[to] = *value;
                    origin[to] = 3 * cell as u32 + code;
                }
            }
        }
        origins.push(origin);
        best = next;
    }
    let most = best[cells - 1];
    if most.is_none_or(|most| most < counts[largest]) {
        let name = |part: usize| crate::data::SPLIT_NAMES[part];
        return Err(match most {
            Some(most) => format!(
                "{shape} give at most {} {most} beside {} {a} and {} {b}",
                name(largest),
                name(first),
                name(second)
            ),
            None => format!(
                "{shape} can't even give {} {a} and {} {b} beside any {}",
                name(first),
                name(second),
                name(largest)
            ),
        });
    }
    let mut cell = cells - 1;
    let mut homes = vec![None; sizes.len()];
    for (home, origin) in homes.iter_mut().zip(&origins).rev() {
        let from = origin[cell] as usize;
        *home = Some([largest, first, second][from % 3]);
        cell = from / 3;
    }
    Ok(homes)
}

#[cfg(test)]
#[path = "allocate_tests.rs"]
mod tests;
