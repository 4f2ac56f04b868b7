//! Files beside a mask that give other programs the meaning of its codes.
//!
//! TIFF palettes have neither names nor opacity. GDAL reads names from a
//! `.aux.xml` (Persistent Auxiliary Metadata) and QGIS takes from there the
//! attribute table; GDAL makes no data transparent by itself. That clear is
//! transparent can only be stated to QGIS, by a style with the mask's name.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::xml::escaped;
use crate::class::Class;
use crate::error::{Error, Result};
use crate::output;
use crate::raster::xml;

/// Columns of the attribute table: name, type (0 integer, 2 text) and use (5 value,
/// 2 name, 6 to 9 red, green, blue and opacity), as GDAL numbers them.
const COLUMNS: [(&str, u8, u8); 6] = [
    ("Value", 0, 5),
    ("Class", 2, 2),
    ("Red", 0, 6),
    ("Green", 0, 7),
    ("Blue", 0, 8),
    ("Alpha", 0, 9),
];

/// Opacity of a class: clear is not drawn.
fn opacity(class: Class) -> u8 {
    if class == Class::Clear { 0 } else { 255 }
}

/// Where a record is kept in `MASK.aux.xml`.
const DOMAIN: &str = "NEPHOS";
const KEY: &str = "RUN";

/// The file `MASK.aux.xml` of a mask.
pub fn class_names_path(mask: &Path) -> PathBuf {
    let mut path = mask.as_os_str().to_owned();
    path.push(".aux.xml");
    PathBuf::from(path)
}

/// Writes `MASK.aux.xml` with the names and colours of the classes, for GDAL and
/// what is built on it, and the text `record`, which is read back from it; returns
/// its path.
///
/// # Errors
/// The file can't be written.
pub fn write_class_names(mask: &Path, record: Option<&str>) -> Result<PathBuf> {
    let names: String = Class::ALL
        .map(|class| format!("      <Category>{}</Category>\n", escaped(class.name())))
        .concat();
    let mut table = String::new();
    for (index, (name, kind, purpose)) in COLUMNS.iter().enumerate() {
        table += &format!(
            "      <FieldDefn index=\"{index}\"><Name>{name}</Name><Type>{kind}</Type>\
             <Usage>{purpose}</Usage></FieldDefn>\n"
        );
    }
    for class in Class::ALL {
        let (code, [red, green, blue]) = (class as u8, class.colour());
        table += &format!(
            "      <Row index=\"{code}\"><F>{code}</F><F>{}</F><F>{red}</F><F>{green}</F>\
             <F>{blue}</F><F>{}</F></Row>\n",
            escaped(class.name()),
            opacity(class)
        );
    }
    let record = record.map_or(String::new(), |record| {
        format!(
            "  <Metadata domain=\"{DOMAIN}\">\n    <MDI key=\"{KEY}\">{}</MDI>\n  \
             </Metadata>\n",
            escaped(record)
        )
    });
    let text = format!(
        "<PAMDataset>\n{record}  <PAMRasterBand band=\"1\">\n    <CategoryNames>\n{names}    \
         </CategoryNames>\n    <GDALRasterAttributeTable tableType=\"thematic\">\n{table}    \
         </GDALRasterAttributeTable>\n  </PAMRasterBand>\n</PAMDataset>\n"
    );
    write_text(class_names_path(mask), &text)
}

/// The text that [`write_class_names`] left beside a mask, also where GDAL has written the
/// file again since.
pub fn sidecar_record(mask: &Path) -> Option<String> {
    let path = class_names_path(mask);
    let bytes = std::fs::read(&path).ok()?;
    let document = xml::parse(&path, &bytes).ok()?;
    xml::all(document.root_element(), "Metadata")
        .filter(|domain| domain.attribute("domain") == Some(DOMAIN))
        .flat_map(xml::children)
        .find(|item| item.attribute("key") == Some(KEY))
        .and_then(|item| item.text().map(str::to_owned))
}

/// Writes the style `MASK.qml` (with `.qml` in place of the mask's extension),
/// which QGIS applies when it opens the mask: the classes in their colours, clear
/// not drawn; returns its path.
///
/// # Errors
/// The file can't be written.
pub fn write_qgis_style(mask: &Path) -> Result<PathBuf> {
    let entry = |class: Class| {
        let [red, green, blue] = class.colour();
        format!(
            "        <paletteEntry value=\"{}\" label=\"{}\" \
             color=\"#{red:02x}{green:02x}{blue:02x}\" alpha=\"{}\"/>\n",
            class as u8,
            escaped(class.name()),
            opacity(class)
        )
    };
    let text = format!(
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n\
         <qgis version=\"3.28\">\n  <pipe>\n    <rasterrenderer type=\"paletted\" \
         band=\"1\" opacity=\"1\" alphaBand=\"-1\" nodataColor=\"\">\n      \
         <colorPalette>\n{}      </colorPalette>\n    </rasterrenderer>\n  </pipe>\n</qgis>\n",
        Class::ALL.map(entry).concat()
    );
    write_text(mask.with_extension("qml"), &text)
}

fn write_text(path: PathBuf, text: &str) -> Result<PathBuf> {
    output::write_atomic(&path, |writer| {
        (writer.write_all(text.as_bytes())).map_err(|e| Error::io(&path, e))
    })?;
    Ok(path)
}
