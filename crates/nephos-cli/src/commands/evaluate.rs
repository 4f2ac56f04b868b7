//! `nephos evaluate`

use crate::ui::Ui;

/// Score a model on labelled samples
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
