"""What the suites share: where things are, the shared weights and inputs."""

import importlib.util
import pathlib
import shutil
import subprocess
import sys

import machine
from measure import (
    Contender, disturbed, largest_difference, markdown, memory, race, seconds, summary,
)

PEERS = pathlib.Path(__file__).resolve().parents[1]
REPOSITORY = PEERS.parents[1]

# Outputs of contenders may differ by this much.
TOLERANCE = 1e-4


def add_options(parser):
    parser.add_argument("--rounds", type=int, default=5,
                        help="rounds of turns; 0 only prepares and compares (default 5)")
    parser.add_argument("--least", type=float, default=0.5, metavar="SECONDS",
                        help="shortest turn: faster contenders go several times (default 0.5)")
    parser.add_argument("--threads", type=int, default=2, help="threads of each (default 2)")
    parser.add_argument("--skip-compare", action="store_true",
                        help="only time: an earlier run has compared the outputs")
    parser.add_argument("--only", metavar="A,B", help="only these contenders")
    parser.add_argument("--json", metavar="FILE", help="write everything measured here")
    parser.add_argument("--target", default=REPOSITORY / "target" / "release", type=pathlib.Path,
                        metavar="DIR", help="where cargo built nephos (default target/release)")
    parser.add_argument("--work", default=REPOSITORY / "target" / "peers", type=pathlib.Path,
                        metavar="DIR", help="where shared files are kept (default target/peers)")


class Suite:
    """A run of one suite."""

    def __init__(self, options):
        need("numpy", "safetensors")
        self.options = options
        self.work = options.work.resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.machine = machine.describe(REPOSITORY, options.threads)

    def machine_line(self):
        return machine.one_line(self.machine)

    def wants(self, name):
        return self.options.only is None or name in self.options.only.split(",")

    def python(self, name, script, *arguments):
        command = [sys.executable, PEERS / script, *arguments]
        return Contender(name, command, self.options.threads)

    def example(self, name, *arguments):
        program = self.built(self.options.target / "examples" / name)
        return Contender("nephos", [program, *arguments], self.options.threads)

    def nephos(self, *arguments):
        command = [self.built(self.options.target / "nephos"), *arguments]
        subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)

    def built(self, path):
        if path.exists():
            return path
        raise SystemExit(
            f"{path} is not there; build it: cargo build --release --bins --examples"
        )

    def script(self, script, *arguments):
        subprocess.run([sys.executable, str(PEERS / script), *map(str, arguments)], check=True)

    def model(self):
        """The reference model as a bundle of nephos, with weights of a fixed seed."""
        bundle = self.work / "reference.nephos"
        if not bundle.exists():
            need("torch")
            state = self.work / "reference.pth"
            self.script("prepare.py", "weights", state)
            config = REPOSITORY / "configs" / "reference.toml"
            self.nephos("weights", "import", state, "--config", config, "-o", bundle)
        return bundle

    def weights(self):
        """The state dict that nephos exports of that model: every contender's weights."""
        exported = self.work / "reference.safetensors"
        if not exported.exists():
            self.nephos("weights", "export", self.model(), "-o", exported)
        return exported

    def compare(self, contenders, relative=False, tolerance=TOLERANCE):
        """The largest difference of each contender's output from the first's, by name."""
        if self.options.skip_compare or len(contenders) < 2:
            return {}
        paths = {c.name: self.work / f"output-{i}.safetensors" for i, c in enumerate(contenders)}
        for contender in contenders:
            contender.output(paths[contender.name])
        first, *others = paths
        differences = {
            name: largest_difference(paths[first], paths[name], relative) for name in others
        }
        for name, difference in differences.items():
            if not difference <= tolerance:
                raise SystemExit(
                    f"{name} differs from {first} by {difference:.2g}, more than {tolerance:g}: "
                    "they do not compute the same"
                )
        return differences


def need(*modules):
    """Ends with a message where a module is missing."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise SystemExit(
            f"Python lacks {', '.join(missing)}: "
            f"{sys.executable} -m pip install -r bench/peers/requirements.txt"
        )


def compiler():
    """Whether torch.compile has a C++ compiler."""
    return any(map(shutil.which, ["c++", "g++", "clang++", "cl"]))


def table(rows, differences=None):
    """Prints one row a contender; of contenders that only prepared, the differences."""
    if not rows:
        for name, difference in (differences or {}).items():
            print(f"{name}: largest difference {difference:.1e}")
        return
    head = ["", "median", "times nephos", "peak memory", "start included", "largest difference"]
    lines = []
    for row in rows:
        difference = (differences or {}).get(row["name"])
        lines.append([
            row["name"],
            seconds(row["seconds"]),
            f"{row['ratio']:.2f}",
            memory(row["peak_running_mib"]),
            memory(row["peak_mib"]),
            "" if difference is None else f"{difference:.1e}",
        ])
    print(markdown(head, lines))
    print(disturbed(rows))


__all__ = ["Contender", "disturbed", "markdown", "memory", "race", "seconds", "summary"]
