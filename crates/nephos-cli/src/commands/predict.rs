//! `nephos predict`

use crate::ui::Ui;

/// Segment an image or a container of samples
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_args: Args, _ui: &Ui) -> anyhow::Result<()> {
    anyhow::bail!("not built yet")
}
