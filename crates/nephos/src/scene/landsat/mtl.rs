//! The metadata file of a Landsat product, `*_MTL.txt`, `*_MTL.json` or `*_MTL.xml`.
//!
//! The text form is Object Description Language: lines `KEY = VALUE` in groups
//! between `GROUP = NAME` and `END_GROUP = NAME`, one root group, `END` last. The
//! JSON form has the same groups and keys as objects, the XML form as elements. (USGS, Landsat 8-9 Collection 2
//! Level 1 and Level 2 Data Format Control Books, LSDS-1822 and LSDS-1328.)
//!
//! A key may be in several groups with different values: a Level-2 file repeats the
//! Level-1 gains. So every look-up names its group.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::error::{Error, Result};
use crate::raster::xml;

/// Longest file that is read; real ones have some 20 kB.
const LONGEST_FILE: u64 = 1 << 20;
/// Names that the root group has: of Collection 2, and of what was before it.
const ROOTS: [&str; 2] = ["LANDSAT_METADATA_FILE", "L1_METADATA_FILE"];

/// The groups of a metadata file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mtl {
    path: PathBuf,
    groups: BTreeMap<String, Group>,
}

type Group = BTreeMap<String, Value>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Value {
    text: String,
    /// Counted from 1; JSON and XML have none.
    line: Option<usize>,
}

/// Names of a group: in Collection 2, and before.
pub type Section = &'static [&'static str];

/// Product, files and, before Collection 2, platform and time.
pub const CONTENTS: Section = &["PRODUCT_CONTENTS", "PRODUCT_METADATA"];
/// Sun position and, in Collection 2, platform and time.
pub const IMAGE: Section = &["IMAGE_ATTRIBUTES"];
/// Request and collection, before Collection 2.
pub const FILE_INFO: Section = &["METADATA_FILE_INFO"];
/// Gains of Level-1 bands.
pub const RESCALING: Section = &["LEVEL1_RADIOMETRIC_RESCALING", "RADIOMETRIC_RESCALING"];
/// Constants of Level-1 thermal bands.
pub const THERMAL: Section = &[
    "LEVEL1_THERMAL_CONSTANTS",
    "TIRS_THERMAL_CONSTANTS",
    "THERMAL_CONSTANTS",
];
/// Gains of Level-2 surface reflectance.
pub const SURFACE_REFLECTANCE: Section = &["LEVEL2_SURFACE_REFLECTANCE_PARAMETERS"];
/// Gains of Level-2 surface temperature.
pub const SURFACE_TEMPERATURE: Section = &["LEVEL2_SURFACE_TEMPERATURE_PARAMETERS"];

impl Mtl {
    /// Reads a metadata file of at most 1 MiB.
    ///
    /// # Errors
    /// The file can't be read, is longer, or is not such a file.
    pub fn read(path: &Path) -> Result<Self> {
        let fail = |e| Error::io(path, e);
        let file = std::fs::File::open(path).map_err(fail)?;
        let mut bytes = Vec::new();
        file.take(LONGEST_FILE + 1)
            .read_to_end(&mut bytes)
            .map_err(fail)?;
        Self::parse(path, &bytes)
    }

