//! The threads of the process.

use anyhow::{Context, bail};

/// Threads that a process may ask for: more than any machine has cores.
const MAX_THREADS: usize = 1024;

/// Starts the threads that decode and compute in this process; without a number one per core,
/// or as the variable `RAYON_NUM_THREADS` says. Results are the same whatever the number.
///
/// # Errors
/// More than 1024 threads, or more than the system lets this process start.
pub fn start(threads: Option<usize>) -> anyhow::Result<()> {
    let variable = || std::env::var("RAYON_NUM_THREADS").ok()?.trim().parse().ok();
    let (subject, asked) = match threads {
        Some(threads) => (format!("--threads {threads}"), Some(threads)),
        None => ("threads".to_owned(), variable()),
    };
    if let Some(asked) = asked.filter(|asked| *asked > MAX_THREADS) {
        bail!("{subject}: {asked} threads, at most {MAX_THREADS} are started");
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(asked.unwrap_or(0));
    pool.build_global().with_context(|| {
        format!(
            "{subject}: the threads that compute can't be started; fewer are asked for with the \
             environment variable RAYON_NUM_THREADS, or --threads of `nephos predict`"
        )
    })
}
