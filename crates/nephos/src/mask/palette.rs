//! The colours of class codes in files with a palette.

use crate::class::{Class, IGNORE};

/// Colour of each of the 256 codes: the classes' own, black for all others.
/// Code 255 is not a colour but transparent, or no data, where a format can express it.
pub(super) fn palette() -> [[u8; 3]; 256] {
    let mut colours = [[0; 3]; 256];
    for class in Class::ALL {
        colours[class as usize] = class.colour();
    }
    colours
}

/// Opacity of each code: 0 for clear and for 255, full for the rest.
pub(super) fn opacities() -> [u8; 256] {
    let mut opacities = [255; 256];
    opacities[Class::Clear as usize] = 0;
    opacities[usize::from(IGNORE)] = 0;
    opacities
}
