"""Matrix products of the shapes of the model: what the machine can do, and what the
kernels of nephos do with it."""

import contextlib

from suites import disturbed, markdown, need, race, summary

# [m, k] × [k, n], and where the reference model has it on 509 × 509 pixels.
SHAPES = {
    "729 × 256 × 768": "query, key, value",
    "729 × 256 × 256": "after attention",
    "729 × 256 × 2048": "feed-forward, first",
    "729 × 2048 × 256": "feed-forward, second",
    "729 × 512 × 512": "graph attention, second layer",
    "729 × 6912 × 768": "3×3 convolution as one product",
    "1024 × 1024 × 1024": "square",
}


def add_options(parser):
    pass


def run(suite, options):
    need("torch")
    results, lines = [], []
    for shape, where in SHAPES.items():
        m, k, n = (int(part) for part in shape.split(" × "))
        torch = suite.python("PyTorch", "gemm_torch.py", m, k, n, options.threads)
        ours = suite.example("bench_gemm", m, k, n)
        with contextlib.ExitStack() as stack:
            for contender in (torch, ours):
                stack.enter_context(contender)
            race([torch, ours], options.rounds, options.least)
            suite.compare([torch, ours], relative=True)
        rows = summary([torch, ours], ours)
        speed = [2e-9 * m * k * n / row["seconds"] for row in rows]
        results += [row | {"shape": shape, "gflops": s} for row, s in zip(rows, speed)]
        if rows:
            lines.append([shape, where, *(f"{s:.0f}" for s in speed), f"{rows[0]['ratio']:.2f}"])
    if not results:
        return {"rows": []}
    print(markdown(["m × k × n", "", "PyTorch GFLOP/s", "nephos GFLOP/s", "ratio"], lines))
    print(disturbed(results))
    return {"rows": results}
