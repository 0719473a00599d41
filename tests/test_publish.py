"""Publishing to a bare repository: what goes there, what is refused, and that nothing here changes."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import page_fixture as fixture
import pytest

from generators.records.errors import PublishError
from generators.running import staleness
from report.figures import figure_png
from report.page.builder import build
from report.publishing import check, publish
from report.records import agreement, confirmations
from report.records.agreement import Outcome
from report.records.confirmations import Confirmation

WHO = ("user.name=A Reader", "user.email=reader@example.org", "commit.gpgsign=false")


def git(folder: Path, *arguments: str) -> str:
    settings = [part for setting in WHO for part in ("-c", setting)]
    done = subprocess.run(["git", *settings, *arguments], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


WHERE = {
    **{"system": "Linux", "machine": "x86_64", "processor": "AMD EPYC", "instructions": "AVX2"},
    **{"device": "cpu", "threads": 2},
}


def verified(root: Path, section_id: str, differ: int = 0) -> None:
    """Note in the site that a section was drawn again, and how many panels of each figure came out otherwise."""
    record = json.loads((root / f"site/records/{section_id}.json").read_text())
    figures = {
        figure["name"]: Outcome(len(figure["panels"]) - differ, differ=differ, largest=200 * bool(differ))
        for figure in record["figures"]
    }
    confirmations.write(
        root / "site",
        Confirmation(
            section_id, agreement.subject(record), "2026-11-23T00:00:00+00:00", WHERE, {"torch": "2.13.0"}, figures
        ),
    )


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A committed report of two sections, verified and fresh, in a git repository."""
    monkeypatch.setattr(figure_png, "compose", lambda *_: b"grid")
    monkeypatch.setattr(staleness, "changed_dependency", lambda record, section_id, model: None)
    for setting, value in zip(("NAME", "EMAIL"), ("A Reader", "reader@example.org"), strict=True):
        monkeypatch.setenv(f"GIT_AUTHOR_{setting}", value)
        monkeypatch.setenv(f"GIT_COMMITTER_{setting}", value)
    root = fixture.folder(tmp_path / "report")
    fixture.section(root, "1.2", {"blur": fixture.blurred()})
    fixture.section(root, "1.8", {"flip": [fixture.panel("upright", size=256)]})
    build(root)
    verified(root, "1.2")
    verified(root, "1.8")
    build(root)
    (root / ".gitignore").write_text(".report/\n*.webp\n")  # what git ignores is published all the same
    (root / ".gitattributes").write_text("*.html text eol=crlf\n")
    git(root, "init", "--quiet", "--initial-branch=main")
    sources = [name for name in publish.SOURCES if (root / name).exists()]
    git(root, "add", "--force", ".gitignore", ".gitattributes", *sources)
    git(root, "commit", "--quiet", "--message=A report")
    return root


@pytest.fixture
def bare(tmp_path):
    git(tmp_path, "init", "--quiet", "--bare", "bare.git")
    return str(tmp_path / "bare.git")


def commit(root: Path) -> None:
    git(root, "add", "--all", "--force", "site")
    git(root, "commit", "--quiet", "--all", "--message=More")


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def served(bare: str, branch: str = "gh-pages") -> dict[str, bytes]:
    """What the branch holds, as a host of static files would check it out: byte by byte."""
    names = git(Path(bare), "ls-tree", "-r", "-z", "--name-only", branch).split("\0")[:-1]
    return {
        name: subprocess.run(
            ["git", "cat-file", "blob", f"{branch}:{name}"], cwd=bare, capture_output=True, check=True
        ).stdout
        for name in names
    }


