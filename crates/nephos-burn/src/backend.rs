//! What nephos asks for: networks on Burn's devices.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::{Device, FloatDType};
use nephos::Result;
use nephos::config::{Config, ModelConfig, Precision};
use nephos::device::{Backend, Provider};
use nephos::network::{Learner, Network};
use nephos::weights::NamedTensor;

use crate::device::{is_software, of_kind};
use crate::learner::BurnLearner;
use crate::network::BurnNetwork;
use crate::segmenter::Segmenter;
use crate::tensors::apply;

/// The devices of Burn: a GPU's, where they are built in, and the CPU.
#[derive(Debug, Clone, Copy, Default)]
pub struct Burn;

impl Provider for Burn {
    fn devices(&self, kind: &str) -> Option<Vec<(Arc<dyn Backend>, bool)>> {
        let with_kind = |device: Device| {
            let software = is_software(&device);
            (
                Arc::new(BurnBackend::new(device)) as Arc<dyn Backend>,
                software,
            )
        };
        Some(of_kind(kind)?.into_iter().map(with_kind).collect())
    }

    fn cpu(&self) -> Arc<dyn Backend> {
        Arc::new(BurnBackend::new(Device::flex()))
    }
}

/// One device of Burn, which computes every network of nephos.
#[derive(Debug, Clone)]
pub struct BurnBackend {
    /// Without autodiff.
    device: Device,
}

impl BurnBackend {
    /// Networks on `device`.
    pub fn new(device: Device) -> Self {
        Self {
            device: device.inner(),
        }
    }
}

impl Backend for BurnBackend {
    fn network(
        &self,
        config: &ModelConfig,
        channels: usize,
        tensors: Vec<NamedTensor>,
        origin: &Path,
    ) -> Result<Box<dyn Network>> {
        let fresh = Segmenter::unset(config, channels, &self.device);
        let segmenter = apply(fresh, tensors, origin)?;
        Ok(Box::new(BurnNetwork::new(segmenter, &self.device)))
    }

    fn learner(
        &self,
        config: &Config,
        tensors: Option<Vec<NamedTensor>>,
    ) -> Result<Box<dyn Learner>> {
        Ok(Box::new(BurnLearner::new(config, tensors, &self.device)?))
    }

    fn supports(&self, precision: Precision) -> bool {
        match precision {
            Precision::F32 => true,
            Precision::Bf16 => self.device.supports_dtype(FloatDType::BF16),
            Precision::F16 => self.device.supports_dtype(FloatDType::F16),
        }
    }

    fn cost(
        &self,
        config: &ModelConfig,
        channels: usize,
        size: [usize; 2],
    ) -> Result<(usize, u64)> {
        // The same on every device; a GPU's patches are filled up with zeros, which don't count.
        let segmenter = Segmenter::unset(config, channels, &Device::flex());
        let multiplications = segmenter.multiplications(channels, size);
        Ok((segmenter.parameters(), multiplications))
    }
}
