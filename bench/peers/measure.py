"""Contenders that take turns: their times, their ratios, their memory."""

import json
import os
import pathlib
import statistics
import subprocess
import time

import processors

# Quiet between two turns, so that threads of the last one have stopped spinning.
PAUSE = 0.1

# A turn is taken again, so often in all, where others (processes, or guests of
# the same machine) took a larger share of the processors than this.
ATTEMPTS, DISTURBED = 3, 0.1


class Contender:
    """A process that answers the requests of contender.py."""

    def __init__(self, name, command, threads):
        self.name, self.command = name, [str(part) for part in command]
        self.environment = os.environ | {
            "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads),
            "RAYON_NUM_THREADS": str(threads),
        }
        self.rounds, self.others, self.answers, self.process = [], [], [], None
        self.peak_mib = self.peak_running_mib = None

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=self.environment,
        )
        self._answer()
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def time(self):
        """Seconds of one go."""
        answer = self._ask("time")
        self.answers.append(answer)
        return answer["seconds"]

    def output(self, path):
        """Writes what the work gives."""
        self._ask(f"output {path}")

    def turn(self, least):
        """The median of as many goes as fit into `least` seconds, one at least. A turn
        in which others took the processors is taken again."""
        attempts = []
        for _ in range(ATTEMPTS):
            before, own = processors.clock(), processors.own(self.process.pid)
            times = [self.time()]
            while sum(times) < least and len(times) < 50:
                times.append(self.time())
            own = processors.own(self.process.pid) - own
            others = processors.others(before, processors.clock(), own)
            attempts.append((others, statistics.median(times)))
            if others <= DISTURBED:
                break
            time.sleep(PAUSE)
        others, seconds = min(attempts)
        self.rounds.append(seconds)
        self.others.append(others)

    def forget_peak(self):
        """Starts the peak of memory anew, where the system can."""
        self.peak_mib = self._peak()
        try:
            pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        except OSError:
            return

    def note_peak(self):
        """The peak since it was started anew."""
        self.peak_running_mib = self._peak()
        if self.peak_mib is not None:
            self.peak_mib = max(self.peak_mib, self.peak_running_mib)

    def _ask(self, request):
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            raise SystemExit(f"{self.name} ended with status {code}: {' '.join(self.command)}")
        return json.loads(line)

    def _peak(self):
        try:
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return None
        lines = (line.split() for line in status.splitlines())
        return next((int(line[1]) / 1024 for line in lines if line[0] == "VmHWM:"), None)


def race(contenders, rounds, least):
    """Warms all up, then has them take turns, every other round the other way round."""
    for contender in contenders:
        contender.time()
        contender.forget_peak()
    for round_ in range(rounds):
        for contender in contenders if round_ % 2 == 0 else reversed(contenders):
            time.sleep(PAUSE)
            contender.turn(least)
    for contender in contenders:
        contender.note_peak()


def summary(contenders, ours):
    """One row a contender: the median of its rounds, and the median over the rounds of
    its time divided by that of `ours` in the same round."""
    return [
        {
            "name": c.name,
            "seconds": statistics.median(c.rounds),
            "ratio": statistics.median(a / b for a, b in zip(c.rounds, ours.rounds)),
            "peak_mib": c.peak_mib,
            "peak_running_mib": c.peak_running_mib,
            "rounds": c.rounds,
            "others": c.others,
        }
        for c in contenders
        if c.rounds
    ]


def largest_difference(expected, found, relative=False):
    """Of two files' tensors of the same names; `relative` to the largest number of each."""
    from safetensors.numpy import load_file

    expected, found = load_file(expected), load_file(found)
    if missing := expected.keys() - found.keys():
        raise SystemExit(f"an output lacks {', '.join(sorted(missing))}")
    differences = []
    for name, values in expected.items():
        difference = abs(values - found[name]).max()
        differences.append(difference / abs(values).max() if relative else difference)
    return float(max(differences))


def disturbed(rows):
    """What to say of turns that others disturbed each time they were taken."""
    shares = [share for row in rows for share in row["others"]]
    count = sum(share > DISTURBED for share in shares)
    return f"\n{count} of {len(shares)} turns were disturbed by others, {max(shares):.0%} at most."


def seconds(value):
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.3g} ms"


def memory(mib):
    return "–" if mib is None else f"{mib:,.0f} MiB"


def markdown(head, rows):
    """A table, its columns as wide as their entries."""
    rows = [head] + [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    line = lambda row: "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths)) + " |"
    rule = "|" + "|".join("-" * (w + 2) for w in widths) + "|"
    return "\n".join([line(rows[0]), rule] + [line(row) for row in rows[1:]])
