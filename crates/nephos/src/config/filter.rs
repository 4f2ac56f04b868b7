//! Conditions on the metadata of samples.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::error::Error;

/// A condition on one column: `COLUMN=VALUE`, `!=`, `<`, `<=`, `>`, `>=`.
///
/// Values are compared as numbers where both are numbers, else as text. After `=` and
/// `!=` there may be a list, `label_type=high,scribble`: one, or none, of its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    column: String,
    test: Test,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Test {
    /// Longer signs before those that begin alike.
    const ALL: [Self; 6] = [
        Self::NotEqual,
        Self::LessOrEqual,
        Self::GreaterOrEqual,
        Self::Equal,
        Self::Less,
        Self::Greater,
    ];

    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

impl Filter {
    /// The column that the condition is on.
    pub fn column(&self) -> &str {
        &self.column
    }

    /// Whether a value of the column fits. An empty value, which means none, is
    /// neither less nor greater than anything.
    pub fn fits(&self, have: &str) -> bool {
        let order = || compare(have, &self.value).filter(|_| !have.is_empty());
        match self.test {
            Test::Equal => self.lists(have),
            Test::NotEqual => !self.lists(have),
            Test::Less => order() == Some(Ordering::Less),
            Test::LessOrEqual => order().is_some_and(Ordering::is_le),
            Test::Greater => order() == Some(Ordering::Greater),
            Test::GreaterOrEqual => order().is_some_and(Ordering::is_ge),
        }
    }

    /// Whether the value, or one of the list that it is, equals `have`.
    fn lists(&self, have: &str) -> bool {
        let same = |other: &str| compare(have, other) == Some(Ordering::Equal);
        same(&self.value) || self.value.split(',').any(|other| same(other.trim()))
    }
}

/// As numbers where both are numbers, else as text; `None` for NaN.
fn compare(have: &str, other: &str) -> Option<Ordering> {
    match (have.parse::<f64>(), other.parse::<f64>()) {
        (Ok(have), Ok(other)) => have.partial_cmp(&other),
        _ => Some(have.cmp(other)),
    }
}

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // The first sign ends the column's name.
        let split = |test: Test| {
            let (column, value) = text.split_once(test.sign())?;
            Some((column, test, value))
        };
        let found = Test::ALL.into_iter().filter_map(split);
        match found.min_by_key(|(column, test, _)| (column.len(), 2 - test.sign().len())) {
            Some((column, test, value)) if !column.trim().is_empty() => Ok(Self {
                column: column.trim().to_owned(),
                test,
                value: value.trim().to_owned(),
            }),
            _ => Err(Error::usage(format!(
                "`{text}`: expected COLUMN=VALUE; in place of `=` also !=, <, <=, > or >="
            ))),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.column, self.test.sign(), self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_parsed_and_applied() {
        for (text, fit, unfit) in [
            ("proj_shape=509", ["509", "509.0"], ["2000", ""]),
            (
                "label_type=high,scribble",
                ["high", "scribble"],
                ["nolabel", ""],
            ),
            (
                "label_type != high, scribble",
                ["nolabel", ""],
                ["high", "scribble"],
            ),
            ("share<0.5", ["0.25", "-1"], ["0.5", ""]),
            ("share<=0.5", ["0.25", "0.50"], ["0.75", ""]),
            ("share>9", ["10", "9.5"], ["9", ""]),
            ("share>=9", ["10", "9"], ["8", "NaN"]),
            ("date>=2020-01", ["2020-01-03", "2021"], ["2019-12", ""]),
            ("shape=[8, 8]", ["[8, 8]", "8]"], ["[8, 9]", "8"]),
        ] {
            let filter: Filter = text.parse().unwrap();
            for have in fit {
                assert!(filter.fits(have), "{text}: {have:?}");
            }
            for have in unfit {
                assert!(!filter.fits(have), "{text}: {have:?}");
            }
            let again: Filter = filter.to_string().parse().unwrap();
            assert_eq!(again, filter);
        }
        for text in ["", "share", "=4", " <4"] {
            assert!(text.parse::<Filter>().is_err(), "{text:?}");
        }
    }
}
