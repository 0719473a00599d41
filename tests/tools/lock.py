"""Resolves the pins of both lock files, and checks that each has a wheel on every system.

`python tests/tools/lock.py write` pins the newest versions that pyproject.toml allows. `python tests/tools/lock.py
check` looks up the wheels of what is pinned; where the package index is out of reach, it says so.
"""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable

from report.install import LOCKS, ROOT, environment

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = ("x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "x86_64-pc-windows-msvc", "aarch64-apple-darwin")
MACOS = "14.0"  # the oldest that scipy's and torch's wheels run on
UNREACHABLE = 2  # uv's exit status when it cannot ask the index; 1 means that there is no solution
WITH_TORCH = ("cuda-", "nvidia-", "triton")  # installed with those builds of torch that need them


def uv(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `uv pip compile`, with pip's configuration."""
    program = shutil.which("uv", path=sysconfig.get_path("scripts")) or "uv"
    command = [program, "pip", "compile", "--quiet", "--no-header", "--no-annotate", *arguments]
    told = {"MACOSX_DEPLOYMENT_TARGET": MACOS, **environment()}
    return subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True)


def resolved(*arguments: str) -> list[str]:
    """Resolves what pyproject.toml allows for all systems at once. Raises SystemExit if that fails."""
    done = uv("pyproject.toml", "--universal", "--fork-strategy=fewest", *arguments)
    if done.returncode:
        raise SystemExit(f"make lock: nothing was written: {done.stderr.strip()}")
    return pins(done.stdout.splitlines())


def pins(lines: Iterable[str]) -> list[str]:
    """Returns the pins for every machine: torch without its build, and nothing that belongs to one build."""
    common = (line for line in lines if not line.startswith(WITH_TORCH))
    return list(dict.fromkeys(re.sub(r"^(torch==[^+ ]+).*", r"\1", line) for line in common))


def write() -> None:
    """Writes both lock files: what a report needs, and what tests and training add."""
    report = resolved()
    constraint = ROOT / ".cache" / "report.constraint"
    constraint.parent.mkdir(exist_ok=True)
    constraint.write_text("\n".join(report))
    everything = resolved("--extra=dev", "--extra=train", f"--constraint={constraint}")
    names = {line.partition("==")[0] for line in report}
    added = [line for line in everything if line.partition("==")[0] not in names]
    for kind, lines in (("report", report), ("dev", added)):
        new = ROOT / f".{LOCKS[kind]}.new"
        new.write_text("".join(f"{line}\n" for line in lines))
        new.replace(ROOT / LOCKS[kind])


def check() -> None:
    """Raises SystemExit, a line for each fault, where a pin has no wheel."""
    faults: dict[str, list[str]] = {}
    for python, platform in itertools.product(PYTHONS, PLATFORMS):
        wheels = ("--no-deps", "--only-binary=:all:", f"--python-version={python}", f"--python-platform={platform}")
        done = uv(*LOCKS.values(), *wheels, "--offline")  # a wheel that uv has seen before is still there
        if done.returncode:
            done = uv(*LOCKS.values(), *wheels)
        if done.returncode == UNREACHABLE:
            print("wheels: could not reach the package index; the pins were not looked up")
            return
        if done.returncode:
            faults.setdefault(" ".join(done.stderr.split()), []).append(f"Python {python} on {platform}")
    if faults:
        raise SystemExit("\n".join(f"wheels: {', '.join(systems)}: {fault}" for fault, systems in faults.items()))
    print(f"wheels: every pin has one for Python {PYTHONS[0]} to {PYTHONS[-1]} on {', '.join(PLATFORMS)}")


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]]()
