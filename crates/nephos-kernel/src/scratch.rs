//! Scratch memory: buffers that are reused from call to call, where mapping them afresh each
//! time would cost more than the computation in them.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use crate::gemm::aligned::Aligned;

/// The first numbers of an allocation.
#[derive(Debug, Clone, Default)]
pub struct Buffer {
    data: Vec<f32>,
    len: usize,
}

impl From<Vec<f32>> for Buffer {
    fn from(data: Vec<f32>) -> Self {
        let len = data.len();
        Self { data, len }
    }
}

impl From<Buffer> for Vec<f32> {
    fn from(mut buffer: Buffer) -> Self {
        buffer.data.truncate(buffer.len);
        buffer.data
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.data[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[..self.len]
    }
}

/// How many times larger than needed a buffer may be.
const EXCESS: usize = 2;

/// The buffers of a forward pass. Passes of the same sizes allocate nothing but in the first.
#[derive(Debug, Default)]
pub struct Scratch {
    free: Vec<Vec<f32>>,
    allocates: bool,
    /// Packed keys and values of attention.
    pub(crate) attention: Vec<f32>,
}

impl Scratch {
    /// Buffers of their own size that are freed when given back: for passes that save most of
    /// them.
    pub fn allocating() -> Self {
        Self {
            allocates: true,
            ..Self::default()
        }
    }

    /// A buffer of `len` numbers of any value.
    pub fn take(&mut self, len: usize) -> Buffer {
        let sizes = self.free.iter().map(Vec::len).enumerate();
        let fits = (sizes.clone()).filter(|(_, size)| *size >= len && size / EXCESS <= len);
        let data = match fits.min_by_key(|(_, size)| *size) {
            Some((place, _)) => self.free.swap_remove(place),
            None => {
                let smaller = sizes.filter(|(_, size)| *size < len);
                if let Some((place, _)) = smaller.max_by_key(|(_, size)| *size) {
                    self.free.swap_remove(place);
                }
                vec![0.0; len]
            }
        };
        Buffer { data, len }
    }

    /// Gives a buffer back.
    pub fn give(&mut self, buffer: Buffer) {
        if !self.allocates && !buffer.data.is_empty() {
            self.free.push(buffer.data);
        }
    }

    /// Moves a buffer to where it is saved, if anywhere, or gives it back.
    pub fn save_or_give(&mut self, place: Option<&mut Buffer>, buffer: Buffer) {
        match place {
            Some(place) => *place = buffer,
            None => self.give(buffer),
        }
    }
}

/// Buffers of kernels, whichever thread calls them.
static SHARED: Mutex<Vec<Aligned>> = Mutex::new(Vec::new());

/// Numbers of a shared buffer, at most: 16 MiB.
const MOST: usize = 1 << 22;

/// How many are shared.
const COUNT: usize = 2;

/// Calls `work` with `count` numbers of any value that start on a cache line.
pub(crate) fn with<T>(count: usize, work: impl FnOnce(&mut [f32]) -> T) -> T {
    let shared = || SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let mut numbers = shared().pop().unwrap_or_default();
    if numbers.len() < count {
        numbers.resize(count);
    }
    let result = work(&mut numbers[..count]);
    let mut shared = shared();
    if numbers.len() <= MOST && shared.len() < COUNT {
        shared.push(numbers);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_within_calls_have_buffers_of_their_own() {
        for count in [0, 7, MOST + 1, 100] {
            with(count, |outer| {
                outer.fill(1.0);
                with(count + 3, |inner| inner.fill(2.0));
                assert_eq!(outer.len(), count);
                assert!(outer.iter().all(|&x| x == 1.0));
            });
        }
    }

    /// Passes take and give back buffers of these sizes in this order.
    #[test]
    fn passes_after_the_first_few_allocate_nothing() {
        let mut scratch = Scratch::default();
        let mut pass = || {
            let mut addresses = Vec::new();
            let mut held = Vec::new();
            for (step, len) in [10, 100, 30, 500, 40, 2000, 90, 2000]
                .into_iter()
                .enumerate()
            {
                let buffer = scratch.take(len);
                assert_eq!(buffer.len(), len);
                addresses.push(buffer.as_ptr() as usize);
                held.push(buffer);
                if step % 2 == 1 {
                    scratch.give(held.remove(0));
                }
            }
            held.into_iter().for_each(|buffer| scratch.give(buffer));
            addresses.sort_unstable();
            addresses.dedup();
            (addresses, scratch.free.iter().map(Vec::len).sum::<usize>())
        };
        (0..4).for_each(|_| drop(pass()));
        let (known, numbers) = pass();
        let (addresses, after) = pass();
        assert_eq!(numbers, after);
        assert!(addresses.iter().all(|address| known.contains(address)));
        let mut scratch = Scratch::allocating();
        let buffer = scratch.take(9);
        scratch.give(buffer);
        assert!(scratch.free.is_empty());
    }
}
