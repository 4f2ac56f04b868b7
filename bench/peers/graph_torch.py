"""One graph attention layer of width 512 in PyTorch, over all pairs of nodes:
graph_torch.py dense|pyg|published WEIGHTS NODES forward|backward THREADS [f64]

`dense` broadcasts s_i + t_j; `pyg` is PyTorch Geometric's DenseGATConv; `published`
concatenates every pair. With `f64` in double precision, as a yardstick of accuracy.
"""

import sys

import contender
import models
import torch
import torch.nn.functional as F

kind, weights, nodes, mode, threads, *precision = sys.argv[1:]
models.threads(int(threads))
dtype = torch.float64 if precision == ["f64"] else torch.float32
state = {name: t.to(dtype) for name, t in models.published.load(weights).items()}
W, a = state["layers.0.W.weight"], state["layers.0.a.weight"]
inputs = {name: t.to(dtype) for name, t in models.published.load(nodes).items()}
nodes, probe = inputs["nodes"], inputs["probe"]
width, width_in = W.shape

if kind == "pyg":
    from torch_geometric.nn import DenseGATConv

    layer = DenseGATConv(width_in, width, heads=1, bias=False).to(dtype)
    with torch.no_grad():
        layer.lin.weight.copy_(W)
        # Its row is the node that attends, its column the one attended to.
        layer.att_dst.copy_(a[0, :width])
        layer.att_src.copy_(a[0, width:])
    adjacency = torch.ones(1, nodes.shape[1], nodes.shape[1], dtype=dtype)
    run = lambda: F.relu(layer(nodes, adjacency))
    weight, score = layer.lin.weight, (layer.att_dst, layer.att_src)
else:
    layer = models.published.GraphAttention(width_in, width).to(dtype)
    layer.load_state_dict({"W.weight": W, "a.weight": a})
    run = (lambda: layer(nodes)[0]) if kind == "published" else lambda: models.attend(layer, nodes)
    weight, score = layer.W.weight, (layer.a.weight,)

if mode == "forward":
    with torch.no_grad():
        contender.serve(run, lambda output: models.arrays({"nodes": output}))
else:
    nodes.requires_grad_()

    def work():
        for tensor in (nodes, weight, *score):
            tensor.grad = None
        output = run()
        (output * probe).sum().backward()
        return output

    contender.serve(
        work,
        lambda output: models.arrays(
            {
                "nodes": output,
                "input": nodes.grad,
                "layers.0.W.weight": weight.grad,
                "layers.0.a.weight": torch.cat([s.grad.view(1, -1) for s in score], dim=1),
            }
        ),
    )
