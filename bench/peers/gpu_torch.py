"""The reference model on a GPU in PyTorch, for `cargo run --example gpu_time` to stand
beside: gpu_torch.py [published|optimised|compiled] [BATCH...] [f32|tf32|f16|bf16...]

Forward pass and training step (forward, loss, backward, fused Adam), batch 4 and 32, in
f32, in f32 with products rounded to TF32, and under autocast to f16 (losses scaled) and
bf16. One line of JSON each, with the median of ten goes after three, and the seconds of
the first. Random weights serve.
"""

import json
import statistics
import sys
import time

import models
import published
import torch
import torch.nn.functional as F

WARM, TIMED = 3, 10
SIDE, CLASSES = 509, 4
FORMATS = {"f32": None, "tf32": None, "f16": torch.float16, "bf16": torch.bfloat16}

kind, *rest = sys.argv[1:] or ["optimised"]
formats = [word for word in rest if word in FORMATS] or list(FORMATS)
batches = [int(word) for word in rest if word not in FORMATS] or [4, 32]
if not torch.cuda.is_available():
    sys.exit("PyTorch finds no GPU")
device = torch.device("cuda")


def build(dropout):
    of = published.Published if kind == "published" else models.Optimised
    model = published.reference(of, dropout=dropout).to(device)
    model = models.Logits(model) if kind == "published" else model
    return torch.compile(model) if kind == "compiled" else model


def autocast(dtype):
    return torch.autocast("cuda", dtype=dtype, enabled=dtype is not None)


def median(go):
    seconds = []
    for _ in range(WARM + TIMED):
        started = time.perf_counter()
        go()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[WARM:]), seconds[0]


def report(what, precision, batch, times):
    seconds, first = times
    figures = {"seconds": seconds, "images_per_second": batch / seconds, "first": first}
    print(json.dumps({"what": what, "precision": precision, "batch": batch, **figures}), flush=True)


def forward(dtype, batch):
    model = build(models.DROPOUT).eval()
    images = torch.rand(batch, 3, SIDE, SIDE, device=device)

    def go():
        with torch.inference_mode(), autocast(dtype):
            model(images)

    return median(go)


def train(dtype, batch, dropout):
    model = build(dropout).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=True)
    scaler = torch.amp.GradScaler("cuda", enabled=dtype is torch.float16)
    images = torch.rand(batch, 3, SIDE, SIDE, device=device)
    labels = torch.randint(0, CLASSES, (batch, SIDE, SIDE), device=device)

    def go():
        optimizer.zero_grad()
        with autocast(dtype):
            loss = F.cross_entropy(model(images), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    return median(go)


print(json.dumps({"card": torch.cuda.get_device_name(), "torch": torch.__version__, "kind": kind}))
for precision in formats:
    dtype = FORMATS[precision]
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    for batch in batches:
        report("forward", precision, batch, forward(dtype, batch))
        for dropout in (0.1, 0.0):
            report(f"train, dropout {dropout}", precision, batch, train(dtype, batch, dropout))
