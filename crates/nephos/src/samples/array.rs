//! NumPy arrays as stored in a file, and the samples in them.

use half::f16;
use ndarray::Array3;

use crate::raster::DType;

/// Number format of an array in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ElementType {
    pub dtype: DType,
    pub big_endian: bool,
}

impl ElementType {
    /// Parses NumPy's code of a type, as in `<u2`, `|b1` or `f4`; without an
    /// order character the numbers are little-endian.
    pub fn parse(code: &str) -> Result<Self, String> {
        let (big_endian, kind) = match code.as_bytes() {
            [b'>', ..] => (true, &code[1..]),
            [b'<' | b'=' | b'|', ..] => (false, &code[1..]),
            _ => (false, code),
        };
        let dtype = match kind {
            "b1" => DType::Bool,
            "u1" => DType::U8,
            "i1" => DType::I8,
            "u2" => DType::U16,
            "i2" => DType::I16,
            "u4" => DType::U32,
            "i4" => DType::I32,
            "i8" => DType::I64,
            "f2" => DType::F16,
            "f4" => DType::F32,
            "f8" => DType::F64,
            _ if kind.starts_with('O') => {
                return Err(
                    "an object array (dtype=object), as NumPy makes of lists of dicts, of pairs or \
                     of arrays of different sizes; save the images as one array of numbers, \
                     np.save('images.npy', np.stack(images)), and with labels \
                     np.savez('samples.npz', images=np.stack(images), labels=np.stack(labels))"
                        .to_owned(),
                );
            }
            _ => {
                return Err(format!(
                    "numbers of type `{}`; bool, (u)int8, (u)int16, (u)int32, int64, float16, \
                     float32 and float64 are read",
                    code.escape_debug()
                ));
            }
        };
        Ok(Self { dtype, big_endian })
    }
}

impl DType {
    /// NumPy's code, without byte order: `u2`.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Bool => "b1",
            Self::U8 => "u1",
            Self::I8 => "i1",
            Self::U16 => "u2",
            Self::I16 => "i2",
            Self::U32 => "u4",
            Self::I32 => "i4",
            Self::I64 => "i8",
            Self::F16 => "f2",
            Self::F32 => "f4",
            Self::F64 => "f8",
        }
    }
}

/// Shape and order of one array of samples: `[C, H, W]`, or `[N, C, H, W]`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ArrayLayout {
    pub element: ElementType,
    /// Whether the first index runs fastest.
    fortran: bool,
    /// N, where the array has four axes.
    batch: Option<usize>,
    shape: [usize; 3],
}

/// Position of one sample in the bytes of its array.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SampleLayout {
    pub element: ElementType,
    /// `[channels, height, width]`.
    pub shape: [usize; 3],
    /// Number of the sample's first element in its array.
    first: usize,
    /// Elements from one index to the next, on each axis.
    strides: [usize; 3],
}

impl ArrayLayout {
    /// A layout whose size in bytes is known not to overflow.
    pub fn new(element: ElementType, fortran: bool, axes: &[u64]) -> Result<Self, String> {
        let mut lengths = Vec::with_capacity(4);
        if !matches!(axes.len(), 3 | 4) {
            return Err(format!(
                "an array of shape {axes:?}; samples are [channels, height, width] or \
                 [samples, channels, height, width] (with `options.channels_last` the \
                 channels come last)"
            ));
        }
        let mut bytes = element.dtype.size();
        for axis in axes {
            let length = usize::try_from(*axis).unwrap_or(usize::MAX);
            bytes = bytes
                .checked_mul(length)
                .filter(|bytes| *bytes <= isize::MAX as usize)
                .ok_or_else(|| format!("the shape {axes:?} overflows"))?;
            lengths.push(length);
        }
        if bytes == 0 {
            return Err(format!("an empty array, of shape {axes:?}"));
        }
        let (batch, shape) = match lengths[..] {
            [n, c, h, w] => (Some(n), [c, h, w]),
            _ => (None, [lengths[0], lengths[1], lengths[2]]),
        };
        Ok(Self {
            element,
            fortran,
            batch,
            shape,
        })
    }

    /// Number of samples, at least 1.
    pub fn samples(&self) -> usize {
        self.batch.unwrap_or(1)
    }

    /// Whether the array has an axis of samples.
    pub fn is_batch(&self) -> bool {
        self.batch.is_some()
    }

    /// Size of the whole array in bytes.
    pub fn byte_len(&self) -> usize {
        self.samples() * self.shape.iter().product::<usize>() * self.element.dtype.size()
    }

