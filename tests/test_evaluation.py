"""The judges of what pocket draws: prompts taken apart, ranks, measures, the card. Needs no icons."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest
import torch

from generators import models
from generators.diffusion import metrics
from generators.diffusion.views import FLIP
from generators.figures import Figure, each, reading
from generators.lab import Lab
from generators.making.drawings import data, icons, scenes, sights
from generators.making.evaluation import card, evaluate, illusions, plan, sheet
from generators.making.evaluation.plan import Job
from generators.making.judging import measures, scorer, scorer_pictures, train_scorer
from generators.making.judging.judges import Gradients, Residual
from generators.making.judging.scorer import Judges, Reading, parse
from generators.making.training import loop


@pytest.fixture(scope="module")
def judge():
    """A judge of random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Residual(width=4).eval()


@pytest.fixture
def looking(monkeypatch):
    """Makes a judge that sees the same in every image: logits by name, and a style and a place of which it is sure."""

    def look(logits, style="", place=""):
        made = Residual(width=4)
        names = torch.zeros(1, len(scorer.names()))
        for name, logit in logits.items():
            names[0, scorer.number(name)] = logit
        rest = [torch.zeros(1, len(known)) for known in (scorer.STYLES, scorer.PLACES)]
        for found, known, said in zip(rest, (scorer.STYLES, scorer.PLACES), (style, place), strict=True):
            if said:
                found[0, known.index(said)] = 50
        seen = scorer.Seen(torch.zeros(1, 32), names, *rest)
        monkeypatch.setattr(made, "see", lambda images: scorer.Seen(*(part.expand(len(images), -1) for part in seen)))
        return made

    return look


@pytest.fixture
def no_icons(monkeypatch):
    """Drawings leave their icons out."""
    for module in (data, scenes, sights):
        monkeypatch.setattr(module, "any_icon", lambda *place, **more: "")


BLANK = torch.zeros(1, 3, 64, 64)


# --- prompts


@pytest.mark.parametrize(
    ("prompt", "reading"),
    [
        ("a cat", ("", ("a cat",), "")),
        ("an oil painting of people around a campfire", ("an oil painting of", ("people around a campfire",), "")),
        ("a photo of a cat on the grass", ("a photo of", ("a cat",), "on the grass")),
        ("a photo of a fox in a meadow", ("a photo of", ("a fox",), "")),
        ("a snowman in the desert", ("", ("a snowman",), "in the desert")),
        ("a cat and a rocket", ("", ("a cat", "a rocket"), "")),
        ("a lithograph of a fox next to a guitar", ("a lithograph of", ("a fox", "a guitar"), "")),
        ("bread and butter", ("", ("bread and butter",), "")),
        ("a high quality photo", ("a photo of", (), "")),
        ("", ("", (), "")),
    ],
)
def test_a_prompt_is_taken_apart(prompt, reading):
    assert parse(prompt) == Reading(*reading)


def test_names_are_distinct_and_synonyms_share_a_number():
    phrases = [phrase for group in scorer.names() for phrase in group]
    assert len(phrases) == len(set(phrases))
    assert scorer.number("a rocket ship") == scorer.number("a rocket")
    assert scorer.number("a bell tower") == scorer.number("a tower")


def test_a_scene_that_shows_a_noun_has_its_name():
    for noun in ("a dog", "a skull", "a pencil", "a house", "a sailboat"):
        assert noun in data.NOUNS
        assert any(noun in said for said in scorer.SCENES.values())
    assert len(scorer.names()) < len(data.NOUNS) + len(scorer.SCENES)


def test_every_scene_is_called_as_the_judges_know_it(no_icons):
    assert scorer.SCENES.keys() == scenes.SCENES.keys()
    for scene, said in scorer.SCENES.items():
        assert {scene(np.random.default_rng(k))[1] for k in range(8)} <= set(said)


@pytest.mark.parametrize("draw", [data.draw, scorer_pictures.lesson])
def test_what_a_drawing_shows_is_read_off_its_captions(no_icons, draw):
    for k in range(60):
        drawing = draw(np.random.default_rng(k))
        first, last, style, place = scorer_pictures._label(drawing)
        for caption in set(drawing.captions) - {data.HIGH_QUALITY}:
            if not caption.endswith(tuple(data.PLACES)):
                reading = parse(caption)
                assert {scorer.number(phrase) for phrase in reading.phrases} == {first, last}
                assert reading.style == scorer.STYLES[style]
                assert reading.place == scorer.PLACES[place]


