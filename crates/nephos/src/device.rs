//! The only place where a backend is chosen.

pub use burn::tensor::Device;
use burn::tensor::FloatDType;

use crate::config::Precision;
use crate::error::{Error, Result};

/// The GPU backends nephos knows; the cargo feature that builds one has its name.
const GPUS: [&str; 4] = ["vulkan", "metal", "webgpu", "cuda"];

/// The device that `spec` asks for: `auto`, `cpu`, or a backend with an
/// optional index, as in `vulkan`, `vulkan:0`, `cuda:1`.
///
/// `auto` is the first GPU that a compiled-in backend finds, else the CPU; a software
/// renderer is taken only when it is asked for.
///
/// # Errors
/// An unknown name, a backend that was not compiled in (the message says which
/// feature to build with), or a device that is not there.
pub fn select(spec: &str) -> Result<Device> {
    let spec = spec.trim();
    if spec == "auto" {
        let gpu =
            (GPUS.iter()).find_map(|name| devices(name)?.into_iter().find(|gpu| !is_software(gpu)));
        return Ok(gpu.unwrap_or_else(Device::flex));
    }
    let (name, index) = match spec.split_once(':') {
        Some((name, index)) => {
            let index: usize = index.parse().map_err(|_| {
                Error::usage(format!(
                    "--device {spec}: `{index}` is not a device number, as in {name}:0"
                ))
            })?;
            (name, index)
        }
        None => (spec, 0),
    };
    if name != "cpu" && !GPUS.contains(&name) {
        return Err(Error::usage(format!(
            "--device {spec}: expected auto, cpu, vulkan, metal, webgpu or cuda, \
             with a number after a colon where there are several"
        )));
    }
    let found = devices(name).ok_or_else(|| {
        Error::unsupported(
            format!("--device {name}"),
            format!("this build of nephos lacks it; build with `--features {name}`"),
        )
    })?;
    let count = found.len();
    found.into_iter().nth(index).ok_or_else(|| {
        Error::unsupported(
            format!("--device {spec}"),
            match count {
                0 => format!("this machine has no {name} device; `--device cpu` always works"),
                1 => format!("the only {name} device is {name}:0"),
                _ => format!("the {name} devices are {name}:0 to {name}:{}", count - 1),
            },
        )
    })
}

/// Whether layers can compute in `precision` on `device`.
///
/// # Errors
/// The device does not do arithmetic in it.
pub fn check_precision(device: &Device, precision: Precision) -> Result<()> {
    let (name, dtype) = match precision {
        Precision::F32 => return Ok(()),
        Precision::Bf16 => ("bf16", FloatDType::BF16),
        Precision::F16 => ("f16", FloatDType::F16),
    };
    if device.clone().inner().supports_dtype(dtype) {
        return Ok(());
    }
    Err(Error::unsupported(
        format!("train.precision = \"{name}\""),
        "the device does no arithmetic in it; f32 always works".to_owned(),
    ))
}

/// Whether tensors on `device` lie in this process's memory and are not recorded for
/// gradients, so that arithmetic without tensors may take their place.
pub fn is_plain_cpu(device: &Device) -> bool {
    !device.is_autodiff() && *device == Device::flex()
}

/// Memory of this machine in bytes, or of what this process may have of it; `None` where the
/// system does not tell (it is Linux that does).
pub fn host_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    // A control group's bound is a number, or `max`.
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max");
    let bound = group.ok().and_then(|text| text.trim().parse().ok());
    Some(
        bound
            .unwrap_or(u64::MAX)
            .min(kilobytes.saturating_mul(1024)),
    )
}

