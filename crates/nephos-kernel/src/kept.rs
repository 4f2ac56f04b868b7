//! Memory that is used again: what a call needs for itself alone, where mapping it
//! afresh each time would cost more than what is done with it.

use std::sync::{Mutex, PoisonError};

use crate::gemm::aligned::Aligned;

static KEPT: Mutex<Vec<Aligned>> = Mutex::new(Vec::new());

/// Numbers of a slice that is kept, at most: 16 MiB.
const MOST: usize = 1 << 22;

/// How many are kept.
const COUNT: usize = 2;

/// Does `work` with `count` numbers, which are anything and start on a cache line.
pub(crate) fn with<T>(count: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    let kept = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let mut numbers = kept().pop().unwrap_or_default();
    if numbers.len() < count {
        numbers.resize(count);
    }
    let result = work(&mut numbers[..count]);
    let mut kept = kept();
    if numbers.len() <= MOST && kept.len() < COUNT {
        kept.push(numbers);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_within_calls_have_memory_of_their_own() {
        for count in [0, 7, MOST + 1, 100] {
            with(count, |outer| {
                outer.fill(1.0);
                with(count + 3, |inner| inner.fill(2.0));
                assert_eq!(outer.len(), count);
                assert!(outer.iter().all(|&x| x == 1.0));
            });
        }
    }
}
