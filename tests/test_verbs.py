"""The verbs for single pictures, in a folder of one's own: a PNG, a record beside it, and nothing else."""

import hashlib
import json
from functools import partial
from pathlib import Path

import pytest
import tiny_if
import torch
from click.testing import CliRunner
from PIL import Image

from generators import editing, models, readings
from generators.diffusion import batching
from generators.diffusion.filters import gaussian_blur, grey, motion_blur
from generators.diffusion.schedule import strided
from generators.diffusion.views import named
from generators.lab import Lab
from generators.models.deepfloyd import weights
from generators.models.pocket.cascade import FirstStage
from generators.running import session
from report.command import cli, picture_verbs
from report.figures import figure_png

ROOT = Path(__file__).parents[1]
QUICK = ("--stride", "333", "-k", "2")
DOG, LION = "a photo of a dog", "a photo of a lion"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def unset(monkeypatch):
    """No grids are set, which takes longer than all the rest."""
    monkeypatch.setattr(figure_png, "compose", lambda *_: b"grid")


def run(*arguments: str):
    return CliRunner().invoke(cli.main, arguments)


def told(path: Path) -> tuple[dict, list[dict]]:
    record = json.loads(path.with_suffix(".json").read_text())
    return record, record["figures"][0]["panels"]


def refused(result) -> str:
    assert result.exit_code == 1, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("report: ")
    return line


@pytest.mark.parametrize(
    ("arguments", "name", "rows", "prompts"),
    [
        (("sample", DOG), "sample-a-photo-of-a-dog", [""], {"", DOG}),
        (("anagram", "one", "other"), "anagram-one-other-flip", ["identity", "flip"], {"", "one", "other"}),
        (
            ("anagram", DOG, LION, "a fox", "--view", "rotate-45.5", "--view", "jigsaw"),
            "anagram-a-photo-of-a-dog-a-photo-of-a-lion-a-fox-rotate-45-5-jigsaw",
            ["identity", "rotate-45.5", "jigsaw"],
            {"", DOG, LION, "a fox"},
        ),
        (("hybrid", DOG, LION), "hybrid-a-photo-of-a-dog-a-photo-of-a-lion", ["near", "far"], {"", DOG, LION}),
        (("hybrid", "a", "b", "--by", "colour"), "hybrid-colour-a-b", ["colour", "grey"], {"", "a", "b"}),
        (("hybrid", "a", "b", "--by", "motion"), "hybrid-motion-a-b", ["still", "moving"], {"", "a", "b"}),
    ],
)  # fmt: skip
def test_a_picture_is_drawn_with_the_reports_seeds_and_says_how(here, tiny_pocket, arguments, name, rows, prompts):
    drawn = run(*arguments, *QUICK)
    assert drawn.exit_code == 0, drawn.output
    assert sorted(path.name for path in here.iterdir()) == [f"{name}.json", f"{name}.png"]
    record, panels = told(here / f"{name}.png")
    walks = record["trajectories"]
    assert [(panel["row"], panel["seeds"], panel["label"]) for panel in panels] == [
        (row, [42 + k], f"sample {k}") for row in rows for k in range(2)
    ]
    assert [panel["trajectories"] for panel in panels] == [[k] for _ in rows for k in range(2)]
    assert all(walk["timesteps"] == [999, 666, 333, 0] for walk in walks)
    assert {prompt for walk in walks for prompt in walk["prompts"]} == prompts
    own, reading = FirstStage.gamma, 7
    hybrid = [(own + reading) / 2] if "colour" in arguments else [own, reading]
    gammas = {"sample": [own], "anagram": [reading], "hybrid": hybrid}
    assert all(walk["gamma"] == gammas[arguments[0]] for walk in walks)
    # Both readings of a hybrid share the estimate for the empty prompt; the views of an anagram see different x_t.
    a_step = 3 if "hybrid" in arguments else 2 * (len(prompts) - 1)
    assert record["evaluations"] == 4 * 2 * a_step
    assert record["png"] == hashlib.sha256((here / f"{name}.png").read_bytes()).hexdigest()
    with Image.open(here / f"{name}.png") as image:
        inside = json.loads(image.text["parameters"])
        assert b"trainedAlgorithmicMedia" in image.info["xmp"]
    assert inside["seeds"] == [42, 43]
    assert set(inside["prompts"]) == prompts
    assert str(here / f"{name}.png") not in json.dumps(record)