def test_every_prompt_of_the_ranking_is_known_to_the_judges():
    assert len(illusions.PROMPTS) >= illusions.AMONG
    for prompt in illusions.PROMPTS:
        reading = parse(prompt)
        assert reading.style
        assert reading.phrases[0] in scorer.numbers()


def test_prompts_that_no_training_picture_has(no_icons):
    asked = {parse(prompt) for prompt in plan.placed(40)}
    assert len(asked) == 40
    drawn = {
        (reading.style, reading.place)
        for k in range(800)
        for reading in map(parse, data.draw(np.random.default_rng(k)).captions)
        if reading.place
    }
    assert drawn
    assert not drawn & {(reading.style, reading.place) for reading in asked}


# --- what the judges learn from


def test_lessons_are_even_over_names_and_styles_and_by_no_held_out_hand(no_icons):
    drawn = [scorer_pictures._label(scorer_pictures.lesson(np.random.default_rng(k))) for k in range(1000)]
    styles = Counter(style for *_, style, _ in drawn)
    assert all(styles[k] > 120 for k in range(len(scorer.STYLES)))
    assert len({name for name, *_ in drawn}) == len(scorer.names())
    assert icons.HELD_OUT not in icons.HANDS


def plain(rng):
    """A drawing that costs nothing: one colour, of one of the names."""
    noun = list(data.NOUNS)[rng.integers(len(data.NOUNS))]
    return data.Drawing(f'<rect width="256" height="256" fill="#{rng.integers(16**6):06x}"/>', "", (noun,))


@pytest.fixture
def plain_lessons(monkeypatch):
    monkeypatch.setattr(scorer_pictures, "lesson", plain)
    monkeypatch.setattr(scorer_pictures, "START", 8)


def test_lessons_are_renewed_and_go_on_from_any_number(plain_lessons, monkeypatch):
    styled = True
    monkeypatch.setattr(scorer_pictures, "augmented", lambda images, rng: (images, torch.full((len(images),), styled)))
    monkeypatch.setattr(scorer_pictures, "POOL", 12)
    whole, later = (scorer_pictures.Lessons(Residual.prepare, sequence=2, first=first) for first in (0, 1))
    again = scorer_pictures.AGAIN
    assert torch.equal(whole._kept.shown[again : 2 * again], later._kept.shown[:again])  # drawing 1
    batch = whole.batch(32, torch.Generator().manual_seed(0))
    assert batch.shown.shape == (32, 3, 64, 64)
    assert (batch.style == 0).all()
    assert torch.equal(whole._kept.shown[2 * again :], later._kept.shown[again : 2 * again])  # 32 / USES came first
    oldest = whole._kept.shown[:again].clone()
    styled = False
    whole.batch(32, torch.Generator())
    assert not torch.equal(whole._kept.shown[:again], oldest)
    assert (whole._kept.style[:again] == scorer_pictures.IGNORED).all()


def test_augmentation_keeps_shape_and_range_and_follows_its_generator():
    images = torch.rand(40, 3, 64, 64) * 2 - 1
    (first, styled), (again, _) = (scorer_pictures.augmented(images, torch.Generator().manual_seed(1)) for _ in "ab")
    assert first.shape == images.shape
    assert first.abs().max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, images)
    assert 0 < styled.sum() < 40  # some are recoloured and tell no style


@pytest.fixture
def recipe(plain_lessons, tmp_path, monkeypatch):
    """Makes "residual" a tiny judge that is trained in three updates, its checkpoints in a folder of the test."""
    monkeypatch.setattr(loop, "CHECKPOINTS", tmp_path)
    monkeypatch.setattr(loop.shutil, "which", lambda program: None)

    class Tiny(Residual):
        def __init__(self):
            super().__init__(width=4)

    made = train_scorer.Recipe(Tiny, sequence=2, seed=1, updates=3, batch=4, rate=1e-3)
    monkeypatch.setitem(train_scorer.JUDGES, "residual", made)
    return made


