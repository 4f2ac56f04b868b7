//! GDAL's persistent auxiliary metadata (PAM), `NAME.tif.aux.xml`.
//!
//! What it says goes before what the raster itself says, as in GDAL: users edit it where
//! they can't edit the raster.

use std::path::{Path, PathBuf};

use super::appended;
use crate::error::{Error, Result};
use crate::raster::tiff::scaling;
use crate::raster::xml;
use crate::raster::xml::LARGEST;

/// Metadata of one band, as far as stated.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PamBand {
    pub description: Option<String>,
    pub nodata: Option<f64>,
    pub scale: Option<f64>,
    pub offset: Option<f64>,
    /// Whether the band is opacity.
    pub alpha: bool,
}

impl PamBand {
    /// Scale and offset where they change anything.
    pub fn scaling(&self) -> Option<(f64, f64)> {
        scaling(self.scale, self.offset)
    }
}

/// A file that describes the bands of a raster.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pam {
    pub path: PathBuf,
    /// One entry per band of the raster.
    pub bands: Vec<PamBand>,
    /// One number per band: a pixel that holds them all has no data.
    pub nodata_values: Option<Vec<f64>>,
}

impl Pam {
    /// That of a raster with `count` bands, if there is one.
    ///
    /// # Errors
    /// It can't be read, breaks off or is no such file, describes a band that the raster
    /// lacks, or states something other than a number.
    pub fn beside(raster: &Path, count: usize) -> Result<Option<Self>> {
        let whole = appended(raster, ".aux.xml");
        // Some programs put it in place of the ending, where GDAL does not look.
        let short = raster.with_extension("aux.xml");
        let Some(path) = [whole, short].into_iter().find(|path| path.is_file()) else {
            return Ok(None);
        };
        let fail = |e| Error::io(&path, e);
        let len = std::fs::metadata(&path).map_err(fail)?.len();
        if len > LARGEST as u64 {
            let message = format!("{len} bytes of metadata; at most {LARGEST} are read");
            return Err(Error::limits(path.display(), message));
        }
        let bytes = std::fs::read(&path).map_err(fail)?;
        parse(&path, &bytes, count).map(Some)
    }

    /// A sentence about what it states; `None` where it states nothing.
    pub fn note(&self) -> Option<String> {
        let any = |holds: fn(&PamBand) -> bool| self.bands.iter().any(holds);
        let said: Vec<&str> = [
            (any(|b| b.description.is_some()), "band names"),
            (
                any(|b| b.scale.is_some() || b.offset.is_some()),
                "scale and offset",
            ),
            (
                any(|b| b.nodata.is_some()) || self.nodata_values.is_some(),
                "no data",
            ),
            (any(|b| b.alpha), "opacity"),
        ]
        .into_iter()
        .filter_map(|(holds, what)| holds.then_some(what))
        .collect();
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        (!said.is_empty()).then(|| {
            let said = said.join(", ");
            format!("{name} beside the file goes before what the file says itself: {said}.")
        })
    }
}

fn parse(path: &Path, bytes: &[u8], count: usize) -> Result<Pam> {
    let document = xml::parse(path, bytes)?;
    let root = document.root_element();
    let broken = |message: String| Error::format(path, message);
    if xml::name(root) != "PAMDataset" {
        let message = format!(
            "it begins with <{}>; GDAL's metadata beside a raster begin with <PAMDataset>",
            xml::name(root)
        );
        return Err(broken(message));
    }
    let mut pam = Pam {
        path: path.to_owned(),
        bands: vec![PamBand::default(); count],
        nodata_values: None,
    };
    for element in xml::children(root) {
        match xml::name(element) {
            "PAMRasterBand" => {
                let number = element.attribute("band").unwrap_or_default();
                let position = (number.parse::<usize>().ok())
                    .and_then(|number| number.checked_sub(1))
                    .filter(|position| *position < count);
                let Some(position) = position else {
                    let message = format!("it describes band `{number}` of a raster of {count}");
                    return Err(broken(message));
                };
                for said in xml::children(element) {
                    let band = &mut pam.bands[position];
                    set(band, xml::name(said), xml::text(said)).map_err(broken)?;
                }
            }
            "Metadata" if element.attribute("domain").unwrap_or_default().is_empty() => {
                let item = xml::children(element)
                    .find(|item| item.attribute("key") == Some("NODATA_VALUES"));
                let Some(text) = item.map(xml::text) else {
                    continue;
                };
                let numbers: Option<Vec<f64>> = text.split_whitespace().map(number).collect();
                let numbers = numbers.filter(|numbers| numbers.len() == count);
                if numbers.is_none() {
                    let message = format!("NODATA_VALUES is `{text}`, not {count} numbers");
                    return Err(broken(message));
                }
                pam.nodata_values = numbers;
            }
            _ => {}
        }
    }
    Ok(pam)
}

