//! Lines of plots.

/// One line of a plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// (x, y) in the order of the line; points that are not finite are left out.
    pub points: Vec<(f64, f64)>,
}
