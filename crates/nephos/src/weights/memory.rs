//! Whether a network can fit the machine at all.

use crate::config::ModelConfig;
use crate::error::Result;
use crate::memory;

/// Bytes of a parameter.
const PARAMETER: u128 = 4;

/// Refuses a network for images of `channels` channels whose weights alone take more than the
/// machine's memory: to allocate them would end the process.
///
/// # Errors
/// The bytes, and the section that asks for them.
pub(crate) fn check_network(model: &ModelConfig, channels: usize) -> Result<()> {
    let bytes = PARAMETER * model.parameters_at_least(channels);
    memory::check_memory("[model]", "the weights of such a network", bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn networks_beyond_memory_are_refused() {
        let reference = ModelConfig::default();
        // It has 11,245,316; what is not counted is little.
        let least = reference.parameters_at_least(3);
        assert!((10_000_000..11_245_317).contains(&least), "{least}");
        check_network(&reference, 3).unwrap();
        if memory::host_memory().is_none() {
            return;
        }
        let text = "[model]\npatch = { width = 65536 }\nencoder = { depth = 1000 }";
        let wide = Config::parse(text, "t.toml", &[]).unwrap().model;
        let error = check_network(&wide, 3).unwrap_err().to_string();
        assert!(error.contains("[model]") && error.contains("GB"), "{error}");
    }
}
