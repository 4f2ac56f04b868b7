//! A slice that several threads write, each its own part.

use std::marker::PhantomData;

/// A mutable slice that can be handed to several threads, which promise to write
/// disjoint ranges.
#[derive(Clone, Copy)]
pub(crate) struct Shared<'a> {
    data: *mut f32,
    len: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: callers take disjoint ranges.
unsafe impl Send for Shared<'_> {}
// SAFETY: as above.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    /// Shares `slice` out.
    pub(crate) fn new(slice: &'a mut [f32]) -> Self {
        Self {
            data: slice.as_mut_ptr(),
            len: slice.len(),
            borrow: PhantomData,
        }
    }

    /// `count` numbers from `first` on.
    ///
    /// # Safety
    /// Nobody else reads or writes them while they are borrowed.
    ///
    /// # Panics
    /// They are not all in the slice.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn range(&self, first: usize, count: usize) -> &'a mut [f32] {
        assert!(first <= self.len && count <= self.len - first);
        // SAFETY: within the slice; the caller's alone, by the contract.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(first), count) }
    }
}
