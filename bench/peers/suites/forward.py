"""The forward pass of the reference model on one image of 509 × 509."""

import contextlib

from suites import compiler, need, race, summary, table

KINDS = {
    "published": "published (PyTorch)",
    "optimised": "optimised (PyTorch)",
    "compiled": "optimised (torch.compile)",
}


def add_options(parser):
    pass


def run(suite, options):
    weights, pixels = suite.weights(), images(suite)
    contenders = []
    for kind, name in KINDS.items():
        if kind == "compiled" and not compiler():
            print("torch.compile is left out: there is no C++ compiler")
        elif suite.wants(kind):
            need("torch")
            arguments = [kind, weights, pixels, options.threads]
            contenders.append(suite.python(name, "forward_torch.py", *arguments))
    if suite.wants("onnx"):
        need("onnx", "onnxscript", "onnxruntime")
        model = suite.work / "optimised.onnx"
        if not model.exists():
            suite.script("prepare.py", "onnx", weights, model)
        arguments = [model, pixels, options.threads]
        contenders.append(suite.python("ONNX Runtime", "forward_onnx.py", *arguments))
    contenders.append(suite.example("bench_forward", weights, pixels))
    with contextlib.ExitStack() as stack:
        for contender in contenders:
            stack.enter_context(contender)
        race(contenders, options.rounds, options.least)
        differences = suite.compare(contenders)
    rows = summary(contenders, contenders[-1])
    table(rows, differences)
    return {"rows": rows, "differences": differences}


def images(suite):
    """One image as the model takes it."""
    import numpy
    from safetensors.numpy import save_file

    path = suite.work / "images.safetensors"
    if not path.exists():
        pixels = numpy.random.default_rng(42).random((1, 3, 509, 509), numpy.float32)
        save_file({"images": pixels}, path)
    return path
