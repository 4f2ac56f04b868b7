//! Whether what is about to be computed fits into memory.

use std::fs;

use crate::error::{Error, Result};

/// Refuses work that needs more memory than there is.
///
/// # Errors
/// `subject` needs `bytes`, and fewer are free.
pub(super) fn check(subject: &str, bytes: u64) -> Result<()> {
    match available() {
        Some(available) if bytes > available => Err(beyond(subject, bytes, available)),
        _ => Ok(()),
    }
}

fn beyond(subject: &str, bytes: u64, available: u64) -> Error {
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    let message = format!(
        "it needs about {:.1} GB of memory, and {:.1} GB are free",
        gigabytes(bytes),
        gigabytes(available)
    );
    Error::limits(subject, message)
}

/// Bytes that this process may still use: those that the system has free, within the limits
/// of its control group; `None` where that is unknown.
fn available() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let free = line
        .split_whitespace()
        .next()?
        .parse::<u64>()
        .ok()?
        .saturating_mul(1024);
    Some(free.min(group().unwrap_or(u64::MAX)))
}

/// What the control group (version 2) leaves; its file caches count as used.
fn group() -> Option<u64> {
    let number = |name: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?;
        text.trim().parse().ok()
    };
    let caches = || -> Option<u64> {
        let text = fs::read_to_string("/sys/fs/cgroup/memory.stat").ok()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("inactive_file "))?;
        line.trim().parse().ok()
    };
    let used = number("memory.current")?.saturating_sub(caches().unwrap_or(0));
    Some(number("memory.max")?.saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_machine_has_is_refused() {
        assert!(check("the work", 1000).is_ok());
        if available().is_some() {
            let error = check("the work", u64::MAX).unwrap_err().to_string();
            assert!(error.starts_with("the work: it needs about"), "{error}");
        }
    }
}
