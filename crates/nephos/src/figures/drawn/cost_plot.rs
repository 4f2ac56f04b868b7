//! Accuracy against cost.

use std::path::Path;

use kuva::plot::LegendPosition;
use kuva::prelude::{Layout, MarkerShape, Plot, ScatterPlot};

use super::plot::{self, COLOURS};
use crate::error::{Error, Result};

/// A model in a plot.
#[derive(Debug, Clone, PartialEq)]
pub struct CostPoint {
    /// Name in the legend.
    pub name: String,
    /// What it costs, above 0.
    pub cost: f64,
    /// How good it is.
    pub accuracy: f64,
    /// Standard deviation of the accuracy.
    pub spread: f64,
}

/// One more for as many models as there are colours.
const MARKERS: [MarkerShape; 4] = [
    MarkerShape::Circle,
    MarkerShape::Square,
    MarkerShape::Triangle,
    MarkerShape::Diamond,
];

/// Draws models to the PNG `path`, cost on a logarithmic axis, with error bars of one
/// standard deviation. Points that are not finite, or cost nothing, are left out.
///
/// # Errors
/// No point is left, or the file can't be written.
pub fn draw_cost(
    path: &Path,
    title: &str,
    [cost, accuracy]: [&str; 2],
    points: &[CostPoint],
) -> Result<()> {
    let looks = (MARKERS.iter().cycle()).flat_map(|marker| COLOURS.map(|colour| (*marker, colour)));
    let plots: Vec<Plot> = (points.iter().zip(looks))
        .filter(|(point, _)| {
            let [x, y] = [point.cost, point.accuracy];
            x.is_finite() && x > 0.0 && y.is_finite()
        })
        .map(|(point, (marker, colour))| {
            let spread = if point.spread.is_finite() {
                point.spread
            } else {
                0.0
            };
            ScatterPlot::new()
                .with_data(vec![(point.cost, point.accuracy)])
                .with_y_err(vec![spread])
                .with_color(colour)
                .with_marker(marker)
                .with_size(6.0)
                .with_legend(point.name.as_str())
                .into()
        })
        .collect();
    if plots.is_empty() {
        return Err(Error::usage(format!(
            "{}: nothing to draw, no model has a cost and an accuracy",
            path.display()
        )));
    }
    let names = points.iter().map(|point| point.name.chars().count());
    let layout = Layout::auto_from_plots(&plots)
        .with_width(720.0)
        .with_height(450.0)
        .with_title(title)
        .with_x_label(cost)
        .with_y_label(accuracy)
        .with_title_size(20)
        .with_label_size(16)
        .with_tick_size(13)
        .with_body_size(14)
        .with_log_x()
        .with_legend_width(36.0 + 9.5 * names.max().unwrap_or(0) as f64)
        .with_legend_position(LegendPosition::OutsideRightTop);
    plot::write(path, plots, layout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_drawn_in_their_colours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cost.png");
        let point = |name: &str, cost, accuracy| CostPoint {
            name: name.to_owned(),
            cost,
            accuracy,
            spread: 0.02,
        };
        let draw = |points: &[CostPoint]| draw_cost(&path, "t", ["s/MP", "mIoU"], points);
        assert!(draw(&[point("free", 0.0, 0.5), point("nan", 1.0, f64::NAN)]).is_err());
        assert!(!path.exists());
        draw(&[point("a", 0.2, 0.6), point("b", 2.0, 0.7)]).unwrap();
        let picture = image::open(&path).unwrap().to_rgb8();
        let count = |colour: [u8; 3]| picture.pixels().filter(|p| p.0 == colour).count();
        assert!(count([0x00, 0x72, 0xB2]) > 100, "no blue point");
        assert!(count([0xD5, 0x5E, 0x00]) > 100, "no vermilion point");
    }

    #[test]
    fn the_seventh_model_is_a_square() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cost.png");
        // The first, as blue as the seventh, costs nothing and is left out; the third and the
        // fourth keep the others away from the edges.
        let accuracy = [0.5, 0.5, 0.0, 1.0, 0.5, 0.5, 0.5];
        let points: Vec<CostPoint> = (accuracy.iter().enumerate())
            .map(|(index, &accuracy)| CostPoint {
                name: index.to_string(),
                cost: index as f64,
                accuracy,
                spread: 0.0,
            })
            .collect();
        draw_cost(&path, "t", ["s/MP", "mIoU"], &points).unwrap();
        let picture = image::open(&path).unwrap().to_rgb8();
        let count = |colour: [u8; 3]| picture.pixels().filter(|p| p.0 == colour).count();
        // A square is 4 / π of the circle in it.
        let [circle, square] = [count([0xD5, 0x5E, 0x00]), count([0x00, 0x72, 0xB2])];
        assert!(10 * square > 12 * circle, "{square} and {circle} pixels");
    }
}
