"""Writes golden.safetensors beside this file: `python generate.py`.

Outputs of known PyTorch implementations of the baselines:
`segmentation_models_pytorch` 0.6 (U-Net, DeepLabV3+, both with MobileNetV2) and
`transformers` 5 (SegFormer-B0). Their weights are too many to store, so both sides
draw them from the same integers (`numbers`), tensor by tensor in the order of their
names.
"""

import pathlib

import numpy as np
import safetensors.torch
import segmentation_models_pytorch as smp
import torch
import torch.nn.functional as F
from transformers import SegformerConfig, SegformerForSemanticSegmentation

HERE = pathlib.Path(__file__).resolve().parent
CHANNELS, CLASSES = 4, 4
#: Every so many rows and columns of the logits are kept.
STEP = 3


def numbers(first, count):
    """Numbers in [-1, 1): a hash of the integers from `first` on."""
    x = (np.arange(first, first + count, dtype=np.uint64) * 0x9E3779B1) & 0xFFFFFFFF
    for shift, factor in [(15, 0x85EBCA77), (13, 0xC2B2AE3D)]:
        x ^= x >> np.uint64(shift)
        x = (x * np.uint64(factor)) & 0xFFFFFFFF
    x ^= x >> np.uint64(16)
    return x.astype(np.float64) / 2.0**31 - 1.0


def fill(model):
    """Sets all weights and running statistics."""
    first, state = 0, {}
    for name, tensor in sorted(model.state_dict().items()):
        if name.endswith("num_batches_tracked"):
            continue
        drawn = numbers(first, tensor.numel())
        first += tensor.numel()
        if tensor.ndim > 1:
            values = drawn * np.sqrt(6.0 / np.prod(tensor.shape[1:]))
        elif name.endswith("running_var"):
            values = 1.0 + 0.5 * drawn
        elif name.endswith("weight"):
            values = 1.0 + 0.3 * drawn
        else:
            values = 0.1 * drawn
        state[name] = torch.from_numpy(values.reshape(tensor.shape).astype(np.float32))
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and all(n.endswith("num_batches_tracked") for n in missing)
    return model


def images(batch, height, width):
    """Images in [0, 1), padded with zeros to multiples of 32."""
    values = numbers(10**9, batch * CHANNELS * height * width) * 0.5 + 0.5
    values = torch.from_numpy(values.astype(np.float32))
    values = values.reshape(batch, CHANNELS, height, width)
    return F.pad(values, (0, -width % 32, 0, -height % 32))


def kept(logits, height, width):
    return logits[:, :, :height:STEP, :width:STEP].detach().contiguous()


tensors = {}

unet = fill(smp.Unet("mobilenet_v2", encoder_weights=None, in_channels=CHANNELS,
                     classes=CLASSES)).eval()
tensors["unet"] = kept(unet(images(1, 50, 70)), 50, 70)

# One step of training: statistics of the batch, their running averages, gradients. In
# f64, since so many norms in a row make rounding errors of f32 grow to a hundredth.
unet.double().train()
logits = unet(images(2, 64, 64).double())
tensors["unet/train"] = kept(logits, 64, 64).float()
probe = torch.from_numpy(numbers(2 * 10**9, logits.numel()))
(logits * probe.reshape(logits.shape)).sum().backward()
state = unet.state_dict()
for name in ["encoder.features.0.1", "encoder.features.18.1", "decoder.blocks.4.conv2.1"]:
    for part in ["running_mean", "running_var"]:
        tensors[f"unet/state/{name}.{part}"] = state[f"{name}.{part}"].float().clone()
# Of each gradient its norm, and its product with a probe.
gradients = sorted((name, p.grad) for name, p in unet.named_parameters())
products = []
for name, gradient in gradients:
    flat = gradient.flatten().double()
    probe = torch.from_numpy(numbers(3 * 10**9, flat.numel()))
    products += [flat.norm(), (flat * probe).sum()]
tensors["unet/gradients"] = torch.tensor(products, dtype=torch.float32)

deeplab = fill(smp.DeepLabV3Plus("mobilenet_v2", encoder_weights=None, in_channels=CHANNELS,
                                 classes=CLASSES)).eval()
# So wide that the pyramid's convolutions reach other cells.
tensors["deeplabv3plus"] = kept(deeplab(images(1, 64, 640)), 64, 640)

config = SegformerConfig(num_channels=CHANNELS, num_labels=CLASSES)
segformer = fill(SegformerForSemanticSegmentation(config)).eval()
tensors["segformer"] = segformer(images(1, 96, 64)).logits.detach().contiguous()

for name, tensor in tensors.items():
    print(name, tuple(tensor.shape), float(tensor.abs().max()))
safetensors.torch.save_file(tensors, HERE / "golden.safetensors")
