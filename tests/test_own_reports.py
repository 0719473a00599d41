"""A report of one's own: started from this one, with the settings of three public write-ups, and no word of ours."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import page_fixture as fixture
import pytest
from click.testing import CliRunner
from PIL import ImageFilter

from generators.prompts import PHOTO
from generators.records.texts import MODELS
from report.command import cli
from report.page.builder import build
from report.page.report_page import prose_files
from report.problems import Problems
from report.prose.markup import Prose

ROOT = fixture.REPO
WRITE_UPS = {  # seed: numbers of steps, prompts, and what the photograph shows
    48: (
        (20, 50, 100),
        (
            "a high quality photo of a corgi riding a skateboard in downtown Tokyo at night",
            "a hyper-realistic portrait of an astronaut discovering an alien flower",
            "a watercolor painting of the UC Berkeley campanile during golden hour",
        ),
        "the astronaut",
    ),
    67: (
        (10, 1000),
        (
            "an oil painting of a capybara in a hot spring, snow falling, steam rising",
            "a map of the moon",
            "a paper boat",
        ),
        "the clock tower",
    ),
    180: ((20, 100), ("a photo of a hipster barista", "a man wearing a hat", "a rocket ship"), "the library"),
}


def observed() -> list[str]:
    """What the prose says about pictures, in pieces that appear on a page as they are written."""
    texts = {
        "\n".join(found.text)
        for path in prose_files(ROOT).values()
        for model in MODELS
        for found in Prose(path, model, Problems(ROOT), lambda target: "").observations
    }
    texts = {re.sub(r"@\w+:[\w.-]+(\[[^\]]*\])?(\.\w+)?", "|", text) for text in texts}
    pieces = [" ".join(piece.split()) for text in texts for piece in re.split(r"[^\w\s,;:’-]|\.\s", text)]
    return [piece for piece in pieces if len(piece.split()) > 3 and piece != PHOTO]


def words(page: Path) -> str:
    """The text of a page, without its markup."""
    html = re.sub(r"<(script|style)\b.*?</\1>", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", "", html)).split())


def test_the_default_page_has_all_that_we_saw(tmp_path):
    """So the pieces are found where they are."""
    shutil.copytree(ROOT / "site", tmp_path / "site")
    told: list[str] = []
    page = words(build(ROOT, site=tmp_path / "site", tell=told.append))
    assert told == []
    pieces = observed()
    assert len(pieces) > 50
    assert [piece for piece in pieces if piece not in page] == []


[CHAPTER] = re.findall(
    r"## Make it yours\n\n```\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL
)
NEW, *LINES = CHAPTER.splitlines()
DRAWN = 1 + next(number for number, line in enumerate(LINES) if line.startswith("make report"))
SEEN = "I see noise, and no prompt in it."


def follow(lines: list[str], folder: Path, tiny_pocket: Path, **environment: str) -> None:
    """Does as the README says, with an editor that runs the program EDIT on the file."""
    bin_folder = folder.parent / "bin"
    bin_folder.mkdir(exist_ok=True)
    (bin_folder / "nano").write_text(f'#!/bin/sh\nexec {sys.executable} -c "$EDIT" "$1"\n')
    (bin_folder / "nano").chmod(0o755)
    environment |= dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"), "Jo")
    environment |= dict.fromkeys(("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "jo@localhost")
    paths = {"POCKET_WEIGHTS": str(tiny_pocket), "PATH": f"{bin_folder}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(lines)], cwd=folder, env={**os.environ, **paths, **environment},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True).stdout


def started(folder: Path) -> None:
    """What the first line of the README's chapter gives, and an environment as `make setup` would make it."""
    assert NEW.startswith(".venv/bin/report new ../my-report ")
    done = CliRunner().invoke(cli.main, ["new", str(folder)])
    assert done.exit_code == 0, done.output
    (folder / ".venv" / "bin").mkdir(parents=True)
    program = folder / ".venv" / "bin" / "report"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m report "$@"\n')
    program.chmod(0o755)
    (folder / ".venv" / "ready").touch()


