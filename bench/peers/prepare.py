"""Makes what the contenders share, in PyTorch:

prepare.py weights FILE.pth            the reference model with weights of a fixed seed
prepare.py onnx WEIGHTS FILE.onnx      the optimised form as ONNX
"""

import sys

import models
import torch

what, *paths = sys.argv[1:]
if what == "weights":
    torch.manual_seed(42)
    model = models.published.reference()
    models.published.stir(model, scale=0.01)
    torch.save(model.state_dict(), paths[0])
else:
    weights, target = paths
    model = models.build("optimised", weights).eval()
    # The fused layer of PyTorch has no form in ONNX.
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad():
        torch.onnx.export(
            model,
            (torch.rand(1, 3, 509, 509),),
            target,
            input_names=["images"],
            output_names=["logits"],
            dynamo=True,
            external_data=False,
        )
