"""Threads, processes, signals."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from conftest import BANDS, SCALED

import nephos


def program(text, env=None, **options):
    """A process of Python that has numbers `x` and the arguments `said`."""
    start = f"""
        import os, sys, threading, time
        import numpy as np, nephos
        said = dict(bands={BANDS[:4]}, scale_factor=1e-4, nodata=0)
        x = np.full((4, 1600, 1600), 900, np.uint16)
    """
    code = textwrap.dedent(start) + textwrap.dedent(text)
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
        env={**os.environ, **(env or {})}, **options,
    )


def test_threads_change_no_byte(scene, mask):
    for threads in (1, 3):
        assert (nephos.predict(scene, bands=BANDS, threads=threads, **SCALED) == mask).all()


def test_a_forked_process_has_threads_of_its_own(scene, mask):
    context = multiprocessing.get_context("fork")
    model = nephos.Model("tiny")
    found = context.Queue()

    def child():
        same = nephos.predict(scene, model, bands=BANDS, **SCALED)
        found.put((os.getpid(), bool((same == mask).all())))

    children = [context.Process(target=child) for _ in range(2)]
    for one in children:
        one.start()
    results = [found.get(timeout=120) for _ in children]
    for one in children:
        one.join(timeout=60)
        assert one.exitcode == 0
    assert all(same for _, same in results) and len({pid for pid, _ in results}) == 2


def test_a_process_may_fork_while_it_computes(scene, mask):
    running = threading.Thread(target=nephos.predict, args=(scene,), kwargs={"bands": BANDS, **SCALED})
    running.start()
    context = multiprocessing.get_context("fork")
    child = context.Process(target=lambda: os._exit(
        int((nephos.predict(scene, bands=BANDS, **SCALED) != mask).any())
    ))
    child.start()
    child.join(timeout=120)
    running.join()
    assert child.exitcode == 0


def test_other_threads_run_meanwhile(scene):
    ticks = []
    done = threading.Event()

    def tick():
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    other = threading.Thread(target=tick)
    other.start()
    start = time.perf_counter()
    nephos.predict(scene, bands=BANDS, **SCALED)
    end = time.perf_counter()
    done.set()
    other.join()
    inside = [at for at in ticks if start < at < end]
    assert len(inside) > 5


def test_ctrl_c_ends_a_prediction():
    child = program("""
        print("ready", flush=True)
        x = np.full((4, 9000, 9000), 900, np.uint16)
        try:
            nephos.predict(x, **said)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
            small = nephos.predict(x[:, :50, :50], **said)
            print(small.shape, flush=True)
    """)
    assert child.stdout.readline() == "ready\n"
    time.sleep(4)
    child.send_signal(signal.SIGINT)
    start = time.perf_counter()
    out, _ = child.communicate(timeout=60)
    assert out == "interrupted\n(50, 50)\n"
    assert time.perf_counter() - start < 30


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads as Linux does")
@pytest.mark.parametrize(("given", "most"), [("threads=1", 3), ("", 5)])
def test_no_more_threads_than_asked(given, most):
    child = program(f"""
        before = len(os.listdir("/proc/self/task"))
        seen, done = [], threading.Event()
        def count():
            while not done.wait(0.01):
                seen.append(len(os.listdir("/proc/self/task")))
        other = threading.Thread(target=count)
        other.start()
        nephos.predict(x, **said{", " + given if given else ""})
        done.set()
        other.join()
        print(max(seen) - before)
    """, env={"RAYON_NUM_THREADS": "3"})
    out, _ = child.communicate(timeout=300)
    # The thread that counts, and the one that Ctrl-C does not interrupt.
    assert 0 < int(out) <= most


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is Linux's")
def test_an_array_is_not_copied():
    child = program("""
        import resource
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        nephos.predict(x[:, :50, :50], **said)
        x = np.zeros((4, 6000, 4000), np.uint16)
        x += 0
        before = peak()
        nephos.predict(x, **said)
        print((peak() - before) / x.nbytes)
    """)
    out, _ = child.communicate(timeout=300)
    # The mask is an eighth; rows of numbers as the model takes them are the rest.
    assert float(out) < 0.8


def test_the_command_is_the_same_program(tmp_path):
    version = subprocess.run(
        [sys.executable, "-m", "nephos", "--version"], capture_output=True, text=True, check=True
    )
    assert version.stdout == f"nephos {nephos.__version__}\n"
    wrong = subprocess.run(
        [sys.executable, "-m", "nephos", "predict", str(tmp_path / "none.tif")],
        capture_output=True, text=True,
    )
    assert wrong.returncode == 1 and "none.tif" in wrong.stderr
    script = os.path.join(os.path.dirname(sys.executable), "nephos")
    assert subprocess.run([script, "config"], capture_output=True).returncode == 0
