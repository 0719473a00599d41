"""`report new`: a report of one's own, in a folder of its own: this code, without what was seen in other pictures."""

from __future__ import annotations

import re
import shutil
from datetime import date
from pathlib import Path

from generators import settings
from generators.records import files
from generators.records.errors import PublishError, RequestError
from generators.records.texts import MODELS

from ..page import citation
from ..page.report_page import prose_files
from ..problems import Problems
from ..prose import observations
from ..prose.markup import Prose
from .check import REFLECTED
from .git import git

LEFT_OUT = ("site/", "CHANGELOG.md")  # the page of other pictures, and what happened to this repository
QUESTION = "How good are these pictures, and how well do they fit their prompts? What does the number of steps change?"


def new(root: Path, folder: Path) -> Path:
    """Makes the folder, a git repository of one commit, and returns its path. Raises RequestError if something is
    there, and PublishError if `root` is no git repository."""
    folder = folder.resolve()
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise RequestError(f"{folder} is there already; name another folder")
    names = [name for name in git(root, "ls-files", "-z").split("\0") if name and not name.startswith(LEFT_OUT)]
    with files.replacing(folder) as fresh:
        for name in names:
            if (root / name).is_file():
                (fresh / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(root / name, fresh / name)
        for name, path in prose_files(fresh).items():
            _without_observations(fresh, path)
            if name in REFLECTED:
                for _, figure in Prose(path, MODELS[0], Problems(fresh), lambda target: "").figures:
                    observations.start(path, figure, "", QUESTION)
        _sign(fresh, _name(root))
        git(fresh, "init", "--quiet")
        git(fresh, "add", "--all")
        git(fresh, *_identity(fresh), "commit", "--quiet", "--message", "A report of my own")
    return folder


def _without_observations(root: Path, path: Path) -> None:
    """Takes all observations out of a prose file, those of every model."""
    found = {
        each.first: each
        for model in MODELS
        for each in Prose(path, model, Problems(root), lambda target: "").observations
    }
    observations.remove(path, list(found.values()))


def _sign(root: Path, name: str) -> None:
    """Dates report.toml today, puts the author's name into it if it is known, and cites the report accordingly."""
    path = root / "report" / settings.FILE.name
    text = re.sub(r"(?m)^date = .*$", f"date = {date.today()}", path.read_text(encoding="utf-8"), count=1)
    if name:
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        text = re.sub(r'(?m)^name = ".*?"', lambda _: f'name = "{quoted}"', text, count=1)
    files.write(path, text)
    citation.update(root, settings.read(path))


def _name(root: Path) -> str:
    """Returns what git calls the author; "" if it does not know."""
    try:
        return git(root, "config", "user.name")
    except PublishError:
        return ""


def _identity(root: Path) -> list[str]:
    """Returns the options of a commit whose author git does not know."""
    return [] if _name(root) else ["-c", "user.name=the author", "-c", "user.email=author@localhost"]
