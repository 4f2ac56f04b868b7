//! The order in which windows are computed and rows become final.

use ndarray::{Array2, Array4};

use super::source::Channels;
use super::strip::{RowBuffer, Strip};
use crate::error::Result;
use crate::scene::Plan;

/// One step of a run.
pub(super) enum Step {
    /// Windows that go through the model together.
    Windows {
        /// First row and column of each.
        places: Vec<[isize; 2]>,
        /// `[places.len(), bands, rows, columns]` before the model,
        /// `[places.len(), classes, rows, columns]` after it.
        data: Array4<f32>,
    },
    /// Rows that no later window reaches.
    Rows {
        /// The first row.
        first: usize,
        /// `[rows, width]`; may have no rows.
        valid: Array2<bool>,
        /// Windows without a valid pixel that were left out since the last rows.
        skipped: usize,
    },
}

/// Cuts the windows of a plan, as a model's input, from strips that come from the top of the scene to its
/// end, and hands the steps to `send` in the one order they have, whatever the speed
/// of either side.
///
/// Ends early, without an error, where `more` has no strip or `send` refuses a step.
///
/// # Errors
/// What `send` returns.
pub(super) fn assemble(
    plan: &Plan,
    channels: &Channels,
    batch_pixels: usize,
    mut more: impl FnMut() -> Option<Strip>,
    mut send: impl FnMut(Step) -> Result<bool>,
) -> Result<()> {
    let [height, width] = plan.size;
    let within = |row: isize| row.clamp(0, height as isize) as usize;
    let mut buffer = RowBuffer::default();
    for (index, top) in plan.tops.iter().enumerate() {
        while buffer.end() < within(top + plan.window[0] as isize) {
            let Some(strip) = more() else {
                return Ok(());
            };
            buffer.push(strip);
        }
        let places: Vec<[isize; 2]> = (plan.lefts.iter().map(|left| [*top, *left]))
            .filter(|place| buffer.any_valid(*place, plan.window))
            .collect();
        let threads = rayon::current_num_threads();
        for places in places.chunks(plan.batch(places.len(), batch_pixels, threads)) {
            let data = buffer.cut(channels, places, plan.window);
            let places = places.to_vec();
            if !send(Step::Windows { places, data })? {
                return Ok(());
            }
        }
        let first = within(*top);
        let end = plan
            .tops
            .get(index + 1)
            .map_or(height, |next| within(*next));
        let valid = buffer.valid(first, end, width);
        let skipped = plan.lefts.len() - places.len();
        buffer.forget_before(end);
        if !send(Step::Rows {
            first,
            valid,
            skipped,
        })? {
            return Ok(());
        }
    }
    Ok(())
}
