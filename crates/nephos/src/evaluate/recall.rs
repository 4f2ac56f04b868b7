//! Which threshold on a probability finds how much of a group of classes.

use crate::class::CLASS_COUNT;
use crate::config::{RecallCurve, RecallPoint};

/// Recalls of which a curve has the highest thresholds.
const RECALLS: [f64; 22] = [
    0.5, 0.6, 0.7, 0.75, 0.8, 0.84, 0.87, 0.9, 0.92, 0.93, 0.94, 0.95, 0.96, 0.97, 0.98, 0.985,
    0.99, 0.993, 0.995, 0.997, 0.998, 0.999,
];

/// Pixels of a group that a curve is made of at least.
const LEAST: usize = 100;

/// Thresholds beyond which all pixels, or none, are of the group.
const MARGIN: f64 = 1e-6;

/// Labelled pixels by the probability of a group of classes.
#[derive(Debug, Default)]
pub(crate) struct Ranked {
    /// Of the pixels of the group.
    inside: Vec<f64>,
    /// Of all others.
    outside: Vec<f64>,
}

impl Ranked {
    pub(crate) fn add(&mut self, probability: f64, inside: bool) {
        match inside {
            true => self.inside.push(probability),
            false => self.outside.push(probability),
        }
    }

    /// The highest threshold with a recall of at least `recall`, and its recall and
    /// precision; `None` without a pixel of the group.
    pub(crate) fn reaching(mut self, recall: f64) -> Option<RecallPoint> {
        self.sort();
        self.point(recall)
    }

    fn sort(&mut self) {
        for side in [&mut self.inside, &mut self.outside] {
            side.sort_by(|a, b| b.total_cmp(a));
        }
    }

    /// As [`Ranked::reaching`], of what is sorted.
    fn point(&self, recall: f64) -> Option<RecallPoint> {
        let all = self.inside.len();
        let needed = ((recall * all as f64).ceil() as usize).clamp(1, all.max(1));
        // A little less than the last pixel's probability finds it in f32 too.
        let last = *self.inside.get(needed - 1)?;
        let probability = (last * (1.0 - MARGIN)).clamp(MARGIN, 1.0 - MARGIN);
        let above = |side: &[f64]| side.partition_point(|p| *p >= probability) as f64;
        let (found, wrong) = (above(&self.inside), above(&self.outside));
        Some(RecallPoint {
            probability,
            recall: found / all as f64,
            precision: found / (found + wrong).max(1.0),
            false_alarms: wrong / self.outside.len().max(1) as f64,
        })
    }

    /// The thresholds of all recalls, by falling threshold.
    fn curve(mut self, classes: Vec<usize>) -> Option<RecallCurve> {
        if self.inside.len() < LEAST {
            return None;
        }
        self.sort();
        let points = RECALLS.iter().filter_map(|recall| self.point(*recall));
        // As the bundle will have them.
        let mut points: Vec<RecallPoint> = points
            .filter_map(|point| point.to_string().parse().ok())
            .collect();
        points.dedup_by(|next, point| next.probability >= point.probability);
        (!points.is_empty()).then_some(RecallCurve { classes, points })
    }
}

/// The curves of a model of `classes` classes, of the groups that are labelled often enough:
/// cloud (thick or thin) and shadow, or every class but the first; `ranked` gives the pixels of
/// a group.
pub(crate) fn curves(classes: usize, ranked: impl Fn(&[usize]) -> Ranked) -> Vec<RecallCurve> {
    let groups: Vec<Vec<usize>> = match classes {
        CLASS_COUNT => vec![vec![1, 2], vec![3]],
        classes => (1..classes).map(|class| vec![class]).collect(),
    };
    (groups.into_iter())
        .filter_map(|group| ranked(&group).curve(group))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1000 pixels of the group at 0.001 to 1, 4000 others at 0.0001 to 0.4.
    fn ranked() -> Ranked {
        let mut ranked = Ranked::default();
        (1..=1000).for_each(|n| ranked.add(f64::from(n) / 1000.0, true));
        (1..=4000).for_each(|n| ranked.add(f64::from(n) / 10_000.0, false));
        ranked
    }

    #[test]
    fn the_highest_threshold_with_the_recall_is_found_with_its_costs() {
        // 0.9 of 1000 are those from 0.101 on; of the others 2991 of 4000 are.
        let point = ranked().reaching(0.9).unwrap();
        assert!((point.probability - 0.101).abs() < 1e-6, "{point}");
        assert_eq!(point.recall, 0.9);
        assert!(
            (point.false_alarms - 2991.0 / 4000.0).abs() < 1e-12,
            "{point}"
        );
        assert!((point.precision - 900.0 / 3891.0).abs() < 1e-12, "{point}");
        // One more pixel of the group needs the next lower threshold.
        let next = ranked().reaching(0.9005).unwrap();
        assert!((next.probability - 0.1).abs() < 1e-6, "{next}");
        assert_eq!(Ranked::default().reaching(0.9), None);
    }

    #[test]
    fn curves_are_of_cloud_and_shadow_where_they_are_labelled() {
        let found = curves(4, |group| match group {
            [1, 2] => ranked(),
            _ => Ranked::default(),
        });
        assert_eq!(found.len(), 1, "no pixel is shadow");
        let curve = &found[0];
        assert_eq!(
            (curve.classes.as_slice(), curve.points.len()),
            (&[1, 2][..], 22)
        );
        let falls = |pair: &[RecallPoint]| pair[0].probability > pair[1].probability;
        assert!(curve.points.windows(2).all(falls));
        let point = curve.reaching(0.98).unwrap();
        assert!(
            (point.probability - 0.021).abs() < 1e-6 && point.recall == 0.98,
            "{point}"
        );
        // Pixels that are all alike have one threshold, which finds them all.
        let even = curves(2, |_| {
            let mut ranked = Ranked::default();
            (0..100).for_each(|_| ranked.add(0.25, true));
            ranked
        });
        assert_eq!(
            (even[0].classes.as_slice(), even[0].points.len()),
            (&[1][..], 1)
        );
        assert_eq!(even[0].points[0].recall, 1.0);
    }
}
