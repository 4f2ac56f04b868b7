//! The threads that compute, and how Python waits for them.
//!
//! The library computes on the rayon pool that it is called in. That is one pool of this module, not
//! rayon's global one: threads do not survive a `fork`, and a pool of the child's own is
//! started there. It is as large as `RAYON_NUM_THREADS` or the processors that this process may use.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

/// More threads than any machine has cores.
const MAX_THREADS: usize = 1024;
/// How long Ctrl-C may go unnoticed.
const INTERVAL: Duration = Duration::from_millis(50);

/// The pool of this process, and which process that is. Locked only by a thread that is attached to
/// the interpreter and stays so: a thread that forks finds it free.
static POOL: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);

/// A pool of `threads` threads, or the one of this process.
///
/// # Errors
/// No threads, more than 1024, or more than the system starts.
pub fn pool(_attached: Python<'_>, threads: Option<usize>) -> PyResult<Arc<ThreadPool>> {
    let start = |threads: usize| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        let fail = |error| PyRuntimeError::new_err(format!("threads can't be started: {error}"));
        pool.map(Arc::new).map_err(fail)
    };
    match threads {
        Some(threads @ 1..=MAX_THREADS) => return start(threads),
        Some(threads) => {
            let message = format!("threads={threads}: from 1 to {MAX_THREADS} are expected");
            return Err(PyValueError::new_err(message));
        }
        None => {}
    }
    let mut known = POOL.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if let Some((owner, pool)) = known.as_ref()
        && *owner == process
    {
        return Ok(Arc::clone(pool));
    }
    let pool = start(0)?;
    // The threads of a parent's pool are not here: to end them would be to wait for none.
    std::mem::forget(known.replace((process, Arc::clone(&pool))));
    Ok(pool)
}

/// Does `work` on `threads` threads, or on this process's pool, while other threads of Python run.
/// Ctrl-C, or another signal whose handler raises, sets the flag that `work` gets and is
/// raised once it has returned.
///
/// # Errors
/// What `work` returns, or what a signal's handler raised.
pub fn detached<T: Send>(
    py: Python<'_>,
    threads: Option<usize>,
    work: impl FnOnce(&Arc<AtomicBool>) -> PyResult<T> + Send,
) -> PyResult<T> {
    let pool = pool(py, threads)?;
    let cancel = Arc::new(AtomicBool::new(false));
    py.detach(|| {
        std::thread::scope(|scope| {
            let (done, ended) = channel::<()>();
            let (pool, cancel) = (&pool, &cancel);
            let work = move || {
                // Dropped at the end, also by a panic.
                let _done = done;
                pool.install(|| work(cancel))
            };
            let worker = std::thread::Builder::new()
                .spawn_scoped(scope, work)
                .map_err(|e| PyRuntimeError::new_err(format!("a thread can't be started: {e}")))?;
            let mut raised = None;
            while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(INTERVAL) {
                if let Err(error) = Python::attach(|py| py.check_signals()) {
                    cancel.store(true, Ordering::Relaxed);
                    raised.get_or_insert(error);
                }
            }
            let result = (worker.join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            raised.map_or(result, Err)
        })
    })
}
