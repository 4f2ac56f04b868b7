//! Report on a mask of nephos and its provenance.

use std::fmt;
use std::path::Path;

use nephos::mask::{MaskKind, MaskRecord, read_record};
use nephos::raster::GeoKeys;
use nephos::text::one_line;
use serde::Serialize;
use serde_json::{Map, Value};

/// A mask, cloud mask or probabilities.
#[derive(Debug, Serialize)]
pub struct Report {
    kind: &'static str,
    rows: usize,
    columns: usize,
    /// EPSG code of the coordinate system.
    epsg: Option<u16>,
    /// GDAL's six numbers.
    transform: Option<[f64; 6]>,
    control_points: usize,
    rpc: bool,
    valid: u64,
    no_data: u64,
    /// Shares of the valid pixels.
    classes: Vec<Share>,
    /// Names and values of its provenance, in the file's order.
    record: Map<String, Value>,
    /// The file of the record, if it is another one.
    record_from: Option<String>,
}

#[derive(Debug, Serialize)]
struct Share {
    code: u8,
    name: &'static str,
    pixels: u64,
    percent: Option<f64>,
}

/// The title of a key of the record.
const TITLES: [(&str, &str); 15] = [
    ("model", "Model"),
    ("model_sha256", "SHA-256"),
    ("nephos_version", "nephos"),
    ("scene", "Scene"),
    ("product", "Product"),
    ("acquired", "Acquired"),
    ("bands", "Bands"),
    ("bands_absent", "Absent"),
    ("radiometry", "Radiometry"),
    ("window", "Windows"),
    ("overlap", "Overlap"),
    ("graph", "Graph"),
    ("calibration", "Calibration"),
    ("dilation_metres", "Dilation"),
    ("cloud_is", "Cloud is"),
];

/// The report of a raster that nephos made; `None` for other files.
pub fn report(path: &Path) -> nephos::Result<Option<Report>> {
    Ok(read_record(path)?.map(|record| Report::new(&record)))
}

impl Report {
    fn new(record: &MaskRecord) -> Self {
        let place = &record.georeference;
        let valid = record.valid();
        let share = |(code, name, pixels): (u8, &'static str, u64)| Share {
            code,
            name,
            pixels,
            percent: (valid > 0).then(|| pixels as f64 / valid as f64 * 100.0),
        };
        let own: Map<String, Value> = (record.tags.iter())
            .filter(|(name, _)| !name.starts_with("CLASS_"))
            .map(|(name, text)| (name.to_lowercase(), Value::from(text.as_str())))
            .collect();
        // Formats without a record have it in the summary.
        let summary = match own.is_empty() {
            true => record.summary.as_deref(),
            false => None,
        };
        let made = summary.and_then(|path| {
            let text = std::fs::read(path).ok()?;
            let mut summary: Value = serde_json::from_slice(&text).ok()?;
            match summary["made"].take() {
                Value::Object(made) => Some(made),
                _ => None,
            }
        });
        Self {
            kind: match record.kind {
                MaskKind::Classes => "mask of nephos: classes",
                MaskKind::Cloud => "mask of nephos: cloud or clear",
                MaskKind::Probabilities => "probabilities of nephos: value / 250, a band per class",
            },
            rows: record.size[0],
            columns: record.size[1],
            epsg: place.keys.as_ref().and_then(GeoKeys::epsg),
            transform: place.transform,
            control_points: place.points.len(),
            rpc: !place.rpc.is_empty(),
            valid,
            no_data: record.counts.no_data,
            classes: record.shares().into_iter().map(share).collect(),
            record_from: summary.map(|path| path.display().to_string()),
            record: made.unwrap_or(own),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.kind)?;
        writeln!(f, "Size:        {} × {} pixels", self.rows, self.columns)?;
        super::scene::write_place(
            f,
            12,
            self.transform,
            self.epsg,
            self.control_points,
            self.rpc,
        )?;
        if !self.classes.is_empty() {
            writeln!(f, "\nShares of {} valid pixels", self.valid)?;
        } else {
            writeln!(f, "Valid:       {} pixels", self.valid)?;
        }
        for share in &self.classes {
            let percent = share.percent.unwrap_or(0.0);
            writeln!(
                f,
                "  {:>3}  {:<12} {percent:>6.2} %  {}",
                share.code, share.name, share.pixels
            )?;
        }
        writeln!(f, "  255  {:<12} {:>10} {}", "no data", "", self.no_data)?;
        if self.record.is_empty() {
            return writeln!(
                f,
                "\nNo record of how it was made: a .tif holds one, beside a .png or .npy is \
                 one where it was made --with summary"
            );
        }
        match &self.record_from {
            Some(path) => writeln!(f, "\nRecord, from {}", one_line(path))?,
            None => writeln!(f, "\nRecord")?,
        }
        let titled = TITLES.map(|(key, _)| key);
        let known = TITLES
            .iter()
            .filter_map(|(key, title)| Some((*title, self.record.get(*key)?)));
        let others = (self.record.iter())
            .filter(|(key, _)| !titled.contains(&key.as_str()))
            .map(|(key, value)| (key.as_str(), value));
        for (title, value) in known.chain(others) {
            let text = value.as_str().map_or(value.to_string(), str::to_owned);
            let unit = if title == "Dilation" { " m" } else { "" };
            let title = format!("{}:", one_line(title));
            writeln!(f, "  {title:<12} {}{unit}", one_line(&text))?;
        }
        Ok(())
    }
}
