"""Who has the processors, us or others, and what memory is free. Linux tells; elsewhere
nobody else has them, and memory is taken to be 8 GiB."""

import os
import pathlib

TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


def clock():
    """Seconds so far of all processors together: in all, and not idle."""
    try:
        fields = pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
    except OSError:
        return 0.0, 0.0
    ticks = [int(field) for field in fields]
    idle = ticks[3] + ticks[4]
    # The last is what other guests of the machine had.
    return sum(ticks) / TICKS, (sum(ticks) - idle) / TICKS


def own(pid):
    """Seconds of processors that a process and all its threads have had."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def others(before, after, own):
    """Share of all processors that others than `own` had between two clocks."""
    total, busy = after[0] - before[0], after[1] - before[1]
    return max(busy - own, 0.0) / total if total else 0.0


def free_memory():
    """Bytes that a process may still take."""
    try:
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return 8 << 30
    return next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) * 1024
