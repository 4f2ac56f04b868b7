"""One graph attention layer of width 512 over all pairs of N nodes."""

import contextlib
import math

import processors
from suites import disturbed, markdown, memory, need, race, seconds, summary

WIDTH = 512
SIZES = [729, 4096, 16384, 65536, 262144]
# Relative to the largest number of each tensor.
TOLERANCE = 1e-4
# Tensors of [N, N] that the dense forms hold at once, at most.
DENSE_TENSORS = 9
YARDSTICK = 4096
KINDS = {"pyg": "PyG DenseGATConv", "dense": "PyTorch, dense"}


def add_options(parser):
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), metavar="N,N",
                        help="numbers of nodes (default all five)")
    parser.add_argument("--modes", default="forward,backward", metavar="A,B",
                        help="forward, backward (forward and backward), or both (default)")


def run(suite, options):
    need("torch")
    sizes = [int(size) for size in options.sizes.split(",")]
    results = []
    for mode in options.modes.split(","):
        for count in sizes:
            results += one(suite, options, count, mode)
    if not options.rounds:
        return {"rows": []}
    names = ["nephos", *KINDS.values()]
    lines = []
    for mode in options.modes.split(","):
        for count in sizes:
            row = {r["name"]: r for r in results if (r["mode"], r["nodes"]) == (mode, count)}
            ours = row.get("nephos", {})
            cells = [mode, f"{count:,}"]
            for name in names:
                found = row.get(name)
                cells.append(
                    f"{seconds(found['seconds'])}, {memory(found['peak_mib'])}" if found else "–"
                )
            cells += [
                f"{row[name]['ratio']:.1f}" if name in row else "–" for name in KINDS.values()
            ]
            error = ours.get("error")
            cells.append("" if error is None else f"{error:.1e}")
            lines.append(cells)
    head = ["", "nodes", *names, "PyG / nephos", "PyTorch / nephos", "from f64"]
    print(markdown(head, lines))
    print(disturbed(results))
    slopes = {mode: slope(results, mode) for mode in options.modes.split(",")}
    for mode, value in slopes.items():
        if value is not None:
            print(f"\n{mode}: nephos's time grows as N^{value:.2f}")
    return {"rows": results, "slopes": slopes}


def one(suite, options, count, mode):
    """One row a contender at N = count."""
    weights, nodes = inputs(suite, count)
    contenders = []
    for kind, name in KINDS.items():
        if not suite.wants(kind):
            continue
        if 4 * count**2 * DENSE_TENSORS > processors.free_memory():
            print(f"{name} is left out at {count:,} nodes: its tensors of [N, N] would not fit")
        else:
            need(*(["torch_geometric"] if kind == "pyg" else []))
            arguments = [kind, weights, nodes, mode, options.threads]
            contenders.append(suite.python(name, "graph_torch.py", *arguments))
    contenders.append(suite.example("bench_graph", weights, nodes, mode))
    error = None
    with contextlib.ExitStack() as stack:
        for contender in contenders:
            stack.enter_context(contender)
        race(contenders, options.rounds, options.least)
        suite.compare(contenders, relative=True, tolerance=TOLERANCE)
        if count == YARDSTICK and not options.skip_compare:
            arguments = ["dense", weights, nodes, mode, options.threads, "f64"]
            exact = suite.python("f64", "graph_torch.py", *arguments)
            stack.enter_context(exact)
            error = suite.compare([exact, contenders[-1]], relative=True)["nephos"]
    rows = summary(contenders, contenders[-1])
    for row in rows:
        row |= {"mode": mode, "nodes": count}
    if rows:
        rows[-1]["error"] = error
    return rows


def inputs(suite, count):
    """A layer and its nodes, with scores on both sides of zero."""
    import numpy
    from safetensors.numpy import save_file

    random = numpy.random.default_rng(42)
    normal = lambda *shape: random.standard_normal(shape, numpy.float32)
    weights, nodes = suite.work / "graph.safetensors", suite.work / f"nodes-{count}.safetensors"
    W, a = normal(WIDTH, WIDTH) / math.sqrt(WIDTH), normal(1, 2 * WIDTH) / math.sqrt(WIDTH)
    if not weights.exists():
        layer = {"layers.0.W.weight": W, "layers.0.a.weight": a}
        save_file({name: t.astype(numpy.float32) for name, t in layer.items()}, weights)
    if not nodes.exists():
        save_file({"nodes": normal(1, count, WIDTH), "probe": normal(1, count, WIDTH)}, nodes)
    return weights, nodes


def slope(results, mode):
    """Of nephos's time over N, in logarithms: the least squares line over all sizes."""
    points = [
        (math.log(r["nodes"]), math.log(r["seconds"]))
        for r in results
        if r["name"] == "nephos" and r["mode"] == mode
    ]
    if len(points) < 2:
        return None
    mean = [sum(p[i] for p in points) / len(points) for i in (0, 1)]
    over = sum((x - mean[0]) * (y - mean[1]) for x, y in points)
    return over / sum((x - mean[0]) ** 2 for x, _ in points)
