//! GDAL's metadata: what has no TIFF tag of its own, as XML (GDAL, GTiff driver,
//! tag 42112).

use super::spec::CogSpec;
use crate::mask::xml::escaped;

/// A value as GDAL writes and reads it: escaped twice, once by GDAL's metadata and
/// once by its XML.
fn content(text: &str) -> String {
    escaped(&escaped(text))
}

/// The XML of a raster's tags, band names and scale; `None` where it has none.
pub(super) fn xml(spec: &CogSpec) -> Option<String> {
    let mut items = String::new();
    for (name, value) in &spec.tags {
        let (name, value) = (escaped(name), content(value));
        items += &format!("  <Item name=\"{name}\">{value}</Item>\n");
    }
    for band in 0..spec.bands {
        let mut item = |name: &str, role: &str, value: &str| {
            items += &format!(
                "  <Item name=\"{name}\" sample=\"{band}\" role=\"{role}\">{value}</Item>\n"
            );
        };
        if let Some(name) = spec.band_names.get(band) {
            item("DESCRIPTION", "description", &content(name));
        }
        if let Some(scale) = spec.scale {
            item("OFFSET", "offset", "0");
            item("SCALE", "scale", &scale.to_string());
        }
    }
    (!items.is_empty()).then(|| format!("<GDALMetadata>\n{items}</GDALMetadata>\n"))
}
