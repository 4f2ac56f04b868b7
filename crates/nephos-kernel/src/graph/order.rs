//! The scores of one head, sorted, and the factors into which attention falls.
//!
//! With `d_j = t_j - max t` and `x_i = s_i + max t`, the attention of row `i` on
//! node `j` is `a_ij = plus_i plus_j` where `s_i + t_j > 0` and
//! `a_ij = minus_i minus_j` elsewhere, with
//!
//! - `plus_j = exp(d_j)`, `minus_j = exp(slope d_j)`,
//! - `plus_i = 1 / Z_i`, `minus_i = c_i / Z_i`, `c_i = exp(-(1 - slope) max(x_i, 0))`,
//! - `Z_i = Σ_{s_i + t_j > 0} plus_j + c_i Σ_{s_i + t_j ≤ 0} minus_j`.
//!
//! All factors are in [0, 1] and `Z_i ≥ 1`, since the node of the largest `t`
//! adds one to it: nothing overflows, and what underflows is below the last bit
//! of the sum.

/// One side of the pairs: rows `i` with their `s`, or nodes `j` with their `t`.
/// Everything but `order` is in the order of the sorted scores.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// Indices by ascending score, equal ones by index.
    pub order: Vec<u32>,
    /// How many of the other side are in a pair of score ≤ 0 with this one; they
    /// are the other side's first. Never increases along the order.
    pub split: Vec<u32>,
    /// The factor in pairs of positive score.
    pub plus: Vec<f32>,
    /// The factor in all other pairs.
    pub minus: Vec<f32>,
}

/// The factors of one head's attention.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Rows, by `s`.
    pub rows: Side,
    /// Nodes, by `t`.
    pub nodes: Side,
    /// For each row in order: how much of its attention goes to pairs of
    /// positive score, and to the others.
    pub shares: Vec<[f32; 2]>,
}

impl Order {
    /// Sorts and factorises; O(N log N).
    pub fn new(s: &[f32], t: &[f32], slope: f64) -> Self {
        assert_eq!(s.len(), t.len(), "as many s as t");
        assert!(u32::try_from(s.len()).is_ok(), "at most 2³² - 1 nodes");
        let ((row_order, s), (node_order, t)) = if s.len() < 4096 {
            (sort(s), sort(t))
        } else {
            rayon::join(|| sort(s), || sort(t))
        };
        let row_split = split(&s, &t);
        let node_split = split(&t, &s);

        let max = t.last().copied().unwrap_or(0.0);
        let below = |t: f32| {
            if t == max {
                0.0
            } else {
                f64::from(t) - f64::from(max)
            }
        };
        let plus: Vec<f64> = t.iter().map(|&t| below(t).exp()).collect();
        let minus: Vec<f64> = (t.iter())
            .map(|&t| {
                if slope == 0.0 {
                    1.0
                } else {
                    (slope * below(t)).exp()
                }
            })
            .collect();

        // Suffix sums of `plus` fall to hand with splits that never increase,
        // prefix sums of `minus` with the same ones in reverse.
        let mut plus_sums = vec![0.0; s.len()];
        let (mut at, mut sum) = (t.len(), 0.0);
        for (out, &split) in plus_sums.iter_mut().zip(&row_split) {
            while at > split as usize {
                at -= 1;
                sum += plus[at];
            }
            *out = sum;
        }
        let mut rows = Side {
            order: row_order,
            split: row_split,
            plus: vec![0.0; s.len()],
            minus: vec![0.0; s.len()],
        };
        let mut shares = vec![[0.0; 2]; s.len()];
        let (mut at, mut sum) = (0, 0.0);
        for rank in (0..s.len()).rev() {
            while at < rows.split[rank] as usize {
                sum += minus[at];
                at += 1;
            }
            let above = f64::from(s[rank]) + f64::from(max);
            let factor = match () {
                () if above > 0.0 && slope < 1.0 => (-(1.0 - slope) * above).exp(),
                () if above.is_nan() => f64::NAN,
                () => 1.0,
            };
            let total = plus_sums[rank] + factor * sum;
            rows.plus[rank] = (1.0 / total) as f32;
            rows.minus[rank] = (factor / total) as f32;
            shares[rank] = [
                (plus_sums[rank] / total) as f32,
                (factor * sum / total) as f32,
            ];
        }
        let nodes = Side {
            order: node_order,
            split: node_split,
            plus: plus.iter().map(|&w| w as f32).collect(),
            minus: minus.iter().map(|&w| w as f32).collect(),
        };
        Self {
            rows,
            nodes,
            shares,
        }
    }
}

/// Indices by ascending key, and the keys in that order.
fn sort(keys: &[f32]) -> (Vec<u32>, Vec<f32>) {
    let mut pairs: Vec<u64> = (keys.iter().enumerate())
        .map(|(index, key)| u64::from(ordered(key.to_bits())) << 32 | index as u64)
        .collect();
    pairs.sort_unstable();
    pairs
        .iter()
        .map(|&pair| (pair as u32, keys[pair as u32 as usize]))
        .unzip()
}

/// Bits that compare as unsigned integers as the floats they come from do.
fn ordered(bits: u32) -> u32 {
    bits ^ (((bits as i32 >> 31) as u32) | 0x8000_0000)
}

/// For each of `keys`, ascending, how many of `others`, ascending, make a sum
/// with it that is not positive.
fn split(keys: &[f32], others: &[f32]) -> Vec<u32> {
    let mut at = others.len();
    keys.iter()
        .map(|key| {
            while at > 0 && key + others[at - 1] > 0.0 {
                at -= 1;
            }
            at as u32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::reference;

    #[test]
    fn keys_sort_as_floats_do_and_ties_by_index() {
        let keys = [1.0, -0.0, f32::INFINITY, 0.0, -2.0, 1.0, f32::NEG_INFINITY];
        let (order, sorted) = sort(&keys);
        assert_eq!(order, [6, 4, 1, 3, 0, 5, 2]);
        assert!(sorted.is_sorted());
    }

    #[test]
    fn factors_multiply_to_the_attention_of_each_pair() {
        let s = [0.5, -3.0, 2.0, 0.0, -0.0, 30.0, -200.0];
        let t = [0.0, -1.0, 3.0, 3.0, -2.0, -90.0, f32::NEG_INFINITY];
        for slope in [0.0, 0.2, 1.0] {
            let order = Order::new(&s, &t, slope);
            let dense = reference::attention(&s, &t, slope, |_, _| 0.0);
            for (rank, &i) in order.rows.order.iter().enumerate() {
                for (place, &j) in order.nodes.order.iter().enumerate() {
                    let positive = place >= order.rows.split[rank] as usize;
                    assert_eq!(positive, rank >= order.nodes.split[place] as usize);
                    assert_eq!(positive, s[i as usize] + t[j as usize] > 0.0);
                    let (rows, nodes) = (&order.rows, &order.nodes);
                    let factored = if positive {
                        f64::from(rows.plus[rank]) * f64::from(nodes.plus[place])
                    } else {
                        f64::from(rows.minus[rank]) * f64::from(nodes.minus[place])
                    };
                    let exact = dense[i as usize * t.len() + j as usize];
                    assert!(
                        (factored - exact).abs() <= 3e-7 * exact + 1e-37,
                        "slope {slope}, row {i}, node {j}: {factored} is not {exact}"
                    );
                }
            }
        }
    }
}
