"""Masks of inpainting as people have them: painted images of any shape, in sections and on the command line."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image, ImageDraw

from generators import inputs, lab, models, settings
from generators.diffusion import batching
from generators.diffusion.masks import painted, rectangle
from generators.editing import INPAINTING, inpaint
from generators.lab import Lab
from generators.records.errors import InputError
from generators.running.dry_run import DryRunModel
from report.command import cli


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.linear_gradient("L").resize((90, 70)).convert("RGB").save("holiday.jpg")
    return tmp_path


def disc(size=(640, 640), inside="white", outside="black", mode="RGB"):
    image = Image.new(mode, size, outside)
    ImageDraw.Draw(image).ellipse((160, 160, 480, 480), fill=inside)
    return image


def hole(path):
    return Lab(DryRunModel(1, False)).hole(path)


def test_a_rectangle_is_by_its_first_and_last_row_and_column():
    mask = rectangle((2, 3), (24, 41))
    assert mask.shape == (1, 64, 64)
    assert mask.sum() == 2 * 18
    assert mask[0, 2:4, 24:42].min() == 1


def test_a_mask_of_any_shape_is_read_at_64_pixels(here):
    disc().save("disc.png")
    mask = hole(here / "disc.png")
    y, x = np.mgrid[0:64, 0:64] + 0.5
    expected = np.hypot(y - 32, x - 32) < 16
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert (mask[0].numpy() != expected).sum() < 20


@pytest.mark.parametrize(
    ("inside", "outside", "mode"), [("white", "black", "1"), (140, 110, "L"), ((255, 255, 255, 0), "black", "RGBA")]
)
def test_grey_counts_as_the_nearer_of_black_and_white_and_transparent_as_white(here, inside, outside, mode):
    disc().save("disc.png")
    disc(inside=inside, outside=outside, mode=mode).save("other.png")
    assert (hole(here / "disc.png") != hole(here / "other.png")).sum() < 20


@pytest.mark.parametrize("colour", ["white", "black"])
def test_a_mask_that_replaces_nothing_or_everything_is_refused(here, colour):
    Image.new("RGB", (100, 80), colour).save("mask.png")
    found = "white everywhere, so the whole image" if colour == "white" else "white nowhere, so nothing"
    with pytest.raises(InputError, match=rf"mask\.png: within its central square, the mask is {found} would be"):
        hole(here / "mask.png")


def test_a_hole_outside_the_central_square_is_refused(here):
    image = Image.new("L", (300, 100))
    image.paste(255, (0, 0, 80, 100))
    image.save("mask.png")
    with pytest.raises(InputError, match="white nowhere"):
        hole(here / "mask.png")
    assert painted(torch.ones(3, 64, 64).tril(), "a").sum() > 0


def test_a_section_shows_the_mask_that_the_settings_name(here, monkeypatch):
    text = settings.FILE.read_text("utf-8")
    old = "hole = { rows = [20, 39], columns = [18, 45] }"
    (here / "report.toml").write_text(text.replace(old, 'mask = "disc.png"').replace("fox.svg", "holiday.jpg"), "utf-8")
    mine = settings.read(here / "report.toml")
    disc().save("disc.png")
    for module in (inputs, lab):
        monkeypatch.setattr(module, "MINE", mine)
    monkeypatch.setattr(inputs, "INPUTS", here)

    def draw(show):
        return lambda: inpaint(Lab(DryRunModel(1, False)), "a photo", "fox", show)

    with torch.inference_mode():
        drawn = {show: batching.run([draw(show)])[0] for show in INPAINTING}
    mask = drawn["mask"].result
    assert mask.shape == (3, 64, 64)
    assert ((mask[:1] + 1) / 2 == hole(here / "disc.png")).all()
    assert drawn["mask"].trace.inputs.keys() == {"fox", "fox.mask"}
    assert "ratio" in drawn["resampled"].result.found
    outside = mask < 0
    assert (drawn["inpainted"].result.image[outside] == drawn["original"].result[outside]).all()


def test_report_inpaint_draws_what_1_7_2_shows(here, tiny_pocket):
    disc().save("mask.png")
    line = 'inpaint holiday.jpg --mask mask.png "a photo of a lion" -o lion.png'
    done = CliRunner().invoke(cli.main, shlex.split(line))
    assert done.exit_code == 0, done.output
    record = json.loads((here / "lion.json").read_text())
    panels = record["figures"][0]["panels"]
    assert [panel["label"] for panel in panels] == list(INPAINTING)
    assert panels[3]["alt"] == "holiday.jpg with the masked part replaced by “a photo of a lion” in a single pass"
    assert panels[1]["alt"] == "The mask mask.png: white where new content goes"
    assert record["depends"]["inputs"].keys() == {"holiday.jpg", "mask.png"}
    assert all("ratio" in panel["found"] for panel in panels[3:])
    assert {walk["seed"] for walk in record["trajectories"]} == {lab.SEED}
    assert [len(walk["timesteps"]) for walk in record["trajectories"]] == [34, 454]


def test_where_the_original_is_flat_no_ratio_is_found(here):
    Image.new("RGB", (64, 64), "white").save("paper.png")
    disc().save("mask.png")
    (task,) = batching.run(
        [lambda: inpaint(Lab(DryRunModel(1, False)), "a", here / "paper.png", "inpainted", here / "mask.png")]
    )
    assert task.result.found == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("holiday.jpg a", "Missing option '--mask'"),
        ("holiday.jpg --mask none.png a", "none.png is not there"),
        ("holiday.jpg --mask black.png a", "black.png: within its central square, the mask is white nowhere"),
        ("none.jpg --mask black.png a", "none.jpg is not there"),
        ("holiday.jpg --mask black.png ' '", "a prompt is empty"),
    ],
)
def test_what_cannot_be_inpainted_is_refused_before_a_model_is_loaded(here, monkeypatch, arguments, said):
    Image.new("L", (64, 64)).save("black.png")
    monkeypatch.setattr(models, "load", lambda name: pytest.fail("a model was loaded"))
    done = CliRunner().invoke(cli.main, shlex.split(f"inpaint {arguments}"))
    assert done.exit_code != 0
    assert said in done.output + done.stderr
    assert not list(here.glob("inpaint*"))
