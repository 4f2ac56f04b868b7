//! The library's names of options in messages, and those of the command line.
//!
//! The library writes `` `options.nodata` `` and `` `options.nodata = 0` ``
//! ([`nephos::text`]); the user of the command line reads `--nodata` and `--nodata 0`.

use std::borrow::Cow;

/// How the library begins an option's name.
const OPTION: &str = "`options.";
/// How the library begins the name of a feature of the build.
const FEATURE: &str = "the feature `";

/// The library's name of each option, and the command line's.
const NAMES: &[(&str, &str)] = &[
    ("also_bands", "--also-bands"),
    ("assume_reflectance", "--assume-reflectance"),
    ("bands", "--bands"),
    ("budget", "--steps"),
    ("channels_last", "--channels-last"),
    ("device", "--device"),
    ("dilate", "--dilate"),
    ("divisor", "--divided-by"),
    ("filters", "--where"),
    ("fold_table", "--fold-table"),
    ("folder", "--out"),
    ("folds", "--folds"),
    ("graph", "--graph"),
    ("group_by", "--group-by"),
    ("init", "--init"),
    ("map", "--prediction-map NAME:CODE=CLASS"),
    ("metadata", "--metadata"),
    ("min_recall", "--min-recall"),
    ("mix_before", "--mix-before"),
    ("nodata", "--nodata"),
    ("offset", "--offset"),
    ("overlap", "--overlap"),
    ("overrides", "--set"),
    ("overwrite", "--overwrite"),
    ("pixel", "--pixel-size"),
    ("resolution", "--resolution"),
    ("resume", "--resume"),
    ("scale", "--scale"),
    ("side_outputs", "--with"),
    ("temperature_only", "--temperature-only"),
    ("threads", "--threads"),
    ("window", "--window"),
];

/// A message of the library in the words of the command line: `` `options.nodata = 0` `` as
/// `--nodata 0`, and ``the feature `gdal` `` as what cargo builds it with. Names that the
/// command line has no option for, and all other text, stay as they are.
pub fn in_words_of_the_command_line(message: &str) -> Cow<'_, str> {
    let message = replaced(message, OPTION, |named| {
        let (name, value) = match named.split_once(" = ") {
            Some((name, value)) => (name, Some(value)),
            None => (named, None),
        };
        let (_, option) = NAMES.iter().find(|(known, _)| *known == name)?;
        Some(match value {
            Some(value) => format!("{option} {value}"),
            None => (*option).to_owned(),
        })
    });
    let features = |text: &str| {
        let name = |feature: &str| Some(format!("`--features {feature}`"));
        replaced(text, FEATURE, name).into_owned()
    };
    match message.contains(FEATURE) {
        true => Cow::Owned(features(&message)),
        false => message,
    }
}

/// `text` with every stretch from `start` to the next backtick replaced by what `name` makes
/// of the text between; it stays where `name` makes nothing of it.
fn replaced<'a>(text: &'a str, start: &str, name: impl Fn(&str) -> Option<String>) -> Cow<'a, str> {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(start) {
        done += before;
        let option = (after.split_once('`')).and_then(|(named, left)| Some((name(named)?, left)));
        let (words, left) = option.unwrap_or((start.to_owned(), after));
        done += &words;
        rest = left;
    }
    match rest.len() == text.len() {
        true => Cow::Borrowed(text),
        false => Cow::Owned(done + rest),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use clap::CommandFactory;

    use super::*;
    use crate::args::Cli;

    #[test]
    fn options_and_features_are_those_of_the_command_line() {
        for (message, expected) in [
            ("`options.nodata` says otherwise", "--nodata says otherwise"),
            (
                "takes `options.scale = 36363.64` and `options.offset = -7272.73`.",
                "takes --scale 36363.64 and --offset -7272.73.",
            ),
            ("`options.overrides = a=1 = 2`: no", "--set a=1 = 2: no"),
            (
                "with the feature `gdal`, or `options.bands`",
                "with `--features gdal`, or --bands",
            ),
            // Columns, keys and band names.
            (
                "no column `nodata` of `bands`",
                "no column `nodata` of `bands`",
            ),
            ("`options.unknown = 1`", "`options.unknown = 1`"),
            ("`options.bands", "`options.bands"),
            ("", ""),
        ] {
            assert_eq!(in_words_of_the_command_line(message), expected);
        }
    }

    #[test]
    fn every_option_of_the_table_is_one_of_the_command_line() {
        let cli = Cli::command();
        let commands = cli.get_subcommands();
        let known: BTreeSet<String> = commands
            .flat_map(|command| std::iter::once(command).chain(command.get_subcommands()))
            .flat_map(|command| command.get_arguments())
            .filter_map(|argument| Some(format!("--{}", argument.get_long()?)))
            .collect();
        for (_, option) in NAMES {
            let option = option.split(' ').next().unwrap_or_default();
            assert!(known.contains(option), "{option}");
        }
    }

    /// The lines of code of the library's sources, each with its file.
    fn library() -> Vec<(PathBuf, String)> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nephos/src");
        let mut folders: Vec<PathBuf> = vec![source];
        let mut lines = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let code = |line: &&str| !line.trim_start().starts_with("//");
                    let of_file = |line: &str| (path.clone(), line.to_owned());
                    lines.extend(text.lines().filter(code).map(of_file));
                }
            }
        }
        lines
    }

    #[test]
    fn the_table_has_every_option_that_the_library_names() {
        for (path, line) in library() {
            for named in line.split(OPTION).skip(1) {
                let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
                let name = named.split(|c| !is_name(c)).next().unwrap_or_default();
                let is_known = NAMES.iter().any(|(known, _)| *known == name);
                assert!(name.is_empty() || is_known, "{}: {line}", path.display());
            }
        }
    }

    #[test]
    fn the_library_names_no_option_of_the_command_line() {
        // Of another program, tar.
        const OTHERS: &[&str] = &["\"--zstd -xf\""];
        for (path, line) in library() {
            let named = line.match_indices("--").any(|(at, dashes)| {
                let next = line[at + dashes.len()..].chars().next();
                next.is_some_and(|next| next.is_ascii_lowercase() || next == '{')
            });
            let is_other = OTHERS.iter().any(|other| line.contains(other));
            assert!(!named || is_other, "{}: {line}", path.display());
        }
    }
}
