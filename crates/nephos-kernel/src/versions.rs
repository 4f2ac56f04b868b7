//! One body, compiled for several instruction sets.

/// Defines a function whose body is compiled for AVX-512, for AVX2 with FMA and
/// for any machine, and that runs the best of them that this machine has.
///
/// Plain loops over slices vectorise well once the compiler may use wide vectors;
/// what the body calls must be `#[inline(always)]`. No sum is reordered and no
/// product fused, so all versions give the same bits.
macro_rules! versions {
    (
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident(
            $($argument:ident: $kind:ty),* $(,)?
        ) $(-> $output:ty)? $body:block
    ) => {
        $(#[$attribute])*
        $visibility fn $name($($argument: $kind),*) $(-> $output)? {
            #[inline(always)]
            fn portable($($argument: $kind),*) $(-> $output)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f")]
            fn avx512($($argument: $kind),*) $(-> $output)? {
                portable($($argument),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($argument: $kind),*) $(-> $output)? {
                portable($($argument),*)
            }

            #[cfg(target_arch = "x86_64")]
            {
                if is_x86_feature_detected!("avx512f") {
                    // SAFETY: the processor has AVX-512F.
                    return unsafe { avx512($($argument),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has AVX2 and FMA.
                    return unsafe { avx2($($argument),*) };
                }
            }
            portable($($argument),*)
        }
    };
}

pub(crate) use versions;
