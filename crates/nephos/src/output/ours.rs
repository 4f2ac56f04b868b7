//! Whether nephos wrote a file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::Value;
use tiff_reader::TiffFile;

use super::software::SOFTWARE;

/// Bytes from a file's beginning that are read.
const BEGINNING: u64 = 64 << 10;
/// Longest JSON file that is parsed whole.
const LONGEST_JSON: u64 = 64 << 20;
/// Where GDAL keeps what has no TIFF tag of its own, as XML.
const GDAL_METADATA: u16 = 42112;

/// Members that only a JSON file of ours has together: a summary, scores, a split, a list of
/// samples, a benchmark.
const JSON_MEMBERS: [&[&str]; 5] = [
    &["scene", "classes", "made", "run"],
    &["scores", "confusion", "reliability"],
    &["splits", "label_channel", "groups_in_two_splits"],
    &["nephos_samples", "parts"],
    &["folds", "models", "data"],
];
/// First bytes of tables of ours: of simulated samples, of a training run, of skies over ground, of
/// scenes that were scored.
const CSV: [&str; 4] = [
    "split,index,roi_id,proj_shape,landscape",
    "epoch,step,lr,train_loss,",
    "split,image,ground,weather,",
    "model,bands,name,fold,kinds,",
];
/// The key of an outline of a region.
const REGION: [&str; 4] = ["class", "code", "pixels", "area_m2"];

/// Whether nephos wrote the file at `path`, recognised by what it writes into each kind of
/// file: the tag `NEPHOS_VERSION` of a GeoTIFF, the software of a PNG, the metadata of a
/// bundle, members of JSON files. Formats without metadata (`.npy`, `.pkl`, `.pth`) are
/// recognised by the details in which their writers differ.
///
/// `false` for what can't be read.
pub fn is_ours(path: &Path) -> bool {
    recognise(path).unwrap_or(false)
}

fn recognise(path: &Path) -> Option<bool> {
    if !path.is_file() {
        return Some(false);
    }
    let mut start = Vec::new();
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    (&mut file).take(BEGINNING).read_to_end(&mut start).ok()?;
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    let has = |text: &str| contains(&start, text.as_bytes());
    Some(match start.as_slice() {
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => geotiff(path)?,
        [0x89, b'P', b'N', b'G', ..] => contains(&start, SOFTWARE),
        [_, _, _, _, _, 0, 0, 0, b'{', ..] => safetensors(&start),
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => npy(&start),
        // Python begins with a frame, nephos with the list itself.
        [0x80, 4, b']', b'.' | 0x8c, ..] => true,
        [b'P', b'K', 3, 4, ..] => state_dict(&start),
        // An ONNX model, whose first fields are format and producer.
        [8, 8, 0x12, ..] => start.starts_with(b"\x08\x08\x12\x06nephos"),
        [b'{', ..] if length <= LONGEST_JSON => json(path)?,
        [b'{', ..] => REGION.iter().all(|key| has(&format!("\"{key}\":"))),
        [b'<', ..] => has("thick cloud") || has("NEPHOS_VERSION"),
        // Georeference files of a picture belong to the picture.
        _ if extension == "pgw" => is_ours(&path.with_extension("png")),
        _ if extension == "csv" => CSV
            .iter()
            .any(|header| start.starts_with(header.as_bytes())),
        _ if extension == "md" => {
            has("expected calibration error")
                || has("calibrated: pooled, the scores of each fold")
                || has("false cloud in the scenes without any cloud")
        }
        _ => false,
    })
}

fn contains(bytes: &[u8], requested: &[u8]) -> bool {
    bytes
        .windows(requested.len())
        .any(|window| window == requested)
}

fn geotiff(path: &Path) -> Option<bool> {
    let file = TiffFile::open(path).ok()?;
    let tag = file.ifd(0).ok()?.tag(GDAL_METADATA)?;
    Some(tag.value.as_str()?.contains("NEPHOS_VERSION"))
}

/// A bundle, or exported weights.
fn safetensors(start: &[u8]) -> bool {
    // Our writer puts the metadata first.
    let header = start.get(8..).unwrap_or_default();
    header.starts_with(b"{\"__metadata__\":{") && contains(header, b"\"format\":\"nephos\"")
        || contains(header, b"\"written_by\":\"nephos\"")
        // A checkpoint of layout 1.
        || header.starts_with(b"{\"__metadata__\":{\"state\":\"version = ")
}

/// NumPy itself ends the header's tuple and dict with commas.
fn npy(start: &[u8]) -> bool {
    contains(start, b"'descr': '|u1'") && !contains(start, b"), }")
}

/// PyTorch memoises what it pickles, nephos does not.
fn state_dict(start: &[u8]) -> bool {
    contains(start, b"archive/data.pkl")
        && contains(start, b"\x80\x02ccollections\nOrderedDict\n)R(")
}

fn json(path: &Path) -> Option<bool> {
    let json: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let has = |value: &Value, keys: &[&str]| keys.iter().all(|key| value.get(*key).is_some());
    if json["type"] == "FeatureCollection" {
        let features = json["features"].as_array()?;
        let ours = |feature: &Value| has(&feature["properties"], &REGION);
        // Nothing is lost with one that is empty.
        return Some(features.iter().all(ours));
    }
    let item = &json["properties"]["processing:software"]["nephos"];
    Some(!item.is_null() || JSON_MEMBERS.iter().any(|keys| has(&json, keys)))
}
