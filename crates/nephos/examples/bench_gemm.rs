//! A matrix product of nephos's own kernels, its right-hand side packed once as
//! weights are, for `bench/peers/run.py gemm`.
//!
//! ```text
//! cargo run --release --example bench_gemm M K N
//! ```
//!
//! `[M, K] × [K, N]`; the output is `product`.

mod protocol;

use std::cell::RefCell;

use nephos_kernel::gemm::{Epilogue, Matrix, Packed, matmul};

fn main() {
    let [m, k, n] = protocol::arguments("bench_gemm M K N")
        .map(|size| size.parse::<usize>().expect("M, K and N are numbers"));
    let (a, b) = (operand(m * k), operand(k * n));
    let packed = Packed::new(Matrix::new(&b, k, n));
    let out = RefCell::new(vec![0.0; m * n]);
    protocol::serve(
        || {
            let a = Matrix::new(&a, m, k);
            matmul(a, &packed, &mut out.borrow_mut(), n, &Epilogue::default());
        },
        |()| vec![("product".to_owned(), vec![m, n], out.borrow().clone())],
    );
}

/// Numbers in [-1, 1) that repeat after 251: those of `bench/peers/gemm_torch.py`.
fn operand(len: usize) -> Vec<f32> {
    (0..len)
        .map(|i| (i * 7919 % 251) as f32 / 125.5 - 1.0)
        .collect()
}
