"""A matrix product in PyTorch: gemm_torch.py M K N THREADS; the operands are those of
crates/nephos/examples/bench_gemm.rs."""

import sys

import contender
import models
import torch

m, k, n, threads = map(int, sys.argv[1:])
models.threads(threads)


def operand(rows, cols):
    """Numbers in [-1, 1) that repeat after 251: the same in both programs."""
    numbers = torch.arange(rows * cols) * 7919 % 251
    return (numbers.float() / 125.5 - 1).view(rows, cols)


a, b = operand(m, k), operand(k, n)
output = torch.empty(m, n)
contender.serve(
    lambda: torch.mm(a, b, out=output), lambda product: models.arrays({"product": product})
)
