"""Writes the files beside this one: `python generate.py` (timm 1, transformers 5).

Small Vision Transformers of two libraries with random weights: their weights as the
libraries name them, and in golden.safetensors images and the features of the patches.

timm.safetensors:         timm's state dict; no class token, LayerScale.
transformers.safetensors: what `save_pretrained` writes. Its class token is left out of the
                          features: the layers see the patches alone.
state_dict.safetensors:   the state dict of the same in a classifier: other names, `vit.`
                          before them.
"""

import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import safetensors.torch
import timm
import torch
import torch.nn.functional as F
from transformers import ViTConfig, ViTForImageClassification

import published

torch.manual_seed(3)
images = torch.rand(2, 3, 16, 16)
large = torch.rand(1, 3, 32, 32)
golden = {"images": images, "large": large}

with torch.no_grad():
    model = timm.models.VisionTransformer(
        img_size=16, patch_size=4, embed_dim=12, depth=2, num_heads=3, mlp_ratio=2,
        class_token=False, global_pool="", num_classes=0, init_values=0.5).eval()
    published.stir(model, 0.2)
    published.save(HERE / "timm.safetensors", model.state_dict())
    golden["timm"] = model.forward_features(images)
    # On a grid twice as fine the positions are stretched, edges on edges.
    grid = model.pos_embed.transpose(1, 2).reshape(1, 12, 4, 4)
    grid = F.interpolate(grid, size=(8, 8), mode="bilinear", align_corners=False)
    tokens = model.patch_embed.proj(large).flatten(2).transpose(1, 2)
    tokens = tokens + grid.flatten(2).transpose(1, 2)
    golden["timm/large"] = model.norm(model.blocks(tokens))

    config = ViTConfig(hidden_size=12, num_hidden_layers=2, num_attention_heads=3,
                       intermediate_size=24, image_size=16, patch_size=4)
    classifier = ViTForImageClassification(config).eval()
    published.stir(classifier, 0.2)
    model = classifier.vit
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        saved = safetensors.torch.load_file(pathlib.Path(folder) / "model.safetensors")
    published.save(HERE / "transformers.safetensors", saved)
    published.save(HERE / "state_dict.safetensors", classifier.state_dict())
    embeddings = model.embeddings
    tokens = embeddings.patch_embeddings(images) + embeddings.position_embeddings[:, 1:]
    for layer in model.layers:
        tokens = layer(tokens)
        tokens = tokens[0] if isinstance(tokens, tuple) else tokens
    golden["transformers"] = model.layernorm(tokens)

published.save(HERE / "golden.safetensors", golden)