/// Refuses `what`, which `subject` asks for, where its `bytes` are more than the machine's
/// memory.
///
/// # Errors
/// The bytes that are asked for, and those there are.
pub(crate) fn check_memory(subject: &str, what: &str, bytes: u128) -> Result<()> {
    match host_memory().map(u128::from) {
        Some(memory) if bytes > memory => Err(Error::limits(
            subject,
            format!(
                "{what} take {:.1} GB of memory at least, and this machine has {:.1} GB",
                bytes as f64 / 1e9,
                memory as f64 / 1e9
            ),
        )),
        _ => Ok(()),
    }
}

/// Threads that a process may ask for: more than any machine has cores.
const MAX_THREADS: usize = 1024;

/// Starts the threads that decode and compute in this process; without a number one a core,
/// or as the variable `RAYON_NUM_THREADS` says. Results are the same whatever the number.
///
/// # Errors
/// More than 1024 threads, or more than the system lets this process start; or they have
/// begun their work already.
pub fn start_threads(threads: Option<usize>) -> Result<()> {
    let variable = || std::env::var("RAYON_NUM_THREADS").ok()?.trim().parse().ok();
    let (subject, asked) = match threads {
        Some(threads) => (format!("--threads {threads}"), Some(threads)),
        None => ("threads".to_owned(), variable()),
    };
    if let Some(asked) = asked.filter(|asked| *asked > MAX_THREADS) {
        let message = format!("{asked} threads, at most {MAX_THREADS} are started");
        return Err(Error::limits(subject, message));
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(asked.unwrap_or(0));
    pool.build_global().map_err(|e| {
        Error::limits(
            subject,
            format!(
                "the threads that compute can't be started ({e}); fewer are asked for with \
                 the environment variable RAYON_NUM_THREADS, or --threads of `nephos predict`"
            ),
        )
    })
}

/// The devices of one backend, or `None` when it was not compiled in.
///
/// Burn panics when it is asked for a device that is not there, so devices are
/// only ever taken from this list.
fn devices(name: &str) -> Option<Vec<Device>> {
    #[allow(unused_imports)]
    use burn::tensor::DeviceType;
    match name {
        "cpu" => Some(vec![Device::flex()]),
        #[cfg(feature = "vulkan")]
        "vulkan" => Some(Device::enumerate(DeviceType::Vulkan).into_vec()),
        #[cfg(feature = "metal")]
        "metal" => Some(Device::enumerate(DeviceType::Metal).into_vec()),
        // Burn's `WebGpu` is a browser's; a native program reaches the same by `Wgpu`.
        #[cfg(feature = "webgpu")]
        "webgpu" => Some(Device::enumerate(DeviceType::Wgpu).into_vec()),
        #[cfg(feature = "cuda")]
        "cuda" => Some(Device::enumerate(DeviceType::Cuda).into_vec()),
        _ => None,
    }
}

/// Whether a processor plays the GPU, as Mesa's lavapipe does.
fn is_software(gpu: &Device) -> bool {
    #[cfg(any(feature = "vulkan", feature = "metal", feature = "webgpu"))]
    {
        use burn::backend::{CubeDevice, DispatchDevice, WgpuDeviceKind};
        matches!(
            gpu.as_dispatch(),
            DispatchDevice::Cube(CubeDevice::Wgpu(wgpu)) if wgpu.kind == WgpuDeviceKind::Cpu
        )
    }
    #[cfg(not(any(feature = "vulkan", feature = "metal", feature = "webgpu")))]
    {
        let _ = gpu;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there() {
        assert!(select("cpu").is_ok());
        assert!(select("auto").is_ok());
        let error = select("cpu:3").unwrap_err().to_string();
        assert!(error.contains("cpu:0"), "{error}");
    }

    #[test]
    #[cfg(not(feature = "cuda"))]
    fn a_backend_left_out_names_its_feature() {
        let error = select("cuda:0").unwrap_err().to_string();
        assert!(error.contains("--features cuda"), "{error}");
    }

    #[test]
    fn unknown_devices_are_errors() {
        assert!(select("gpu").is_err());
        assert!(select("cpu:x").is_err());
    }
}
