//! Where networks are computed: this machine's CPU, or a device of another crate.

use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;

use crate::config::{Config, ModelConfig, Precision};
use crate::engine::{self, CpuLearner, CpuNetwork};
use crate::error::{Error, Result};
use crate::network::{Learner, Network};
use crate::weights::Parameters;
use crate::weights::torch::NamedTensor;

/// The GPUs that `nephos-burn` computes on; the cargo feature that builds one has its name.
const GPUS: [&str; 4] = ["vulkan", "metal", "webgpu", "cuda"];

/// What computes networks on one device.
pub trait Backend: Debug + Send + Sync {
    /// A network that predicts, of weights under PyTorch's names; errors call their file
    /// `origin`.
    ///
    /// # Errors
    /// Tensors that don't fit the configuration, or a device that can't.
    fn network(
        &self,
        config: &ModelConfig,
        channels: usize,
        tensors: Vec<NamedTensor>,
        origin: &Path,
    ) -> Result<Box<dyn Network>>;

    /// A network in training from weights under PyTorch's names, or from random ones drawn by
    /// `config.seed`.
    ///
    /// # Errors
    /// As [`Backend::network`].
    fn learner(
        &self,
        config: &Config,
        tensors: Option<Vec<NamedTensor>>,
    ) -> Result<Box<dyn Learner>>;

    /// Whether the device does arithmetic in that format.
    fn supports(&self, precision: Precision) -> bool;

    /// Parameters of a network, and its multiplications for an image of so many rows and
    /// columns.
    ///
    /// # Errors
    /// The backend does not support networks of that kind.
    fn cost(&self, config: &ModelConfig, channels: usize, size: [usize; 2])
    -> Result<(usize, u64)>;
}

/// A crate that computes networks.
pub trait Provider: Debug + Sync {
    /// The devices of one kind (`vulkan`, `metal`, `webgpu` or `cuda`), each with whether it is
    /// a software renderer; `None` where the crate was built without them.
    fn devices(&self, kind: &str) -> Option<Vec<(Arc<dyn Backend>, bool)>>;

    /// What computes on the CPU the networks that the engine lacks.
    fn cpu(&self) -> Arc<dyn Backend>;
}

/// Where networks are computed.
#[derive(Debug, Clone)]
pub struct Device {
    /// Of another crate.
    backend: Option<Arc<dyn Backend>>,
    /// Whether the backend computes only what the engine lacks.
    cpu: bool,
}

impl Default for Device {
    fn default() -> Self {
        Self::cpu()
    }
}

impl Device {
    /// This machine's CPU, by the [engine].
    pub fn cpu() -> Self {
        Self {
            backend: None,
            cpu: true,
        }
    }

    /// A device of another crate.
    pub fn of(backend: Arc<dyn Backend>) -> Self {
        Self {
            backend: Some(backend),
            cpu: false,
        }
    }

    /// This machine's CPU, by the engine, and by `backend` what the engine lacks.
    pub fn cpu_with(backend: Arc<dyn Backend>) -> Self {
        Self {
            backend: Some(backend),
            cpu: true,
        }
    }

    /// The backend of a network of that configuration; `None`: the engine.
    fn backend(&self, config: &ModelConfig) -> Result<Option<&dyn Backend>> {
        if self.cpu && config.kind.is_graph_transformer() {
            return Ok(None);
        }
        match &self.backend {
            Some(backend) => Ok(Some(&**backend)),
            None => Err(Error::unsupported(
                format!("model.kind = \"{}\"", config.kind.name()),
                "this build of nephos lacks the baselines; build with the feature `baselines`",
            )),
        }
    }

    /// A network that predicts, of weights under PyTorch's names; errors call their file
    /// `origin`.
    ///
    /// # Errors
    /// Tensors that don't fit the configuration, a kind of network that this build lacks, or a
    /// network beyond the machine's memory.
    ///
    /// # Panics
    /// The configuration was not validated.
    pub fn network(
        &self,
        config: &ModelConfig,
        channels: usize,
        tensors: Vec<NamedTensor>,
        origin: &Path,
    ) -> Result<Box<dyn Network>> {
        match self.backend(config)? {
            Some(backend) => backend.network(config, channels, tensors, origin),
            None => Ok(Box::new(CpuNetwork::new(
                config, channels, tensors, origin,
            )?)),
        }
    }