def test_the_first_push_holds_the_site_and_nothing_else(root, bare, tmp_path):
    head, status = git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain")
    planned = publish.plan(root, bare, "gh-pages")
    assert planned.parent == ""
    assert {letter for letter, _ in planned.changes} == {"A"}
    pushed = publish.push(root, planned)
    assert served(bare) == files(root / "site")
    assert ".nojekyll" in served(bare)
    assert git(Path(bare), "rev-list", "gh-pages") == pushed
    assert git(Path(bare), "for-each-ref", "--format=%(refname)") == "refs/heads/gh-pages"
    assert (git(root, "rev-parse", "HEAD"), git(root, "status", "--porcelain")) == (head, status)
    assert git(root, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_an_update_keeps_the_history_and_removes_what_is_gone(root, bare, tmp_path):
    first = publish.push(root, publish.plan(root, bare, "gh-pages"))
    (root / "site" / "figures" / "gone.png").write_bytes(b"gone")
    second = publish.push(root, publish.plan(root, bare, "gh-pages"))
    (root / "site" / "figures" / "gone.png").unlink()
    (root / "site" / "index.html").write_text("<!doctype html>new")
    planned = publish.plan(root, bare, "gh-pages")
    assert sorted(planned.changes) == [("D", "figures/gone.png"), ("M", "index.html")]
    third = publish.push(root, planned)
    assert git(Path(bare), "rev-list", "gh-pages").split() == [third, second, first]
    assert served(bare) == files(root / "site")


def test_a_fresh_clone_goes_on_with_the_history(root, bare, tmp_path):
    first = publish.push(root, publish.plan(root, bare, "gh-pages"))
    git(tmp_path, "clone", "--quiet", str(root), "clone")
    (tmp_path / "clone/site/index.html").write_text("new")
    second = publish.push(tmp_path / "clone", publish.plan(tmp_path / "clone", bare, "gh-pages"))
    assert git(Path(bare), "rev-list", "gh-pages").split() == [second, first]


def test_the_same_site_again_is_nothing_to_publish(root, bare):
    publish.push(root, publish.plan(root, bare, "gh-pages"))
    planned = publish.plan(root, bare, "gh-pages")
    assert planned.changes == []
    assert planned.summary() == f"nothing to publish: gh-pages of {bare} has this site already"


def test_a_plan_sends_nothing_and_tells_what_would_go(root, bare):
    told = publish.plan(root, bare, "gh-pages").summary()
    assert git(Path(bare), "for-each-ref") == ""
    count = len(files(root / "site"))
    assert told.splitlines()[0] == f"gh-pages of {bare}, its first commit:"
    assert f"{count} new: .nojekyll, code.html, figures/1.2-blur-01-" in told
    assert f"and {count - 5} more" in told


def test_another_branch_and_a_named_remote(root, bare):
    git(root, "remote", "add", "web", bare)
    publish.push(root, publish.plan(root, "web", "pages/live"))
    assert git(Path(bare), "for-each-ref", "--format=%(refname)") == "refs/heads/pages/live"


def test_a_branch_that_moved_meanwhile_is_left_alone(root, bare):
    publish.push(root, publish.plan(root, bare, "gh-pages"))
    (root / "site" / "index.html").write_text("mine")
    mine = publish.plan(root, bare, "gh-pages")
    (root / "site" / "index.html").write_text("theirs")
    theirs = publish.push(root, publish.plan(root, bare, "gh-pages"))
    with pytest.raises(PublishError, match="rejected"):
        publish.push(root, mine)
    assert git(Path(bare), "rev-parse", "gh-pages") == theirs


def branch_with(bare: str, tmp_path: Path, contents: dict[str, str]) -> None:
    """Adds files to the published branch, as a host does."""
    git(tmp_path, "clone", "--quiet", "--branch", "gh-pages", bare, "hosted")
    for name, text in contents.items():
        (tmp_path / "hosted" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "hosted" / name).write_text(text)
    git(tmp_path / "hosted", "add", "--all")
    git(tmp_path / "hosted", "commit", "--quiet", "--message=Of the host")
    git(tmp_path / "hosted", "push", "--quiet")


def test_what_belongs_to_the_host_stays(root, bare, tmp_path):
    publish.push(root, publish.plan(root, bare, "gh-pages"))
    of_the_host = {"CNAME": "example.org\n", ".well-known/proof/übung.txt": "me\n", "_headers": "/*\n"}
    branch_with(bare, tmp_path, {**of_the_host, "CNAME.txt": "none", "docs/CNAME": "none"})
    (root / "site/index.html").write_text("new")
    planned = publish.plan(root, bare, "gh-pages")
    assert sorted(planned.changes) == [("D", "CNAME.txt"), ("D", "docs/CNAME"), ("M", "index.html")]
    assert "   3 kept, of the host: .well-known/proof/übung.txt, CNAME, _headers" in planned.summary()
    publish.push(root, planned)
    assert served(bare) == {**files(root / "site"), **{name: text.encode() for name, text in of_the_host.items()}}
    assert publish.plan(root, bare, "gh-pages").changes == []


def test_a_site_with_its_own_domain_has_the_last_word(root, bare, tmp_path):
    publish.push(root, publish.plan(root, bare, "gh-pages"))
    branch_with(bare, tmp_path, {"CNAME": "old.example.org\n"})
    (root / "site/CNAME").write_text("new.example.org\n")
    planned = publish.plan(root, bare, "gh-pages")
    assert (planned.changes, planned.kept) == ([("M", "CNAME")], ())


def add_a_section(root: Path) -> None:
    fixture.section(root, "1.11", {"new": [fixture.panel("new")]})
    (root / "generators/sections/part_1_11.py").write_text("SECTION = None\n")
    fixture.prose(root, "part_1_11", "/// fig | 1.11-new\n///\n")
    build(root)
    verified(root, "1.11")
    build(root)


def test_the_readmes_recipe_commits_a_new_section_whole(root):
    add_a_section(root)
    assert publish.refusals(root, "pocket")[0].startswith("dirty: ")
    page = (fixture.REPO / "README.md").read_text().partition("**A page on the web.**")[2]
    recipe = re.findall(r"(?m)^git (.+)$", page.split("```")[1])
    assert [line.split()[0] for line in recipe] == ["add", "commit"]
    (root / ".gitignore").write_text(".report/\n")
    for line in recipe:
        git(root, *shlex.split(line))
    assert publish.refusals(root, "pocket") == []


def test_the_refusals_advice_does_too(root):
    add_a_section(root)
    (root / ".gitignore").write_text(".report/\n")
    advice = publish.refusals(root, "pocket")[0].rpartition(": ")[2]
    assert advice == "`git add site generators report`, then `git commit`"
    git(root, "add", "site", "generators", "report")
    git(root, "commit", "--quiet", "--message=New")
    assert publish.refusals(root, "pocket") == []


def test_gits_own_remedies_reach_the_reader(root, bare, monkeypatch):
    for setting in ("NAME", "EMAIL"):
        monkeypatch.delenv(f"GIT_AUTHOR_{setting}")
        monkeypatch.delenv(f"GIT_COMMITTER_{setting}")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "user.useConfigOnly")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    with pytest.raises(PublishError) as caught:
        publish.push(root, publish.plan(root, bare, "gh-pages"))
    assert str(caught.value).startswith("git commit-tree: fatal: no ")
    assert 'git advises to run `git config --global user.email "you@example.com"` and `git config' in str(caught.value)
    assert "\n" not in str(caught.value)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(PublishError) as caught:
        publish.refusals(root, "pocket")
    assert "dubious ownership" in str(caught.value)
    assert f"git advises to run `git config --global --add safe.directory {root}`" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_fit_site_is_not_refused(root):
    assert publish.refusals(root, "pocket") == []


