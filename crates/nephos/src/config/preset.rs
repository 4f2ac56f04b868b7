//! Configurations that come with nephos.

use std::path::Path;

use super::Config;
use crate::error::{Error, Result};

/// A configuration that comes with nephos.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// Its name, for use in place of a path.
    pub name: &'static str,
    /// Its TOML, with comments.
    pub text: &'static str,
}

macro_rules! presets {
    ($($name:literal),* $(,)?) => {
        &[$(Preset {
            name: $name,
            text: include_str!(concat!("../../../../configs/", $name, ".toml")),
        }),*]
    };
}

/// The files of `configs/`.
const PRESETS: &[Preset] = presets![
    "tiny",
    "small",
    "base",
    "cloudsen12",
    "reference",
    "demo",
    "l8biome",
    "unet",
    "deeplabv3plus",
    "segformer",
    "augment",
];

impl Preset {
    /// All of them.
    pub fn all() -> &'static [Self] {
        PRESETS
    }

    /// The one of that name.
    pub fn find(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// A description: the first sentence of its comment.
    pub fn description(&self) -> String {
        let comment: Vec<&str> = (self.text.lines())
            .map_while(|line| line.strip_prefix('#'))
            .take_while(|line| !line.trim().is_empty())
            .map(str::trim)
            .collect();
        let comment = comment.join(" ");
        // Not the point of a number or an abbreviation: a capital letter follows.
        let end = comment
            .match_indices(". ")
            .map(|(place, _)| place)
            .find(|place| comment[place + 2..].starts_with(|c: char| c.is_uppercase() || c == '`'));
        comment[..end.unwrap_or(comment.len())]
            .trim_end_matches(['.', ':'])
            .to_owned()
    }
}

impl Config {
    /// The configuration in the file at `path`, or the one that comes with nephos under that
    /// name, with `overrides` as in [`Config::load`]. A file goes first.
    ///
    /// # Errors
    /// There is neither (the message lists the names there are), or as for
    /// [`Config::load`].
    pub fn open(path: &Path, overrides: &[String]) -> Result<Self> {
        if path.is_file() {
            return Self::load(path, overrides);
        }
        match path.to_str().and_then(Preset::find) {
            Some(preset) => Self::parse(preset.text, preset.name, overrides),
            // A folder, a file that must not be read: the system returns the error.
            None if path.exists() => Self::load(path, overrides),
            None => Err(no_such(path)),
        }
    }

    /// The configuration that comes with nephos under `name`, with `overrides` as in
    /// [`Config::load`].
    ///
    /// # Errors
    /// There is none of that name (the message lists those there are), or as for
    /// [`Config::parse`].
    pub fn preset(name: &str, overrides: &[String]) -> Result<Self> {
        match Preset::find(name) {
            Some(preset) => Self::parse(preset.text, name, overrides),
            None => Err(no_such(Path::new(name))),
        }
    }

    /// The names of the configurations that come with nephos.
    pub fn preset_names() -> impl Iterator<Item = &'static str> {
        PRESETS.iter().map(|preset| preset.name)
    }
}

/// The error of a name that is neither a file nor a preset.
fn no_such(path: &Path) -> Error {
    let known: Vec<&str> = Config::preset_names().collect();
    // `configs/tiny.toml` of another folder.
    let meant = (path.file_stem().and_then(|stem| stem.to_str()))
        .filter(|stem| Preset::find(stem).is_some())
        .map(|stem| format!("; `{stem}` alone is the one that comes with nephos"));
    Error::usage(format!(
        "`{}` is neither a file nor a configuration that comes with nephos ({}){}",
        path.display(),
        known.join(", "),
        meant.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_presets_are_read_by_their_names() {
        for name in Config::preset_names() {
            let config = Config::preset(name, &[]).unwrap();
            assert_eq!(config.name, name);
            // What a bundle carries is read back.
            let text = config.to_toml().unwrap();
            assert_eq!(Config::parse(&text, name, &[]).unwrap(), config);
        }
        let error = Config::preset("nothing", &[]).unwrap_err().to_string();
        assert!(error.contains("segformer"), "{error}");
    }

    #[test]
    fn a_name_is_accepted_in_place_of_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let open = |path: &Path| Config::open(path, &["seed=5".to_owned()]);
        assert_eq!(open(Path::new("unet")).unwrap().name, "unet");
        let own = folder.path().join("unet");
        std::fs::write(&own, "name = 'own'").unwrap();
        let config = open(&own).unwrap();
        assert_eq!((config.name.as_str(), config.seed), ("own", 5));
        let error = open(&folder.path().join("configs/tiny.toml"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("`tiny` alone is the one"), "{error}");
        let error = open(Path::new("nothing")).unwrap_err().to_string();
        assert!(
            error.contains("neither a file nor") && error.contains("segformer"),
            "{error}"
        );
        assert!(open(folder.path()).is_err());
    }

    #[test]
    fn each_has_a_description_of_one_sentence() {
        for preset in Preset::all() {
            let message = preset.description();
            assert!(
                (20..200).contains(&message.len()),
                "{}: {message}",
                preset.name
            );
            assert!(
                !message.contains("configs/") && !message.ends_with('.'),
                "{message}"
            );
        }
    }

    /// Presets name no files of the machine they were made on.
    #[test]
    fn none_names_files_that_its_comment_does_not_create() {
        for preset in Preset::all() {
            let config = Config::preset(preset.name, &[]).unwrap();
            let data = &config.data;
            assert!(data.mix.is_empty() && data.augment.paste.from.is_none());
            let paths = [&data.train, &data.val, &data.test];
            let made = |path: &&Option<std::path::PathBuf>| {
                path.as_ref()
                    .is_none_or(|path| path.starts_with("cloudsen12"))
            };
            assert!(paths.iter().all(made), "{}", preset.name);
        }
    }

    #[test]
    fn every_file_of_configs_is_read() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            assert_eq!(Config::load(&path, &[]).unwrap().name, name);
            names.push(name);
        }
        names.sort_unstable();
        let mut known: Vec<&str> = Config::preset_names().collect();
        known.sort_unstable();
        assert_eq!(names, known);
    }

    #[test]
    fn cloudsen12_is_base_on_all_bands() {
        let [base, all] = ["base", "cloudsen12"].map(|name| Config::preset(name, &[]).unwrap());
        assert_eq!(all.model, base.model);
        let known = crate::band::SENTINEL2.map(|(_, name, _)| name);
        let mut bands: Vec<&str> = all.data.bands.iter().map(String::as_str).collect();
        bands.sort_unstable();
        let mut sorted = known.to_vec();
        sorted.sort_unstable();
        assert_eq!(bands, sorted);
        // Red, green and blue are always there.
        assert_eq!(all.data.optional_bands.len(), 10);
    }

    #[test]
    fn a_baseline_has_no_sections() {
        let set = ["model.patch.size=8".to_owned()];
        let error = Config::preset("unet", &set).unwrap_err().to_string();
        assert!(error.contains("model.kind"), "{error}");
        assert!(
            !Config::preset("unet", &[])
                .unwrap()
                .to_toml()
                .unwrap()
                .contains("[model.patch]")
        );
    }
}
