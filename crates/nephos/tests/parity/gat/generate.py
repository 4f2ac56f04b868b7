"""Writes reference.safetensors, heads.safetensors and affinity.safetensors beside
this file: `python generate.py`.

reference: one head, as published. heads: three heads. affinity: two heads, and
the cosine affinity of the nodes added to the scores.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import torch
import published

for name, heads, affinity in [("reference", 1, False), ("heads", 3, False), ("affinity", 2, True)]:
    torch.manual_seed(3)
    module = published.Gat(10, 12, layers=2, heads=heads, affinity=affinity)
    published.stir(module, scale=0.5)
    nodes = torch.randn(2, 13, 10, requires_grad=True)
    output, _ = module(nodes, published.cosine(nodes) if affinity else None)
    published.save_module(HERE / f"{name}.safetensors", module, {"nodes": nodes}, output)
