"""Runs git."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from generators.records.errors import PublishError


def git(root: Path, *arguments: str, stdin: str = "", **environment: str) -> str:
    """Runs git and returns its output. Raises PublishError with what git says is wrong and advises to run."""
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            input=stdin, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C", **environment},
        )  # fmt: skip
    except FileNotFoundError:
        raise PublishError("git is not installed here; install it, or copy site/ to where it is served") from None
    if done.returncode:
        lines = [line for line in done.stderr.strip().splitlines() if not line.startswith("hint:")]
        telling = [line for line in lines if "rejected" in line or "fatal:" in line]
        reason = next(iter(telling or lines[-1:]), "no reason given")
        advised = [f"`{line.strip()}`" for line in lines if re.match(r"\s+git \S", line)]
        remedy = f"; git advises to run {' and '.join(advised)}" if advised else ""
        raise PublishError(f"git {arguments[0]}: {without_password(reason.strip() + remedy)}")
    return done.stdout.rstrip("\n")


def without_password(text: str) -> str:
    return re.sub(r"(?<=://)[^/@\s]+@", "…@", text)
