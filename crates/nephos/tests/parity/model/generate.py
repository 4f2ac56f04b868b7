"""Writes golden.safetensors beside this file: `python generate.py`.

The whole model, small: logits, affinity, attention, loss, every gradient, and
the losses of ten steps of Adam on one batch. Dropout is off.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import torch
import torch.nn.functional as F
import published

torch.manual_seed(5)
model = published.Published(channels=3, width=16, size=16, stride=16, padding=3, heads=4,
                            hidden=32, depth=2, graph_width=24, graph_layers=2,
                            decoder_width=12, classes=4)
published.stir(model)
images = torch.rand(2, 3, 64, 64)
labels = torch.randint(0, 4, (2, 64, 64))
tensors = {f"weight/{name}": value.clone() for name, value in model.state_dict().items()}

optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
losses = []
for step in range(10):
    logits, affinity, attentions = model(images)
    loss = F.cross_entropy(logits, labels)
    optimizer.zero_grad()
    loss.backward()
    if step == 0:
        tensors |= {f"grad/{name}": p.grad.clone() for name, p in model.named_parameters()}
        tensors |= {"logits": logits, "affinity": affinity}
        tensors |= {f"attention/{i}": attention for i, attention in enumerate(attentions)}
    losses.append(loss.item())
    optimizer.step()

tensors |= {"images": images, "labels": labels, "losses": torch.tensor(losses)}
published.save(HERE / "golden.safetensors", tensors)
