"""What the figures were measured on."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess

PACKAGES = ["torch", "onnxruntime", "torch-geometric", "omnicloudmask", "numpy"]


def describe(repository, threads):
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "rustc": output(["rustc", "--version"], repository),
        "commit": output(["git", "describe", "--always", "--dirty"], repository),
        "versions": versions,
    }


def one_line(machine):
    versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items() if v)
    return (
        f"{machine['processor']}, {machine['cores']} processors, {machine['threads']} threads; "
        f"{machine['rustc']}; Python {machine['python']}, {versions}; nephos {machine['commit']}"
    )


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"


def output(command, folder):
    try:
        return subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
