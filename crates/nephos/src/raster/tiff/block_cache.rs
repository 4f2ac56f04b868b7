//! Cache of the last large blocks that were decoded, across all open files.
//!
//! Small blocks are kept by each open file; a block of hundreds of megabytes is not, but
//! decoding it again for every few rows takes minutes. So the last of them are cached, of
//! all open files together.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;

/// Most bytes in the cache: one of the largest blocks, or some smaller ones.
const MAX_BYTES: usize = super::grid::BLOCK_BYTES;

static BLOCKS: Mutex<VecDeque<(Key, Arc<Vec<u8>>)>> = Mutex::new(VecDeque::new());
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Which block: the image, the plane, and the block's first row and column.
type Key = (u64, usize, [usize; 2]);

/// The cached blocks of one image; dropped with it.
#[derive(Debug)]
pub(crate) struct BlockCache {
    image: u64,
    /// Decoding one block at a time, no two threads decode the same.
    turn: Mutex<()>,
    /// Blocks decoded.
    #[cfg(test)]
    pub decoded: std::sync::atomic::AtomicUsize,
}

impl Default for BlockCache {
    fn default() -> Self {
        Self {
            image: NEXT.fetch_add(1, Ordering::Relaxed),
            turn: Mutex::default(),
            #[cfg(test)]
            decoded: Default::default(),
        }
    }
}

impl BlockCache {
    /// The block of plane `plane` that begins at `place`, decoded by `decode` unless it
    /// is cached.
    ///
    /// # Errors
    /// What `decode` returns.
    pub fn get(
        &self,
        plane: usize,
        place: [usize; 2],
        decode: impl FnOnce() -> Result<Vec<u8>>,
    ) -> Result<Arc<Vec<u8>>> {
        let key = (self.image, plane, place);
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(block) = find(key) {
            return Ok(block);
        }
        let block = Arc::new(decode()?);
        #[cfg(test)]
        self.decoded.fetch_add(1, Ordering::Relaxed);
        hold(key, &block);
        Ok(block)
    }
}

impl Drop for BlockCache {
    fn drop(&mut self) {
        let mut blocks = BLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.retain(|((image, ..), _)| *image != self.image);
    }
}

/// A cached block, which becomes the last to be evicted.
fn find(key: Key) -> Option<Arc<Vec<u8>>> {
    let mut blocks = BLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
    let position = blocks.iter().position(|(own, _)| *own == key)?;
    let found = blocks.remove(position)?;
    let block = found.1.clone();
    blocks.push_back(found);
    Some(block)
}

/// Caches a block, and evicts the oldest until it fits.
fn hold(key: Key, block: &Arc<Vec<u8>>) {
    let mut blocks = BLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut bytes: usize = blocks.iter().map(|(_, block)| block.len()).sum();
    while bytes + block.len() > MAX_BYTES
        && let Some((_, oldest)) = blocks.pop_front()
    {
        bytes -= oldest.len();
    }
    if block.len() <= MAX_BYTES {
        blocks.push_back((key, block.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_decoded_once_and_evicted_with_its_image() {
        let blocks = BlockCache::default();
        let mut decoded = 0;
        for _ in 0..3 {
            let block = blocks.get(0, [0, 0], || {
                decoded += 1;
                Ok(vec![7; 100])
            });
            assert_eq!(*block.unwrap(), [7; 100]);
        }
        assert_eq!(decoded, 1);
        blocks.get(1, [0, 0], || Ok(vec![8; 100])).unwrap();
        let key = (blocks.image, 1, [0, 0]);
        assert!(find(key).is_some());
        drop(blocks);
        assert!(find(key).is_none());
    }
}
