//! `nephos config`

use anyhow::bail;
use nephos::config::Preset;

use crate::ui::{Ui, say};

/// Print a configuration that comes with nephos
///
/// Without a name, lists them all. Each name is accepted in place of the path of a
/// configuration: nephos train --config tiny. To change more than --set can, print one
/// into a file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  nephos config
  nephos config reference
  nephos config base > mine.toml")]
pub struct Args {
    /// Which one
    name: Option<String>,
}

pub fn run(args: Args, _ui: &Ui) -> anyhow::Result<()> {
    let presets = Preset::all();
    let Some(name) = &args.name else {
        let width = presets.iter().map(|preset| preset.name.len()).max();
        let width = width.unwrap_or(0);
        for preset in presets {
            say!("{:<width$}  {}", preset.name, preset.description());
        }
        return Ok(());
    };
    match Preset::find(name) {
        Some(preset) => say!("{}", preset.text.trim_end()),
        None => {
            let known: Vec<&str> = presets.iter().map(|preset| preset.name).collect();
            bail!(
                "no configuration that comes with nephos is called `{name}`; there are {}",
                known.join(", ")
            );
        }
    }
    Ok(())
}
