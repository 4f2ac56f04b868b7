"""The published model at its full size, for tests/suite/parity_full.rs.

python published_full.py make DIR   writes weights.pth (with the prefix of
    DataParallel), weights.safetensors, images.safetensors and logits.safetensors
python published_full.py check WEIGHTS DIR   loads WEIGHTS (.safetensors or .pth)
    with strict=True and prints the largest difference of its logits for
    images.safetensors from those in ours.safetensors
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import torch
import published


def make(folder):
    torch.manual_seed(42)
    model = published.reference().eval()
    published.stir(model, scale=0.01)
    count = sum(p.numel() for p in model.parameters())
    assert count == 11_245_316, count
    images = torch.rand(1, 3, 509, 509) * 2
    state = model.state_dict()
    torch.save({f"module.{name}": value for name, value in state.items()}, folder / "weights.pth")
    published.save(folder / "weights.safetensors", state)
    published.save(folder / "images.safetensors", {"images": images})
    with torch.no_grad():
        published.save(folder / "logits.safetensors", {"logits": model(images)[0]})


def check(weights, folder):
    if weights.suffix == ".pth":
        state = torch.load(weights, weights_only=True)
    else:
        state = published.load(weights)
    model = published.reference().eval()
    model.load_state_dict(state, strict=True)
    images = published.load(folder / "images.safetensors")["images"]
    ours = published.load(folder / "ours.safetensors")["logits"]
    with torch.no_grad():
        print((model(images)[0] - ours).abs().max().item())


if sys.argv[1] == "make":
    make(pathlib.Path(sys.argv[2]))
else:
    check(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))
