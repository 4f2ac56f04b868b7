//! The arguments of every command that uses a trained model.

use std::path::{Path, PathBuf};

use anyhow::Context;
use nephos::burn_device::Device;
use nephos::config::Config;
use nephos::model::Bundle;
