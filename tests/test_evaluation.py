"""The evaluation of what pocket draws: rates, measures, the card. Needs no icons."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from generators import models
from generators.diffusion import metrics
from generators.diffusion.schedule import strided
from generators.diffusion.views import FLIP
from generators.figures import Figure, each, reading
from generators.lab import Lab
from generators.making.drawings import data
from generators.making.evaluation import card, evaluate, illusions, measures, plan, results, sheet
from generators.making.evaluation.plan import Job
from generators.making.judging import labelled, shipped
from generators.making.judging.judge import Judges

KNOWN = labelled.vocabulary()
BLANK = torch.zeros(1, 3, 64, 64)


# --- prompts and rates


def test_prompts_that_no_training_picture_has(no_icons):
    asked = {KNOWN.parse(prompt) for prompt in plan.unseen_prompts(40)}
    assert len(asked) == 40
    drawn = {
        (reading.style, reading.place)
        for k in range(800)
        for reading in map(KNOWN.parse, data.draw(np.random.default_rng(k)).captions)
        if reading.place
    }
    assert drawn
    assert not drawn & {(reading.style, reading.place) for reading in asked}


def test_both_judges_are_heard_and_their_agreement(judge_seeing):
    judges = Judges(judge_seeing({"a cat": 9.0}, style="a photo of"), judge_seeing({"a dog": 9.0, "a cat": 8.0}))
    found = evaluate.retrieval_rates(judges, BLANK.expand(2, -1, -1, -1), ["a photo of a cat", "a lithograph of a dog"])
    assert found["n"] == 2
    assert found["R@1"][0] == found["style"][0] == 0.5
    assert found["second"]["R@1"][0] == 0.5
    assert found["second"]["R@5"][0] == 1
    assert found["agreement"][0] == 0
    assert "place" not in found


def test_a_sample_without_a_name_is_taken_for_the_most_probable(judge_seeing):
    judges = Judges(judge_seeing({"a city": 30.0}), judge_seeing({"a tower": 1.0}))
    (found,) = evaluate.best_names(judges, [Job(lambda: BLANK[0], 1, {"k": 3, "gamma": 7})], BLANK)
    assert found["names"] == ["a city", "a tower"]
    assert found["probabilities"] == [
        pytest.approx(1),
        pytest.approx(math.e / (math.e + len(KNOWN.names) - 1)),
    ]


# --- statistics and distances


def test_wilson_by_hand():
    share, low, high = measures.wilson(5, 10)
    assert (share, round(low, 4), round(high, 4)) == (0.5, 0.2366, 0.7634)  # the textbook's example
    assert measures.wilson(0, 10)[1] == pytest.approx(0)
    assert measures.wilson(10, 10)[2] == pytest.approx(1)


@pytest.mark.parametrize(("hits", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_impossible_counts_are_refused(hits, n):
    with pytest.raises(ValueError, match=f"{hits} hits of {n}"):
        measures.wilson(hits, n)


def test_distances_are_parts_of_the_full_range():
    black, white, grey = (torch.full((1, 3, 64, 64), value) for value in (-1.0, 1.0, 0.0))
    assert measures.rms(black, torch.cat([white, grey, black])).tolist() == [[1.0, 0.5, 0.0]]
    assert measures.mean_distance(torch.cat([black, white, grey])) == pytest.approx(2 / 3)


def test_a_copy_is_nearer_than_nineteen_in_twenty_held_out_pictures():
    held_out = torch.arange(1, 101) / 100
    assert measures.copies(torch.tensor([0.01, 0.04, 0.06, 0.5]), held_out)[0] == 0.5
    assert measures.copies(held_out, held_out)[0] == 0.05  # what is no copy is called so one time in twenty


def test_copies_are_looked_for_in_pixels_and_in_features(random_judge):
    training, real = torch.rand(2, 3, 64, 64) * 2 - 1, torch.rand(20, 3, 64, 64) * 2 - 1
    drawn = torch.cat([training[:1], torch.ones(1, 3, 64, 64)])
    found = evaluate.nearest(random_judge, drawn, {"real": real, "others": real}, training)
    assert found["pixels"]["references"]["real"]["copies"][0] == 0.5
    assert found["pixels"]["references"].keys() == found["features"]["references"].keys() == {"real", "others"}
    assert found["pixels"]["drawn"][0] < found["pixels"]["references"]["real"]["quartiles"][0]


def test_diversity_is_a_share_of_the_training_drawings_own():
    black, white, grey = (torch.full((1, 3, 64, 64), value) for value in (-1.0, 1.0, 0.0))
    jobs = [Job(lambda: grey[0], 1, {"prompt": prompt}) for prompt in ("a cat", "a cat", "a dog", "a dog")]
    drawn, training = torch.cat([black, grey, grey, grey]), torch.cat([black, white, white])
    captions = [("a cat", "a kitten"), ("a cat",), ("a dog",)]
    cat, dog = evaluate.diversity(jobs, drawn, training, captions)
    assert cat["share"] == pytest.approx(0.5)
    assert (cat["training drawings"], dog["training drawings"]) == (2, 1)
    assert dog["share"] is None


@pytest.mark.parametrize(
    ("distances", "expected"), [([0.3, 0.2, 0.1], True), ([0.3, 0.3, 0.1], False), ([0.2, 0.3, 0.1], False)]
)
def test_falls_at_every_step(distances, expected):
    assert measures.falls(distances) is expected


def test_seams_by_hand():
    columns = torch.arange(64.0).expand(2, 3, 64, 64)  # a step of 1 everywhere, in one direction
    assert measures.seams(columns, 8) == pytest.approx(1)
    patches = columns + 3 * (columns // 8)  # of 4 across the borders
    assert measures.seams(patches, 8) == pytest.approx(4)
    framed = patches.clone()
    framed[..., :4] = framed[..., -4:] = 0  # half a patch along the edges does not count
    assert measures.seams(framed, 8) == pytest.approx(4)
    blocks = columns + 3 * (columns // 4)  # of 4 at every fourth pixel, whether a patch ends there or not
    assert measures.seams(blocks, 8) == pytest.approx(4 / ((6 * 4 + 42 * 1) / 48))
    assert measures.seams(blocks, 8, among=4) == pytest.approx(1)


def test_the_step_across_a_border_by_hand():
    image, mask = torch.zeros(3, 8, 8), torch.zeros(1, 8, 8)
    mask[:, 2:5, 2:6] = 1
    image[:, 2:5, 2:6] = 0.5
    image[:, 3, 3] = 9  # inside, not at the border
    assert metrics.border_step(image, mask) == pytest.approx(0.5)


def test_a_hole_that_is_filled_with_what_was_there_has_a_ratio_of_one(tiny_pocket):
    from generators import models
    from generators.lab import Lab

    lab = Lab(models.load("pocket"))
    jobs = [Job(lambda: BLANK[0], 1, {"image": image, "show": "inpainted"}) for image in ("fox", "campanile")]
    fox, campanile = lab.image("fox"), lab.image("campanile").clone()
    campanile[:, 10, 30] = -campanile[:, 10, 30]
    found = evaluate.inpainting(lab, jobs, torch.stack([fox, campanile]))
    assert [row["ratio"] for row in found] == [1, 1]
    grey = evaluate.inpainting(lab, jobs[:1], torch.zeros(1, 3, 64, 64))
    assert grey[0]["filled"] == 0


def test_evenly_spaced():
    assert plan.evenly_spaced("abcdefghij", 5) == ["a", "c", "e", "g", "i"]


def test_the_plan_counts_the_evaluations_that_the_drawing_takes(tiny_pocket, monkeypatch):
    from generators import models
    from generators.lab import Lab

    lab, counted = Lab(models.load("pocket")), []
    jobs = [plan.sample_job(lab, "a cat", gamma, stride=500) for gamma in (1, 7)]

    class Counted:
        def update(self, count):
            counted.append(count)

    images = plan.draw(lab.model, [job.work for job in jobs], Counted())
    assert images.shape == (2, 3, 64, 64)
    assert images.abs().max() <= 1
    assert sum(counted) == sum(job.evaluations for job in jobs) == 6


def test_what_the_evaluation_finds_fills_the_card(tiny_pocket, no_icons, monkeypatch):
    monkeypatch.setattr(evaluate, "plan", lambda *known: {part: jobs[:2] for part, jobs in plan.plan(*known).items()})
    monkeypatch.setattr(plan, "DIVERSE", (data.HIGH_QUALITY,))
    for name, value in {"TRAINING": 60, "FRESH": 1, "WORKERS": 0}.items():
        monkeypatch.setattr(evaluate, name, value)
    styled = [data.Drawing("", style, (f"{style} a cat".strip(),)) for style in KNOWN.styles]
    sets = {name: labelled.labelled(styled) for name in ("icons", "scenes", "places", "pairs")}
    monkeypatch.setattr(evaluate, "test_sets", lambda: sets)

    found = results.rounded(evaluate.evaluate(Lab(models.load("pocket")), shipped.judges()))
    text = card.section(found, READINGS)
    assert found["model"]["digest"][:12] in text
    assert found["evaluations"] > 0
    assert found["judges"]["digests"] == {name: shipped.digest(name) for name in ("gradients", "residual")}
    assert found["nearest"]["pixels"]["references"].keys() >= {card.FRESH}
    assert found["seams"][1]["pixels"] == 256


def two(name: str, second: str) -> Figure:
    """A figure of two samples, each read upright and turned over, drawn through the lab."""

    def draw(lab, upright, flipped, k, show):
        x = lab.shared((upright, k), lambda: lab.sample(lab.guided(upright), k, strided(333)))
        return x if show == "upright" else FLIP(x)

    cases = each(upright="a photo of a dog", flipped=second, show=("upright", "flipped"), k=(1, 0))
    return Figure(name, "c", "{k}", "a", cases, draw, row="{show}")


def test_all_readings_of_a_reports_figures_are_judged_sample_by_sample(tiny_pocket, monkeypatch, tmp_path):
    seen = []

    def scored(judges, views, prompts):
        seen.append(views)
        return {"prompts": prompts, "ranks": [len(seen), 0.123456]}

    pair, other = two("pair", "a photo of a lion"), two("other", "a photo of a fox")
    monkeypatch.setattr(illusions, "figures", lambda: {"1.8-pair": pair, "1.10-other": other})
    monkeypatch.setattr(illusions, "score_readings", scored)
    monkeypatch.setattr(illusions, "PATH", tmp_path / "illusions.json")
    model = models.load("pocket")
    illusions.evaluate(model, None)
    told = json.loads((tmp_path / "illusions.json").read_text())
    assert told["model"]["digest"] == model.digest
    assert [(sample["figure"], sample["k"]) for sample in told["samples"]] == [
        ("1.8-pair", 0), ("1.8-pair", 1), ("1.10-other", 0), ("1.10-other", 1),
    ]  # fmt: skip
    assert told["samples"][3] == {
        "figure": "1.10-other", "k": 1, "shows": ["upright", "flipped"],
        "prompts": ["a photo of a dog", "a photo of a fox"], "ranks": [4, 0.1235],
    }  # fmt: skip
    for views in seen:
        assert torch.equal(views[1], FLIP(views[0]))
    assert not torch.equal(seen[0], seen[1])
    assert model.meter.evaluations == 2 * 2 * 2 * 4  # figures, samples, halves of guidance, steps


def test_the_figures_with_readings_are_those_of_the_last_sections():
    found = illusions.figures()
    assert {"1.8-campfire", "1.8-barista", "1.9-waterfalls"} <= set(found)
    assert all(name.startswith(("1.8-", "1.9-", "1.10-")) and not name.endswith("-large") for name in found)
    for figure in found.values():
        for _, cases in illusions.samples(figure):
            assert all(KNOWN.parse(reading(case)).names for case in cases)


# --- the card

SHARE = [0.5, 0.25, 0.75]


def judged(**more):
    return {"n": 8, "R@1": SHARE, "R@5": SHARE, "second": {"R@1": SHARE}, "agreement": SHARE, **more}


def pair(first, second, k):
    ranks = {"ranks": first, "second": second}
    return {"figure": "1.8-pair", "prompts": ["a", "b"], "k": k, "alignment": -0.5, "concealment": 0.9, **ranks}


FOUND = {
    "model": {"name": "pocket", "digest": "0123456789abcdef", "megabytes": 28.4},
    "judges": {
        "names": 3,
        "held out": 2
        * [{lot: {"n": 9, "R@1": 0.9, "R@5": 1.0, "style": 1.0, "place": 0.3} for lot in ("places", "pairs")}],
    },
    "sampler": {"gamma": 7.0, "stride": 30, "threshold": 1.0},
    "names": [judged(gamma=7)],
    "styles": [judged(gamma=7, style=SHARE)],
    "places": [judged(gamma=7, style=SHARE, place=SHARE)],
    "pairs": [judged(gamma=7)],
    "sweep": [judged(threshold=t, gamma=g, stride=90) for t in (1.0, 1.5) for g in (1, 7)],
    "strides": [judged(stride=90), judged(stride=30)],
    "photos": [
        {"k": k, "gamma": 7, "names": ["a city", "a tower"], "probabilities": [p, 0.2]}
        for k, p in enumerate((0.5, 0.4))
    ],
    "nearest": {
        "n": 8, "training drawings": 1234,
        **{space: {"drawn": [0.1, 0.2, 0.3],
                   "references": {what: {"n": 9, "quartiles": [0.2, 0.3, 0.4], "copies": SHARE}
                                  for what in (card.FRESH, "others")}}
           for space in ("pixels", "features")},
    },
    "diversity": [
        {"prompt": "a cat", "seeds": 6, "drawn": 0.1, "training drawings": 1, "training": None, "share": None},
        {"prompt": "a dog", "seeds": 6, "drawn": 0.1, "training drawings": 3, "training": 0.2, "share": 0.5},
    ],
    "sdedit": {"distance": {"fox": {"1": 0.3, "20": 0.1}}, "falls": {"fox": True}},
    "inpainting": [
        {"image": "fox", "show": show, "filled": 0.1 * ratio, "original": 0.1, "ratio": ratio}
        for show, ratio in (("inpainted", 2.0), ("resampled", 1.2))
    ],
    "seams": [{"what": what, "n": 30, "pixels": 64, "ratio": 1.25} for what in ("samples", card.ENLARGED, "drawings")],
    "evaluations": 12345,
}  # fmt: skip


READINGS = [pair([1, 2], [1, 1], 0), pair([1, 1], [1, 1], 1), pair([3, 1], [4, 4], 2)]


def test_the_summary_counts_samples_with_every_reading_first():
    assert card.count_first_ranks(READINGS) == [(("1.8-pair", "a", "b"), 1, 2, 3)]
    assert "| 1 of 3; 2 of 3 | ≥ 1 |" in card.summary(FOUND, READINGS)


def test_the_summary_says_what_was_aimed_at_and_what_was_reached():
    text = card.summary(FOUND, READINGS)
    for line in (
        "| names, R@1 | 0.50 (0.25–0.75) | ≥ 0.85 |",
        "| 0.50 to 0.50 | ≥ 0.50 each |",
        "| 1 of 2 | ≥ 4 of 5 |",
        "| 1 of 1 | all |",
        "| 2.00 | ≤ 1.50 each |",
        "| 1.20 | ≤ 1.50 each |",
        "| 1.25 of 30 | ≤ 1.05 |",
        "| 28.4 | ≤ 40 |",
    ):
        assert line in text


def test_the_cards_section_is_put_between_its_markers_and_putting_it_twice_changes_nothing():
    text = card.section(FOUND, READINGS)
    bare = f"# pocket\n\n{card.BEGIN}\nwhat stood there\n{card.END}\n\n## Use\n"
    once = card.replace_section(bare, text)
    assert once.startswith("# pocket\n\n")
    assert once.endswith("\n\n## Use\n")
    assert "what stood there" not in once
    assert card.replace_section(once, text) == once
    assert "0.50 (0.25–0.75)" in text
    assert "1,234" in text


@pytest.mark.parametrize("broken", ["", card.BEGIN, card.END, card.END + card.BEGIN, 2 * (card.BEGIN + card.END)])
def test_a_card_without_its_markers_is_refused(broken):
    with pytest.raises(ValueError, match="the card needs one"):
        card.replace_section(broken, "text")


def test_the_shipped_card_has_its_markers():
    assert card.BEGIN in card.replace_section(evaluate.CARD.read_text(encoding="utf-8"), "new")


def test_the_chart_is_the_same_each_time(tmp_path):
    for name in ("one", "two"):
        card.chart(FOUND, tmp_path / f"{name}.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_floats_are_rounded_everywhere():
    assert results.rounded({"a": [0.123456, 2], "b": (1.0,)}) == {"a": [0.1235, 2], "b": [1.0]}


# --- the sheet


def test_the_sheet_has_a_hundred_prompts_none_twice():
    prompts = [prompt for group in sheet.GROUPS.values() for prompt in group]
    assert len(prompts) == len(set(prompts)) == 100


def test_only_the_free_prompts_of_the_sheet_name_what_pocket_has_not_learned():
    for heading, prompts in sheet.GROUPS.items():
        known = [set(KNOWN.parse(prompt).names) <= KNOWN.numbers.keys() for prompt in prompts]
        assert any(known) != (heading == "Free prompts")
        assert all(known) or heading == "Free prompts"


def test_the_sheet_lays_its_groups_out_in_rows():
    from PIL import Image

    prompts = {"One": tuple("abcdefghijk"), "Two": ("l",)}
    pictures = {heading: [Image.new("RGB", (64, 64), "red")] * len(group) for heading, group in prompts.items()}
    page = sheet.sheet(pictures, prompts)
    line = sheet.CELL + sheet.LABEL + sheet.GAP
    assert page.height == 2 * sheet.HEADING + 3 * line + sheet.GAP
    assert page.getpixel((sheet.GAP, sheet.HEADING)) == (255, 0, 0)
    assert page.getpixel((sheet.GAP, 2 * sheet.HEADING + 2 * line)) == (255, 0, 0)


def test_labels_break_between_words():
    assert sheet.lines("a photo of a hipster barista") == "a photo of a hipster\nbarista"
    assert sheet.lines("Donaudampfschifffahrtsgesellschaft") == "Donaudampfschifffahrtsgesellschaft"
