use super::reference::Case;
use super::*;

/// Label of a pixel that does not count.
const IGNORED: u8 = 255;

/// Numbers in [-1, 1] that look random, the same in every run.
fn numbers(count: usize, seed: u64) -> Vec<f64> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn case(seed: u64, batch: usize, classes: usize, grid: [usize; 2], size: [usize; 2]) -> Case {
    let labels = numbers(batch * size[0] * size[1], seed ^ 0xabc);
    let labels = labels.iter().map(|x| {
        // One in eight or so is ignored, as many are the first or the last class.
        let place = (x + 1.0) / 2.0 * (classes as f64 + 1.0);
        match place as usize {
            class if class < classes => class as u8,
            _ if place.fract() < 0.5 => IGNORED,
            _ => either(&[0, classes - 1]),
        }
    });
    Case {
        batch,
        classes,
        grid,
        size,
        align_corners: seed.is_multiple_of(2),
        labels: labels.collect(),
    }
}

fn objectives(classes: usize) -> Vec<Objective> {
    let kinds = [
        Kind::CrossEntropy(0.0),
        Kind::CrossEntropy(0.1),
        Kind::Focal(2.0),
        Kind::Focal(0.5),
        Kind::Dice,
        Kind::CrossEntropyDice(0.2),
    ];
    let weights = [vec![], (1..=classes).map(|c| c as f32 * 0.5).collect()];
    let pairs = (kinds.into_iter()).flat_map(|kind| weights.clone().map(|w| (kind, w)));
    pairs
        .map(|(kind, class_weights)| Objective {
            kind,
            class_weights,
        })
        .collect()
}

fn target<'a>(case: &'a Case, coarse: &'a [f32]) -> Target<'a> {
    let (grid, size) = (case.grid, case.size);
    Target::new(
        coarse,
        &case.labels,
        case.classes,
        grid,
        size,
        case.align_corners,
    )
}

#[test]
fn losses_and_gradients_are_those_of_the_definition() {
    let cases = [
        case(0, 2, 4, [3, 5], [17, 23]),
        case(1, 1, 3, [4, 3], [9, 40]),
        case(2, 1, 2, [5, 5], [5, 5]),
        case(3, 2, 4, [4, 6], [3, 2]),
        case(4, 1, 5, [1, 1], [1, 7]),
        case(5, 3, 4, [2, 1], [1, 1]),
    ];
    for case in &cases {
        let cells = case.batch * case.classes * case.grid[0] * case.grid[1];
        let exact: Vec<f64> = numbers(cells, 5)
            .iter()
            .map(|x| f64::from(4.0 * *x as f32))
            .collect();
        let coarse: Vec<f32> = exact.iter().map(|x| *x as f32).collect();
        let target = target(case, &coarse);
        for objective in objectives(case.classes) {
            let evaluation = objective.evaluate(&target);
            let loss = case.loss(&objective, &exact);
            let error = (evaluation.loss - loss).abs();
            assert!(
                error < 1e-6 * loss.max(1.0),
                "{objective:?}: {loss}, off by {error:e}"
            );

            let mut gradient = vec![f32::NAN; cells];
            objective.gradient(&target, &evaluation, 3.0, &mut gradient);
            let expected = case.gradient(&objective, &exact);
            for (ours, exact) in gradient.iter().zip(&expected) {
                let error = (f64::from(*ours) - 3.0 * exact).abs();
                assert!(error < 2e-6, "{objective:?}: {exact}, off by {error:e}");
            }
        }
    }
}

#[test]
fn a_batch_without_labels_has_no_loss_and_no_gradient() {
    let coarse = vec![0.5; 4 * 6];
    let labels = vec![IGNORED; 15];
    for objective in objectives(4) {
        let target = Target::new(&coarse, &labels, 4, [2, 3], [3, 5], true);
        let evaluation = objective.evaluate(&target);
        assert_eq!(evaluation.loss, 0.0, "{objective:?}");
        let mut gradient = vec![f32::NAN; coarse.len()];
        objective.gradient(&target, &evaluation, 1.0, &mut gradient);
        assert!(gradient.iter().all(|g| *g == 0.0), "{objective:?}");
    }
}

#[test]
fn large_scores_neither_overflow_nor_vanish() {
    let coarse = [1e4f32, -1e4, 0.0, 3e38, -3e38, 0.0];
    let objective = Objective {
        kind: Kind::CrossEntropy(0.0),
        class_weights: vec![],
    };
    let target = Target::new(&coarse[..3], &[2], 3, [1, 1], [1, 1], true);
    let evaluation = objective.evaluate(&target);
    assert_eq!(evaluation.loss, 1e4);
    let mut gradient = [f32::NAN; 3];
    objective.gradient(&target, &evaluation, 1.0, &mut gradient);
    assert_eq!(gradient, [1.0, 0.0, -1.0]);
    let target = Target::new(&coarse[3..], &[0], 3, [1, 1], [1, 1], true);
    assert_eq!(objective.evaluate(&target).loss, 0.0);
}

#[test]
fn what_is_no_number_shows() {
    for bad in [f32::NAN, f32::INFINITY] {
        let coarse = [0.0, bad, 1.0, 2.0];
        let target = Target::new(&coarse, &[0, 1], 2, [1, 2], [1, 2], true);
        for objective in objectives(2) {
            assert!(
                !objective.evaluate(&target).loss.is_finite(),
                "{objective:?} {bad}"
            );
        }
    }
}

#[test]
fn the_best_class_is_that_of_the_largest_score() {
    let case = case(0, 2, 4, [3, 5], [17, 23]);
    let coarse: Vec<f32> = numbers(2 * 4 * 15, 8).iter().map(|x| *x as f32).collect();
    let target = target(&case, &coarse);
    let objective = &objectives(4)[0];
    let mut best = vec![9; case.labels.len()];
    let evaluation = objective.evaluate_and_classify(&target, &mut best);
    assert_eq!(evaluation, objective.evaluate(&target));
    // A pixel labelled with its best class has the smallest cross-entropy.
    let loss = |labels: &[u8]| {
        let target = Target::new(&coarse, labels, 4, case.grid, case.size, case.align_corners);
        objective.evaluate(&target).loss
    };
    let least = loss(&best);
    for class in 0..4 {
        for at in (0..best.len()).step_by(37) {
            let mut other = best.clone();
            other[at] = class;
            assert!(loss(&other) >= least);
        }
    }
    let equal = [2.0f32, 7.0, 7.0];
    let target = Target::new(&equal, &[0], 3, [1, 1], [1, 1], true);
    let mut best = [9];
    objective.evaluate_and_classify(&target, &mut best);
    assert_eq!(best, [1]);
}
