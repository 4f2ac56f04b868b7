"""How a contender is driven, so that several can take turns.

The process prepares, prints {"ready": true}, and then reads a request a line from
standard input; each is answered by one line of JSON on standard output: `time` does
the work once and answers {"seconds": …}, `output PATH` writes what the work gives as
a safetensors file and answers {"output": PATH}. At the end of input it ends. While
it waits it uses no processor. crates/nephos/examples/protocol is the same for Rust.
"""

import json
import os
import sys
import time

# What a library prints goes to standard error: standard output is for answers.
_answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def answer(**value):
    print(json.dumps(value), file=_answers, flush=True)


def serve(work, tensors):
    """Answers requests: `work` is timed; `tensors` makes named arrays of its result.
    Where the result is a dictionary of numbers, it stands beside the seconds."""
    answer(ready=True)
    for line in sys.stdin:
        request, _, path = line.strip().partition(" ")
        if request == "time":
            start = time.perf_counter()
            result = work()
            seconds = time.perf_counter() - start
            answer(seconds=seconds, **(result if isinstance(result, dict) else {}))
            del result
        elif request == "output":
            from safetensors.numpy import save_file

            save_file(tensors(work()), path)
            answer(output=path)
        else:
            raise SystemExit(f"{line!r}: expected `time` or `output PATH`")
