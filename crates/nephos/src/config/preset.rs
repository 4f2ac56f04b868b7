//! Configurations that come with nephos.

use super::Config;
use crate::error::{Error, Result};

/// Name and TOML of each; the files of `configs/`.
const PRESETS: [(&str, &str); 10] = [
    (
        "reference",
        include_str!("../../../../configs/reference.toml"),
    ),
    ("tiny", include_str!("../../../../configs/tiny.toml")),
    ("demo", include_str!("../../../../configs/demo.toml")),
    ("small", include_str!("../../../../configs/small.toml")),
    ("base", include_str!("../../../../configs/base.toml")),
    (
        "cloudsen12",
        include_str!("../../../../configs/cloudsen12.toml"),
    ),
    ("l8biome", include_str!("../../../../configs/l8biome.toml")),
    ("unet", include_str!("../../../../configs/unet.toml")),
    (
        "deeplabv3plus",
        include_str!("../../../../configs/deeplabv3plus.toml"),
    ),
    (
        "segformer",
        include_str!("../../../../configs/segformer.toml"),
    ),
];

impl Config {
    /// The configuration that comes with nephos under `name`, with `overrides` as in
    /// [`Config::load`].
    ///
    /// # Errors
    /// There is none of that name (the message lists those there are), or as for
    /// [`Config::parse`].
    pub fn preset(name: &str, overrides: &[String]) -> Result<Self> {
        match PRESETS.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::parse(text, name, overrides),
            None => {
                let known: Vec<&str> = Self::preset_names().collect();
                Err(Error::usage(format!(
                    "`{name}` is no configuration that comes with nephos ({}), nor the path of \
                     one that ends in .toml",
                    known.join(", ")
                )))
            }
        }
    }

    /// The names of the configurations that come with nephos.
    pub fn preset_names() -> impl Iterator<Item = &'static str> {
        PRESETS.iter().map(|(name, _)| *name)
    }
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
    fn every_file_of_configs_is_read() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            assert_eq!(Config::load(&path, &[]).unwrap().name, name);
            names.push(name);
        }
        for preset in Config::preset_names() {
            assert!(names.iter().any(|name| name == preset), "{preset}");
        }
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