    /// A network in training from weights under PyTorch's names, or from random ones drawn by
    /// `config.seed`.
    ///
    /// # Errors
    /// As [`Device::network`]; a precision that the device does not compute in.
    ///
    /// # Panics
    /// As [`Device::network`].
    pub fn learner(
        &self,
        config: &Config,
        tensors: Option<Vec<NamedTensor>>,
    ) -> Result<Box<dyn Learner>> {
        let (model, channels) = (&config.model, config.channels());
        if let Some(backend) = self.backend(model)? {
            let precision = config.train.precision;
            if !backend.supports(precision) {
                return Err(Error::unsupported(
                    format!("train.precision = \"{}\"", precision.name()),
                    "the device does no arithmetic in it; f32 always works",
                ));
            }
            return backend.learner(config, tensors);
        }
        let parameters = match tensors {
            None => Parameters::draw(model, channels, config.seed),
            Some(tensors) => {
                let origin = Path::new("the weights to start from");
                Parameters::from_torch(model, channels, tensors, origin)?
            }
        };
        Ok(Box::new(CpuLearner::new(config, parameters)))
    }

    /// Parameters of a network, and its multiplications for an image of so many rows and
    /// columns.
    ///
    /// # Errors
    /// A kind of network that this build lacks.
    ///
    /// # Panics
    /// As [`Device::network`]; an image smaller than a patch.
    pub fn cost(
        &self,
        config: &ModelConfig,
        channels: usize,
        size: [usize; 2],
    ) -> Result<(usize, u64)> {
        match self.backend(config)? {
            Some(backend) => backend.cost(config, channels, size),
            None => Ok((
                Parameters::count(config, channels),
                engine::multiplications(config, channels, size),
            )),
        }
    }
}

/// The device that `spec` asks for: `auto`, `cpu`, or a backend with an
/// optional index, as in `vulkan`, `vulkan:0`, `cuda:1`.
///
/// `auto` is the first GPU that a provider finds, else the CPU; a software
/// renderer is taken only when it is asked for.
///
/// # Errors
/// An unknown name, a backend that no provider has (the message says which
/// feature to build with), or a device that is not there.
pub fn select(spec: &str, providers: &[&dyn Provider]) -> Result<Device> {
    let spec = spec.trim();
    let cpu = || match providers.first() {
        Some(provider) => Device::cpu_with(provider.cpu()),
        None => Device::cpu(),
    };
    let devices = |kind: &str| providers.iter().find_map(|provider| provider.devices(kind));
    if spec == "auto" {
        let of_kind = |kind: &&str| {
            let mut found = devices(kind)?.into_iter();
            found.find_map(|(gpu, software)| (!software).then_some(gpu))
        };
        return Ok(GPUS.iter().find_map(of_kind).map_or_else(cpu, Device::of));
    }
    let (name, index) = match spec.split_once(':') {
        Some((name, index)) => {
            let index: usize = index.parse().map_err(|_| {
                Error::usage(format!(
                    "`options.device = {spec}`: `{index}` is not a device number, as in {name}:0"
                ))
            })?;
            (name, index)
        }
        None => (spec, 0),
    };
    if name == "cpu" && index == 0 {
        return Ok(cpu());
    }
    if name != "cpu" && !GPUS.contains(&name) {
        return Err(Error::usage(format!(
            "`options.device = {spec}`: expected auto, cpu, vulkan, metal, webgpu or cuda, \
             with a number after a colon where there are several"
        )));
    }
    let found = match name {
        "cpu" => return Err(not_there(spec, name, 1)),
        _ => devices(name).ok_or_else(|| {
            Error::unsupported(
                format!("`options.device = {name}`"),
                format!("this build of nephos lacks it; build with the feature `{name}`"),
            )
        })?,
    };
    let count = found.len();
    let found = found.into_iter().nth(index);
    found.map_or_else(
        || Err(not_there(spec, name, count)),
        |(gpu, _)| Ok(Device::of(gpu)),
    )
}

/// The error of a device that this machine lacks, where it has `count` of its kind.
fn not_there(spec: &str, name: &str, count: usize) -> Error {
    Error::unsupported(
        format!("`options.device = {spec}`"),
        match count {
            0 => format!("this machine has no {name} device; `options.device = cpu` always works"),
            1 => format!("the only {name} device is {name}:0"),
            _ => format!("the {name} devices are {name}:0 to {name}:{}", count - 1),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there() {
        assert!(select("cpu", &[]).is_ok());
        assert!(select("auto", &[]).is_ok());
        let error = select("cpu:3", &[]).unwrap_err().to_string();
        assert!(error.contains("cpu:0"), "{error}");
    }

    #[test]
    fn a_backend_left_out_names_its_feature() {
        let error = select("cuda:0", &[]).unwrap_err().to_string();
        assert!(error.contains("feature `cuda`"), "{error}");
        let text = "[model]\nkind = \"unet\"";
        let config = Config::parse(text, "t.toml", &[]).unwrap();
        let error = Device::cpu()
            .learner(&config, None)
            .unwrap_err()
            .to_string();
        assert!(error.contains("feature `baselines`"), "{error}");
    }

    #[test]
    fn unknown_devices_are_errors() {
        assert!(select("gpu", &[]).is_err());
        assert!(select("cpu:x", &[]).is_err());
    }
}
