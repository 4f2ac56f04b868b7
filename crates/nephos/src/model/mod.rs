//! The network, module by module, and its weights.
