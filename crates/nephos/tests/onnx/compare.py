"""Checks ONNX models and compares what ONNX Runtime makes of inputs with what nephos did.

    python compare.py FOLDER

For each NAME.onnx in the folder, NAME.input.npy holds the input and NAME.expected.npy the output.
Prints one line for each: its name, its largest absolute difference, and its metadata as JSON.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime

for path in sorted(pathlib.Path(sys.argv[1]).glob("*.onnx")):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    images = np.load(path.with_suffix(".input.npy"))
    expected = np.load(path.with_suffix(".expected.npy"))
    assert list(images.shape[1:]) == entry.shape[1:], (images.shape, entry.shape)
    (output,) = session.run(None, {entry.name: images})
    assert list(output.shape[1:]) == session.get_outputs()[0].shape[1:], output.shape
    # What has no data is NaN in nephos's probabilities.
    known = ~np.isnan(expected)
    difference = np.abs(output[known] - expected[known]).max()
    metadata = session.get_modelmeta().custom_metadata_map
    print(path.stem, f"{difference:.3e}", json.dumps(metadata), sep="\t")
