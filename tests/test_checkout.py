"""A checkout has the same bytes on every system, whatever git is told about the ends of lines."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from generators import models

ROOT = Path(__file__).parents[1]
WEIGHTS = "generators/models/pocket/weights"
KINDS = (
    WEIGHTS,
    "report/writeup",
    "templates",
    "generators/records",
    "site/records",
    "site/verified",
    "site/index.html",
)


def git(folder: Path, *arguments: str) -> None:
    settings = ["-c", "user.name=A Reader", "-c", "user.email=reader@example.org", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *settings, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture(params=["true", "input", "false"])
def cloned(request, tmp_path):
    """Files of every kind, committed and cloned by a git that converts the ends of lines so; (before, the clone)."""
    source = tmp_path / "source"
    for name in KINDS:
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)
    (source / "windows.txt").write_bytes(b"one\r\ntwo\n")  # what a conversion of either direction would change
    shutil.copy(ROOT / ".gitattributes", source)
    convert = f"core.autocrlf={request.param}"
    git(source, "init", "--quiet")
    git(source, "-c", convert, "add", "--all")
    git(source, "commit", "--quiet", "--message=All")
    git(tmp_path, "clone", "--quiet", "--config", convert, "--config", "core.eol=crlf", "source", "clone")
    return contents(source), tmp_path / "clone"


def test_a_clone_that_converts_the_ends_of_lines_has_the_same_bytes(cloned):
    before, clone = cloned
    found = contents(clone)
    assert {name for name in before if found.get(name) != before[name]} == set()
    assert found.keys() == before.keys()


def test_the_weights_of_such_a_clone_have_the_same_digest(cloned, monkeypatch):
    monkeypatch.delenv("POCKET_WEIGHTS", raising=False)
    shipped = models.digest("pocket")
    monkeypatch.setenv("POCKET_WEIGHTS", os.fspath(cloned[1] / WEIGHTS))
    assert models.digest("pocket") == shipped
