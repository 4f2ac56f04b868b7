//! `nephos weights`

use crate::ui::Ui;

/// Convert weights between nephos and PyTorch
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