def test_the_samples_are_those_that_a_section_draws(here, tiny_pocket, unset):
    lab = Lab(models.load("pocket"))
    with torch.inference_mode():  # as a section draws its cases: all of them together
        both = batching.run([partial(lab.sample, lab.guided(DOG), k, strided(333)) for k in range(2)])
    assert run("sample", DOG, *QUICK).exit_code == 0
    for task, panel in zip(both, told(here / "sample-a-photo-of-a-dog.png")[1], strict=True):
        rgb = ((task.result.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0)
        assert panel["pixels"] == hashlib.sha256(rgb.numpy().tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("arguments", "filtered"),
    [
        (("sample", DOG), None),
        (("anagram", DOG, LION, "--view", "rotate90"), named("rotate90")),
        (("hybrid", DOG, LION), partial(gaussian_blur, kernel=133, sigma=8.0)),
        (("hybrid", DOG, LION, "--by", "colour"), grey),
        (("hybrid", DOG, LION, "--by", "motion"), motion_blur),
    ],
)
def test_at_256_pixels_views_and_filters_grow_with_the_picture(
    here, tiny_pocket, unset, monkeypatch, arguments, filtered
):
    images = {}

    def write_panel(folder, name, section, figure, case, task, numbers):
        images[name] = task.result.image
        return usual(folder, name, section, figure, case, task, numbers)

    usual = session.write_panel
    monkeypatch.setattr(session, "write_panel", write_panel)
    assert run(*arguments, "--stride", "333", "-k", "1", "--pixels", "256", "-o", "large.png").exit_code == 0
    _, panels = told(here / "large.png")
    assert {(panel["width"], panel["height"], panel["case"]["pixels"]) for panel in panels} == {(256, 256, 256)}
    if filtered:
        whole, shown = images.values()
        torch.testing.assert_close(shown, filtered(whole))


def test_the_hybrids_of_the_command_line_are_those_that_can_be_drawn():
    assert list(picture_verbs.HYBRIDS.choices) == list(readings.HYBRIDS)  # written twice: torch loads slowly


def test_an_edit_shows_the_levels_of_the_report_and_the_picture_as_it_was(here, tiny_pocket, monkeypatch):
    monkeypatch.setattr(editing, "LEVELS", (20, 30))  # those that take the fewest steps
    Image.new("RGB", (90, 70), "teal").save("my own.photo.jpg")
    assert run("edit", "my own.photo.jpg", "a pencil", "-o", "edited.png").exit_code == 0
    _, panels = told(here / "edited.png")
    assert [panel["label"] for panel in panels] == [*(f"i_start = {k}" for k in (20, 30)), "original"]
    assert [panel["origin"] for panel in panels] == ["edit"] * 2 + ["photograph"]
    assert {tuple(panel["inputs"]) for panel in panels} == {("my own.photo.jpg",)}
    with Image.open(here / "edited.png") as image:
        assert b"compositeWithTrainedAlgorithmicMedia" in image.info["xmp"]


def test_what_it_has_written_itself_it_writes_again_and_nothing_else(here, tiny_pocket, unset):
    again = ("sample", DOG, "--stride", "333", "-k", "1", "-o", "dog.png")
    assert run(*again).exit_code == 0
    before = (here / "dog.png").read_bytes()
    assert run(*again).exit_code == 0
    assert (here / "dog.png").read_bytes() == before
    Image.new("RGB", (8, 8)).save("dog.png")
    mine = (here / "dog.png").read_bytes()
    assert "dog.png exists and is not as this command wrote it; move it, or choose another name with -o" in refused(
        run(*again)
    )
    assert (here / "dog.png").read_bytes() == mine
    (here / "dog.png").unlink()
    assert run(*again).exit_code == 0
    (here / "notes.json").write_text("{}")
    assert "notes.json exists" in refused(run(*again[:-1], "notes.png"))
    assert (here / "notes.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("sample", " "), "a prompt is empty; describe the picture"),
        (("sample", "a\x07b"), "the control character U+0007"),
        (("anagram", DOG, LION, "--view", "sideways"), "there is no view 'sideways'; the views are identity, flip"),
        (("anagram", DOG, LION, "--view", "flip", "--view", "skew"), "2 prompts and 2 views: give one --view for each"),
        (("anagram", DOG), "1 prompts and 1 views"),
        (("anagram", DOG, LION, "a fox", "--view", "flip", "--view", "flip"), "two prompts have the same view"),
        (("edit", "absent.jpg", "a pencil"), "absent.jpg is not there: correct the path or add"),
        (("edit", "text.png", "a pencil"), "text.png is not a readable image"),
        (("sample", DOG, "-o", "dog.jpg"), "dog.jpg: the file is written as PNG; give it a name that ends in .png"),
        (("sample", DOG, "-o", "there/dog.png"), "the folder there does not exist; create it"),
        (("sample", DOG, "--model", "imagen"), "model 'imagen': choose one of pocket, deepfloyd"),
    ],
)
def test_what_cannot_be_drawn_is_told_in_one_line_and_nothing_is_written(here, tiny_pocket, arguments, line):
    (here / "text.png").write_text("no picture")
    assert line in refused(run(*arguments))
    assert [path.name for path in here.iterdir()] == ["text.png"]


def test_the_report_is_not_touched(here, tiny_pocket, unset):
    def stamps():
        folders = (ROOT / "site", ROOT / ".report")
        return {path: path.stat().st_mtime_ns for folder in folders for path in folder.rglob("*")}

    before = stamps()
    assert run("hybrid", DOG, LION, *QUICK).exit_code == 0
    assert stamps() == before


def test_progress_is_told(here, tiny_pocket, unset):
    assert "sample “a photo of a dog”: 16 evaluations of the network in 4 calls" in run("sample", DOG, *QUICK).stderr


def test_deepfloyd_draws_them_too_with_its_learned_variance(here, unset, tmp_path_factory, monkeypatch):
    folder = tiny_if.save(tmp_path_factory.mktemp("weights"), size=64, later=True)
    monkeypatch.setattr(weights, "CACHE", tmp_path_factory.mktemp("cache"))
    monkeypatch.setenv("DEEPFLOYD_WEIGHTS", str(folder))
    drawn = run("anagram", "a dog", "a lion", "--view", "negative", "--model", "deepfloyd", *QUICK, "-o", "both.png")
    assert drawn.exit_code == 0, drawn.output
    record, panels = told(here / "both.png")
    assert (record["model"]["name"], len(panels), record["trajectories"][0]["gamma"]) == ("deepfloyd", 4, [7.0])
    assert record["evaluations"] == 4 * 2 * 2 * 2


@pytest.mark.parametrize("prompt", ["a sign saying [/b]", "[red]", "a dog :dog:"])
def test_a_prompt_is_printed_never_parsed(here, tiny_pocket, unset, prompt):
    drawn = run("sample", prompt, "-o", "a.png", *QUICK)
    assert drawn.exit_code == 0, drawn.output
    assert prompt in drawn.stderr
    assert told(here / "a.png")[0]["title"].count(prompt) == 1
