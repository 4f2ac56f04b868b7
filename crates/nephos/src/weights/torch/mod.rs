//! PyTorch's `.pth` files: state dicts as `torch.save` writes them since 1.6.
//!
//! Such a file is a zip archive with a pickle, `data.pkl`, and one entry of
//! numbers per storage. The pickle is read by the same machine as NumPy's,
//! with the few globals of a state dict, so that nothing in the file is run.

mod host;
mod read;
mod write;

pub use read::read;
pub use write::write;

/// Name, shape and numbers (C order) of a tensor.
pub type NamedTensor = (String, Vec<usize>, Vec<f32>);
