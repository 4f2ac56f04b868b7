//! Diagrams of whether probabilities mean what they say.

use std::path::Path;

use kuva::plot::{Histogram, LegendPosition};
use kuva::prelude::{Layout, LinePlot, Plot, ScatterPlot};

use super::plot;
use crate::error::{Error, Result};
use crate::metrics::{Bin, Reliability};

/// Names of the lines and bars of a diagram.
const NAMES: [&str; 3] = ["perfect calibration", "accuracy", "share of pixels"];

/// Draws a reliability diagram to the PNG `path`: the share of right answers over the
/// confidence, the diagonal of perfect calibration, and the share of pixels in each bin as
/// bars. Where a bin has no pixels the line is broken.
///
/// # Errors
/// No pixel was counted, or the file can't be written.
pub fn draw_reliability(path: &Path, reliability: &Reliability) -> Result<()> {
    let Some(error) = reliability.expected_calibration_error() else {
        let message = format!("{}: nothing to draw, no pixel was counted", path.display());
        return Err(Error::usage(message));
    };
    let [diagonal, right, pixels] = NAMES;
    let mut plots = vec![
        Plot::from(bars(reliability, pixels)),
        LinePlot::new()
            .with_data(vec![(0.0, 0.0), (1.0, 1.0)])
            .with_color("#888888")
            .with_dashed()
            .with_legend(diagonal)
            .into(),
    ];
    for (run, points) in reliability.runs().into_iter().enumerate() {
        let line = LinePlot::new()
            .with_data(points.clone())
            .with_color(RIGHT)
            .with_stroke_width(2.2);
        // One entry of the legend for all of them.
        plots.push(match run {
            0 => line.with_legend(right).into(),
            _ => line.into(),
        });
        let marks = ScatterPlot::new().with_data(points).with_color(RIGHT);
        plots.push(marks.with_size(3.5).into());
    }
    let longest = NAMES.map(str::len).into_iter().max().unwrap_or(0);
    let layout = Layout::auto_from_plots(&plots)
        .with_width(720.0)
        .with_height(480.0)
        .with_title(format!("expected calibration error {error:.4}"))
        .with_x_label("confidence")
        .with_y_label("share")
        .with_title_size(18)
        .with_label_size(16)
        .with_tick_size(13)
        .with_body_size(14)
        .with_legend_width(36.0 + 7.5 * longest as f64)
        .with_legend_position(LegendPosition::OutsideRightTop)
        .with_x_tick_step(0.2)
        .with_x_axis_min(0.0)
        .with_x_axis_max(1.0)
        .with_y_axis_min(0.0)
        .with_y_axis_max(1.0);
    plot::write(path, plots, layout)
}

/// Colours of the line of right answers and of the bars.
const RIGHT: &str = "#0072B2";
const PIXELS: &str = "#F5CF80";

/// The share of pixels in each bin.
fn bars(reliability: &Reliability, name: &str) -> Histogram {
    let all = reliability.pixels().max(1) as f64;
    let count = reliability.bins.len();
    let edges = (0..=count).map(|edge| edge as f64 / count as f64).collect();
    let shares = (reliability.bins.iter())
        .map(|bin| bin.pixels as f64 / all)
        .collect();
    Histogram::from_bins(edges, shares)
        .with_color(PIXELS)
        .with_legend(name)
}

impl Reliability {
    /// Mean confidence and share of right answers of bins with pixels, those of neighbouring
    /// bins together.
    fn runs(&self) -> Vec<Vec<(f64, f64)>> {
        (self.bins.split(|bin| bin.pixels == 0))
            .filter(|run| !run.is_empty())
            .map(|run| {
                let point = |bin: &Bin| {
                    let pixels = bin.pixels as f64;
                    (bin.confidence / pixels, bin.right as f64 / pixels)
                };
                run.iter().map(point).collect()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagram_is_a_png() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reliability.png");
        let mut reliability = Reliability::default();
        assert!(draw_reliability(&path, &reliability).is_err());
        for step in 0..1000u16 {
            reliability.add(f32::from(step) / 1000.0, step % 1000 > step / 2);
        }
        draw_reliability(&path, &reliability).unwrap();
        let picture = image::open(&path).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (2160, 1440));
    }

    /// Whether each column of a picture has a pixel that `is` it.
    fn columns(picture: &image::RgbImage, is: impl Fn([u8; 3]) -> bool) -> Vec<bool> {
        let has = |col| (0..picture.height()).any(|row| is(picture.get_pixel(col, row).0));
        (0..picture.width()).map(has).collect()
    }

    #[test]
    fn bins_without_pixels_are_not_bridged_and_the_legend_fits_its_box() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("reliability.png");
        let mut reliability = Reliability::default();
        for (confidence, right) in [(0.1, false), (0.15, false), (0.9, true), (0.95, true)] {
            reliability.add(confidence, right);
        }
        assert_eq!(reliability.runs().len(), 2);
        draw_reliability(&path, &reliability).unwrap();
        let picture = image::open(&path).unwrap().to_rgb8();
        let blue = columns(&picture, |[r, g, b]| {
            r < 40 && (90..140).contains(&g) && b > 150
        });
        // Two lines apart, and the one in the legend.
        let runs = blue
            .split(|blue| !blue)
            .filter(|run| !run.is_empty())
            .count();
        assert_eq!(runs, 3);
        // The box of the legend ends in a line from top to bottom, and nothing is beyond it.
        let dark = |col: u32| {
            let is_dark = |row: &u32| picture.get_pixel(col, *row).0.iter().all(|v| *v < 100);
            (0..picture.height()).filter(is_dark).count()
        };
        let last = (0..picture.width())
            .rev()
            .find(|col| dark(*col) > 0)
            .unwrap();
        // The corners of the box stand out by half a line.
        assert!(
            (last - 8..=last).any(|col| dark(col) > 100),
            "text beyond the box of the legend"
        );
    }
}
