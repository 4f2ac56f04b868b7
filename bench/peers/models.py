"""The published model, and the same function by the two identities, in PyTorch.

Both have the published model's parameters and take the same state dict. The published
one is that of the parity tests: every pair of nodes concatenated, 768 channels
upsampled before they are classified, `nn.TransformerEncoder`.
"""

import pathlib
import sys

import torch
import torch.nn.functional as F

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "crates/nephos/tests/parity"))

import published  # noqa: E402

DROPOUT = 0.1


class Optimised(published.Published):
    """The published function without its two large tensors.

    a·[Wh_i ‖ Wh_j] = s_i + t_j, so no tensor of [N, N, 1024]; and the 1×1 convolution
    commutes with upsampling, so 4 channels are upsampled instead of 768.
    """

    def forward(self, images):
        embeddings, (rows, cols) = self.block12.patch_embed(images)
        nodes = self.block12.transformer.encoder(embeddings)
        for layer in self.gat.layers:
            nodes = attend(layer, nodes)
        decoder = self.decoder
        x = torch.cat([nodes, embeddings], dim=2)
        x = x.transpose(1, 2).reshape(x.shape[0], -1, rows, cols)
        x = decoder.conv_out(F.relu(decoder.conv1(x)))  # [B, classes, rows, cols]
        return F.interpolate(x, size=images.shape[2:], mode="bilinear", align_corners=True)


def attend(layer, nodes):
    """One graph attention layer of one head over all pairs: nodes is [B, N, width]."""
    wh = layer.W(nodes)
    st = F.linear(wh, layer.a.weight.view(2, -1))  # [B, N, 2]
    e = F.leaky_relu(st[:, :, :1] + st[:, :, 1:].transpose(1, 2), layer.slope)  # [B, N, N]
    alpha = F.dropout(torch.softmax(e, dim=2), layer.dropout, layer.training)
    return F.relu(alpha @ wh)


class Logits(torch.nn.Module):
    """The published model's logits alone; as published it computes the affinity too."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        return self.model(images)[0]


def build(kind, weights, dropout=DROPOUT):
    """The model `published` or `optimised` with the weights of a safetensors file."""
    classes = {"published": published.Published, "optimised": Optimised}
    model = published.reference(classes[kind], dropout=dropout)
    model.load_state_dict(published.load(weights), strict=True)
    return Logits(model) if kind == "published" else model


def threads(count):
    torch.set_num_threads(count)
    torch.set_num_interop_threads(1)


def arrays(tensors):
    """NumPy arrays of named tensors."""
    return {name: t.detach().contiguous().numpy() for name, t in tensors.items()}
