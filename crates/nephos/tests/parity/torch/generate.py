"""State dicts as PyTorch saves them, and their numbers.

Writes `NAME.pth` and `expected.json`: per file a list of [name, shape, numbers in
C order].
"""

import json
import pathlib

import torch

HERE = pathlib.Path(__file__).parent
torch.manual_seed(42)
expected = {}


def numbers(*shape):
    """Numbers that every float format holds exactly."""
    return torch.randint(-64, 64, shape) / 8


def write(name, data, tensors, **options):
    torch.save(data, HERE / f"{name}.pth", **options)
    expected[f"{name}.pth"] = [
        [key, list(t.shape), t.detach().double().flatten().tolist()]
        for key, t in tensors.items()
        if t.is_floating_point()
    ]


module = torch.nn.Sequential(
    torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.Linear(4, 2, bias=False)
)
with torch.no_grad():
    for parameter in module.parameters():
        parameter.copy_(numbers(*parameter.shape))
state = module.state_dict()
write("module", state, state)
write("parallel", torch.nn.DataParallel(module).state_dict(), {f"module.{k}": v for k, v in state.items()})
write("parameters", dict(module.named_parameters()), dict(module.named_parameters()))
for key in ("state_dict", "model_state_dict", "model"):
    write(f"nested_{key}", {"epoch": 3, "loss": 0.5, "names": ["a"], key: state}, state)

types = {
    "f16": numbers(2, 3).half(),
    "bf16": numbers(2, 3).bfloat16(),
    "f32": numbers(2, 3),
    "f64": numbers(2, 3).double(),
    "i64": torch.arange(3),
    "u8": torch.arange(3, dtype=torch.uint8),
    "bool": torch.tensor([True, False]),
    "scalar": torch.tensor(1.5),
    "empty": torch.zeros(0, 3),
}
write("types", types, types)
base = numbers(4, 5, 6)
views = {
    "whole": base,
    "transposed": base.transpose(0, 2),
    "slice": base[1:3, ::2, 3],
    "expanded": base[0, 0, :1].expand(4),
    "tied": base,
}
write("views", views, views)
torch.save(state, HERE / "legacy.pth", _use_new_zipfile_serialization=False)

rows = (f"{json.dumps(k)}: {json.dumps(v)}" for k, v in expected.items())
(HERE / "expected.json").write_text("{\n" + ",\n".join(rows) + "\n}\n")