    /// Parses the content of a metadata file; errors call it `path`.
    ///
    /// # Errors
    /// The line and what was expected there.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self> {
        if bytes.len() as u64 > LONGEST_FILE {
            return Err(Error::limits(
                path.display(),
                format!("a metadata file of more than {LONGEST_FILE} bytes"),
            ));
        }
        let text = std::str::from_utf8(bytes).map_err(|e| {
            let message = "a metadata file is text in UTF-8";
            Error::format_at(path, e.valid_up_to() as u64, message)
        })?;
        let text = text.trim_start_matches('\u{feff}');
        let groups = match text.trim_start().chars().next() {
            Some('{') => json_groups(path, text)?,
            Some('<') => xml_groups(path, text)?,
            _ => text_groups(path, text)?,
        };
        Ok(Self {
            path: path.to_owned(),
            groups,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn find(&self, section: Section, key: &str) -> Option<&Value> {
        section
            .iter()
            .find_map(|name| self.groups.get(*name)?.get(key))
    }

    /// The text of a key, without quotes, where it is there.
    pub fn get(&self, section: Section, key: &str) -> Option<&str> {
        self.find(section, key).map(|value| value.text.as_str())
    }

    /// The text of a key.
    ///
    /// # Errors
    /// Names the key and the group where it is missing.
    pub fn text(&self, section: Section, key: &str) -> Result<&str> {
        self.get(section, key)
            .ok_or_else(|| self.missing(section, key))
    }

    /// The number of a key.
    ///
    /// # Errors
    /// Names the key and the group where it is missing, or the line where it is no
    /// finite number.
    pub fn number(&self, section: Section, key: &str) -> Result<f64> {
        let value = (self.find(section, key)).ok_or_else(|| self.missing(section, key))?;
        match value.text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => {
                let place = value.line.map_or(String::new(), |n| format!("line {n}: "));
                let message = format!("{place}{key} is `{}`, not a number", value.text);
                Err(Error::format(&self.path, message))
            }
        }
    }

    fn missing(&self, section: Section, key: &str) -> Error {
        let group = section
            .iter()
            .find(|name| self.groups.contains_key(**name))
            .unwrap_or(&section[0]);
        Error::format(&self.path, format!("no {key} in group {group}"))
    }
}

fn text_groups(path: &Path, text: &str) -> Result<BTreeMap<String, Group>> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    // The groups that are open, with their lines.
    let mut open: Vec<(&str, usize)> = Vec::new();
    for (position, raw) in text.lines().enumerate() {
        let number = position + 1;
        let fail = |message: String| Err(Error::format(path, format!("line {number}: {message}")));
        // Some copies are filled up with NUL bytes.
        let line = raw.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        match line {
            "" => continue,
            "END" => break,
            _ => {}
        }
        let Some((key, value)) = line.split_once('=') else {
            return fail(format!("`{}` is no `KEY = VALUE`", shortened(line)));
        };
        let (key, value) = (key.trim(), value.trim());
        match (key, open.as_slice()) {
            ("GROUP", []) if ROOTS.contains(&value) && groups.is_empty() => {
                open.push((value, number));
            }
            ("GROUP", []) => {
                let (got, roots) = (shortened(value), ROOTS.join(" or "));
                return fail(format!("group {got}; a Landsat metadata file has {roots}"));
            }
            ("GROUP", [_]) => {
                if groups.insert(value.to_owned(), Group::new()).is_some() {
                    return fail(format!("a second group {}", shortened(value)));
                }
                open.push((value, number));
            }
            ("GROUP", _) => return fail("a group within a group within a group".to_owned()),
            ("END_GROUP", [.., (name, _)]) if *name == value => {
                open.pop();
            }
            ("END_GROUP", _) => {
                return fail(format!(
                    "the end of {}, which is not open",
                    shortened(value)
                ));
            }
            (_, [_, (name, _)]) => {
                let value = Value {
                    text: unquoted(value).to_owned(),
                    line: Some(number),
                };
                let group = groups.entry((*name).to_owned()).or_default();
                if group.insert(key.to_owned(), value).is_some() {
                    return fail(format!("a second {} in group {name}", shortened(key)));
                }
            }
            _ => return fail(format!("{} is in no group", shortened(key))),
        }
    }
    match open.last() {
        Some((name, line)) => Err(Error::format(
            path,
            format!("the file ends within group {name} of line {line}; it is cut off"),
        )),
        None if groups.is_empty() => Err(Error::format(path, "no group of Landsat metadata")),
        None => Ok(groups),
    }
}

fn json_groups(path: &Path, text: &str) -> Result<BTreeMap<String, Group>> {
    let fail = |message: String| Error::format(path, message);
    let json: Json = serde_json::from_str(text).map_err(|e| fail(e.to_string()))?;
    let root = ROOTS
        .iter()
        .find_map(|root| json.get(root)?.as_object())
        .ok_or_else(|| fail(format!("no object {}", ROOTS.join(" or "))))?;
    let mut groups = BTreeMap::new();
    for (name, group) in root {
        let entries = group
            .as_object()
            .ok_or_else(|| fail(format!("{} is no object", shortened(name))))?;
        let mut values = Group::new();
        for (key, value) in entries {
            let text = match value {
                Json::String(text) => text.trim().to_owned(),
                other => other.to_string(),
            };
            values.insert(key.clone(), Value { text, line: None });
        }
        groups.insert(name.clone(), values);
    }
    Ok(groups)
}

