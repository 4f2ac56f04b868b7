//! Which instructions there are.

use std::sync::OnceLock;

use super::portable::Portable;
use super::tile::Kernel;
#[cfg(target_arch = "x86_64")]
use super::{avx2::Avx2, avx512::Avx512};

/// A set of instructions for which there is a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl Isa {
    /// Those that this processor has, the best first.
    pub(super) fn available() -> Vec<Self> {
        let mut all = vec![];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                all.push(Self::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                all.push(Self::Avx2);
            }
        }
        all.push(Self::Portable);
        all
    }

    /// The best one.
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Self::available()[0])
    }

    /// Columns of a panel of a packed matrix.
    pub(super) fn panel(self) -> usize {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Avx512::PANEL,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::PANEL,
            Self::Portable => Portable::PANEL,
        }
    }
}

/// Defines a function that calls an `#[inline(always)]` one, compiled once for each
/// set of instructions. That one's last generic argument says whether fused
/// multiply-adds are fast.
macro_rules! on_best_isa {
    (
        $(#[$doc:meta])*
        $vis:vis fn $name:ident[$($generic:ident),*]($($arg:ident: $type:ty),* $(,)?) = $body:ident;
    ) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name<$(const $generic: usize),*>($($arg: $type),*) {
            #[cfg(target_arch = "x86_64")]
            #[allow(clippy::too_many_arguments)]
            #[target_feature(enable = "avx512f")]
            fn avx512<$(const $generic: usize),*>($($arg: $type),*) {
                $body::<$($generic,)* true>($($arg),*);
            }
            #[cfg(target_arch = "x86_64")]
            #[allow(clippy::too_many_arguments)]
            #[target_feature(enable = "avx2,fma")]
            fn avx2<$(const $generic: usize),*>($($arg: $type),*) {
                $body::<$($generic,)* true>($($arg),*);
            }
            match $crate::gemm::isa::Isa::best() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the processor has these instructions.
                $crate::gemm::isa::Isa::Avx512 => unsafe { avx512::<$($generic),*>($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: as above.
                $crate::gemm::isa::Isa::Avx2 => unsafe { avx2::<$($generic),*>($($arg),*) },
                $crate::gemm::isa::Isa::Portable => $body::<$($generic,)* false>($($arg),*),
            }
        }
    };
}
pub(crate) use on_best_isa;
