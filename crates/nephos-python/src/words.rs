//! The library's names of options in messages, and Python's arguments.
//!
//! The library writes `` `options.nodata = 0` ``; who calls a function reads `nodata=0`. Scale and
//! offset are the CF conventions' here: reflectance = stored × `scale_factor` + `add_offset`; the
//! library's are reflectance = (stored + offset) / scale.

use pyo3::prelude::*;

/// How the library begins an option's name.
const OPTION: &str = "`options.";
/// The library's sentences that say something else in Python.
const SENTENCES: [(&str, &str); 3] = [
    (
        "reflectance = (stored + offset) / scale",
        "reflectance = stored × scale_factor + add_offset",
    ),
    (
        "which the file does not declare, ",
        "which is not declared, ",
    ),
    (
        "and the file states no no-data number",
        "and no no-data number is stated",
    ),
];
/// Of numbers without a stated scale in whose messages an offset is suggested.
const USUAL_SCALE: f64 = 10_000.0;

/// A message of the library in the words of Python.
pub fn in_words_of_python(message: &str) -> String {
    let mut text = message.to_owned();
    for (of_library, of_python) in SENTENCES {
        text = text.replace(of_library, of_python);
    }
    let scale = value_of(&text, "scale").unwrap_or(USUAL_SCALE);
    let mut done = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once(OPTION) {
        done += before;
        let Some((named, left)) = after.split_once('`') else {
            done += OPTION;
            rest = after;
            continue;
        };
        let (name, value) = match named.split_once(" = ") {
            Some((name, value)) => (name, Some(value)),
            None => (named, None),
        };
        done += &argument(name, value, scale);
        rest = left;
    }
    done + rest
}

/// An option with its value as an argument.
fn argument(name: &str, value: Option<&str>, scale: f64) -> String {
    let number = || value.and_then(|value| value.parse::<f64>().ok());
    match (name, value) {
        ("scale", Some(_)) => match number() {
            Some(number) => format!("scale_factor={}", short(1.0 / number)),
            None => "scale_factor=".to_owned(),
        },
        ("offset", Some(_)) => match number() {
            Some(number) => format!("add_offset={}", short(number / scale)),
            None => "add_offset=".to_owned(),
        },
        ("scale", None) => "scale_factor=".to_owned(),
        ("offset", None) => "add_offset=".to_owned(),
        ("nodata", Some("none")) => "nodata=float(\"nan\")".to_owned(),
        ("overrides", _) => "set=".to_owned(),
        ("assume_reflectance" | "overwrite" | "resume", None) => format!("{name}=True"),
        (name, Some(value)) => format!("{name}={value}"),
        (name, None) => format!("{name}="),
    }
}

/// The number that a message gives for an option.
fn value_of(text: &str, name: &str) -> Option<f64> {
    let (_, after) = text.split_once(&format!("{OPTION}{name} = "))?;
    after.split_once('`')?.0.parse().ok()
}

/// Five significant digits: more are not in the library's suggestions.
fn short(value: f64) -> String {
    let rounded: f64 = format!("{value:.4e}").parse().unwrap_or(value);
    rounded.to_string()
}

/// STAC common names of bands by what a data set calls them, `None` for each that is none; and
/// what had to be assumed. `product` names the product or platform, or is empty.
#[pyfunction]
pub fn common_names(names: Vec<String>, product: &str) -> (Vec<Option<&'static str>>, Vec<String>) {
    let (found, notes) = nephos::band::common_names(&names, product);
    let notes = notes.iter().map(|note| in_words_of_python(note)).collect();
    (found, notes)
}
