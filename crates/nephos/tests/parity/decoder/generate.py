"""Writes corners.safetensors and edges.safetensors beside this file: `python generate.py`.

corners: upsampling with align_corners = true (reference); edges: with false.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import torch
import published

for name, align_corners in [("corners", True), ("edges", False)]:
    torch.manual_seed(4)
    module = published.Decoder(9 + 7, 6, classes=4, align_corners=align_corners)
    nodes = torch.randn(2, 3 * 5, 9, requires_grad=True)
    skip = torch.randn(2, 3 * 5, 7, requires_grad=True)
    output = module(nodes, skip, (3, 5), (31, 44))
    inputs = {"nodes": nodes, "skip": skip}
    published.save_module(HERE / f"{name}.safetensors", module, inputs, output)
