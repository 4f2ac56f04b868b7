//! The learning rate as a function of the step.

use std::f64::consts::PI;

use crate::config::{ScheduleConfig, ScheduleKind};

/// Share of the peak where a one-cycle schedule starts, and its rise where the
/// configuration names none (PyTorch's `OneCycleLR`).
const ONE_CYCLE_START: f64 = 1.0 / 25.0;
const ONE_CYCLE_RISE: f64 = 0.3;

/// Learning rate of step `step` (counted from 0) of `total`, for the peak
/// `peak`. The last step has the schedule's last value; steps past the end keep it.
pub fn learning_rate(config: &ScheduleConfig, peak: f64, step: usize, total: usize) -> f64 {
    let rise = match config.kind {
        ScheduleKind::OneCycle if config.warmup == 0.0 => ONE_CYCLE_RISE,
        _ => config.warmup,
    };
    let rising = (rise * total as f64).ceil() as usize;
    let half_cosine = |from: f64, to: f64, share: f64| {
        to + (from - to) * 0.5 * (1.0 + (PI * share.clamp(0.0, 1.0)).cos())
    };
    if step < rising {
        let share = (step + 1) as f64 / rising as f64;
        return peak
            * match config.kind {
                ScheduleKind::OneCycle => half_cosine(ONE_CYCLE_START, 1.0, share),
                ScheduleKind::Constant | ScheduleKind::Cosine => share,
            };
    }
    match config.kind {
        ScheduleKind::Constant => peak,
        ScheduleKind::Cosine | ScheduleKind::OneCycle => {
            let steps = total.saturating_sub(rising + 1).max(1);
            let share = (step - rising) as f64 / steps as f64;
            peak * half_cosine(1.0, config.final_ratio, share)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(kind: ScheduleKind, warmup: f64, final_ratio: f64) -> ScheduleConfig {
        ScheduleConfig {
            kind,
            warmup,
            final_ratio,
        }
    }

    #[test]
    fn constant_stays_after_a_linear_rise() {
        let config = schedule(ScheduleKind::Constant, 0.1, 0.0);
        let rates: Vec<f64> = (0..100)
            .map(|s| learning_rate(&config, 2.0, s, 100))
            .collect();
        assert!((rates[0] - 0.2).abs() < 1e-12);
        assert!((rates[4] - 1.0).abs() < 1e-12);
        assert!(rates[9..].iter().all(|r| *r == 2.0));
    }

    #[test]
    fn cosine_goes_from_the_peak_to_its_last_value() {
        let config = schedule(ScheduleKind::Cosine, 0.0, 0.1);
        assert_eq!(learning_rate(&config, 1.0, 0, 101), 1.0);
        assert!((learning_rate(&config, 1.0, 50, 101) - 0.55).abs() < 1e-12);
        assert!((learning_rate(&config, 1.0, 100, 101) - 0.1).abs() < 1e-12);
        assert!((learning_rate(&config, 1.0, 500, 101) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn one_cycle_rises_once_and_falls_once() {
        let config = schedule(ScheduleKind::OneCycle, 0.0, 0.0);
        let rates: Vec<f64> = (0..200)
            .map(|s| learning_rate(&config, 1.0, s, 200))
            .collect();
        assert!(rates[0] < 0.05);
        assert_eq!(rates[59], 1.0);
        assert!(rates[..60].is_sorted());
        assert!(rates[60..].is_sorted_by(|a, b| a >= b));
        assert!(rates[199].abs() < 1e-12);
    }

    #[test]
    fn one_step_is_enough() {
        for kind in [
            ScheduleKind::Constant,
            ScheduleKind::Cosine,
            ScheduleKind::OneCycle,
        ] {
            for warmup in [0.0, 0.5] {
                let rate = learning_rate(&schedule(kind, warmup, 0.0), 1.0, 0, 1);
                assert!(rate > 0.0 && rate <= 1.0, "{kind:?} {warmup} {rate}");
            }
        }
    }
}
