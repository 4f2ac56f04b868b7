"""Golden values of losses and optimisers from PyTorch.

Run: python generate.py (needs torch); writes golden.json beside itself.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F

torch.manual_seed(0)
CLASSES = 4
logits = 2 * torch.randn(2, CLASSES, 3, 5)
labels = torch.randint(0, CLASSES, (2, 3, 5))
labels[0, 0, :2] = 255
labels[1, 2, 4] = 255


def cross_entropy(x, weights, smoothing, gamma):
    weights = torch.tensor(weights) if weights else None
    return F.cross_entropy(x, labels, weight=weights, label_smoothing=smoothing, ignore_index=255)


def focal(x, weights, smoothing, gamma):
    """Weighted mean of -(1 - p)^gamma log p over the valid pixels."""
    weights = torch.tensor(weights or [1.0] * CLASSES)
    valid = labels != 255
    target = labels[valid]
    p = F.softmax(x.permute(0, 2, 3, 1)[valid], dim=1)
    p = p[torch.arange(len(target)), target]
    w = weights[target]
    return (w * -((1 - p) ** gamma) * p.log()).sum() / w.sum()


def dice(x, weights, smoothing, gamma):
    """1 - mean over classes of (2 sum(p t) + 1) / (sum(p^2) + sum(t) + 1)."""
    valid = labels != 255
    p = F.softmax(x.permute(0, 2, 3, 1)[valid], dim=1)
    t = F.one_hot(labels[valid], CLASSES).float()
    return 1 - ((2 * (p * t).sum(0) + 1) / ((p * p).sum(0) + t.sum(0) + 1)).mean()


def both(*args):
    return cross_entropy(*args) + dice(*args)


WEIGHTS = [1.0, 2.0, 0.5, 3.0]
losses = []
for kind, function, weights, smoothing, gamma in [
    ("cross-entropy", cross_entropy, [], 0.0, 2.0),
    ("cross-entropy", cross_entropy, WEIGHTS, 0.0, 2.0),
    ("cross-entropy", cross_entropy, [], 0.1, 2.0),
    ("cross-entropy", cross_entropy, WEIGHTS, 0.2, 2.0),
    ("focal", focal, [], 0.0, 2.0),
    ("focal", focal, WEIGHTS, 0.0, 1.5),
    ("dice", dice, [], 0.0, 2.0),
    ("cross-entropy-dice", both, WEIGHTS, 0.1, 2.0),
]:
    x = logits.clone().requires_grad_()
    loss = function(x, weights, smoothing, gamma)
    loss.backward()
    losses.append(
        {
            "config": {
                "kind": kind,
                "class_weights": weights,
                "label_smoothing": smoothing,
                "focal_gamma": gamma,
            },
            "loss": loss.item(),
            "gradient": x.grad.flatten().tolist(),
        }
    )

STEPS, SIZE = 10, 6
start = torch.randn(SIZE)
gradients = torch.randn(STEPS, SIZE) * torch.tensor([1.0, 1e-3, 1e-6, 10.0, 0.0, 1.0])
optimizers = []
for kind, decay, eps in [("adam", 0.0, 1e-8), ("adam", 0.1, 1e-4), ("adamw", 0.1, 1e-8)]:
    w = start.clone().requires_grad_()
    rule = torch.optim.Adam if kind == "adam" else torch.optim.AdamW
    optimizer = rule([w], lr=0.01, betas=(0.9, 0.99), eps=eps, weight_decay=decay)
    path = []
    for gradient in gradients:
        w.grad = gradient.clone()
        optimizer.step()
        path.append(w.detach().tolist())
    config = {"kind": kind, "lr": 0.01, "weight_decay": decay, "betas": [0.9, 0.99], "eps": eps}
    optimizers.append({"config": config, "path": path})

golden = {
    "torch": torch.__version__.split("+")[0],
    "shape": list(logits.shape),
    "logits": logits.flatten().tolist(),
    "labels": labels.flatten().tolist(),
    "losses": losses,
    "start": start.tolist(),
    "gradients": gradients.tolist(),
    "optimizers": optimizers,
}
Path(__file__).with_name("golden.json").write_text(json.dumps(golden) + "\n")