/// Takes the text of an element of a band.
fn set(band: &mut PamBand, name: &str, text: &str) -> std::result::Result<(), String> {
    let stated = || {
        number(text)
            .map(Some)
            .ok_or_else(|| format!("{name} is `{text}`, not a number"))
    };
    match name {
        "Description" if !text.is_empty() => band.description = Some(text.to_owned()),
        "NoDataValue" => band.nodata = stated()?,
        "Scale" => band.scale = stated()?,
        "Offset" => band.offset = stated()?,
        "ColorInterp" => band.alpha = text.eq_ignore_ascii_case("alpha"),
        _ => {}
    }
    Ok(())
}

/// A number as C libraries write them: `nan(0x8000)` too.
fn number(text: &str) -> Option<f64> {
    let plain = text.trim();
    match plain.trim_start_matches(['-', '+']).get(..3) {
        Some(start) if start.eq_ignore_ascii_case("nan") => Some(f64::NAN),
        _ => plain.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, count: usize) -> Result<Pam> {
        parse(Path::new("a.tif.aux.xml"), text.as_bytes(), count)
    }

    #[test]
    fn bands_are_described() {
        let text = "<PAMDataset>\n  <Metadata>\n    <MDI key=\"NODATA_VALUES\">0 0</MDI>\n  \
                    </Metadata>\n  <Metadata domain=\"x\"><MDI key=\"NODATA_VALUES\">1</MDI>\
                    </Metadata>\n  <PAMRasterBand band=\"2\">\n    \
                    <Description>n&amp;ir</Description>\n    \
                    <NoDataValue le_hex_equiv=\"0000000000388FC0\">-9.99900000000000E+03\
                    </NoDataValue>\n    <Offset>-0.1</Offset>\n    <Scale>0.0001</Scale>\n    \
                    <Metadata><MDI key=\"STATISTICS_MEAN\">3</MDI></Metadata>\n    \
                    <Histograms><HistItem><HistMin>0</HistMin></HistItem></Histograms>\n  \
                    </PAMRasterBand>\n</PAMDataset>\n";
        let pam = read(text, 2).unwrap();
        assert_eq!(pam.bands[0], PamBand::default());
        let expected = PamBand {
            description: Some("n&ir".into()),
            nodata: Some(-9999.0),
            scale: Some(0.0001),
            offset: Some(-0.1),
            alpha: false,
        };
        assert_eq!(pam.bands[1], expected);
        assert_eq!(pam.nodata_values, Some(vec![0.0, 0.0]));
        let note = pam.note().unwrap();
        assert!(
            note.starts_with("a.tif.aux.xml") && note.contains("scale"),
            "{note}"
        );
    }

    #[test]
    fn statistics_alone_are_no_description() {
        let text = "<PAMDataset><PAMRasterBand band=\"1\"><Metadata><MDI \
                    key=\"STATISTICS_MEAN\">3</MDI></Metadata></PAMRasterBand></PAMDataset>";
        let pam = read(text, 1).unwrap();
        assert_eq!((pam.note(), pam.nodata_values), (None, None));
    }

    #[test]
    fn broken_files_are_errors() {
        for (text, message) in [
            ("", "broken XML"),
            (
                "<PAMDataset><PAMRasterBand band=\"1\"><NoDataValue>0",
                "broken XML",
            ),
            ("<PAMDataset><a></PAMDataset>", "broken XML"),
            ("<html></html>", "begins with <html>"),
            (
                "<PAMDataset><PAMRasterBand band=\"3\"></PAMRasterBand></PAMDataset>",
                "band `3` of a raster of 2",
            ),
            (
                "<PAMDataset><PAMRasterBand band=\"1\"><Scale>x</Scale></PAMRasterBand>\
                 </PAMDataset>",
                "Scale is `x`",
            ),
        ] {
            let error = read(text, 2).unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
            assert!(error.contains("a.tif.aux.xml"), "{error}");
        }
    }
}