    /// Sample `index`, which must be less than [`ArrayLayout::samples`].
    pub fn sample(&self, index: usize) -> SampleLayout {
        debug_assert!(index < self.samples());
        let [c, h, w] = self.shape;
        let (first, strides) = if self.fortran {
            let n = self.samples();
            (index, [n, n * c, n * c * h])
        } else {
            (index * c * h * w, [h * w, w, 1])
        };
        SampleLayout {
            element: self.element,
            shape: self.shape,
            first,
            strides,
        }
    }
}

impl SampleLayout {
    /// The bytes of the array from the sample's first element to its last.
    pub fn byte_range(&self) -> std::ops::Range<usize> {
        let size = self.element.dtype.size();
        let last: usize = self
            .shape
            .iter()
            .zip(self.strides)
            .map(|(length, stride)| (length - 1) * stride)
            .sum();
        self.first * size..(self.first + last + 1) * size
    }

    /// The bytes of [`Self::byte_range`] that hold one channel, counted from
    /// the start of that range.
    fn channel_range(&self, channel: usize) -> std::ops::Range<usize> {
        let [_, h, w] = self.shape;
        let size = self.element.dtype.size();
        let first = channel * self.strides[0];
        let last = first + (h - 1) * self.strides[1] + (w - 1) * self.strides[2];
        first * size..(last + 1) * size
    }

    /// The channels as f32, `[channels.len(), height, width]`; `stored` are the
    /// bytes of [`Self::byte_range`].
    ///
    /// The channels must be less than `self.shape[0]`.
    pub fn read(&self, channels: &[usize], stored: &[u8]) -> Array3<f32> {
        let [_, h, w] = self.shape;
        let mut out = Array3::zeros((channels.len(), h, w));
        for (mut plane, channel) in out.outer_iter_mut().zip(channels) {
            let stored = &stored[self.channel_range(*channel)];
            let plane = plane.as_slice_mut().unwrap_or_default();
            match self.element.dtype {
                DType::Bool => self.convert(stored, plane, |[b]: [u8; 1]| f32::from(b != 0)),
                DType::U8 => self.convert(stored, plane, |[b]: [u8; 1]| f32::from(b)),
                DType::I8 => self.convert(stored, plane, |b| f32::from(i8::from_le_bytes(b))),
                DType::U16 => self.convert(stored, plane, |b| f32::from(u16::from_le_bytes(b))),
                DType::I16 => self.convert(stored, plane, |b| f32::from(i16::from_le_bytes(b))),
                DType::U32 => self.convert(stored, plane, |b| u32::from_le_bytes(b) as f32),
                DType::I32 => self.convert(stored, plane, |b| i32::from_le_bytes(b) as f32),
                DType::I64 => self.convert(stored, plane, |b| i64::from_le_bytes(b) as f32),
                DType::F16 => self.convert(stored, plane, |b| f16::from_le_bytes(b).to_f32()),
                DType::F32 => self.convert(stored, plane, f32::from_le_bytes),
                DType::F64 => self.convert(stored, plane, |b| f64::from_le_bytes(b) as f32),
            }
        }
        out
    }

    /// The whole sample as little-endian numbers in C order; `stored` are the
    /// bytes of [`Self::byte_range`].
    pub fn raw(&self, stored: &[u8]) -> Vec<u8> {
        let size = self.element.dtype.size();
        let [c, h, w] = self.shape;
        let contiguous = self.strides == [h * w, w, 1];
        if contiguous && (size == 1 || !self.element.big_endian) {
            return stored.to_vec();
        }
        let mut out = Vec::with_capacity(c * h * w * size);
        for channel in 0..c {
            for row in 0..h {
                let start = channel * self.strides[0] + row * self.strides[1];
                for col in 0..w {
                    let at = (start + col * self.strides[2]) * size;
                    let number = &stored[at..at + size];
                    if self.element.big_endian {
                        out.extend(number.iter().rev());
                    } else {
                        out.extend_from_slice(number);
                    }
                }
            }
        }
        out
    }

    /// Converts one channel, given as little-endian bytes to `convert`.
    fn convert<const N: usize>(
        &self,
        stored: &[u8],
        plane: &mut [f32],
        convert: impl Fn([u8; N]) -> f32,
    ) {
        let (numbers, _) = stored.as_chunks::<N>();
        let number = |bytes: [u8; N]| {
            let mut bytes = bytes;
            if self.element.big_endian {
                bytes.reverse();
            }
            convert(bytes)
        };
        let [_, row_stride, col_stride] = self.strides;
        for (row, line) in plane.chunks_exact_mut(self.shape[2]).enumerate() {
            let start = row * row_stride;
            if col_stride == 1 {
                let stored = &numbers[start..start + line.len()];
                for (out, bytes) in line.iter_mut().zip(stored) {
                    *out = number(*bytes);
                }
            } else {
                for (col, out) in line.iter_mut().enumerate() {
                    *out = number(numbers[start + col * col_stride]);
                }
            }
        }
    }
}
