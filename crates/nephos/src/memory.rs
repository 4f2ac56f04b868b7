//! Memory of the machine.

use crate::error::{Error, Result};

/// Memory of this machine in bytes, or of what this process may have of it; `None` where the
/// system does not say (Linux does).
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