def swap_pixels(root: Path) -> None:
    one, two = sorted((root / "site/figures").glob("1.2-blur-0[12]-*.webp"))
    one.write_bytes(two.read_bytes())


REFUSED = {
    "a change that is not committed": (
        lambda root: (root / "generators/schedule.py").write_text("STRIDE = 31\n"),
        r"^dirty: generators/schedule\.py not committed; commit first",
    ),
    "a file that is not of the site": (
        lambda root: (root / "site/notes.txt").touch() or commit(root),
        r"^site: differs from a new build \(.*notes\.txt\); run `report site`$",
    ),
    "prose that is newer than the page": (
        lambda root: (
            (root / "report/writeup/intro.md").write_text("Hello.\n") and git(root, "add", ".") + str(commit(root))
        ),
        r"^site: differs from a new build \(index\.html.*\); run `report site`$",
    ),
    "a verification that is missing": (
        lambda root: [path.unlink() for path in (root / "site/verified").glob("*/1.8.json")] and commit(root),
        r"^site/records/1\.8\.json: unverified: .* run `report verify --section 1\.8`$",
    ),
    "a verification that failed": (
        lambda root: verified(root, "1.8", differ=1) or commit(root),
        r"^site/records/1\.8\.json: unverified: 1 panels of 1\.8-flip differ on Linux, AMD EPYC \(AVX2\), 2 .*; run",
    ),
    "pixels of another panel": (
        lambda root: swap_pixels(root) or commit(root),
        r"1\.2-blur-01-.*\.webp: its pixels are not those of its record; run `report section 1\.2`$",
    ),
    "a large image that is cut off": (
        lambda root: (
            [path.write_bytes(path.read_bytes()[:300]) for path in (root / "site/figures").glob("1.8-flip*.jpg")]
            and commit(root)
        ),
        r"1\.8-flip-01-.*\.jpg: the published file is missing or damaged",
    ),
    "no page": (
        lambda root: (root / "site/index.html").unlink() or commit(root),
        r"^site/index\.html: there is no page yet; run `report all`$",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_an_unfit_site_is_refused_in_one_line_that_says_why(root, name):
    do, message = REFUSED[name]
    do(root)
    lines = publish.refusals(root, "pocket")
    assert len(lines) == 1, lines
    assert re.search(message, lines[0]), lines[0]


def test_a_stale_section_is_refused(root, monkeypatch):
    why = {"1.2": None, "1.8": "its source changed"}
    monkeypatch.setattr(staleness, "changed_dependency", lambda record, section_id, model: why[section_id])
    assert publish.refusals(root, "pocket") == [
        "site/records/1.8.json: stale: its source changed; run `report section 1.8`"
    ]


def test_checking_changes_nothing(root):
    before = files(root / "site")
    assert check.publishing_problems(root, "pocket") == []
    assert files(root / "site") == before
    assert check.publishing_problems(root, "deepfloyd") == [
        "site/records: no section was drawn by deepfloyd; run `report all --model deepfloyd`"
    ]


@pytest.mark.parametrize(
    ("remote", "branch", "says"),
    [
        ("nowhere", "gh-pages", "git ls-remote: fatal: 'nowhere' does not appear to be a git repository"),
        ("--upload-pack=touch /tmp/owned", "gh-pages", "git ls-remote: fatal: "),
        ("bare", "a..b", "git check-ref-format: fatal: 'a..b' is not a valid branch name"),
        ("bare", "--force", "git check-ref-format: fatal: "),
    ],
)
def test_bad_remotes_and_branches_get_one_line(root, bare, remote, branch, says):
    with pytest.raises(PublishError) as caught:
        publish.plan(root, bare if remote == "bare" else remote, branch)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


def test_a_link_in_the_site_is_refused(root, bare):
    (root / "site" / "secret.txt").symlink_to("/etc/hostname")
    with pytest.raises(PublishError, match=r"site/secret\.txt: not a plain file"):
        publish.plan(root, bare, "gh-pages")


def test_a_password_in_an_address_is_not_shown(root):
    with pytest.raises(PublishError) as caught:
        publish.plan(root, "file://reader:hunter2@/nowhere", "gh-pages")
    assert "hunter2" not in str(caught.value)
    planned = publish.Plan("https://reader:hunter2@example.org/x.git", "gh-pages", "", "", [("A", "index.html")])
    assert "hunter2" not in planned.summary()


def test_outside_of_a_repository_it_says_so(tmp_path):
    with pytest.raises(PublishError, match="not a git repository"):
        publish.refusals(tmp_path, "pocket")
