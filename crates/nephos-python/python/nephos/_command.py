"""The command `nephos`: the same program as the one that cargo builds."""

import signal
import sys

from ._nephos import main as run


def main() -> int:
    """Runs the command line of this process; returns its exit status."""
    # Ctrl-C is the command's own, not an exception of Python's.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return run(["nephos", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
