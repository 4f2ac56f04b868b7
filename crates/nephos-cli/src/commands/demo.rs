//! `nephos demo`

use crate::ui::Ui;

/// Simulate, train, evaluate and draw, in a few minutes
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
