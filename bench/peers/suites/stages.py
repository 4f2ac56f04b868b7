"""Where nephos's forward pass spends its time, and how near to the machine's peak each
stage comes."""

import statistics

from suites import forward, markdown, need, race

# Sizes of the reference model on 509 × 509 pixels.
TOKENS, WIDTH, HIDDEN, DEPTH = 27 * 27, 256, 2048, 4
GRAPH, DECODER, CLASSES, PIXELS = 512, 768, 4, 509 * 509

# Floating-point operations of each stage as the readable network counts them: two a
# multiplication and addition, the convolution and both attentions in their plain form.
OPERATIONS = {
    "Embed": 2 * TOKENS * WIDTH * 3 * 19 * 19,
    "QueryKeyValue": DEPTH * 2 * TOKENS * WIDTH * 3 * WIDTH,
    "Attention": DEPTH * 2 * 2 * TOKENS * TOKENS * WIDTH,
    "Project": DEPTH * 2 * TOKENS * WIDTH * WIDTH,
    "FeedForward": DEPTH * 2 * 2 * TOKENS * WIDTH * HIDDEN,
    "GraphProject": 2 * TOKENS * (WIDTH + GRAPH) * GRAPH,
    "GraphAttention": 2 * 2 * TOKENS * TOKENS * GRAPH,
    "Convolution": 2 * TOKENS * 9 * (GRAPH + WIDTH) * DECODER,
    "Classify": 2 * TOKENS * DECODER * CLASSES,
    "Upsample": 2 * 4 * PIXELS * CLASSES,
}


def add_options(parser):
    pass


def run(suite, options):
    need("torch")
    stages = suite.example("bench_stages", suite.weights(), forward.images(suite))
    size = 1024
    peaks = [
        suite.python("PyTorch", "gemm_torch.py", size, size, size, options.threads),
        suite.example("bench_gemm", size, size, size),
    ]
    with stages, peaks[0], peaks[1]:
        race([stages, *peaks], options.rounds, options.least)
    if not stages.rounds:
        return {"rows": []}
    best = min(min(peak.rounds) for peak in peaks)
    peak = 2e-9 * size**3 / best
    answers = stages.answers[1:]  # the first warms up
    median = lambda of: statistics.median(of(answer) for answer in answers)
    total = median(lambda answer: answer["seconds"])
    rows = []
    for name in answers[0]["stages"]:
        seconds = median(lambda answer: answer["stages"][name])
        speed = OPERATIONS[name] * 1e-9 / seconds if name in OPERATIONS else None
        rows.append({"stage": name, "seconds": seconds, "gflops": speed})
    lines = [
        [row["stage"], f"{row['seconds'] * 1e3:.2f} ms", f"{row['seconds'] / total:.1%}",
         *([f"{OPERATIONS[row['stage']] * 1e-9:.2f}", f"{row['gflops']:.0f}",
            f"{row['gflops'] / peak:.0%}"] if row["gflops"] else ["", "", ""])]
        for row in rows
    ]
    work = sum(OPERATIONS.values()) * 1e-9
    lines.append(["all", f"{total * 1e3:.2f} ms", "100 %", f"{work:.2f}", f"{work / total:.0f}",
                  f"{work / total / peak:.0%}"])
    print(markdown(["stage", "median", "share", "GFLOP", "GFLOP/s", "of the peak"], lines))
    print(f"\nPeak: {peak:.0f} GFLOP/s, the best of PyTorch's and nephos's products of {size}³.")
    return {"rows": rows, "seconds": total, "peak_gflops": peak}