fn xml_groups(path: &Path, text: &str) -> Result<BTreeMap<String, Group>> {
    let document = xml::parse(path, text.as_bytes())?;
    let root = document.root_element();
    if !ROOTS.contains(&xml::name(root)) {
        let (got, roots) = (shortened(xml::name(root)), ROOTS.join(" or "));
        let message = format!("element {got}; a Landsat metadata file has {roots}");
        return Err(Error::format(path, message));
    }
    let mut groups = BTreeMap::new();
    for group in xml::children(root) {
        let name = xml::name(group);
        let mut values = Group::new();
        for entry in xml::children(group) {
            let (key, text) = (xml::name(entry), unquoted(xml::text(entry)).to_owned());
            if (values.insert(key.to_owned(), Value { text, line: None })).is_some() {
                let (key, name) = (shortened(key), shortened(name));
                let message = format!("a second {key} in group {name}");
                return Err(Error::format(path, message));
            }
        }
        if groups.insert(name.to_owned(), values).is_some() {
            let message = format!("a second group {}", shortened(name));
            return Err(Error::format(path, message));
        }
    }
    match groups.is_empty() {
        true => Err(Error::format(path, "no group of Landsat metadata")),
        false => Ok(groups),
    }
}

fn unquoted(value: &str) -> &str {
    (value.strip_prefix('"'))
        .and_then(|value| value.strip_suffix('"'))
        .unwrap_or(value)
        .trim()
}

/// The beginning of what is quoted in a message.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Mtl> {
        Mtl::parse(Path::new("x_MTL.txt"), text.as_bytes())
    }

    const WHOLE: &str = "GROUP = LANDSAT_METADATA_FILE\n  GROUP = IMAGE_ATTRIBUTES\n    \
        SENSOR_ID = \"OLI_TIRS\"\n    SUN_ELEVATION = 4x\n  END_GROUP = IMAGE_ATTRIBUTES\n\
        END_GROUP = LANDSAT_METADATA_FILE\nEND\n\0\0";

    #[test]
    fn errors_name_the_key_and_the_line() {
        let mtl = parse(WHOLE).unwrap();
        assert_eq!(mtl.text(IMAGE, "SENSOR_ID").unwrap(), "OLI_TIRS");
        assert_eq!(
            mtl.number(IMAGE, "SUN_ELEVATION").unwrap_err().to_string(),
            "x_MTL.txt: line 4: SUN_ELEVATION is `4x`, not a number"
        );
        assert_eq!(
            mtl.number(RESCALING, "K").unwrap_err().to_string(),
            "x_MTL.txt: no K in group LEVEL1_RADIOMETRIC_RESCALING"
        );
    }

    #[test]
    fn xml_has_the_same_groups() {
        let of = |text: &str| Mtl::parse(Path::new("x_MTL.xml"), text.as_bytes());
        let text = "<?xml version='1.0'?>\n<LANDSAT_METADATA_FILE><IMAGE_ATTRIBUTES>\
            <SENSOR_ID>OLI_TIRS</SENSOR_ID><SUN_ELEVATION> 45.5 </SUN_ELEVATION>\
            </IMAGE_ATTRIBUTES><PRODUCT_CONTENTS/></LANDSAT_METADATA_FILE>\n\0";
        let mtl = of(text).unwrap();
        assert_eq!(mtl.text(IMAGE, "SENSOR_ID").unwrap(), "OLI_TIRS");
        assert_eq!(mtl.number(IMAGE, "SUN_ELEVATION").unwrap(), 45.5);
        for (from, to, part) in [
            ("45.5", "high", "SUN_ELEVATION is `high`"),
            ("SUN_ELEVATION", "SENSOR_ID", "a second SENSOR_ID"),
            ("LANDSAT_METADATA_FILE", "OTHER", "element OTHER"),
            ("</IMAGE_ATTRIBUTES>", "", "broken XML"),
        ] {
            let error =
                of(&text.replace(from, to)).and_then(|mtl| mtl.number(IMAGE, "SUN_ELEVATION"));
            let error = error.unwrap_err().to_string();
            assert!(
                error.contains(part) && error.contains("x_MTL.xml"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_that_is_cut_off_is_refused() {
        let end = WHOLE.find("END_GROUP = LANDSAT").unwrap();
        for length in 0..end {
            assert!(parse(&WHOLE[..length]).is_err(), "{length}");
        }
        let message = parse(&WHOLE[..end]).unwrap_err().to_string();
        assert!(
            message.contains("LANDSAT_METADATA_FILE of line 1"),
            "{message}"
        );
    }
}
