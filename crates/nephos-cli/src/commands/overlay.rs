//! `nephos overlay`

use crate::ui::Ui;

/// Draw RGB, truth and prediction side by side
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
