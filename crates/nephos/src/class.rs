//! The four classes of a mask, and the colours they are drawn in.

/// Label of pixels that are not valid: no data, padding, or not labelled.
/// Such pixels count neither in a loss nor in a score.
pub const IGNORE: u8 = 255;

/// Number of classes, [`Class::ALL`]`.len()`.
pub const CLASS_COUNT: usize = 4;

/// The class of a valid pixel; the discriminant is its value in a mask.
///
/// The four classes and their codes are those of CloudSEN12+ (Aybar et al.
/// 2024, doi:10.1016/j.dib.2024.110852).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Class {
    /// Neither cloud nor shadow.
    Clear = 0,
    /// Cloud through which the ground is not visible.
    Thick = 1,
    /// Cloud or haze through which the ground is still visible.
    Thin = 2,
    /// Ground in the shadow of a cloud.
    Shadow = 3,
}

impl Class {
    /// All classes in the order of their codes.
    pub const ALL: [Self; CLASS_COUNT] = [Self::Clear, Self::Thick, Self::Thin, Self::Shadow];

    /// The class with this code, if there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Name in running text and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Thick => "thick cloud",
            Self::Thin => "thin cloud",
            Self::Shadow => "cloud shadow",
        }
    }

    /// Name in one word, as in configurations and options.
    pub fn short(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Thick => "thick",
            Self::Thin => "thin",
            Self::Shadow => "shadow",
        }
    }

    /// Colour in overlays and palettes, 8 bits per channel: red thick, green
    /// thin, yellow shadow; clear is black and drawn transparent.
    pub fn colour(self) -> [u8; 3] {
        match self {
            Self::Clear => [0, 0, 0],
            Self::Thick => [230, 30, 30],
            Self::Thin => [40, 200, 70],
            Self::Shadow => [250, 220, 30],
        }
    }

    /// Whether the class counts as cloud in a cloud / no-cloud score.
    pub fn is_cloud(self) -> bool {
        matches!(self, Self::Thick | Self::Thin)
    }
}

/// Names of all classes, in the order of their codes.
pub fn class_names() -> [&'static str; CLASS_COUNT] {
    Class::ALL.map(Class::name)
}

/// Name of a code: that of its class, or `class N` where there is none.
pub fn code_name(code: usize) -> String {
    match Class::ALL.get(code) {
        Some(class) => class.name().to_owned(),
        None => format!("class {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_positions() {
        for (code, class) in (0u8..).zip(Class::ALL) {
            assert_eq!(Class::from_code(code), Some(class));
            assert_eq!(class as u8, code);
        }
        assert_eq!(Class::from_code(4), None);
        assert_eq!(Class::from_code(IGNORE), None);
    }
}
