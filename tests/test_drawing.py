"""What `draw` may return, and what is said of one that fails: figure, case, what is wrong, and where."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from click.testing import CliRunner

from generators import sections
from generators.diffusion.batching import run
from generators.figures import Figure, Panel, Section, each
from generators.lab import Lab
from generators.records import record as records
from generators.records.errors import DrawingError, InputError
from generators.running import run as running
from generators.running import staleness
from generators.running.drawing import works, write_panel
from generators.running.dry_run import DryRunModel
from generators.running.session import workload
from report.command import cli
from report.prose.values import compact
from report.publishing import expectations

IMAGE = "a floating-point tensor (3, H, W) with H = W = 64, 256 or 1024, values in -1 … 1"
NAN, INFINITE = float("nan"), float("inf")


def section(draw, **fields) -> Section:
    given = {"label": "{k}", "cases": each(k=(1,)), "finds": ("psnr", "word"), **fields}
    return Section("1.77", "Title", [Figure("a", caption="c", alt="a", draw=draw, **given)])


def drawn(draw, tmp_path, **fields) -> dict:
    """Draw the first case, and write its panel."""
    made = section(draw, **fields)
    with torch.inference_mode():
        tasks = run(works(made, Lab(DryRunModel(1, False))))
    figure = made.figures[0]
    numbers = dict.fromkeys(tasks[0].trace.trajectories, 0)
    return write_panel(tmp_path, "a-01.webp", made, figure, figure.cases[0], tasks[0], numbers)


def one(value: float, side: int = 64) -> torch.Tensor:
    image = torch.zeros(3, side, side)
    image[0, 0, 0] = value
    return image


RETURNED = {  # what draw returns: the end of the line about it
    "None": (None, f"draw returned None; it must return {IMAGE}, or a Panel with one"),
    "a number": (1.0, f"draw returned an object of type float; it must return {IMAGE}, or a Panel with one"),
    "an array": (one(0).numpy(), "draw returned an object of type ndarray; it must return "),
    "a panel in a panel": (Panel(Panel(one(0))), "draw returned an object of type Panel; it must return "),
    "an oblong": (torch.zeros(3, 10, 64), f"draw returned a tensor (3, 10, 64) of float32; it must return {IMAGE}"),
    "another size": (torch.zeros(3, 128, 128), "draw returned a tensor (3, 128, 128) of float32; it must return "),
    "one channel": (torch.zeros(1, 64, 64), "draw returned a tensor (1, 64, 64) of float32; it must return "),
    "no channels": (torch.zeros(64, 64), "draw returned a tensor (64, 64) of float32; it must return "),
    "a batch": (torch.zeros(1, 3, 64, 64), "draw returned a tensor (1, 3, 64, 64) of float32; it must return "),
    "bytes": (one(0).byte(), "draw returned a tensor (3, 64, 64) of uint8; it must return "),
    "integers": (one(0).long(), "draw returned a tensor (3, 64, 64) of int64; it must return "),
    "complex": (one(0).to(torch.complex64), "draw returned a tensor (3, 64, 64) of complex64; it must return "),
    "NaN": (one(NAN), "draw returned an image with 1 of 12,288 values NaN or infinite"),
    "infinity": (torch.full((3, 64, 64), -INFINITE), "draw returned an image with 12,288 of 12,288 values NaN or inf"),
    "NaN in a panel": (Panel(one(NAN)), "draw returned an image with 1 of 12,288 values NaN or infinite"),
    "no dict": (Panel(one(0), [1]), "Panel.found is an object of type list; it must be a dict"),
    "another name": (Panel(one(0), {"ssim": 1}), "draw found ssim, which `finds` does not name"),
    "NaN found": (Panel(one(0), {"psnr": NAN}), "draw found psnr = nan; it must be a finite number"),
    "infinity found": (Panel(one(0), {"psnr": INFINITE}), "draw found psnr = inf; it must be a finite number"),
    "None found": (Panel(one(0), {"psnr": None}), "draw found psnr = None, of type NoneType; use float, int or str"),
    "a boolean": (Panel(one(0), {"psnr": True}), "draw found psnr = True, of type bool; use float, int or str"),
    "a tensor": (Panel(one(0), {"psnr": torch.ones(())}), "draw found psnr = tensor(1.), of type Tensor; use float,"),
    "a control character": (Panel(one(0), {"word": "a\u202e"}), "draw found word: the control character U+202E in "),
}


@pytest.mark.parametrize("name", RETURNED)
def test_what_is_no_panel_is_refused_in_one_line(tmp_path, name):
    returned, message = RETURNED[name]
    with pytest.raises(DrawingError) as caught:
        drawn(lambda lab, k: returned, tmp_path)
    assert str(caught.value).startswith(f"figure 1.77-a, case k=1: {message}")
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("side", [64, 256])
def test_images_of_the_cascades_sizes_are_panels(tmp_path, dtype, side):
    kept = drawn(lambda lab, k: Panel(one(2, side).to(dtype), {"psnr": 1.23456, "word": "x"}), tmp_path)
    assert (kept["width"], kept["height"], kept["found"]) == (side, side, {"psnr": 1.2346, "word": "x"})


def test_texts_that_cannot_be_filled_with_what_was_found(tmp_path):
    for label, says in (
        ("{psnr:.1f}", "label or alt text names 'psnr', which draw did not find"),
        ("{word:.1f}", "label or alt text cannot be filled: Unknown format code 'f' for object of type 'str'"),
    ):
        with pytest.raises(DrawingError) as caught:
            drawn(lambda lab, k: Panel(one(0), {"word": "x"}), tmp_path, label=label)
        assert str(caught.value) == f"figure 1.77-a, case k=1: {says}"


def test_a_prompt_that_draw_itself_makes_too_long(tmp_path):
    with pytest.raises(
        DrawingError, match=r"^figure 1\.77-a, case k=1: prompt: the text .* has 9,000 characters; at most"
    ):
        drawn(lambda lab, k: lab.sample(lab.guided("🐂" * 9000), timesteps=[0]), tmp_path)


def test_a_long_case_is_shortened(tmp_path):
    with pytest.raises(DrawingError) as caught:
        drawn(lambda lab, k: None, tmp_path, cases=each(k="x" * 300))
    assert str(caught.value).startswith("figure 1.77-a, case k='xxx")
    assert len(str(caught.value)) < 400


def test_what_is_no_panel_is_found_by_the_dry_run():
    with pytest.raises(DrawingError, match=r"^figure 1\.77-a, case k=1: draw returned None"):
        workload([section(lambda lab, k: None)])


def test_errors_that_say_all_in_one_line_pass(tmp_path):
    with pytest.raises(InputError, match="nothing_of_this_name"):
        drawn(lambda lab, k: lab.image("nothing_of_this_name"), tmp_path)


def test_an_image_of_another_size_is_refused_where_it_is_asked_about(tmp_path):
    with pytest.raises(
        DrawingError, match=r"case k=1: ValueError: x is a tensor \(3, 10, 64\); the network takes \(3, 64, 64\)"
    ):
        drawn(lambda lab, k: lab.guided("a dog")(torch.zeros(3, 10, 64), 500).eps, tmp_path)


def test_a_draw_without_a_parameter_for_a_field(tmp_path):
    with pytest.raises(DrawingError) as caught:
        drawn(lambda lab: one(0), tmp_path)
    first, *statements = str(caught.value).splitlines()
    assert first.startswith("figure 1.77-a, case k=1: TypeError: ")
    assert first.endswith("got an unexpected keyword argument 'k'")
    assert statements == []


MODULE = """from ..figures import Figure, Section, each


