"""The published model in PyTorch, as plainly as it was published.

Every pair of nodes is concatenated into an [N, N, 2 d] tensor, and the decoder
upsamples its features before it classifies them: the slow forms that nephos
must agree with. `heads` and `affinity` of the graph layers are extensions of
nephos, written here in the same plain way. Dropout is off unless asked for.
"""

import json
import struct

import torch
import torch.nn as nn
import torch.nn.functional as F


class PatchEmbed(nn.Module):
    def __init__(self, channels, width, size, stride, padding):
        super().__init__()
        self.proj = nn.Conv2d(channels, width, size, stride=stride, padding=padding)

    def forward(self, x):
        x = self.proj(x)  # [B, width, rows, cols]
        return x.flatten(2).transpose(1, 2), x.shape[2:]


class Transformer(nn.Module):
    def __init__(self, width, heads, hidden, depth, dropout=0.0):
        super().__init__()
        layer = nn.TransformerEncoderLayer(width, heads, hidden, dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)


class Block12(nn.Module):
    """Patch embedding and transformer."""

    def __init__(self, channels, width, size, stride, padding, heads, hidden, depth, dropout=0.0):
        super().__init__()
        self.patch_embed = PatchEmbed(channels, width, size, stride, padding)
        self.transformer = Transformer(width, heads, hidden, depth, dropout)


class GraphAttention(nn.Module):
    def __init__(self, width_in, width_out, heads=1, affinity=False, slope=0.2, dropout=0.0):
        super().__init__()
        self.heads, self.head, self.slope = heads, width_out // heads, slope
        self.dropout = dropout
        self.W = nn.Linear(width_in, width_out, bias=False)
        # One row a head; with one head this is a linear layer to one number.
        self.a = nn.Linear(2 * self.head, heads, bias=False)
        self.affinity_scale = nn.Parameter(torch.zeros(1)) if affinity else None

    def forward(self, h, affinity=None):
        wh = self.W(h)  # [B, N, heads * head]
        outputs, attentions = [], []
        for k, part in enumerate(wh.split(self.head, dim=2)):
            n = part.shape[1]
            i = part.unsqueeze(2).expand(-1, -1, n, -1)
            j = part.unsqueeze(1).expand(-1, n, -1, -1)
            pairs = torch.cat([i, j], dim=3)  # [B, N, N, 2 * head]
            e = F.leaky_relu(pairs @ self.a.weight[k], self.slope)  # [B, N, N]
            if self.affinity_scale is not None:
                e = e + self.affinity_scale * affinity
            alpha = torch.softmax(e, dim=2)
            attentions.append(alpha)
            alpha = F.dropout(alpha, self.dropout, self.training)
            outputs.append(F.relu(alpha @ part))
        return torch.cat(outputs, dim=2), torch.stack(attentions, dim=1)


class Gat(nn.Module):
    def __init__(self, width_in, width, layers, **options):
        super().__init__()
        widths = [width_in] + [width] * layers
        self.layers = nn.ModuleList(
            GraphAttention(a, b, **options) for a, b in zip(widths, widths[1:])
        )

    def forward(self, h, affinity=None):
        attentions = []
        for layer in self.layers:
            h, attention = layer(h, affinity)
            attentions.append(attention)
        return h, attentions


class Decoder(nn.Module):
    def __init__(self, width_in, width, classes, align_corners=True):
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1)
        self.conv_out = nn.Conv2d(width, classes, 1)
        self.align_corners = align_corners

    def forward(self, nodes, skip, grid, size):
        x = torch.cat([nodes, skip], dim=2)  # [B, N, width_in]
        x = x.transpose(1, 2).reshape(x.shape[0], -1, *grid)
        x = F.relu(self.conv1(x))
        x = F.interpolate(x, size=size, mode="bilinear", align_corners=self.align_corners)
        return self.conv_out(x)


class Published(nn.Module):
    def __init__(self, channels, width, size, stride, padding, heads, hidden, depth,
                 graph_width, graph_layers, decoder_width, classes, dropout=0.0):
        super().__init__()
        self.block12 = Block12(channels, width, size, stride, padding, heads, hidden, depth, dropout)
        self.gat = Gat(width, graph_width, graph_layers, dropout=dropout)
        self.decoder = Decoder(graph_width + width, decoder_width, classes)

    def forward(self, images):
        """Logits, the affinity, and the attention of each graph layer."""
        embeddings, grid = self.block12.patch_embed(images)
        z = self.block12.transformer.encoder(embeddings)
        nodes, attentions = self.gat(z)
        logits = self.decoder(nodes, embeddings, grid, images.shape[2:])
        return logits, z @ z.transpose(1, 2), attentions


def reference(form=Published, dropout=0.0):
    """The published sizes: 11,245,316 parameters, images of 509 x 509. `form` is
    `Published` or another form with its parameters."""
    return form(channels=3, width=256, size=19, stride=19, padding=5, heads=8, hidden=2048,
                depth=4, graph_width=512, graph_layers=2, decoder_width=768, classes=4,
                dropout=dropout)


def cosine(z):
    """Inner products of the rows of z brought to length one."""
    z = z / (z.square().sum(dim=2, keepdim=True) + 1e-12).sqrt()
    return z @ z.transpose(1, 2)


def stir(module, scale=0.05):
    """Moves every parameter off its start, where many are zero or one."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(scale * torch.randn_like(parameter))


def save(path, tensors):
    """Writes a safetensors file of f32 tensors."""
    header, blobs, end = {}, [], 0
    for name, tensor in tensors.items():
        data = tensor.detach().to(torch.float32).contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape),
                        "data_offsets": [end, end + len(data)]}
        end += len(data)
        blobs.append(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def load(path):
    """Reads a safetensors file of f32 tensors."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = torch.frombuffer(data, dtype=torch.float32, offset=begin, count=(end - begin) // 4)
        tensors[name] = flat.reshape(entry["shape"])
    return tensors


def save_module(path, module, inputs, output):
    """Saves a module's weights, inputs and output, and every gradient of the
    sum of output * probe for a random probe."""
    probe = torch.randn_like(output)
    (output * probe).sum().backward()
    tensors = {f"weight/{name}": value for name, value in module.state_dict().items()}
    tensors |= {f"grad/{name}": p.grad for name, p in module.named_parameters()}
    tensors |= {f"input/{name}": value for name, value in inputs.items()}
    tensors |= {f"input_grad/{name}": v.grad for name, v in inputs.items() if v.grad is not None}
    save(path, tensors | {"output": output, "probe": probe})
