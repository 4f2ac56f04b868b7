//! How many multiplications a network takes.

use std::cell::Cell;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

/// Notes multiplications of a layer under way on this thread.
pub(crate) fn add(multiplications: usize) {
    COUNT.set(COUNT.get().wrapping_add(multiplications as u64));
}

/// Multiplications of convolutions, linear layers and products of attention, each
/// with its addition, that `work` does on this thread. Norms, activations and
/// resampling are not counted.
pub(crate) fn multiplications(work: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    work();
    COUNT.get().wrapping_sub(before)
}
