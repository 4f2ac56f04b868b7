//! Chains of corners that grow at both ends until they close.

use std::collections::VecDeque;

use super::regions::Corner;

/// An end of a chain that is open: a position in [`Chains::ends`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct End(usize);

/// Chains with open ends. An end is named by the same [`End`] as long as it is
/// open, whatever other chain its own becomes a part of.
#[derive(Debug, Default)]
pub(super) struct Chains {
    chains: Slots<Chain>,
    ends: Slots<Place>,
}

/// Where an end is.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    chain: usize,
    is_head: bool,
}

#[derive(Debug, Default)]
struct Chain {
    /// From tail to head.
    corners: VecDeque<Corner>,
    tail: End,
    head: End,
}

impl Chains {
    /// A chain of one corner: its head and tail.
    pub(super) fn begin(&mut self, corner: Corner) -> [End; 2] {
        let chain = self.chains.add(Chain::default());
        let end = |is_head| Place { chain, is_head };
        let [head, tail] = [true, false].map(|is_head| End(self.ends.add(end(is_head))));
        self.chains.items[chain] = Chain {
            corners: VecDeque::from([corner]),
            tail,
            head,
        };
        [head, tail]
    }

    /// Adds a corner at an end, which stays open.
    pub(super) fn extend(&mut self, end: End, corner: Corner) -> End {
        let place = self.ends.items[end.0];
        let corners = &mut self.chains.items[place.chain].corners;
        if place.is_head {
            corners.push_back(corner);
        } else {
            corners.push_front(corner);
        }
        end
    }

    /// Ties a head and a tail, in either order, at a corner: two chains become one,
    /// or one chain closes, which is then returned from tail to head.
    pub(super) fn tie(&mut self, one: End, other: End, corner: Corner) -> Option<Vec<Corner>> {
        let (head, tail) = match self.ends.items[one.0].is_head {
            true => (one, other),
            false => (other, one),
        };
        let (first, second) = (self.ends.remove(head.0), self.ends.remove(tail.0));
        debug_assert!(first.is_head && !second.is_head);
        let mut before = self.chains.remove(first.chain);
        before.corners.push_back(corner);
        if first.chain == second.chain {
            return Some(before.corners.into());
        }
        let mut after = self.chains.remove(second.chain);
        // The shorter one is moved.
        let corners = if before.corners.len() >= after.corners.len() {
            before.corners.append(&mut after.corners);
            before.corners
        } else {
            for corner in before.corners.into_iter().rev() {
                after.corners.push_front(corner);
            }
            after.corners
        };
        let chain = self.chains.add(Chain {
            corners,
            tail: before.tail,
            head: after.head,
        });
        self.ends.items[before.tail.0].chain = chain;
        self.ends.items[after.head.0].chain = chain;
        None
    }
}

/// A slab: items with numbers that are reused.
#[derive(Debug, Default)]
struct Slots<T> {
    items: Vec<T>,
    free: Vec<usize>,
}

impl<T: Default> Slots<T> {
    fn add(&mut self, item: T) -> usize {
        match self.free.pop() {
            Some(slot) => {
                self.items[slot] = item;
                slot
            }
            None => {
                self.items.push(item);
                self.items.len() - 1
            }
        }
    }

    fn remove(&mut self, slot: usize) -> T {
        self.free.push(slot);
        std::mem::take(&mut self.items[slot])
    }
}
