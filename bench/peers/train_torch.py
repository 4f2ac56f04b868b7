"""A training step at batch 1 in PyTorch, Adam included:
train_torch.py published|optimised|compiled WEIGHTS SAMPLE DROPOUT THREADS"""

import sys

import contender
import models
import numpy as np
import torch
import torch.nn.functional as F

kind, weights, sample, dropout, threads = sys.argv[1:]
models.threads(int(threads))
torch.manual_seed(42)
dropout = models.DROPOUT if dropout == "default" else float(dropout)
model = models.build("published" if kind == "published" else "optimised", weights, dropout)
model.train()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
sample = torch.from_numpy(np.load(sample))
images, labels = sample[:, :3].contiguous(), sample[:, 3].long()
compute = torch.compile(model) if kind == "compiled" else model


def step():
    optimizer.zero_grad()
    loss = F.cross_entropy(compute(images), labels)
    loss.backward()
    optimizer.step()
    return {"loss": loss.item()}


contender.serve(step, None)
