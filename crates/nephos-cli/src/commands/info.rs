//! `nephos info`

use crate::ui::Ui;

/// Tell what a file holds
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
