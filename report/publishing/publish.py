"""`report publish`: pushes site/ as a commit to a branch of any remote, for example GitHub Pages' gh-pages.

The commit is made with git's plumbing: work tree, index and local branches do not change. It contains exactly the
site's files, byte for byte, and what of the branch belongs to its host; its parent is the branch's previous commit.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from generators.records.errors import PublishError

from ..problems import USUAL, run
from . import check

# The sources of a page.
SOURCES = ("site", "generators", "report", "templates", "CITATION.cff", "requirements.lock", "pyproject.toml")
# What a host keeps on the branch that it serves: the site's domain, proofs of who owns it, headers and redirections.
OF_THE_HOST = ("CNAME", ".domains", ".well-known", "_headers", "_redirects")


@dataclass(frozen=True)
class Plan:
    """What a push would do. parent: the branch's commit, "" before the first push. changes: (letter, path). kept: the
    host's files, which stay."""

    remote: str
    branch: str
    parent: str
    tree: str
    changes: list[tuple[str, str]]
    kept: tuple[str, ...] = ()

    def summary(self) -> str:
        """Describes the plan, with a few paths of each kind of change."""
        place = f"{self.branch} of {_without_password(self.remote)}"
        if not self.changes:
            return f"nothing to publish: {place} has this site already"
        lines = [f"{place}, {f'on top of {self.parent[:12]}' if self.parent else 'its first commit'}:"]
        for letter, word in (("A", "new"), ("M", "changed"), ("D", "removed")):
            paths = [path for kind, path in self.changes if kind == letter]
            if paths:
                lines.append(f"  {len(paths):4} {word}: {check.some(paths, 5)}")
        if self.kept:
            lines.append(f"  {len(self.kept):4} kept, of the host: {check.some(self.kept, 5)}")
        return "\n".join(lines)


def refusals(root: Path, model: str, without: bool = False) -> list[str]:
    """Returns why the site may not be published: dirty, stale or unverified, one line each; empty if it may.

    without: whether it may lack observations.
    """
    status = _git(root, "status", "--porcelain", "--untracked-files=all", "-z", "--", *SOURCES)
    dirty = [entry[3:] for entry in status.split("\0") if re.match(r"[ MADRCUT?]{2} ", entry)]
    add = " ".join(name for name in SOURCES if any(path == name or path.startswith(f"{name}/") for path in dirty))
    uncommitted = (
        f"dirty: {check.some(dirty)} not committed; commit first, so that the page is reproducible: "
        f"`git add {add}`, then `git commit`"
    )
    return ([uncommitted] if dirty else []) + check.publishing_problems(root, model, without)


def plan(root: Path, remote: str, branch: str, model: str = USUAL) -> Plan:
    """Compares the site with the branch; sends nothing. Raises PublishError if the remote does not answer."""
    _git(root, "check-ref-format", "--branch", branch)
    parent = _git(root, "ls-remote", "--", remote, f"refs/heads/{branch}").partition("\t")[0].strip()
    if parent:
        _git(root, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", remote, f"refs/heads/{branch}")
    kept = _of_the_host(root, parent) if parent else {}
    kept = {path: entry for path, entry in kept.items() if not (root / "site" / path).exists()}
    tree = _tree(root, root / "site", model, kept.values())
    before = f"{parent}^{{tree}}" if parent else _git(root, "hash-object", "-w", "-t", "tree", "--stdin")
    listed = _git(root, "diff-tree", "-r", "-z", "--no-renames", "--name-status", before, tree).split("\0")[:-1]
    return Plan(remote, branch, parent, tree, list(zip(listed[::2], listed[1::2], strict=True)), tuple(kept))


def push(root: Path, planned: Plan) -> str:
    """Commits the site, pushes it and returns the commit. Raises PublishError, also if the branch moved meanwhile."""
    source = _git(root, "rev-parse", "HEAD")
    parents = ["-p", planned.parent] if planned.parent else []
    commit = _git(root, "commit-tree", *parents, "-m", f"Publish the site of {source[:12]}", planned.tree)
    _git(root, "push", "--quiet", "--", planned.remote, f"{commit}:refs/heads/{planned.branch}")
    return commit


def _of_the_host(root: Path, commit: str) -> dict[str, str]:
    """Returns path -> entry of the host's files in a commit."""
    entries = _git(root, "ls-tree", "-r", "-z", "--full-tree", commit, "--", *OF_THE_HOST).split("\0")
    return {entry.partition("\t")[2]: entry for entry in entries if entry}


def _tree(root: Path, site: Path, model: str, kept: Iterable[str] = ()) -> str:
    """Writes the site as a tree object: every file as it is on disk, regardless of git's filters and ignore rules.

    kept: entries of another tree that belong to it as well.
    """
    paths = sorted(path for path in site.rglob("*") if not path.is_dir() or path.is_symlink())
    for path in paths:
        if path.is_symlink() or not path.is_file():
            raise PublishError(f"{path.relative_to(root)}: not a plain file; {run('site', model)}")
    stdin = "".join(f"{path}\n" for path in paths)
    blobs = _git(root, "hash-object", "-w", "--no-filters", "--stdin-paths", stdin=stdin).split()
    entries = [f"100644 {blob}\t{path.relative_to(site).as_posix()}" for blob, path in zip(blobs, paths, strict=True)]
    with tempfile.TemporaryDirectory(prefix="report-publish-") as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        _git(root, "update-index", "--add", "-z", "--index-info", stdin="\0".join([*entries, *kept, ""]), **index)
        return _git(root, "write-tree", **index)


def _git(root: Path, *arguments: str, stdin: str = "", **environment: str) -> str:
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
        raise PublishError(f"git {arguments[0]}: {_without_password(reason.strip() + remedy)}")
    return done.stdout.rstrip("\n")


def _without_password(text: str) -> str:
    return re.sub(r"(?<=://)[^/@\s]+@", "…@", text)
