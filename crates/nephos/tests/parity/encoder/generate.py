"""Writes post.safetensors and pre.safetensors beside this file: `python generate.py`.

post: the reference's order of norms, ReLU. pre: pre-norm, GELU, a final norm.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import torch
import torch.nn as nn
import published

for name, activation, pre, norm in [
    ("post", "relu", False, None),
    ("pre", "gelu", True, nn.LayerNorm(16)),
]:
    torch.manual_seed(2)
    layer = nn.TransformerEncoderLayer(16, 4, 32, dropout=0.0, activation=activation,
                                       norm_first=pre, batch_first=True)
    module = nn.TransformerEncoder(layer, 2, norm=norm, enable_nested_tensor=False)
    published.stir(module)
    tokens = torch.randn(2, 11, 16, requires_grad=True)
    output = module(tokens)
    published.save_module(HERE / f"{name}.safetensors", module, {"tokens": tokens}, output)
