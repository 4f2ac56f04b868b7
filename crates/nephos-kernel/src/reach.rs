//! Attention to the tokens nearby.
//!
//! A grid of tokens is cut into blocks of [`BLOCK`] × [`BLOCK`]; those of a block attend to the
//! tokens at most `reach` rows and columns away from it, and so to the same ones wherever the
//! grid ends. The queries of a block are the lanes of a vector.

use std::ops::Range;

/// Side of a block, in tokens.
pub const BLOCK: usize = 4;

/// How far tokens attend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Rows and columns of the grid of tokens.
    pub grid: [usize; 2],
    /// Rows and columns beyond a block that its tokens attend to.
    pub reach: usize,
}

/// A block of queries, and the keys that they attend to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Near {
    columns: usize,
    queries: [Range<usize>; 2],
    keys: [Range<usize>; 2],
}

impl Reach {
    /// Tokens of the grid.
    pub fn tokens(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// Whether some token is out of reach of another.
    pub fn limits(&self) -> bool {
        self.grid.iter().any(|side| *side > self.reach + 1)
    }

    /// Number of blocks.
    pub(crate) fn blocks(&self) -> usize {
        self.grid[0].div_ceil(BLOCK) * self.grid[1].div_ceil(BLOCK)
    }

    /// The block of that number, by rows of blocks.
    pub(crate) fn near(&self, block: usize) -> Near {
        let across = self.grid[1].div_ceil(BLOCK);
        let place = [block / across, block % across];
        let queries = [0, 1].map(|axis| {
            let first = place[axis] * BLOCK;
            first..(first + BLOCK).min(self.grid[axis])
        });
        let keys = [0, 1].map(|axis| {
            let Range { start, end } = queries[axis];
            start.saturating_sub(self.reach)..(end + self.reach).min(self.grid[axis])
        });
        Near {
            columns: self.grid[1],
            queries,
            keys,
        }
    }
}

impl Near {
    /// The tokens of the block, at most [`BLOCK`]².
    pub(crate) fn queries(&self) -> impl Iterator<Item = usize> + Clone {
        let [rows, cols] = self.queries.clone();
        let columns = self.columns;
        rows.flat_map(move |row| cols.clone().map(move |col| row * columns + col))
    }

    /// First token and number of tokens of each row of keys.
    pub(crate) fn runs(&self) -> impl Iterator<Item = [usize; 2]> + Clone {
        let [rows, cols] = self.keys.clone();
        let columns = self.columns;
        rows.map(move |row| [row * columns + cols.start, cols.len()])
    }

    /// Number of keys.
    pub(crate) fn keys(&self) -> usize {
        self.keys[0].len() * self.keys[1].len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_each_token_once_and_keys_lie_within_reach() {
        for (grid, reach) in [([9, 14], 3), ([4, 4], 0), ([1, 7], 2), ([30, 3], 6)] {
            let near = Reach { grid, reach };
            let mut seen = vec![0; near.tokens()];
            for block in 0..near.blocks() {
                let near = near.near(block);
                let keys: Vec<usize> = near
                    .runs()
                    .flat_map(|[first, count]| first..first + count)
                    .collect();
                assert_eq!(keys.len(), near.keys());
                for token in near.queries() {
                    seen[token] += 1;
                    // By its definition: as far from the block on each axis as `reach`.
                    let of = |token: usize| [token / grid[1], token % grid[1]];
                    let expected = (0..grid[0] * grid[1]).filter(|key| {
                        (0..2).all(|axis| {
                            let first = of(token)[axis] / BLOCK * BLOCK;
                            let last = (first + BLOCK).min(grid[axis]) - 1;
                            let at = of(*key)[axis];
                            at + reach >= first && at <= last + reach
                        })
                    });
                    assert!(expected.eq(keys.iter().copied()), "{grid:?} {token}");
                }
            }
            assert!(seen.iter().all(|count| *count == 1), "{grid:?}");
        }
        let limits = |grid, reach| Reach { grid, reach }.limits();
        assert!(limits([9, 2], 7) && !limits([8, 8], 7));
    }
}
