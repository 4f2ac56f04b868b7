//! Parallel loops on the pool's threads, and workers that spin between loops.
//!
//! A forward pass is some fifty loops, a training step hundreds, each of which ends
//! before the next begins. A thread of rayon's pool that finds nothing to do falls
//! asleep within microseconds, and to wake it takes tens, on a virtual machine
//! longer: there its processor is given away meanwhile.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rayon::Yield;

/// How long a worker spins without a task: longer than what is done between loops.
const SPIN_TIMEOUT: Duration = Duration::from_millis(20);

/// Whether workers are spinning.
static SPINNING: AtomicBool = AtomicBool::new(false);

/// Does `work` on a thread of the pool while the other threads look for its tasks
/// without falling asleep.
///
/// They burn their processors meanwhile, so it is for work that is loops and little
/// between them. One such work at a time has helpers: others, at the same time or
/// inside of it, are only moved to the pool.
pub fn with_spinning_workers<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if SPINNING.swap(true, Ordering::Acquire) {
        return rayon::scope(|_| work());
    }
    let over = AtomicBool::new(false);
    rayon::scope(|scope| {
        let _over = Over(&over);
        let (over, own) = (&over, rayon::current_thread_index());
        scope.spawn_broadcast(move |_, thread| {
            if Some(thread.index()) == own {
                return;
            }
            let mut busy = Instant::now();
            // A thread may have got here while a task waits, below on its stack: even
            // one of `work`, which then waits for that. It goes back before long.
            while !over.load(Ordering::Acquire) && busy.elapsed() < SPIN_TIMEOUT {
                if rayon::yield_now() == Some(Yield::Executed) {
                    busy = Instant::now();
                } else {
                    std::thread::yield_now();
                }
            }
        });
        work()
    })
}

/// Does tasks `0..count`, by all threads of the pool.
///
/// Each thread takes some tasks in a row, fewer as fewer are left (guided
/// self-scheduling, Polychronopoulos & Kuck 1987, doi:10.1109/TC.1987.5009495). At the
/// end one may wait for a task of another, and then spins: so tasks are short,
/// and wait for nothing.
pub(crate) fn parallel_for(count: usize, task: impl Fn(usize) + Sync) {
    let threads = rayon::current_num_threads().min(count);
    if threads <= 1 {
        return (0..count).for_each(task);
    }
    let (next, undone) = (AtomicUsize::new(0), AtomicUsize::new(count));
    let chunk = |from: usize| (count - from.min(count)).div_ceil(2 * threads);
    let work = || {
        let take = |from| Some(from + chunk(from));
        while let Ok(from) = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            && from < count
        {
            let mine = Mine(chunk(from), &undone);
            (from..from + mine.0).for_each(&task);
        }
    };
    rayon::scope(|scope| {
        (1..threads).for_each(|_| scope.spawn(|_| work()));
        work();
        while undone.load(Ordering::Acquire) > 0 {
            // Whoever shares the processor may be the one that is waited for.
            std::thread::yield_now();
        }
    });
}

/// Tasks of one thread, which are no longer undone when it has done them, or panicked:
/// no thread waits for them for ever.
struct Mine<'a>(usize, &'a AtomicUsize);

impl Drop for Mine<'_> {
    fn drop(&mut self) {
        self.1.fetch_sub(self.0, Ordering::Release);
    }
}

/// Lets the helpers go, whether the work ended or panicked.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
        SPINNING.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use rayon::prelude::*;

    use super::*;

    fn pool(threads: usize) -> rayon::ThreadPool {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().expect("threads")
    }

    /// Loops within loops, whose tasks wait for tasks.
    fn sum(count: u32) -> u32 {
        (0..count)
            .into_par_iter()
            .with_max_len(1)
            .map(|i| (0..i + 1).into_par_iter().with_max_len(1).sum::<u32>())
            .sum()
    }

    const SUM: u32 = 40 * 41 * 39 / 6;

    #[test]
    fn nested_and_concurrent_works_end() {
        for threads in [1, 2, 5] {
            let pool = pool(threads);
            let sums = || {
                with_spinning_workers(|| sum(40) == SUM && with_spinning_workers(|| sum(40)) == SUM)
            };
            let works = || (0..50).all(|_| sums());
            // From threads that are not of the pool ...
            std::thread::scope(|scope| {
                let works = (0..3).map(|_| scope.spawn(|| pool.install(works)));
                let works: Vec<_> = works.collect();
                assert!(works.into_iter().all(|work| work.join().expect("sums")));
            });
            // ... and from within its loops.
            let loops = || (0..6).into_par_iter().with_max_len(1).all(|_| works());
            assert!(pool.install(loops));
        }
    }

    #[test]
    fn each_task_is_done_once() {
        for threads in [1, 2, 7] {
            for count in [0, 1, 2, 6, 100, 1001] {
                let done: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                let task = |i: usize| {
                    done[i].fetch_add(1, Ordering::Relaxed);
                };
                pool(threads).install(|| with_spinning_workers(|| parallel_for(count, task)));
                assert!(done.iter().all(|done| done.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    fn a_panic_of_any_task_is_the_callers() {
        let pool = pool(3);
        for at in [0, 20, 39] {
            let panic = || pool.install(|| parallel_for(40, |i| assert_ne!(i, at)));
            assert!(catch_unwind(AssertUnwindSafe(panic)).is_err());
        }
    }

    #[test]
    fn a_panic_lets_the_helpers_go() {
        let pool = pool(3);
        let panic = || pool.install(|| with_spinning_workers(|| -> u32 { panic!("as intended") }));
        assert!(catch_unwind(AssertUnwindSafe(panic)).is_err());
        // The scope ended, so the helpers did: the pool works on.
        assert_eq!(pool.install(|| with_spinning_workers(|| sum(40))), SUM);
    }
}