def helper(x):
    return x.view(3, 10)


def fails(lab, k):
    x = lab.image("campanile")
    if k == 2:
        return {body}
    return x


SECTION = Section("1.77", "T", [Figure("a", "c", "{{k}}", "alt", each(k=(1, 2)), fails)])
"""
AUTHORS = {  # the statement at fault: what is said of it
    "helper(x)": (
        "RuntimeError: shape '[3, 10]' is invalid for input of size 12288",
        ["11: return helper(x)", "5: return x.view(3, 10)"],
    ),
    "lab.shared('a', lambda: 1 / 0)": (
        "ZeroDivisionError: division by zero",
        ["11: return lab.shared('a', lambda: 1 / 0)"] * 2,
    ),
    "lab.sample(lambda x, t: x.nothing)": (
        "AttributeError: 'Tensor' object has no attribute 'nothing'",
        ["11: return lab.sample(lambda x, t: x.nothing)"] * 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("body", AUTHORS)
def test_an_error_of_the_authors_shows_their_statements_only(body, tiny_pocket, tmp_path, monkeypatch):
    what, statements = AUTHORS[body]
    path = tmp_path / "sections" / "part_1_77.py"
    path.parent.mkdir()
    path.write_text(MODULE.format(body=body))
    known = {"1.1": staleness.sections()["1.1"], "1.77": path}
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(path.parent)])
    monkeypatch.setattr(staleness, "sections", lambda: known)
    monkeypatch.setattr(staleness, "source_digest", lambda *_: "0" * 64)
    monkeypatch.setattr(running, "source_of", lambda section_id: f"generators/sections/{known[section_id].name}")
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    monkeypatch.setattr(expectations, "check", lambda *_: None)  # there is no write-up
    try:
        done = CliRunner().invoke(cli.main, ["section", "1.1", "1.77"])
    finally:
        sys.modules.pop("generators.sections.part_1_77", None)
    assert done.exit_code == 1, done.output
    said = done.stderr[done.stderr.index("report: ") :].splitlines()
    expected = [f"  generators/sections/part_1_77.py:{statement}" for statement in statements]
    assert said == [f"report: figure 1.77-a, case k=2: {what}", *expected]
    assert (
        staleness.why_stale(tmp_path / ".report/pocket/1.1", "1.1", "pocket") is None
    )  # what was drawn before is kept
    assert not (tmp_path / ".report/pocket/1.77").exists()


def test_a_number_edited_by_hand_has_its_section_drawn_again(tiny_pocket, tmp_path):
    running.draw(tmp_path, "pocket", ["1.2"])
    path = tmp_path / ".report/pocket/1.2/record.json"
    found = records.parse(path.read_text(encoding="utf-8"))
    found["figures"][0]["panels"][0]["found"]["psnr"] = 99.9
    path.write_text(json.dumps(found), encoding="utf-8")
    assert staleness.why_stale(path.parent, "1.2", "pocket") == (
        "its record was edited by hand: its seal does not match its content"
    )
    assert running.draw(tmp_path, "pocket", ["1.2"]) == 1
    again = records.parse(path.read_text(encoding="utf-8"))
    assert again["figures"][0]["panels"][0]["found"]["psnr"] < 99


# --- trajectories


@pytest.mark.parametrize("section_id", staleness.sections())
def test_the_evaluations_of_a_sections_figures_add_up_to_the_sections(section_id):
    """With a network that answers zero. A trajectory that several panels or figures share counts once."""
    section, model = running.load_section(section_id), DryRunModel(4, True)
    with torch.inference_mode():
        tasks = iter(run(works(section, Lab(model))))
    of_figures = [{walk for _ in figure.cases for walk in next(tasks).trace.trajectories} for figure in section.figures]
    walks = set().union(*of_figures)
    assert sum(len(walk.evaluations) for walk in walks) == model.meter.evaluations
    shared = sum(len(walk.evaluations) for figure in of_figures for walk in figure) - model.meter.evaluations
    twice = {walk for walk in walks if sum(walk in figure for figure in of_figures) > 1}
    assert shared == sum(len(walk.evaluations) for walk in twice)
    steps = {walk: sum(b < a for a, b in pairwise([*walk.timesteps, -1])) for walk in walks}
    assert all(len(walk.evaluations) % steps[walk] == 0 for walk in walks)  # each step takes as many


def test_repaints_steps_are_counted_one_by_one():
    """244 guided steps; the 34 of a single pass are another trajectory of the same prompt, seed and image."""
    section = running.load_section("1.7.2")
    (figure,) = section.figures
    alone = replace(section, figures=[replace(figure, cases=[case for case in figure.cases if case["image"] == "fox"])])
    with torch.inference_mode():
        tasks = run(works(alone, Lab(DryRunModel(1, False))))
    walks = [walk for task in tasks for walk in task.trace.trajectories]
    assert [len(walk.evaluations) for walk in walks] == [2 * 34, 2 * 244]
    assert [compact(walk.timesteps) for walk in walks] == [
        "990, 960 … 0 (34 steps)",
        "990, 960 … 0 (244 steps; noised again 21 times)",
    ]
