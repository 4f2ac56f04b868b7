//! Which tokens a token attends to.
//!
//! Tokens go in blocks, each with the keys that its queries attend to: one block of all tokens,
//! or, where `model.reach` limits attention, blocks of 4 × 4 with what is around them
//! (`nephos_kernel::reach`). Keys beyond the grid's edge are there to make all blocks alike, and a
//! mask takes them out of the softmax.

use nephos_kernel::reach::{BLOCK, Reach};

use super::graph::{Attribute, Value};
use super::layers::Builder;

/// Added to the score of a key that is beyond the edge: its share of a softmax is 0 then.
const NEVER: f32 = -1e9;

/// What tokens see.
pub(super) enum Sight {
    /// All tokens.
    All,
    /// Those around their block.
    Near(Box<Near>),
}

/// Blocks and the keys of each.
pub(super) struct Near {
    /// Rows and columns of blocks.
    blocks: [usize; 2],
    queries: Cut,
    keys: Cut,
    /// Added to scores, `[blocks, 1, keys]`.
    mask: Value,
}

/// Rows and columns that are taken for blocks, one block after the other.
struct Cut {
    /// Rows and columns of a block.
    sides: [usize; 2],
    /// Places in the grid: of all blocks' rows, and of their columns.
    places: [Value; 2],
}

impl Builder<'_> {
    /// What tokens of the grid see.
    pub fn sight(&mut self) -> Sight {
        let reach = self.config.reach.filter(|reach| {
            let grid = self.grid;
            Reach {
                grid,
                reach: *reach,
            }
            .limits()
        });
        let Some(reach) = reach else {
            return Sight::All;
        };
        let grid = self.grid;
        let blocks = grid.map(|side| side.div_ceil(BLOCK));
        // Places along an axis, whatever is beyond its ends.
        let places = |axis: usize, before: usize, length: usize| -> Vec<isize> {
            let place = |block: usize, at: usize| (block * BLOCK + at) as isize - before as isize;
            (0..blocks[axis])
                .flat_map(|block| (0..length).map(move |at| place(block, at)))
                .collect()
        };
        let mut cut = |before: usize, length: usize| Cut {
            sides: [length; 2],
            places: [0, 1].map(|axis| {
                let last = grid[axis] as isize - 1;
                let places = places(axis, before, length);
                let inside: Vec<i64> = places
                    .iter()
                    .map(|at| (*at).clamp(0, last) as i64)
                    .collect();
                self.graph.integers(&inside)
            }),
        };
        let length = BLOCK + 2 * reach;
        let (queries, keys) = (cut(0, BLOCK), cut(reach, length));
        let [rows, cols] = blocks;
        let shapes = [[rows, 1, length, 1], [1, cols, 1, length]];
        let [by_row, by_col] = [0, 1].map(|axis| {
            let scores: Vec<f32> = (places(axis, reach, length).iter())
                .map(|at| match (0..grid[axis] as isize).contains(at) {
                    true => 0.0,
                    false => NEVER,
                })
                .collect();
            let name = ["reach.rows", "reach.columns"][axis];
            self.graph.constant(name, &shapes[axis], &scores)
        });
        let mask = self.add(&by_row, &by_col);
        let mask = self.reshape(&mask, &[(rows * cols) as i64, 1, -1]);
        Sight::Near(Box::new(Near {
            blocks,
            queries,
            keys,
            mask,
        }))
    }

    /// Tokens with their features by heads, `[batch, heads, tokens, _]`.
    pub fn by_head(&mut self, tokens: &Value, heads: usize) -> Value {
        let split = self.reshape(tokens, &[0, self.tokens() as i64, heads as i64, -1]);
        self.transpose(&split, &[0, 2, 1, 3])
    }

    /// The queries of each block.
    ///
    /// # Shapes
    /// - x: `[batch, heads, tokens, head]`
    /// - output: `[batch, heads, blocks, queries, head]`
    pub fn queries(&mut self, x: &Value, sight: &Sight, sizes: [usize; 2]) -> Value {
        match sight {
            Sight::All => self.in_one_block(x, sizes),
            Sight::Near(near) => self.cut(x, near.blocks, &near.queries, sizes),
        }
    }

    /// The keys, or values, of each block: as [`Builder::queries`].
    pub fn keys(&mut self, x: &Value, sight: &Sight, sizes: [usize; 2]) -> Value {
        match sight {
            Sight::All => self.in_one_block(x, sizes),
            Sight::Near(near) => self.cut(x, near.blocks, &near.keys, sizes),
        }
    }

    fn in_one_block(&mut self, x: &Value, [heads, head]: [usize; 2]) -> Value {
        let tokens = self.tokens() as i64;
        self.reshape(x, &[0, heads as i64, 1, tokens, head as i64])
    }

    fn cut(&mut self, x: &Value, blocks: [usize; 2], cut: &Cut, sizes: [usize; 2]) -> Value {
        let [[heads, head], [down, across]] = [sizes, blocks].map(|pair| pair.map(|n| n as i64));
        let ([rows, cols], [high, wide]) = (
            self.grid.map(|side| side as i64),
            cut.sides.map(|side| side as i64),
        );
        let mut grid = self.reshape(x, &[0, heads, rows, cols, head]);
        for (axis, places) in [2, 3].into_iter().zip(&cut.places) {
            let axis = [Attribute::Int("axis", axis)];
            grid = self.graph.node("Gather", &[&grid, places], &axis);
        }
        let split = self.reshape(&grid, &[0, heads, down, high, across, wide, head]);
        let blocks = self.transpose(&split, &[0, 1, 2, 4, 3, 5, 6]);
        self.reshape(&blocks, &[0, heads, down * across, high * wide, head])
    }

    /// What the softmax makes of scores, `[batch, heads, blocks, queries, keys]`.
    pub fn shares(&mut self, scores: &Value, sight: &Sight) -> Value {
        let masked = match sight {
            Sight::All => scores.clone(),
            Sight::Near(near) => self.add(scores, &near.mask),
        };
        let last = [Attribute::Int("axis", -1)];
        self.graph.node("Softmax", &[&masked], &last)
    }

    /// Features of the queries of all blocks, `[batch, heads, blocks, queries, head]`, as tokens
    /// with their heads side by side.
    pub fn by_token(&mut self, x: &Value, sight: &Sight, sizes: [usize; 2]) -> Value {
        let [heads, head] = sizes.map(|n| n as i64);
        let [rows, cols] = self.grid.map(|side| side as i64);
        let (tokens, width) = (rows * cols, heads * head);
        let Sight::Near(near) = sight else {
            let all = self.reshape(x, &[0, heads, tokens, head]);
            let tokens_first = self.transpose(&all, &[0, 2, 1, 3]);
            return self.reshape(&tokens_first, &[0, tokens, width]);
        };
        let [down, across] = near.blocks.map(|n| n as i64);
        let [high, wide] = near.queries.sides.map(|n| n as i64);
        let split = self.reshape(x, &[0, heads, down, across, high, wide, head]);
        // Rows, then columns, then heads.
        let grid = self.transpose(&split, &[0, 2, 4, 3, 5, 1, 6]);
        let mut grid = self.reshape(&grid, &[0, down * high, across * wide, width]);
        if [down * high, across * wide] != [rows, cols] {
            let [first, end, axes] =
                [[0, 0], [rows, cols], [1, 2]].map(|list| self.graph.integers(&list));
            grid = self.graph.node("Slice", &[&grid, &first, &end, &axes], &[]);
        }
        self.reshape(&grid, &[0, tokens, width])
    }
}
