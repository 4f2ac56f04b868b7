"""Pickles as real NumPy writes them, and what they hold.

Run once with NumPy 1.26 and once with NumPy 2.2; each writes its own files,
`numpy1_*.pkl` or `numpy2_*.pkl`, and both the same `expected.json`: file name
without `numpy1_` or `numpy2_` to the samples' names, types, shapes and numbers
in C order.
"""

import json
import pathlib
import pickle

import numpy as np

HERE = pathlib.Path(__file__).parent
MAJOR = np.__version__.split(".")[0]
PROTOCOLS = (0, 2, 3, 4, 5)
DTYPES = ("?", "u1", "i1", "u2", "i2", "u4", "i4", "i8", "f2", "f4", "f8")

rng = np.random.default_rng(42)
expected = {}


def sample(dtype, shape=(2, 2, 3)):
    """Numbers over the whole range that f32 holds exactly."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    if dtype.kind == "f":
        return (rng.integers(-2048, 2048, shape) / 8).astype(dtype)
    info = np.iinfo(dtype)
    low, high = max(info.min, -(2**24)), min(info.max, 2**24)
    return rng.integers(low, high + 1, shape).astype(dtype)


def samples(data):
    """(name, array [C, H, W]) of every sample, in nephos's order."""
    if isinstance(data, np.ndarray):
        data = list(data) if data.ndim == 4 else [data]
    if isinstance(data, dict):
        for key, array in data.items():
            if array.ndim == 4:
                yield from ((f"{key}/{i}", one) for i, one in enumerate(array))
            else:
                yield str(key), array
    else:
        position = 0
        for array in data:
            for one in array if array.ndim == 4 else [array]:
                yield str(position), one
                position += 1


def write(name, data, protocol):
    file = f"{name}_p{protocol}.pkl"
    with open(HERE / f"numpy{MAJOR}_{file}", "wb") as out:
        pickle.dump(data, out, protocol=protocol)
    expected[file] = [
        {
            "name": key,
            "dtype": array.dtype.name,
            "shape": array.shape,
            "values": [float(v) for v in array.ravel(order="C")],
        }
        for key, array in samples(data)
    ]


for protocol in PROTOCOLS:
    # One file with every type and byte order; the types are memoised.
    every = []
    for dtype in DTYPES:
        for order in "<>":
            array = sample(dtype).astype(np.dtype(dtype).newbyteorder(order))
            every += [array, np.asfortranarray(sample(dtype)).astype(array.dtype, order="F")]
    write("types", every, protocol)
    write("tuple", (sample("u2"), sample("u2", (1, 2, 5))), protocol)
    write("batch", sample("u2", (3, 2, 3, 4)), protocol)
    write("batch_fortran", np.asfortranarray(sample("f4", (3, 2, 3, 4))), protocol)
    write("single", sample("i2"), protocol)
    write(
        "dict",
        {"one": sample("u2"), "zwei ü": sample("f4"), 7: sample("u1", (2, 1, 2, 3))},
        protocol,
    )
    shared = sample("u2")
    write("shared", [shared, sample("u2"), shared], protocol)
    write("view", [sample("u2", (4, 6, 8))[::2, 1:4, ::-2]], protocol)
    locked = sample("u2")
    locked.flags.writeable = False
    write("readonly", [locked], protocol)
    write("transposed", [sample("u2", (3, 4, 2)).transpose(2, 0, 1)], protocol)
    # Text that protocol 0 escapes: newline, backslash, NUL, 0x1a.
    write("bytes", [np.arange(256, dtype="u1").reshape(1, 16, 16)], protocol)
    write("long", [sample("u1", (1, 2, 150))], protocol)
    write("empty", [], protocol)

rows = (f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in expected.items())
(HERE / "expected.json").write_text("{\n" + ",\n".join(rows) + "\n}\n")
