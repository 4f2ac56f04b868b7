"""Writes golden.safetensors beside this file: `python generate.py`."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import torch
import published

torch.manual_seed(1)
module = published.PatchEmbed(channels=3, width=8, size=7, stride=5, padding=2)
images = torch.rand(2, 3, 23, 31, requires_grad=True)
output, grid = module(images)
assert tuple(grid) == (5, 6)
published.save_module(HERE / "golden.safetensors", module, {"images": images}, output)