def test_a_new_report_is_one_commit_without_our_page_and_our_words(tmp_path):
    folder = tmp_path / "my-report"
    started(folder)
    assert git(folder, "log", "--format=%s").splitlines() == ["A report of my own"]
    assert git(folder, "status", "--short") == ""
    assert not (folder / "site").exists()
    written = "\n".join(path.read_text() for path in prose_files(folder).values())
    assert re.findall(r"(?m)^/// seen.*\n(.*)$", written) == [
        "[//]: # (How good are these pictures, and how well do they fit their prompts? "
        "What does the number of steps change?)"
    ]
    joined = " ".join(written.split())
    assert [piece for piece in observed() if piece in joined] == []
    done = CliRunner().invoke(cli.main, ["new", str(folder)])
    assert done.output.endswith("is there already; name another folder\n")


@pytest.fixture(scope="module")
def own(request, tmp_path_factory, tiny_pocket):
    """(seed, folder): a report of one's own, drawn with the settings of a write-up, as the README says."""
    seed = request.param
    steps, prompts, called = WRITE_UPS[seed]
    folder = tmp_path_factory.mktemp(f"own-{seed}") / "my-report"
    started(folder)
    photograph = fixture.picture(seed, 256).resize((640, 480)).filter(ImageFilter.GaussianBlur(3))
    photograph.save(folder / "report/writeup/inputs/photograph.jpg")
    toml = folder / "report/report.toml"
    text = toml.read_text(encoding="utf-8")
    for old, new in (
        (r"(?m)^seed = \d+", f"seed = {seed}"),
        (r"(?m)^steps = .*", f"steps = {list(steps)}"),
        (r"(?m)^prompts = .*", f"prompts = {json.dumps(prompts)}"),
        ('file = "campanile.svg"\ncalled = "the Campanile"', f'file = "photograph.jpg"\ncalled = "{called}"'),
    ):
        text, count = re.subn(old, new, text)
        assert count == 1, old
    (folder.parent / "mine.toml").write_text(text, encoding="utf-8")
    first, *lines = LINES[:DRAWN]
    assert first == "cd ../my-report && make setup"
    edit = "import sys, shutil; shutil.copy('../mine.toml', sys.argv[1])"
    follow([first.replace("../my-report", "."), *lines], folder, tiny_pocket, EDIT=edit)
    return seed, folder


@pytest.mark.parametrize("own", WRITE_UPS, indirect=True)
def test_a_page_of_ones_own_shows_ones_own_and_no_word_of_ours(own):
    seed, folder = own
    steps, prompts, called = WRITE_UPS[seed]
    page = words(folder / "site" / "index.html")
    for prompt in prompts:
        for number in steps:
            assert f"“{prompt}”, {number} steps" in page
    assert f"The seed is {seed}." in page
    assert called.removeprefix("the ") in page
    assert "“an android dreaming" not in page
    assert [piece for piece in observed() if piece in page] == []


@pytest.mark.parametrize("own", [180], indirect=True)
def test_the_chapter_of_the_readme_leads_to_a_published_page(own, tiny_pocket):
    _, folder = own
    assert len(CHAPTER.splitlines()) <= 10
    git(folder.parent, "init", "--quiet", "--bare", "host")
    git(folder, "remote", "add", "origin", str(folder.parent / "host"))
    edit = (
        "import re, sys; path = sys.argv[1]; text = open(path).read(); new = re.sub(r'\\[//\\]: # .*', "
        f"'{SEEN}', text); assert new != text; open(path, 'w').write(new)"
    )
    follow(LINES[DRAWN:], folder, tiny_pocket, EDIT=edit)
    assert git(folder, "status", "--short") == ""
    assert SEEN in git(folder.parent / "host", "show", "gh-pages:index.html")
