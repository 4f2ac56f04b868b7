//! What is known of a pixel.

/// Label of a pixel of which nothing is known: it never counts.
const UNKNOWN: u8 = 255;

/// Labels from here on are sets of classes, bit c for class c.
pub const SETS: u8 = 128;

/// Classes that a set may have.
const MEMBERS: usize = 7;

/// A class, or classes of which the pixel has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// The class.
    Class(usize),
    /// Classes, bit c for class c; at least one.
    Either(u8),
}

/// The label of a pixel that has one of `classes`.
///
/// # Panics
/// No class, one of 7 or more, or all seven: nothing would be known.
pub fn either(classes: &[usize]) -> u8 {
    let bits = classes.iter().fold(0, |bits, class| {
        assert!(*class < MEMBERS, "class {class} of at most {MEMBERS}");
        bits | 1 << class
    });
    assert!(bits != 0 && SETS | bits != UNKNOWN, "no set of classes");
    SETS | bits
}

impl Label {
    /// What a code says: a class below 128, from there on [`either`] of several, and 255
    /// or no class at all nothing.
    #[inline(always)]
    pub fn of(code: u8) -> Option<Self> {
        match code {
            UNKNOWN | SETS => None,
            class if class < SETS => Some(Self::Class(usize::from(class))),
            set => Some(Self::Either(set - SETS)),
        }
    }

    /// Its first class.
    #[inline(always)]
    pub fn first(self) -> usize {
        match self {
            Self::Class(class) => class,
            Self::Either(bits) => bits.trailing_zeros() as usize,
        }
    }

    /// Its last class.
    pub fn last(self) -> usize {
        match self {
            Self::Class(class) => class,
            Self::Either(bits) => bits.ilog2() as usize,
        }
    }

    /// Whether the pixel may have `class`.
    #[inline(always)]
    pub fn has(self, class: usize) -> bool {
        match self {
            Self::Class(only) => only == class,
            Self::Either(bits) => class < MEMBERS && bits >> class & 1 == 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_classes_sets_or_nothing() {
        assert_eq!(Label::of(3), Some(Label::Class(3)));
        assert_eq!((Label::of(255), Label::of(128)), (None, None));
        let label = Label::of(either(&[3, 0])).unwrap();
        assert_eq!((label.first(), label.last()), (0, 3));
        let members: Vec<usize> = (0..9).filter(|class| label.has(*class)).collect();
        assert_eq!(members, [0, 3]);
    }
}
