//! `nephos explain`

use crate::ui::Ui;

/// Draw what a patch attends to
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
