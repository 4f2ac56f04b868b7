//! How stored labels become classes.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use nephos_kernel::loss::either;
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::require;
use crate::class::{Class, IGNORE};
use crate::config::Filter;

/// How stored labels become classes, sets of classes or 255 (ignored).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LabelConfig {
    /// Stored values that are ignored.
    pub ignore: Vec<i64>,
    /// Stored value (as a TOML key) to the class of a pixel, by code or name, or
    /// a list of classes of which the pixel has one, `0 = ["clear", "shadow"]`.
    pub map: BTreeMap<String, ClassSet>,
    /// Class (as a TOML key) to the names of the samples in which it was annotated. In other
    /// samples it is not scored: there it was labelled clear (0), and pixels predicted
    /// as it count as clear; and the loss takes pixels labelled clear there as clear or
    /// that class, shadow only where the sample has cloud. A class that is not listed was
    /// annotated in all samples. Old name: `drawn`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", alias = "drawn")]
    pub annotated_in: BTreeMap<String, Vec<String>>,
    /// A table about the samples (CSV with a header, JSON or Parquet), for `narrow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<PathBuf>,
    /// Rules by which labels are more specific in some samples, selected by `table`; of
    /// several that fit a sample the last counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub narrow: Vec<NarrowConfig>,
}

/// Meaning of stored labels in the samples whose row in the table fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NarrowConfig {
    /// Conditions on the sample's row, all of which must hold: `COLUMN=VALUE`; also `!=`,
    /// `<`, `<=`, `>`, `>=`.
    #[serde(rename = "where")]
    pub conditions: Vec<String>,
    /// Stored value to its meaning there, as in `data.labels.map`.
    pub map: BTreeMap<String, ClassSet>,
}

/// The classes of which a pixel has one; none: the pixel is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassSet(Vec<u8>);

/// Most classes that a set can hold.
const MOST_CLASSES: u8 = 7;

impl ClassSet {
    /// The classes with these codes; 255 among them, or none at all: ignored.
    pub fn new(codes: &[u8]) -> Self {
        if codes.contains(&IGNORE) {
            return Self(Vec::new());
        }
        let mut classes = codes.to_vec();
        classes.sort_unstable();
        classes.dedup();
        Self(classes)
    }

    /// The code of a label, as [`nephos_kernel::loss::Label::of`] reads it.
    pub fn code(&self) -> u8 {
        match self.0[..] {
            [] => IGNORE,
            [class] => class,
            _ => either(
                &self
                    .0
                    .iter()
                    .map(|class| usize::from(*class))
                    .collect::<Vec<_>>(),
            ),
        }
    }

    fn is_valid(&self) -> bool {
        self.0
            .iter()
            .all(|class| usize::from(*class) < Class::ALL.len())
    }
}

impl From<u8> for ClassSet {
    fn from(code: u8) -> Self {
        Self::new(&[code])
    }
}

/// A class by its code or name; 255 or `ignore` for none.
fn class_of(name: &str) -> Option<u8> {
    let name = name.trim().to_lowercase();
    if name == "ignore" {
        return Some(IGNORE);
    }
    let found = (Class::ALL.iter()).find(|class| class.name() == name || class.short() == name);
    found
        .map(|class| *class as u8)
        .or_else(|| name.parse().ok())
}

impl<'de> Deserialize<'de> for ClassSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Classes;
        impl<'de> Visitor<'de> for Classes {
            type Value = Vec<u8>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(
                    "a class (0 to 3, or clear, thick, thin, shadow), 255 to ignore, or a list \
                     of classes",
                )
            }

            fn visit_u64<E: de::Error>(self, code: u64) -> Result<Self::Value, E> {
                match u8::try_from(code) {
                    Ok(code) if code < MOST_CLASSES || code == IGNORE => Ok(vec![code]),
                    _ => Err(E::invalid_value(de::Unexpected::Unsigned(code), &self)),
                }
            }

            fn visit_i64<E: de::Error>(self, code: i64) -> Result<Self::Value, E> {
                match u64::try_from(code) {
                    Ok(code) => self.visit_u64(code),
                    Err(_) => Err(E::invalid_value(de::Unexpected::Signed(code), &self)),
                }
            }

            fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
                match class_of(name).filter(|code| *code < MOST_CLASSES || *code == IGNORE) {
                    Some(code) => Ok(vec![code]),
                    None => Err(E::invalid_value(de::Unexpected::Str(name), &self)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(ClassSet(classes)) = list.next_element()? {
                    if classes.len() != 1 {
                        return Err(de::Error::custom(
                            "a list of labels holds classes, each by itself",
                        ));
                    }
                    all.extend(classes);
                }
                Ok(all)
            }
        }
        let codes = deserializer.deserialize_any(Classes)?;
        if codes.is_empty() {
            return Err(de::Error::custom(
                "an empty list of classes says nothing; 255 ignores",
            ));
        }
        Ok(Self::new(&codes))
    }
}

