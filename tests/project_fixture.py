"""A copy of the project with a few sections, in which the command line runs as in a clone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).parents[1]


def copy(folder: Path, sections: Collection[str], prose: Collection[str] = ()) -> Path:
    """Copies the sources with these sections alone, and the prose of those that need no other. Returns the folder."""
    for name in ("generators", "report", "templates"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    shutil.copytree(ROOT / "generators/models", folder / "generators/models", dirs_exist_ok=True)
    shutil.copy(ROOT / "CITATION.cff", folder)
    for pattern, kept in (("generators/sections/part_*.py", sections), ("report/writeup/part_*.md", prose)):
        files = {f"part_{section.replace('.', '_')}" for section in kept}
        for path in folder.glob(pattern):
            if path.stem not in files:
                path.unlink()
    intro = folder / "report" / "writeup" / "intro.md"  # without what is about other sections' figures
    intro.write_text(
        re.sub(r"^/// (lead|contents|logo|seen)\b[^\n]*\n.*?^///\n", "", intro.read_text(), flags=re.M | re.S)
    )
    return folder


def command(project: Path, *arguments: str, **variables: str) -> tuple[list[str], dict[str, str]]:
    """Returns the command `report` with these arguments, of the copy, and its environment."""
    environment = {**os.environ, "PYTHONPATH": str(project), "COLUMNS": "200", **variables}
    return [sys.executable, "-m", "report", *arguments], environment


def report(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs `report` in the copy."""
    words, environment = command(project, *arguments, **variables)
    return subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, timeout=900)
