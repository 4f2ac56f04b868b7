//! Report on a JSON file of nephos: a summary, a STAC item, polygons.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use nephos::Error;
use nephos::text::one_line;
use serde::Serialize;
use serde_json::Value;

/// Largest document that is read, in bytes.
const LARGEST: u64 = 1 << 30;

/// A document: its kind and its lines.
#[derive(Debug, Serialize)]
pub struct Report {
    kind: &'static str,
    /// A summary, or the document itself where it is short.
    content: Value,
}

/// The report of a summary, STAC item or polygons; `None` for other files.
pub fn report(path: &Path) -> nephos::Result<Option<Report>> {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    if !["json", "geojson"].contains(&extension.to_lowercase().as_str()) {
        return Ok(None);
    }
    let io = |e| Error::io(path, e);
    if std::fs::metadata(path).map_err(io)?.len() > LARGEST {
        return Err(Error::limits(path.display(), "more than 1 GiB of JSON"));
    }
    let bytes = std::fs::read(path).map_err(io)?;
    let Ok(document) = serde_json::from_slice::<Value>(&bytes) else {
        let message = "expected JSON: a list of samples, a summary, a STAC item or polygons";
        return Err(Error::format(path, message));
    };
    let found = if document["stac_version"].is_string() {
        Some(("STAC item", item(&document)))
    } else if document["type"] == "FeatureCollection" {
        Some(("polygons (GeoJSON)", polygons(&document)))
    } else if !document["run"].is_null() && document["classes"].is_array() {
        Some(("summary of a mask", document))
    } else {
        None
    };
    Ok(found.map(|(kind, content)| Report { kind, content }))
}

fn item(document: &Value) -> Value {
    let mut short = serde_json::Map::new();
    for key in ["id", "stac_version", "bbox"] {
        short.insert(key.to_owned(), document[key].clone());
    }
    short.insert("geometry".to_owned(), document["geometry"]["type"].clone());
    if let Value::Object(properties) = &document["properties"] {
        short.extend(properties.clone());
    }
    let assets = document["assets"].as_object();
    let assets: serde_json::Map<String, Value> = (assets.into_iter().flatten())
        .map(|(name, asset)| (name.clone(), asset["href"].clone()))
        .collect();
    short.insert("assets".to_owned(), assets.into());
    Value::Object(short)
}

fn polygons(document: &Value) -> Value {
    let features = document["features"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let mut classes: BTreeMap<String, (u64, f64)> = BTreeMap::new();
    for feature in features {
        let properties = &feature["properties"];
        let name = properties["class"].as_str().unwrap_or("-").to_owned();
        let (count, area) = classes.entry(name).or_default();
        *count += 1;
        *area += properties["area_m2"].as_f64().unwrap_or(0.0);
    }
    let of_class = |(name, (count, area)): (String, (u64, f64))| {
        (
            name,
            serde_json::json!({"polygons": count, "area_m2": area}),
        )
    };
    let classes: serde_json::Map<String, Value> = classes.into_iter().map(of_class).collect();
    serde_json::json!({"polygons": features.len(), "classes": classes})
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.kind)?;
        write_value(f, &self.content, 1)
    }
}

/// An object, one line per key, nested ones indented.
fn write_value(f: &mut fmt::Formatter<'_>, value: &Value, depth: usize) -> fmt::Result {
    let indent = "  ".repeat(depth);
    let Value::Object(object) = value else {
        return writeln!(f, "{indent}{}", word(value));
    };
    for (key, value) in object {
        let key = one_line(key);
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                writeln!(f, "{indent}{key}:")?;
                write_value(f, value, depth + 1)?;
            }
            Value::Array(list) if list.iter().any(Value::is_object) => {
                writeln!(f, "{indent}{key}:")?;
                for entry in list {
                    writeln!(f, "{indent}  {}", word(entry))?;
                }
            }
            _ => writeln!(f, "{indent}{key}: {}", word(value))?,
        }
    }
    Ok(())
}

/// A value on one line; an object as its values.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => one_line(text).into_owned(),
        Value::Array(list) => list.iter().map(word).collect::<Vec<_>>().join(", "),
        Value::Object(object) => (object.iter())
            .map(|(key, value)| format!("{} {}", one_line(key), word(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}
