"""A training step of the reference model at batch 1: forward, cross-entropy over all
pixels, backward, Adam."""

import contextlib

from suites import TOLERANCE, compiler, need, race, summary, table
from suites.forward import KINDS

# Steps without dropout whose losses must agree.
COMPARED = 3


def add_options(parser):
    pass


def run(suite, options):
    import numpy

    weights, sample = suite.weights(), suite.work / "sample.npy"
    if not sample.exists():
        numpy.save(sample, made_up(numpy))
    need("torch")
    kinds = [kind for kind in KINDS if suite.wants(kind)]
    if "compiled" in kinds and not compiler():
        print("torch.compile is left out: there is no C++ compiler")
        kinds.remove("compiled")

    def contenders(dropout):
        arguments = [weights, sample, dropout]
        for kind in kinds:
            yield suite.python(
                KINDS[kind], "train_torch.py", kind, *arguments, options.threads
            )
        yield suite.example("bench_train_step", *arguments)

    differences = {} if options.skip_compare else compare(list(contenders("0")))
    racers = list(contenders("default"))
    if options.rounds:
        with contextlib.ExitStack() as stack:
            for contender in racers:
                stack.enter_context(contender)
            race(racers, options.rounds, options.least)
    rows = summary(racers, racers[-1])
    table(rows, differences)
    return {"rows": rows, "differences": differences}


def compare(contenders):
    """The largest difference of the first losses without dropout, from the first's."""
    losses = {}
    for contender in contenders:
        with contender:
            for _ in range(COMPARED):
                contender.time()
        losses[contender.name] = [answer["loss"] for answer in contender.answers]
    first, *others = losses
    differences = {
        name: max(abs(a - b) for a, b in zip(losses[first], losses[name])) for name in others
    }
    for name, difference in differences.items():
        if not difference <= TOLERANCE:
            raise SystemExit(
                f"losses without dropout: {name} {losses[name]}, {first} {losses[first]}: "
                "they do not compute the same"
            )
    return differences


def made_up(numpy):
    """[1, 4, 509, 509]: three bands, and a label that follows from them."""
    random = numpy.random.default_rng(42)
    coarse = random.random((3, 27, 27), numpy.float32)
    bands = numpy.kron(coarse, numpy.ones((1, 19, 19), numpy.float32))[:, :509, :509]
    bands = bands + 0.1 * random.random((3, 509, 509), numpy.float32)
    label = (bands[0] > 0.6).astype(numpy.float32) + 2 * (bands[1] > 0.6)
    return numpy.concatenate([bands, label[None]])[None].astype(numpy.float32)
