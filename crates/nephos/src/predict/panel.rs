//! Columns of a scene that are computed together, so that memory does not grow with its width.

use std::ops::Range;

use crate::scene::Plan;

/// Some columns of a scene, from its top to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Panel {
    /// The windows that see a pixel of `own`, in places counted from the first of `columns`.
    pub plan: Plan,
    /// The scene's columns that these windows see.
    pub columns: Range<usize>,
    /// The columns that the panel makes final: panels share none and leave none out.
    pub own: Range<usize>,
}

impl Panel {
    /// `own` in places counted from the first of `columns`.
    pub fn own_within(&self) -> Range<usize> {
        self.own.start - self.columns.start..self.own.end - self.columns.start
    }
}

/// Panels of about `most` columns, or fewer, from the left; one where the scene is no wider.
///
/// Each pixel has the same windows as in one panel over the scene, in the same order, and so
/// the same scores. A column of windows on each border belongs to both of its panels.
pub(super) fn panels(plan: &Plan, most: usize) -> Vec<Panel> {
    let (width, window, lefts) = (plan.size[1], plan.window[1] as isize, &plan.lefts);
    let count = width.div_ceil(most.max(1)).min(lefts.len());
    let mut borders = vec![0];
    for panel in 1..count {
        // Where a window begins to see what the one before it does not.
        let before = lefts[panel * lefts.len() / count - 1];
        let border = (before + window).clamp(0, width as isize) as usize;
        if border > borders[borders.len() - 1] && border < width {
            borders.push(border);
        }
    }
    borders.push(width);
    let of = |pair: &[usize]| {
        let own = pair[0]..pair[1];
        let sees = |left: &isize| *left < own.end as isize && left + window > own.start as isize;
        let seen: Vec<isize> = lefts.iter().copied().filter(sees).collect();
        let first = seen
            .first()
            .map_or(own.start, |left| (*left).max(0) as usize);
        let end = seen
            .last()
            .map_or(own.end, |left| (left + window).max(0) as usize);
        let columns = first.min(own.start)..end.min(width).max(own.end);
        Panel {
            plan: Plan {
                size: [plan.size[0], columns.len()],
                window: plan.window,
                tops: plan.tops.clone(),
                lefts: seen
                    .iter()
                    .map(|left| left - columns.start as isize)
                    .collect(),
            },
            columns,
            own,
        }
    };
    borders.windows(2).map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scene_that_is_no_wider_is_one_panel() {
        for shift in [0, 20] {
            let plan = Plan::new([50, 300], [50, 64], 0.25, 1, shift).unwrap();
            let all = panels(&plan, 300);
            assert_eq!(all.len(), 1);
            assert_eq!((&all[0].plan, &all[0].own), (&plan, &(0..300)));
        }
    }

    #[test]
    fn panels_are_narrow_and_share_a_column_of_windows_per_border() {
        for (width, window, most) in [
            (1000, 64, 300),
            (5000, 64, 300),
            (999, 100, 1),
            (200, 64, 70),
        ] {
            let plan = Plan::new([64, width], [64, window], 0.25, 1, 0).unwrap();
            let all = panels(&plan, most);
            assert!(all.len() > 1 && all[0].own.start == 0 && all[all.len() - 1].own.end == width);
            for pair in all.windows(2) {
                assert_eq!(pair[0].own.end, pair[1].own.start);
            }
            let windows: usize = all.iter().map(|panel| panel.plan.lefts.len()).sum();
            assert_eq!(windows, plan.lefts.len() + all.len() - 1);
            for panel in &all {
                assert!(panel.columns.len() <= most + 2 * window, "{panel:?}");
                let Panel { plan, columns, .. } = panel;
                let ends = plan
                    .lefts
                    .iter()
                    .map(|left| (left + window as isize) as usize);
                assert!(plan.lefts[0] >= 0 && ends.max() <= Some(columns.len()));
            }
        }
    }
}
