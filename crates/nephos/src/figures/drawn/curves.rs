//! Line plots of a training's history.

use std::path::Path;

use kuva::plot::LegendPosition;
use kuva::prelude::{Layout, LinePlot, Plot, ScatterPlot, TickFormat};

use super::plot::{self, COLOURS};
use crate::error::{Error, Result};
use crate::figures::Series;

/// Above this many points the marks of a line would run into one another.
const MARKED_POINTS: usize = 40;

/// Draws lines over epochs to the PNG `path`.
///
/// # Errors
/// No series has a finite point, or the file can't be written.
pub fn draw(path: &Path, title: &str, y_label: &str, series: &[Series]) -> Result<()> {
    let mut plots: Vec<Plot> = Vec::new();
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for (series, colour) in series.iter().zip(COLOURS.iter().cycle()) {
        let points: Vec<(f64, f64)> = series
            .points
            .iter()
            .copied()
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .collect();
        for (x, _) in &points {
            (low, high) = (low.min(*x), high.max(*x));
        }
        if points.is_empty() {
            continue;
        }
        if points.len() <= MARKED_POINTS {
            plots.push(
                ScatterPlot::new()
                    .with_data(points.clone())
                    .with_color(*colour)
                    .with_size(3.5)
                    .into(),
            );
        }
        plots.push(
            LinePlot::new()
                .with_data(points)
                .with_color(*colour)
                .with_stroke_width(2.2)
                .with_legend(series.name.as_str())
                .into(),
        );
    }
    if plots.is_empty() {
        return Err(Error::usage(format!(
            "{}: nothing to draw, no series has a finite point",
            path.display()
        )));
    }
    let longest = (series.iter())
        .map(|series| series.name.chars().count())
        .max()
        .unwrap_or(0);
    let layout = Layout::auto_from_plots(&plots)
        .with_width(720.0)
        .with_height(450.0)
        .with_title(title)
        .with_x_label("epoch")
        .with_y_label(y_label)
        .with_title_size(20)
        .with_label_size(16)
        .with_tick_size(13)
        .with_body_size(14)
        .with_legend_width(36.0 + 9.5 * longest as f64)
        .with_legend_position(LegendPosition::OutsideRightTop);
    let layout = if high - low < 10.0 && whole(low) && whole(high) {
        layout
            .with_x_tick_step(1.0)
            .with_x_tick_format(TickFormat::Integer)
    } else {
        layout
    };
    plot::write(path, plots, layout)
}

fn whole(x: f64) -> bool {
    x.fract() == 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, points: &[(f64, f64)]) -> Series {
        Series {
            name: name.to_owned(),
            points: points.to_vec(),
        }
    }

    #[test]
    fn a_plot_is_a_png_with_its_lines_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("loss.png");
        let train: Vec<(f64, f64)> = (1..=20)
            .map(|e| (f64::from(e), 1.4 / f64::from(e).sqrt()))
            .collect();
        let val: Vec<(f64, f64)> = train.iter().map(|(x, y)| (*x, y + 0.002 * x * x)).collect();
        draw(
            &path,
            "Loss",
            "cross-entropy",
            &[line("train", &train), line("val", &val)],
        )
        .unwrap();
        let picture = image::open(&path).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (2160, 1350));
        let count = |colour: [u8; 3]| picture.pixels().filter(|p| p.0 == colour).count();
        assert!(count([0x00, 0x72, 0xB2]) > 1000, "no blue line");
        assert!(count([0xD5, 0x5E, 0x00]) > 1000, "no vermilion line");
    }

    #[test]
    fn odd_series_are_drawn_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.png");
        let nan = line("nan", &[(1.0, f64::NAN)]);
        assert!(draw(&path, "t", "y", std::slice::from_ref(&nan)).is_err());
        assert!(draw(&path, "t", "y", &[]).is_err());
        assert!(!path.exists());
        draw(&path, "t", "y", &[nan, line("one", &[(1.0, 0.5)])]).unwrap();
        draw(&path, "t", "y", &[line("flat", &[(1.0, 0.0), (2.0, 0.0)])]).unwrap();
    }
}
