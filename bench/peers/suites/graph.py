"""One graph attention layer of width 512 over all pairs of N nodes."""

import contextlib
import math

import processors
from suites import disturbed, markdown, memory, need, race, seconds, summary

WIDTH = 512
SIZES = [729, 4096, 16384, 65536, 262144]
# Relative to the largest number of each tensor.
TOLERANCE = 1e-4
# Of scores: thousands of steps to a standard deviation, each a hundred times the error of a
# score in single precision.
GRID = 1e-4
SLOPE = 0.2  # of the leaky ReLU below 0
# More nodes than the dense forms, of which gradients are compared, ever have here.
LARGEST_EXACT = 65536
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
    """A layer and its nodes, with scores on both sides of zero.

    The slope of the leaky ReLU jumps where s_i + t_j = 0, and with it the gradient: of a
    pair so near to it that single precision decides on its side, no two programs need agree.
    Nodes are moved a little, so that s lies on the multiples of GRID and t halfway between.
    The last ReLU has a kink too: what is next to it counts for nothing in the gradients.
    """
    import numpy
    from safetensors.numpy import save_file

    random = numpy.random.default_rng(42)
    normal = lambda *shape: random.standard_normal(shape, numpy.float32)
    weights = suite.work / "graph.safetensors"
    nodes = suite.work / f"nodes-apart-{count}.safetensors"
    W, a = normal(WIDTH, WIDTH) / math.sqrt(WIDTH), normal(1, 2 * WIDTH) / math.sqrt(WIDTH)
    if not weights.exists():
        layer = {"layers.0.W.weight": W, "layers.0.a.weight": a}
        save_file({name: t.astype(numpy.float32) for name, t in layer.items()}, weights)
    if not nodes.exists():
        # s = x · scores[0] and t = x · scores[1]; a step along both mends both.
        scores = a.reshape(2, WIDTH).astype(numpy.float64) @ W
        x = normal(count, WIDTH).astype(numpy.float64)
        found = x @ scores.T
        wanted = GRID * numpy.stack(
            [numpy.rint(found[:, 0] / GRID), numpy.floor(found[:, 1] / GRID) + 0.5], axis=1
        )
        x += (wanted - found) @ numpy.linalg.inv(scores @ scores.T) @ scores
        x, probe = x.astype(numpy.float32), normal(count, WIDTH)
        if count <= LARGEST_EXACT:
            found = attended(x.astype(numpy.float64), W, a[0])
            probe[abs(found) < 1e-5 * abs(found).max()] = 0
        save_file({"nodes": x[None], "probe": probe[None]}, nodes)
    return weights, nodes


def attended(x, W, a):
    """What the layer gives before its last ReLU, in double precision: over nodes in the
    order of t, sums of exp(t_j) h_j and exp(0.2 t_j) h_j up to where s_i + t_j changes sign."""
    import numpy

    h = x @ W.T.astype(numpy.float64)
    s, t = h @ a[:WIDTH], h @ a[WIDTH:]
    order = numpy.argsort(t)
    t, h = t[order], numpy.concatenate([h, numpy.ones((len(h), 1))], axis=1)[order]
    place = numpy.searchsorted(t, -s)
    below, above = numpy.zeros((2, len(t) + 1, h.shape[1]))
    numpy.cumsum(numpy.exp(SLOPE * t)[:, None] * h, axis=0, out=below[1:])
    numpy.cumsum((numpy.exp(t)[:, None] * h)[::-1], axis=0, out=above[-2::-1])
    sums = numpy.exp(SLOPE * s)[:, None] * below[place] + numpy.exp(s)[:, None] * above[place]
    return sums[:, :-1] / sums[:, -1:]


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
