//! A network small enough to make anew in each test.

use std::path::Path;

use nephos::config::Config;
use nephos::weights::{Bundle, Parameters, Summary};

/// The network, for images of at least 8×8 pixels; follows a test's own settings.
pub const MODEL: &str = "
[model]
image_size = 32
patch = { size = 8, stride = 8, padding = 0, width = 8 }
encoder = { depth = 1, heads = 2, feed_forward = 16 }
graph = { layers = 1, width = 8 }
decoder = { width = 8 }
";

/// Writes an untrained model whose samples are read as `data` says.
pub fn save_untrained(data: &str, path: &Path) {
    let config = Config::parse(&format!("{data}{MODEL}"), "test", &[]).unwrap();
    let bundle = Bundle {
        tensors: Parameters::draw(&config.model, config.channels(), config.seed).into_torch(),
        summary: Summary::default(),
        config,
    };
    bundle.save(path).unwrap();
}
