//! Lines of plots.

#[cfg(not(feature = "figures"))]
use std::path::Path;

#[cfg(not(feature = "figures"))]
use crate::error::Result;

/// One line of a plot.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// (x, y) in the order of the line; points that are not finite are left out.
    pub points: Vec<(f64, f64)>,
}

/// Draws nothing, without the feature `figures`.
///
/// # Errors
/// None.
#[cfg(not(feature = "figures"))]
pub fn draw(_: &Path, _: &str, _: &str, _: &[Series]) -> Result<()> {
    Ok(())
}
