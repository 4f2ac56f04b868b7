//! Text in messages: what comes from files, made harmless to a terminal, and counts, times
//! and rates as text.
//!
//! A message calls an option of the caller `` `options.nodata` ``, by the name of the library's
//! field or parameter, or with a value `` `options.nodata = 0` ``, and a feature of the build
//! ``the feature `gdal` ``. A front end with names of its own for them replaces these; no
//! message here names an option of the command line.

use std::borrow::Cow;
use std::fmt::{Display, Write};

/// `text` without characters that a terminal acts on: control characters (escape
/// sequences, bells, backspaces; C0, DEL and C1) and those that reorder text
/// (bidirectional embeddings, overrides and isolates) are written as `\u001b`, in the form
/// that JSON has. Line breaks and tabs stay, and all other text as it is.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |c| !matches!(c, '\n' | '\t') && is_active(c))
}

/// As [`printable`], and line breaks and tabs too: text from a file stays on its
/// line.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, |c| {
        is_active(c) || matches!(c, '\u{2028}' | '\u{2029}')
    })
}

fn is_active(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str, is_active: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_active) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' if is_active(c) => escaped += "\\n",
            '\r' if is_active(c) => escaped += "\\r",
            '\t' if is_active(c) => escaped += "\\t",
            // All of them lie below 2¹⁶. Writing to a string can't fail.
            c if is_active(c) => {
                let _ = write!(escaped, "\\u{:04x}", c as u32);
            }
            c => escaped.push(c),
        }
    }
    Cow::Owned(escaped)
}

/// A count and its noun, in the singular only for one: `1 sample`, `0 samples`,
/// `3 classes`.
///
/// ```
/// assert_eq!(nephos::text::count(1, "training sample"), "1 training sample");
/// assert_eq!(nephos::text::count(2, "class"), "2 classes");
/// ```
pub fn count(number: impl Display, noun: &str) -> String {
    let number = number.to_string();
    match number.as_str() {
        "1" => format!("1 {noun}"),
        _ => format!("{number} {}", plural(noun)),
    }
}

/// The plural of an English noun that has a regular one.
fn plural(noun: &str) -> String {
    let ends = |endings: &[&str]| endings.iter().any(|ending| noun.ends_with(ending));
    match noun.strip_suffix('y') {
        Some(stem) if !ends(&["ay", "ey", "oy", "uy"]) => format!("{stem}ies"),
        // Pronounced as a k.
        _ if ends(&["epoch"]) => format!("{noun}s"),
        _ if ends(&["s", "x", "ch", "sh"]) => format!("{noun}es"),
        _ => format!("{noun}s"),
    }
}

/// A duration in its usual units: `0.42 s`, `59 s`, `4 min 10 s`, `3 h 5 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round();
    let parts = |unit: f64| ((whole / unit).floor(), whole % unit);
    if !seconds.is_finite() {
        "unknown time".to_owned()
    } else if seconds < 9.95 {
        format!("{} s", digits(seconds.max(0.0)))
    } else if whole < 120.0 {
        format!("{whole:.0} s")
    } else if whole < 7200.0 {
        let (minutes, seconds) = parts(60.0);
        format!("{minutes:.0} min {seconds:.0} s")
    } else {
        let (hours, seconds) = parts(3600.0);
        format!("{hours:.0} h {:.0} min", (seconds / 60.0).floor())
    }
}

/// How fast something goes, with its significant digits: `12 images/s`,
/// `0.034 MP/s`.
pub fn rate(per_second: f64, unit: &str) -> String {
    format!("{} {unit}/s", digits(per_second))
}

/// A number with two or three significant digits, never in powers of ten.
fn digits(number: f64) -> String {
    match number.abs() {
        size if size >= 99.5 || !size.is_finite() => format!("{number:.0}"),
        size if size >= 9.95 => format!("{number:.1}"),
        size if size >= 0.0995 || size == 0.0 => format!("{number:.2}"),
        // So many zeros after the point as come before the first two digits.
        size => {
            let places = (1.0 - size.log10().floor()).clamp(2.0, 12.0) as usize;
            format!("{number:.places$}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        let hostile = "red\u{1b}[31m\u{7}\u{9b}2J\u{7f}\u{202e}evil\r\nerror: \tx";
        assert_eq!(
            printable(hostile),
            "red\\u001b[31m\\u0007\\u009b2J\\u007f\\u202eevil\\r\nerror: \tx"
        );
        assert_eq!(one_line("a\nb\tc\u{2028}d"), "a\\nb\\tc\\u2028d");
        for plain in ["scène ☁", "日本 – × ²", "العربية", "👩‍🚀", ""] {
            assert!(matches!(one_line(plain), Cow::Borrowed(same) if same == plain));
        }
    }

    /// Control characters occur in JSON only within its strings, but for the space between.
    #[test]
    fn json_stays_json() {
        let value = serde_json::json!({"a\u{9b}": ["\u{7f}\u{202e}\u{1b}"]});
        let text = serde_json::to_string_pretty(&value).unwrap();
        let safe = printable(&text);
        assert!(!safe.contains(['\u{9b}', '\u{202e}', '\u{7f}']));
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&safe).unwrap(),
            value
        );
    }

    #[test]
    fn a_count_of_one_is_singular() {
        for (number, noun, text) in [
            (1, "sample", "1 sample"),
            (0, "sample", "0 samples"),
            (
                2,
                "region of interest's pixel",
                "2 region of interest's pixels",
            ),
            (3, "class", "3 classes"),
            (1, "class", "1 class"),
            (5, "batch", "5 batches"),
            (4, "epoch", "4 epochs"),
            (2, "copy", "2 copies"),
            (2, "day", "2 days"),
        ] {
            assert_eq!(count(number, noun), text);
        }
        assert_eq!(count(1u64, "pixel"), "1 pixel");
    }

    #[test]
    fn durations_are_in_usual_units() {
        for (seconds, text) in [
            (0.0, "0.00 s"),
            (0.0042, "0.0042 s"),
            (0.42, "0.42 s"),
            (4.2, "4.20 s"),
            (9.96, "10 s"),
            (58.6, "59 s"),
            (119.4, "119 s"),
            (119.9, "2 min 0 s"),
            (250.0, "4 min 10 s"),
            (11_100.0, "3 h 5 min"),
            (f64::INFINITY, "unknown time"),
        ] {
            assert_eq!(duration(seconds), text, "{seconds}");
        }
    }

    #[test]
    fn slow_rates_are_not_zero() {
        for (per_second, text) in [
            (0.0, "0.00 MP/s"),
            (0.00042, "0.00042 MP/s"),
            (0.034, "0.034 MP/s"),
            (0.5, "0.50 MP/s"),
            (12.34, "12.3 MP/s"),
            (1234.0, "1234 MP/s"),
        ] {
            assert_eq!(rate(per_second, "MP"), text, "{per_second}");
        }
    }
}