def test_a_judge_is_trained_once_and_again_where_the_recipe_is_another(recipe, monkeypatch):
    trained = train_scorer.train("residual")
    with monkeypatch.context() as patch:
        patch.setattr(train_scorer, "train", lambda name: pytest.fail("trained again"))
        kept = train_scorer.load("residual")
    for one, other in zip(trained.state_dict().values(), kept.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    first = train_scorer.digest("residual")
    monkeypatch.setitem(train_scorer.JUDGES, "residual", recipe._replace(seed=2))
    train_scorer.load("residual")
    assert train_scorer.digest("residual") != first


def test_training_a_judge_again_gives_the_same_weights(recipe, tmp_path):
    train_scorer.train("residual")
    first = train_scorer.digest("residual")
    for path in tmp_path.iterdir():
        path.unlink()
    train_scorer.train("residual")
    assert train_scorer.digest("residual") == first


# --- scores and ranks


@pytest.mark.parametrize("build", [Residual, Gradients])
def test_shapes(build):
    judge, images = build(8), torch.rand(3, 3, 64, 64) * 2 - 1
    names, *rest = (tuple(part.shape) for part in judge.see(images)[1:])
    assert names == (3, len(scorer.names()))
    assert rest == [(3, 5), (3, 6)]
    assert judge.scores(images, ["a cat", "a photo of a dog"]).shape == (3, 2)


@pytest.mark.parametrize("build", [Residual, Gradients])
def test_an_image_and_its_mirror_image_are_the_same_to_a_judge(build):
    judge, image = build(8), torch.rand(1, 3, 64, 64) * 2 - 1
    one, other = judge.see(image), judge.see(image.flip(-1))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 3, 32, 32), (1, 1, 64, 64)])
def test_images_of_another_shape_are_refused(judge, shape):
    with pytest.raises(ValueError, match=r"a judge takes \(N, 3, 64, 64\)"):
        judge.see(torch.zeros(shape))


def test_the_score_is_the_sum_of_the_log_probabilities_of_what_is_said(looking):
    judge = looking({"a cat": 16.0}, style="a photo of")
    log_name = 16 - math.log(math.exp(16) + len(scorer.names()) - 1)
    plain, styled, wrong, placed, pair = judge.scores(
        BLANK, ["a cat", "a photo of a cat", "a lithograph of a cat", "a cat on the grass", "a cat and a dog"]
    )[0].tolist()
    assert plain == pytest.approx(log_name, abs=1e-5)
    assert styled == pytest.approx(plain, abs=1e-4)  # the style is certain
    assert wrong == pytest.approx(plain - 50, abs=1e-4)
    assert placed == pytest.approx(plain - math.log(6), abs=1e-4)  # the place is not known: one in six
    assert pair == pytest.approx(plain - 8, abs=1e-4)


@pytest.mark.parametrize("ask", ["a spoon", "a cat in the rain"])
def test_what_is_no_name_cannot_be_scored(judge, ask):
    with pytest.raises(ValueError, match=f"'{ask}' is not among the"):
        judge.scores(BLANK, [ask])


def test_the_rank_counts_the_names_that_fit_better(looking):
    logits = looking({"a cat": 0.9, "a dog": 0.3, "a fox": 0.1}).see(BLANK.expand(4, -1, -1, -1)).names
    assert scorer.retrieval(logits, ["a cat", "a photo of a dog", "a fox", "a kitten"]).tolist() == [1, 2, 3, 1]


def test_a_pair_ranks_first_where_its_names_are_the_first_two(looking):
    logits = looking({"a cat": 0.5, "a dog": 0.6, "a fox": 0.1}).see(BLANK.expand(3, -1, -1, -1)).names
    assert scorer.retrieval(logits, ["a cat and a dog", "a dog next to a cat", "a cat and a fox"]).tolist() == [1, 1, 2]


@pytest.mark.parametrize("prompt", ["a high quality photo", ""])
def test_a_prompt_that_names_nothing_has_no_rank(prompt):
    with pytest.raises(ValueError, match="has no name to rank"):
        scorer.retrieval(torch.zeros(1, len(scorer.names())), [prompt])


def test_recall():
    assert scorer.recall(torch.tensor([1, 2, 5, 9]), 1) == 0.25
    assert scorer.recall(torch.tensor([1, 2, 5, 9]), 5) == 0.75


def test_both_judges_are_heard_and_their_agreement(looking):
    judges = Judges(looking({"a cat": 9.0}, style="a photo of"), looking({"a dog": 9.0, "a cat": 8.0}))
    found = evaluate.judged(judges, BLANK.expand(2, -1, -1, -1), ["a photo of a cat", "a lithograph of a dog"])
    assert found["n"] == 2
    assert found["R@1"][0] == found["style"][0] == 0.5
    assert found["second"]["R@1"][0] == 0.5
    assert found["second"]["R@5"][0] == 1
    assert found["agreement"][0] == 0
    assert "place" not in found


def test_a_sample_without_a_name_is_taken_for_the_most_probable(looking):
    judges = Judges(looking({"a city": 30.0}), looking({"a tower": 1.0}))
    (found,) = evaluate.photos(judges, [Job(lambda: BLANK[0], 1, {"k": 3, "gamma": 7})], BLANK)
    assert found["names"] == ["a city", "a tower"]
    assert found["probabilities"] == [
        pytest.approx(1),
        pytest.approx(math.e / (math.e + len(scorer.names()) - 1)),
    ]