impl Serialize for ClassSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0[..] {
            [] => serializer.serialize_u8(IGNORE),
            [class] => serializer.serialize_u8(class),
            _ => serializer.collect_seq(&self.0),
        }
    }
}

impl Default for LabelConfig {
    fn default() -> Self {
        Self {
            ignore: vec![99, 255],
            map: BTreeMap::new(),
            annotated_in: BTreeMap::new(),
            table: None,
            narrow: Vec::new(),
        }
    }
}

impl LabelConfig {
    /// Checks the keys; `name` is that of the section.
    pub(super) fn validate(&self, name: &str) -> Result<(), String> {
        let check = |map: &BTreeMap<String, ClassSet>, name: &str| {
            map.iter().try_for_each(|(key, classes)| {
                let name = format!("{name}.{key}");
                require(key.parse::<i64>().is_ok(), &name, "keyed by a whole number")?;
                require(
                    classes.is_valid(),
                    &name,
                    "a class 0..=3, a list of such, or 255 to ignore",
                )
            })
        };
        check(&self.map, &format!("{name}.map"))?;
        for rule in &self.narrow {
            check(&rule.map, &format!("{name}.narrow.map"))?;
            require(
                rule.conditions
                    .iter()
                    .all(|text| text.parse::<Filter>().is_ok())
                    && !rule.conditions.is_empty(),
                &format!("{name}.narrow.where"),
                "a list of COLUMN=VALUE, or with !=, <, <=, > or >= in place of =",
            )?;
        }
        require(
            self.narrow.is_empty() || self.table.is_some(),
            &format!("{name}.table"),
            "there, for data.labels.narrow to look in",
        )?;
        for key in self.annotated_in.keys() {
            require(
                matches!(key.parse(), Ok(1u8..4)),
                &format!("{name}.annotated_in.{key}"),
                "keyed by a class 1..=3",
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<LabelConfig, String> {
        let labels: LabelConfig = toml::from_str(text).map_err(|e| e.to_string())?;
        labels.validate("data.labels").map(|()| labels)
    }

    #[test]
    fn classes_are_codes_names_or_lists_of_either() {
        let text = "map = { 0 = ['clear', 'shadow'], 1 = [1, 'thin cloud'], 2 = 'Thick', 3 = 255, \
                    4 = 'cloud shadow', 5 = 'ignore', 6 = [2] }";
        let labels = parse(text).unwrap();
        let code = |key: &str| labels.map[key].code();
        let keys = ["0", "1", "2", "3", "4", "5", "6"];
        assert_eq!(keys.map(code), [128 + 9, 128 + 6, 1, 255, 3, 255, 2]);
        let again: LabelConfig = toml::from_str(&toml::to_string(&labels).unwrap()).unwrap();
        assert_eq!(again, labels);
    }

    #[test]
    fn errors_name_the_key_and_the_expected_class() {
        for (text, expected) in [
            ("map = { 0 = 'cloud' }", "clear, thick, thin, shadow"),
            ("map = { 0 = 9 }", "a class (0 to 3"),
            ("map = { 0 = -1 }", "a class (0 to 3"),
            ("map = { 0 = 5 }", "data.labels.map.0"),
            ("map = { 0 = [] }", "an empty list"),
            ("map = { 0 = [[1]] , 1 = [[1, 2]] }", "each by itself"),
            ("map = { a = 1 }", "data.labels.map.a"),
            (
                "narrow = [{ where = ['a=1'], map = {} }]",
                "data.labels.table",
            ),
            (
                "table = 't.csv'\nnarrow = [{ where = ['a'], map = {} }]",
                "COLUMN=VALUE",
            ),
        ] {
            let message = parse(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}
