"""A forward pass in PyTorch: forward_torch.py published|optimised|compiled WEIGHTS IMAGES THREADS"""

import sys

import contender
import models
import torch

kind, weights, images, threads = sys.argv[1:]
models.threads(int(threads))
model = models.build("published" if kind == "published" else "optimised", weights).eval()
images = models.published.load(images)["images"]
if kind == "compiled":
    import torch._inductor.config

    # Weights are constants, laid out once: the fastest form for inference.
    torch._inductor.config.freezing = True
    model = torch.compile(model)


@torch.no_grad()
def forward():
    return model(images)


contender.serve(forward, lambda logits: models.arrays({"logits": logits}))
