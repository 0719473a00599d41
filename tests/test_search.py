"""report search: pairs drawn, judged and ranked; what is stopped goes on. A tiny pocket, the judges that ship."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from generators.making.judging import scores, search, shipped
from generators.running.session import Session
from report.command import cli, picture_verbs
from report.figures import figure_png

ROOT = Path(__file__).parents[1]
DOG, LION, SKULL = "a photo of a dog", "a photo of a lion", "a lithograph of a skull"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(picture_verbs, "ROOT", tmp_path / "project")
    return tmp_path


@pytest.fixture
def unset(monkeypatch):
    """No sheets are set, which takes longer than all the rest."""
    monkeypatch.setattr(figure_png, "compose", lambda *_: b"grid")


def run(*prompts: str, more: tuple[str, ...] = ()):
    named = [word for prompt in prompts for word in ("--prompt", prompt)]
    return CliRunner().invoke(cli.main, ["search", *named, "--stride", "333", "-k", "1", *more])


def test_every_pair_is_ranked_by_its_worse_reading(here, tiny_pocket):
    found = run(DOG, LION, SKULL, more=("-k", "2"))
    assert found.exit_code == 0, found.output
    told = json.loads((here / "search-flip.json").read_text())
    assert {pair["readings"] for pair in told["pairs"]} == {
        f"identity: “{one}”; flip: “{other}”" for one, other in ((DOG, LION), (DOG, SKULL), (LION, SKULL))
    }
    records = [json.loads(path.read_text()) for path in (here / "project").rglob("record.json")]
    pixels = {panel["pixels"] for record in records for panel in record["figures"][0]["panels"]}
    assert len(pixels) == 3 * 2 * 2  # every pair has pictures of its own
    best = [pair["samples"][0] for pair in told["pairs"]]
    assert [sample["alignment"] for sample in best] == sorted((s["alignment"] for s in best), reverse=True)
    for pair in told["pairs"]:
        assert len(pair["samples"]) == 2
        assert pair["samples"][0]["alignment"] >= pair["samples"][1]["alignment"]
        for sample in pair["samples"]:
            scores = torch.tensor(sample["scores"])
            assert sample["alignment"] == pytest.approx(scores.diagonal().min().item())
    lines = found.stdout.splitlines()
    assert lines[0].split() == ["alignment", "concealment", "ranks", "pair"]
    assert f"{best[0]['alignment']:.2f}" in lines[1]
    with Image.open(here / "search-flip.png") as sheet:
        assert json.loads(sheet.text["parameters"])["seeds"]
        assert b"trainedAlgorithmicMedia" in sheet.info["xmp"]


def test_the_scores_are_of_the_readings_as_they_are_seen(here, tiny_pocket, unset):
    assert run(DOG, LION, more=("--view", "rotate180", "-k", "2")).exit_code == 0
    told = json.loads((here / "search-rotate180.json").read_text())["pairs"][0]["samples"][0]
    (folder,) = (here / "project" / ".cache" / "search").iterdir()
    upright, turned = (folder / f"rotate180-{number + told['k']:02}.webp" for number in (1, 3))
    seen = torch.stack([search._image(upright), search._image(turned)])
    assert torch.equal(seen[1], torch.rot90(seen[0], 2, (-2, -1)))
    expected = shipped.judges().first.scores(seen, [DOG, LION])
    torch.testing.assert_close(torch.tensor(told["scores"]), expected, rtol=0, atol=1e-4)


def test_of_hybrids_a_pair_turned_round_is_another(here, tiny_pocket, unset):
    assert run(DOG, LION, more=("--hybrid", "distance")).exit_code == 0
    told = json.loads((here / "search-distance.json").read_text())
    assert {pair["readings"] for pair in told["pairs"]} == {
        f"near: “{near}”; far: “{far}”" for far, near in ((DOG, LION), (LION, DOG))
    }
    assert {tuple(sample["prompts"]) for pair in told["pairs"] for sample in pair["samples"]} == {
        (DOG, LION),
        (LION, DOG),
    }  # as the judges are asked: from afar, from near


def test_a_search_that_was_stopped_goes_on_and_more_prompts_cost_only_their_pairs(
    here, tiny_pocket, unset, monkeypatch
):
    drawn, usual = [], Session.draw

    def draw(self, section, *rest):
        if len(drawn) == stops:
            raise KeyboardInterrupt
        drawn.append(section.figures[0].caption_text())
        return usual(self, section, *rest)

    monkeypatch.setattr(Session, "draw", draw)
    stops = 1
    stopped = run(DOG, LION, SKULL)
    assert (stopped.exit_code, len(drawn)) == (130, 1)
    assert "run the same command to continue" in stopped.stderr
    assert not (here / "search-flip.png").exists()
    stops = -1
    assert run(DOG, LION, SKULL).exit_code == 0
    assert len(drawn) == len(set(drawn)) == 3
    whole = json.loads((here / "search-flip.json").read_text())["pairs"]
    assert run(DOG, LION, SKULL, "a pencil").exit_code == 0
    assert len(drawn) == len(set(drawn)) == 6
    again = json.loads((here / "search-flip.json").read_text())["pairs"]
    assert [pair for pair in again if "a pencil" not in pair["readings"]] == whole


@pytest.mark.parametrize(
    ("prompts", "more", "line"),
    [
        ((DOG,), (), "a search needs at least two different prompts"),
        ((DOG, "a photo of a submarine"), (), "'a submarine' is not among the"),
        ((DOG, "a high quality photo"), (), "'a high quality photo'"),
        ((DOG, LION), ("--view", "sideways"), "there is no view 'sideways'"),
    ],
)
def test_what_cannot_be_searched_is_told_in_one_line(here, tiny_pocket, prompts, more, line):
    found = run(*prompts, more=more)
    assert found.exit_code == 1
    (told,) = found.stderr.splitlines()
    assert line in told
    assert not list(here.iterdir())


def test_a_judge_that_is_missing_is_told_in_one_line(here, tiny_pocket, monkeypatch):
    monkeypatch.setattr(shipped, "WEIGHTS", here)
    shipped.judges.cache_clear()
    found = run(DOG, LION)
    shipped.judges.cache_clear()
    assert found.exit_code == 1
    (told,) = found.stderr.splitlines()
    assert told.startswith("report: the judge 'gradients' cannot be loaded from")
    assert not list(here.iterdir())


def test_the_prompts_that_stand_for_none_are_known_to_the_judges():
    search.check(scores.PROMPTS, shipped.judges().first.vocabulary)
    assert len(search.pairing("flip").pairs(scores.PROMPTS)) == 22 * 21 // 2


ABSENT = ("platformdirs", *(f"generators.making.{room}" for room in ("drawings", "training", "evaluation")))
ALONE = f"""
import sys
sys.modules.update(dict.fromkeys({ABSENT!r}))
from pathlib import Path
from report.command import cli, picture_verbs
picture_verbs.ROOT = Path("project")
cli.main(["search", "--view", "jigsaw", "--prompt", {DOG!r}, "--prompt", {LION!r}, "-k", "1", "--stride", "333"])
"""


def test_a_search_needs_neither_the_drawings_nor_the_training(here, tiny_pocket):
    """In a process in which they cannot be imported, nor what only they need. tqdm comes with diffusers."""
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        cwd=here,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    (pair,) = json.loads((here / "search-jigsaw.json").read_text())["pairs"]
    assert pair["samples"][0]["prompts"] == [DOG, LION]