# --- illusions, by hand


def test_alignment_is_the_score_of_the_worse_reading():
    assert measures.alignment(torch.tensor([[-0.5, -9.0], [-9.0, -2.0]])) == -2.0


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([[0.0, 0.0], [0.0, 0.0]], 0.5),  # one cannot tell
        ([[0.0, -30.0], [-30.0, 0.0]], 1.0),  # each shows its own
        ([[-30.0, 0.0], [0.0, -30.0]], 0.0),  # each shows the other's
        # rows: 3/4 and 1/2; columns: 3/4 and 1/2
        ([[math.log(3), 0.0], [0.0, 0.0]], (3 / 4 + 1 / 2) / 2),
    ],
)
def test_concealment_by_hand(scores, expected):
    assert measures.concealment(torch.tensor(scores)) == pytest.approx(expected, abs=1e-6)


def test_rank_among_prompts():
    scores = torch.tensor([-3.0, -1.0, -2.0, -9.0])
    assert [measures.rank(scores, own) for own in range(4)] == [3, 1, 2, 4]


def test_each_reading_is_judged_against_all_prompts(judge, monkeypatch):
    asked = []

    def scores(images, prompts):
        asked.append((images, prompts))
        return torch.tensor([[-1.0, -5.0] + [-9.0] * 18, [-1.0, -3.0] + [-2.0] * 18])

    monkeypatch.setattr(judge, "scores", scores)
    readings = torch.rand(2, 3, 64, 64)
    pair = ("an oil painting of an old man", "an oil painting of people around a campfire")
    found = illusions.judged(Judges(judge, judge), readings, pair)
    (images, prompts), _ = asked
    assert torch.equal(images, readings)
    assert prompts[:2] == [*pair]
    assert len(set(prompts)) == 20
    assert found["alignment"] == -3.0
    assert found["ranks"] == found["second"] == [1, 20]


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


def test_copies_are_looked_for_in_pixels_and_in_features(judge):
    training, real = torch.rand(2, 3, 64, 64) * 2 - 1, torch.rand(20, 3, 64, 64) * 2 - 1
    drawn = torch.cat([training[:1], torch.ones(1, 3, 64, 64)])
    found = evaluate.nearest(judge, drawn, {"real": real, "others": real}, training)
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


def test_spread():
    assert plan.spread("abcdefghij", 5) == ["a", "c", "e", "g", "i"]


def test_the_plan_counts_the_evaluations_that_the_drawing_takes(tiny_pocket, monkeypatch):
    from generators import models
    from generators.lab import Lab

    lab, counted = Lab(models.load("pocket")), []
    jobs = [plan.sample(lab, "a cat", gamma, stride=500) for gamma in (1, 7)]

    class Counted:
        def update(self, count):
            counted.append(count)

    images = plan.draw(lab.model, [job.work for job in jobs], Counted())
    assert images.shape == (2, 3, 64, 64)
    assert images.abs().max() <= 1
    assert sum(counted) == sum(job.evaluations for job in jobs) == 6


def test_what_the_evaluation_finds_fills_the_card(tiny_pocket, no_icons, monkeypatch):
    monkeypatch.setattr(evaluate, "plan", lambda lab: {part: jobs[:2] for part, jobs in plan.plan(lab).items()})
    monkeypatch.setattr(plan, "DIVERSE", (data.HIGH_QUALITY,))
    for name, value in {"TRAINING": 60, "FRESH": 1, "WORKERS": 0}.items():
        monkeypatch.setattr(evaluate, name, value)
    monkeypatch.setattr(train_scorer, "is_kept", lambda name: True)
    monkeypatch.setattr(train_scorer, "load", lambda name: train_scorer.JUDGES[name].build())
    monkeypatch.setattr(train_scorer, "digest", lambda name: name)
    styled = [data.Drawing("", style, (f"{style} a cat".strip(),)) for style in scorer.STYLES]
    lots = {lot: scorer_pictures.labelled(styled) for lot in ("icons", "scenes", "places", "pairs")}
    monkeypatch.setattr(evaluate, "tests", lambda: lots)

    found = illusions.rounded(evaluate.evaluate(Lab(models.load("pocket")), train_scorer.judges()))
    text = card.section(found, READINGS)
    assert found["model"]["digest"][:12] in text
    assert found["evaluations"] > 0
    assert found["judges"]["digests"] == {"residual": "residual", "gradients": "gradients"}
    assert found["nearest"]["pixels"]["references"].keys() >= {card.FRESH}
    assert found["seams"][1]["pixels"] == 256


