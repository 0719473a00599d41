"""A report of one's own: started from this one, with the settings of three public write-ups, and no word of ours."""

from __future__ import annotations

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


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    """A report of one's own, as `report new` gives it."""
    folder = tmp_path_factory.mktemp("own") / "report"
    done = CliRunner().invoke(cli.main, ["new", str(folder)])
    assert done.exit_code == 0, done.output
    return folder


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True).stdout


def test_a_new_report_is_one_commit_without_our_page_and_our_words(started):
    assert git(started, "log", "--format=%s").splitlines() == ["A report of my own"]
    assert git(started, "status", "--short") == ""
    assert not (started / "site").exists()
    written = "\n".join(path.read_text() for path in prose_files(started).values())
    assert re.findall(r"(?m)^/// seen.*\n(.*)$", written) == [
        "[//]: # (How good are these pictures, and how well do they fit their prompts? "
        "What does the number of steps change?)"
    ]
    joined = " ".join(written.split())
    assert [piece for piece in observed() if piece in joined] == []
    assert (
        CliRunner().invoke(cli.main, ["new", str(started)]).output.endswith("is there already; name another folder\n")
    )


@pytest.mark.parametrize("seed", WRITE_UPS)
def test_a_page_of_ones_own_shows_ones_own_and_no_word_of_ours(started, seed, tiny_pocket, tmp_path):
    steps, prompts, called = WRITE_UPS[seed]
    folder = tmp_path / "report"
    shutil.copytree(started, folder)
    photograph = fixture.picture(seed, 256).resize((640, 480)).filter(ImageFilter.GaussianBlur(3))
    photograph.save(folder / "report/writeup/inputs/photograph.jpg")
    toml = folder / "report/report.toml"
    text = toml.read_text(encoding="utf-8")
    for old, new in (
        (r"(?m)^seed = \d+", f"seed = {seed}"),
        (r"(?m)^steps = .*", f"steps = {list(steps)}"),
        (r"(?m)^prompts = .*", f"prompts = {list(prompts)}".replace("'", '"')),
        ('file = "campanile.svg"\ncalled = "the Campanile"', f'file = "photograph.jpg"\ncalled = "{called}"'),
    ):
        text, count = re.subn(old, new, text)
        assert count == 1, old
    toml.write_text(text, encoding="utf-8")
    environment = {**os.environ, "POCKET_WEIGHTS": str(tiny_pocket)}
    done = subprocess.run(
        [sys.executable, "-m", "report", "all"], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    page = words(folder / "site" / "index.html")
    for prompt in prompts:
        for number in steps:
            assert f"“{prompt}”, {number} steps" in page
    assert f"The seed is {seed}." in page
    assert called.removeprefix("the ") in page
    assert "“an android dreaming" not in page
    assert [piece for piece in observed() if piece in page] == []
