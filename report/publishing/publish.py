"""`report publish`: pushes site/ as a commit to a branch of any remote, for example GitHub Pages' gh-pages.

The commit is made with git's plumbing: work tree, index and local branches do not change. It contains exactly the
site's files, byte for byte, and what of the branch belongs to its host; its parent is the branch's previous commit.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from generators.records.errors import PublishError

from ..problems import USUAL, run, some
from . import check
from .git import git, without_password

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
        place = f"{self.branch} of {without_password(self.remote)}"
        if not self.changes:
            return f"nothing to publish: {place} has this site already"
        lines = [f"{place}, {f'on top of {self.parent[:12]}' if self.parent else 'its first commit'}:"]
        for letter, word in (("A", "new"), ("M", "changed"), ("D", "removed")):
            paths = [path for kind, path in self.changes if kind == letter]
            if paths:
                lines.append(f"  {len(paths):4} {word}: {some(paths, 5)}")
        if self.kept:
            lines.append(f"  {len(self.kept):4} kept, of the host: {some(self.kept, 5)}")
        return "\n".join(lines)


def refusals(root: Path, model: str, without: bool = False) -> list[str]:
    """Returns why the site may not be published: dirty, stale or unverified, one line each; empty if it may.

    without: whether it may lack observations.
    """
    status = git(root, "status", "--porcelain", "--untracked-files=all", "-z", "--", *SOURCES)
    dirty = [entry[3:] for entry in status.split("\0") if re.match(r"[ MADRCUT?]{2} ", entry)]
    add = " ".join(name for name in SOURCES if any(path == name or path.startswith(f"{name}/") for path in dirty))
    uncommitted = (
        f"dirty: {some(dirty)} not committed; commit first, so that the page is reproducible: "
        f"`git add {add}`, then `git commit`"
    )
    return ([uncommitted] if dirty else []) + check.publishing_problems(root, model, without)


def plan(root: Path, remote: str, branch: str, model: str = USUAL) -> Plan:
    """Compares the site with the branch; sends nothing. Raises PublishError if the remote does not answer."""
    git(root, "check-ref-format", "--branch", branch)
    parent = git(root, "ls-remote", "--", remote, f"refs/heads/{branch}").partition("\t")[0].strip()
    if parent:
        git(root, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", remote, f"refs/heads/{branch}")
    kept = _of_the_host(root, parent) if parent else {}
    kept = {path: entry for path, entry in kept.items() if not (root / "site" / path).exists()}
    tree = _tree(root, root / "site", model, kept.values())
    before = f"{parent}^{{tree}}" if parent else git(root, "hash-object", "-w", "-t", "tree", "--stdin")
    listed = git(root, "diff-tree", "-r", "-z", "--no-renames", "--name-status", before, tree).split("\0")[:-1]
    return Plan(remote, branch, parent, tree, list(zip(listed[::2], listed[1::2], strict=True)), tuple(kept))


def push(root: Path, planned: Plan) -> str:
    """Commits the site, pushes it and returns the commit. Raises PublishError, also if the branch moved meanwhile."""
    source = git(root, "rev-parse", "HEAD")
    parents = ["-p", planned.parent] if planned.parent else []
    commit = git(root, "commit-tree", *parents, "-m", f"Publish the site of {source[:12]}", planned.tree)
    git(root, "push", "--quiet", "--", planned.remote, f"{commit}:refs/heads/{planned.branch}")
    return commit


def _of_the_host(root: Path, commit: str) -> dict[str, str]:
    """Returns path -> entry of the host's files in a commit."""
    entries = git(root, "ls-tree", "-r", "-z", "--full-tree", commit, "--", *OF_THE_HOST).split("\0")
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
    blobs = git(root, "hash-object", "-w", "--no-filters", "--stdin-paths", stdin=stdin).split()
    entries = [f"100644 {blob}\t{path.relative_to(site).as_posix()}" for blob, path in zip(blobs, paths, strict=True)]
    with tempfile.TemporaryDirectory(prefix="report-publish-") as scratch:
        index = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        git(root, "update-index", "--add", "-z", "--index-info", stdin="\0".join([*entries, *kept, ""]), **index)
        return git(root, "write-tree", **index)
