//! `nephos simulate`

use crate::ui::Ui;

/// Write simulated samples in the notebook's layout
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