def two(name: str, second: str) -> Figure:
    """A figure of two samples, each read upright and turned over, drawn through the lab."""

    def draw(lab, upright, flipped, k, show):
        x = lab.shared((upright, k), lambda: lab.sample(lab.guided(upright), k, 333))
        return x if show == "upright" else FLIP(x)

    cases = each(upright="a photo of a dog", flipped=second, show=("upright", "flipped"), k=(1, 0))
    return Figure(name, "c", "{k}", "a", cases, draw, row="{show}")


def test_all_readings_of_a_reports_figures_are_judged_sample_by_sample(tiny_pocket, monkeypatch, tmp_path):
    seen = []

    def judged(judges, readings, prompts):
        seen.append(readings)
        return {"prompts": prompts, "ranks": [len(seen), 0.123456]}

    pair, other = two("pair", "a photo of a lion"), two("other", "a photo of a fox")
    monkeypatch.setattr(illusions, "figures", lambda: {"1.8-pair": pair, "1.10-other": other})
    monkeypatch.setattr(illusions, "judged", judged)
    monkeypatch.setattr(illusions, "PATH", tmp_path / "illusions.json")
    monkeypatch.setattr(train_scorer, "digest", lambda name: name)
    model = models.load("pocket")
    illusions.write(model, None)
    told = json.loads((tmp_path / "illusions.json").read_text())
    assert told["model"]["digest"] == model.digest
    assert [(sample["figure"], sample["k"]) for sample in told["samples"]] == [
        ("1.8-pair", 0), ("1.8-pair", 1), ("1.10-other", 0), ("1.10-other", 1),
    ]  # fmt: skip
    assert told["samples"][3] == {
        "figure": "1.10-other", "k": 1, "shows": ["upright", "flipped"],
        "prompts": ["a photo of a dog", "a photo of a fox"], "ranks": [4, 0.1235],
    }  # fmt: skip
    for readings in seen:
        assert torch.equal(readings[1], FLIP(readings[0]))
    assert not torch.equal(seen[0], seen[1])
    assert model.evaluations == 2 * 2 * 2 * 4  # figures, samples, halves of guidance, steps


def test_the_figures_with_readings_are_those_of_the_last_sections():
    found = illusions.figures()
    assert {"1.8-campfire", "1.8-barista", "1.9-waterfalls"} <= set(found)
    assert all(name.startswith(("1.8-", "1.9-", "1.10-")) and not name.endswith("-large") for name in found)
    for figure in found.values():
        for _, cases in illusions.samples(figure):
            assert all(scorer.parse(reading(case)).phrases for case in cases)


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
    "seconds": 300.0,
}  # fmt: skip


READINGS = [pair([1, 2], [1, 1], 0), pair([1, 1], [1, 1], 1), pair([3, 1], [4, 4], 2)]


def test_the_summary_counts_samples_with_every_reading_first():
    assert card.all_first(READINGS) == [(("1.8-pair", "a", "b"), 1, 2, 3)]
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
    once = card.put(bare, text)
    assert once.startswith("# pocket\n\n")
    assert once.endswith("\n\n## Use\n")
    assert "what stood there" not in once
    assert card.put(once, text) == once
    assert "0.50 (0.25–0.75)" in text
    assert "1,234" in text


@pytest.mark.parametrize("broken", ["", card.BEGIN, card.END, card.END + card.BEGIN, 2 * (card.BEGIN + card.END)])
def test_a_card_without_its_markers_is_refused(broken):
    with pytest.raises(ValueError, match="the card needs one"):
        card.put(broken, "text")


def test_the_shipped_card_has_its_markers():
    from pathlib import Path

    text = (Path(card.__file__).parent / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert card.BEGIN in card.put(text, "new")


def test_the_chart_is_the_same_each_time(tmp_path):
    for name in ("one", "two"):
        card.chart(FOUND, tmp_path / f"{name}.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_floats_are_rounded_everywhere():
    assert illusions.rounded({"a": [0.123456, 2], "b": (1.0,)}) == {"a": [0.1235, 2], "b": [1.0]}


# --- the sheet


def test_the_sheet_has_a_hundred_prompts_none_twice():
    prompts = [prompt for group in sheet.GROUPS.values() for prompt in group]
    assert len(prompts) == len(set(prompts)) == 100


def test_only_the_free_prompts_of_the_sheet_name_what_pocket_has_not_learned():
    for heading, prompts in sheet.GROUPS.items():
        known = [set(parse(prompt).phrases) <= scorer.numbers().keys() for prompt in prompts]
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
