"""A forward pass in ONNX Runtime: forward_onnx.py MODEL.onnx IMAGES THREADS"""

import sys

import contender
import onnxruntime
from safetensors.numpy import load_file

path, images, threads = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(threads)
options.inter_op_num_threads = 1
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
images = load_file(images)["images"]


def forward():
    return session.run(["logits"], {"images": images})[0]


contender.serve(forward, lambda logits: {"logits": logits})
