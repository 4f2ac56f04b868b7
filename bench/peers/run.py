"""Times nephos and its peers side by side, on this machine.

    cargo build --release --bins --examples
    python -m pip install -r bench/peers/requirements.txt
    python bench/peers/run.py forward

Every contender has its own process and the same weights and input; their outputs are
compared; then they take turns, one at a time, in every round. Printed are the median
of the rounds and the median of the ratios within a round. docs/benchmarks.md has the
tables and says what each contender is.
"""

import argparse
import json
import pathlib

import suites
from suites import forward, gemm, graph, stages, tile, train

SUITES = {
    "forward": (forward, "the reference model's forward pass, [1, 3, 509, 509]"),
    "train": (train, "its training step at batch 1, Adam included"),
    "graph": (graph, "one graph attention layer, d = 512, by the number of nodes"),
    "tile": (tile, "a whole tile of 10980², against OmniCloudMask's two networks"),
    "stages": (stages, "where nephos's forward pass spends its time, against the machine's peak"),
    "gemm": (gemm, "matrix products of the model's shapes: the machine's peak"),
}


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="suite", required=True, metavar="SUITE")
    for name, (module, about) in SUITES.items():
        command = commands.add_parser(name, help=about, description=about)
        suites.add_options(command)
        module.add_options(command)
    return parser.parse_args()


def main():
    options = parse()
    suite = suites.Suite(options)
    result = SUITES[options.suite][0].run(suite, options)
    print(f"\n{suite.machine_line()}")
    if options.json:
        result = {"suite": options.suite, "machine": suite.machine, **result}
        pathlib.Path(options.json).write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
