//! `nephos split`

use crate::ui::Ui;

/// Choose train, validation and test samples
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
