"""The judges: prompts taken apart, examples to learn from, their files, scores and ranks. Needs no icons."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter

import numpy as np
import pytest
import torch
from safetensors import safe_open

from generators.making.drawings import data, icons, scenes
from generators.making.drawings.names import NOUNS
from generators.making.judging import accuracy, examples, labelled, shipped, train
from generators.making.judging import scores as scoring
from generators.making.judging.judge import Judges
from generators.making.judging.networks import Gradients, Residual
from generators.making.judging.vocabulary import Reading
from generators.making.training import loop
from generators.making.training.pool import as_images
from generators.models import ModelError

KNOWN = labelled.vocabulary()
BLANK = torch.zeros(1, 3, 64, 64)


# --- prompts


@pytest.mark.parametrize(
    ("prompt", "reading"),
    [
        ("a cat", ("", ("a cat",), "")),
        ("an oil painting of people around a campfire", ("an oil painting of", ("people around a campfire",), "")),
        ("a photo of a cat on the grass", ("a photo of", ("a cat",), "on the grass")),
        ("a photo of a fox in a meadow", ("a photo of", ("a fox",), "")),
        ("an oil painting of a fox on the left", ("an oil painting of", ("a fox",), "")),
        ("a snowman in the desert", ("", ("a snowman",), "in the desert")),
        ("a cat and a rocket", ("", ("a cat", "a rocket"), "")),
        ("a lithograph of a fox next to a guitar", ("a lithograph of", ("a fox", "a guitar"), "")),
        ("bread and butter", ("", ("bread and butter",), "")),
        ("a high quality photo", ("a photo of", (), "")),
        ("", ("", (), "")),
    ],
)
def test_a_prompt_is_taken_apart(prompt, reading):
    assert KNOWN.parse(prompt) == Reading(*reading)


def test_names_are_distinct_and_synonyms_share_a_number():
    names = [name for synonyms in KNOWN.names for name in synonyms]
    assert len(names) == len(set(names))
    assert KNOWN.number("a rocket ship") == KNOWN.number("a rocket")
    assert KNOWN.number("a bell tower") == KNOWN.number("a tower")


def test_a_scene_that_shows_a_noun_has_its_name():
    for noun in ("a dog", "a skull", "a pencil", "a house", "a sailboat"):
        assert noun in NOUNS
        assert any(noun in names for names in labelled.SCENE_NAMES.values())
    assert len(KNOWN.names) < len(NOUNS) + len(labelled.SCENE_NAMES)


def test_every_scene_is_called_as_the_judges_know_it(no_icons):
    assert labelled.SCENE_NAMES.keys() == scenes.SCENES.keys()
    for scene, names in labelled.SCENE_NAMES.items():
        assert {scene(np.random.default_rng(k))[1] for k in range(8)} <= set(names)


@pytest.mark.parametrize("draw", [data.draw, labelled.training_drawing])
def test_what_a_drawing_shows_is_read_off_its_captions(no_icons, draw):
    for k in range(60):
        drawing = draw(np.random.default_rng(k))
        first, last, style, place = labelled._label(drawing)
        for caption in set(drawing.captions) - {data.HIGH_QUALITY}:
            reading = KNOWN.parse(caption)
            assert {KNOWN.number(name) for name in reading.names} == {first, last}
            assert reading.style == KNOWN.styles[style]
            assert reading.place == KNOWN.places[place]


def test_every_prompt_of_the_ranking_is_known_to_the_judges():
    assert len(scoring.PROMPTS) >= scoring.AMONG
    for prompt in scoring.PROMPTS:
        reading = KNOWN.parse(prompt)
        assert reading.style
        assert reading.names[0] in KNOWN.numbers


# --- what the judges learn from


def test_examples_are_even_over_names_and_styles_and_by_no_held_out_hand(no_icons):
    drawn = [labelled._label(labelled.training_drawing(np.random.default_rng(k))) for k in range(1000)]
    styles = Counter(style for *_, style, _ in drawn)
    assert all(styles[k] > 120 for k in range(len(KNOWN.styles)))
    assert len({name for name, *_ in drawn}) == len(KNOWN.names)
    assert icons.HELD_OUT not in icons.HANDS


def plain(rng):
    """A drawing that costs nothing: one colour, of one of the names."""
    noun = list(NOUNS)[rng.integers(len(NOUNS))]
    return data.Drawing(f'<rect width="256" height="256" fill="#{rng.integers(16**6):06x}"/>', "", (noun,))


@pytest.fixture
def plain_drawings(monkeypatch):
    monkeypatch.setattr(examples, "training_drawing", plain)
    monkeypatch.setattr(examples, "START", 8)


def test_examples_are_renewed_and_go_on_from_any_number(plain_drawings, monkeypatch):
    styled = True
    monkeypatch.setattr(examples, "augment", lambda images, rng: (images, torch.full((len(images),), styled)))
    monkeypatch.setattr(examples, "POOL", 12)
    whole, later = (examples.ExamplePool(Residual.prepare, sequence=2, first=first) for first in (0, 1))
    again = examples.AUGMENTATIONS
    assert torch.equal(whole._kept.inputs[again : 2 * again], later._kept.inputs[:again])  # drawing 1
    batch = whole.batch(32, torch.Generator().manual_seed(0))
    assert batch.inputs.shape == (32, 3, 64, 64)
    assert (batch.style == 0).all()
    assert torch.equal(whole._kept.inputs[2 * again :], later._kept.inputs[again : 2 * again])  # 32 / USES came first
    oldest = whole._kept.inputs[:again].clone()
    styled = False
    whole.batch(32, torch.Generator())
    assert not torch.equal(whole._kept.inputs[:again], oldest)
    assert (whole._kept.style[:again] == examples.IGNORED).all()


def test_augmentation_keeps_shape_and_range_and_follows_its_generator():
    images = torch.rand(40, 3, 64, 64) * 2 - 1
    (first, styled), (again, _) = (examples.augment(images, torch.Generator().manual_seed(1)) for _ in "ab")
    assert first.shape == images.shape
    assert first.abs().max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, images)
    assert 0 < styled.sum() < 40  # some are recoloured and tell no style


@pytest.fixture
def recipe(plain_drawings, tmp_path, monkeypatch):
    """Makes "residual" a tiny judge that is trained in three updates; its files lie in a folder of the test."""
    monkeypatch.setattr(loop, "CHECKPOINTS", tmp_path / "state")
    monkeypatch.setattr(shipped, "WEIGHTS", tmp_path)
    monkeypatch.setattr(loop.shutil, "which", lambda program: None)
    made = train.Recipe(width=4, sequence=2, seed=1, updates=3, batch=4, rate=1e-3)
    monkeypatch.setitem(train.RECIPES, "residual", made)
    return made


def test_training_a_judge_again_gives_the_same_file_and_another_recipe_another(recipe, monkeypatch):
    train.train("residual")
    first = shipped.digest("residual")
    train.train("residual")
    assert shipped.digest("residual") == first
    monkeypatch.setitem(train.RECIPES, "residual", recipe._replace(seed=2))
    train.train("residual")
    assert shipped.digest("residual") != first
    assert not list(loop.CHECKPOINTS.iterdir())


def test_the_training_of_a_judge_resumes(recipe, monkeypatch):
    losses, loss = [], train.loss

    def stopping(network, batch):
        if len(losses) == 2:
            raise KeyboardInterrupt
        losses.append(loss(network, batch))
        return losses[-1]

    with monkeypatch.context() as patch:
        patch.setattr(train, "loss", stopping)
        with pytest.raises(KeyboardInterrupt):
            train.train("residual")
    (checkpoint,) = loop.CHECKPOINTS.glob("judge_residual_*.pt")
    assert loop.load_checkpoint(checkpoint.stem)["update"] == 2
    assert not shipped.path("residual").exists()
    train.train("residual")
    assert shipped.load("residual").width == 4


# --- the files


def test_what_is_written_is_read_again(tmp_path, monkeypatch, random_judge):
    monkeypatch.setattr(shipped, "WEIGHTS", tmp_path)
    shipped.save("residual", random_judge, {"updates": 3})
    again = shipped.load("residual")
    assert (again.vocabulary, again.width) == (random_judge.vocabulary, random_judge.width)
    for one, other in zip(random_judge.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(one.half().float(), other)
    with safe_open(tmp_path / "residual.safetensors", framework="pt") as file:
        assert json.loads(file.metadata()["judge"])["recipe"] == {"updates": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["residual.safetensors"]


@pytest.mark.parametrize("name", shipped.NETWORKS)
def test_the_judges_that_ship_know_what_the_drawings_show_and_were_made_by_the_recipes(name):
    judge = shipped.load(name)
    assert judge.vocabulary == KNOWN, f"train it anew: python -m generators.making.judging.train {name}"
    with safe_open(shipped.path(name), framework="pt") as file:
        recipe = json.loads(file.metadata()["judge"])["recipe"]
    assert recipe == train.config(name)
    assert shipped.path(name).stat().st_size < 4e6


def test_the_judges_that_ship_recognise_drawings():
    """Drawings of scenes by other random numbers than those of the training; a guess would be right once in 83."""
    scene_names = [names for names in KNOWN.names if names in labelled.SCENE_NAMES.values()]
    drawn = labelled.labelled([labelled.drawing_of(names, "", np.random.default_rng(7)) for names in scene_names])
    images = as_images(drawn.rgb)
    for judge in shipped.judges():
        best = judge.predict(images).names.argmax(-1)
        assert (best == drawn.names[:, 0]).float().mean() > 0.6


@pytest.mark.parametrize("content", [b"", b"no tensors", None])
def test_a_judge_that_is_missing_or_damaged_is_told_in_one_line(tmp_path, monkeypatch, content):
    monkeypatch.setattr(shipped, "WEIGHTS", tmp_path)
    if content is not None:
        (tmp_path / "gradients.safetensors").write_bytes(content)
    with pytest.raises(
        ModelError, match=r"the judge 'gradients' cannot be loaded from .*; restore it with `git"
    ) as told:
        shipped.load("gradients")
    assert "\n" not in str(told.value)


def test_judges_that_know_different_things_are_refused(monkeypatch, random_judge):
    other = dataclasses.replace(KNOWN, places=KNOWN.places[1:])
    both = {"gradients": random_judge, "residual": Residual(other, width=4)}
    monkeypatch.setattr(shipped, "load", both.__getitem__)
    with pytest.raises(ModelError, match="the judges know different names, styles or places; train both anew: `python"):
        shipped.judges.__wrapped__()
    with pytest.raises(ModelError, match="train it anew"):
        accuracy.held_out(both["residual"], {})


# --- scores and ranks


@pytest.mark.parametrize("build", [Residual, Gradients])
def test_shapes(build):
    judge, images = build(KNOWN, 8), torch.rand(3, 3, 64, 64) * 2 - 1
    names, *rest = (tuple(part.shape) for part in judge.predict(images)[1:])
    assert names == (3, len(KNOWN.names))
    assert rest == [(3, 5), (3, 6)]
    assert judge.scores(images, ["a cat", "a photo of a dog"]).shape == (3, 2)


@pytest.mark.parametrize("build", [Residual, Gradients])
def test_an_image_and_its_mirror_image_are_the_same_to_a_judge(build):
    judge, image = build(KNOWN, 8), torch.rand(1, 3, 64, 64) * 2 - 1
    one, other = judge.predict(image), judge.predict(image.flip(-1))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 3, 32, 32), (1, 1, 64, 64)])
def test_images_of_another_shape_are_refused(random_judge, shape):
    with pytest.raises(ValueError, match=r"a judge takes \(N, 3, 64, 64\)"):
        random_judge.predict(torch.zeros(shape))


def test_the_score_is_the_sum_of_the_log_probabilities_of_what_is_said(judge_seeing):
    judge = judge_seeing({"a cat": 16.0}, style="a photo of")
    log_name = 16 - math.log(math.exp(16) + len(KNOWN.names) - 1)
    plain, styled, wrong, placed, pair = judge.scores(
        BLANK, ["a cat", "a photo of a cat", "a lithograph of a cat", "a cat on the grass", "a cat and a dog"]
    )[0].tolist()
    assert plain == pytest.approx(log_name, abs=1e-5)
    assert styled == pytest.approx(plain, abs=1e-4)  # the style is certain
    assert wrong == pytest.approx(plain - 50, abs=1e-4)
    assert placed == pytest.approx(plain - math.log(6), abs=1e-4)  # the place is not known: one in six
    assert pair == pytest.approx(plain - 8, abs=1e-4)


@pytest.mark.parametrize("ask", ["a spoon", "a cat in the rain"])
def test_what_is_no_name_cannot_be_scored(random_judge, ask):
    with pytest.raises(ValueError, match=f"'{ask}' is not among the"):
        random_judge.scores(BLANK, [ask])


def test_the_rank_counts_the_names_that_fit_better(judge_seeing):
    logits = judge_seeing({"a cat": 0.9, "a dog": 0.3, "a fox": 0.1}).predict(BLANK.expand(4, -1, -1, -1)).names
    assert accuracy.retrieval_ranks(logits, ["a cat", "a photo of a dog", "a fox", "a kitten"], KNOWN).tolist() == [
        1,
        2,
        3,
        1,
    ]


def test_a_pair_ranks_first_where_its_names_are_the_first_two(judge_seeing):
    logits = judge_seeing({"a cat": 0.5, "a dog": 0.6, "a fox": 0.1}).predict(BLANK.expand(3, -1, -1, -1)).names
    assert accuracy.retrieval_ranks(
        logits, ["a cat and a dog", "a dog next to a cat", "a cat and a fox"], KNOWN
    ).tolist() == [1, 1, 2]


@pytest.mark.parametrize("prompt", ["a high quality photo", ""])
def test_a_prompt_that_names_nothing_has_no_rank(prompt):
    with pytest.raises(ValueError, match="has no name to rank"):
        accuracy.retrieval_ranks(torch.zeros(1, len(KNOWN.names)), [prompt], KNOWN)


def test_recall():
    assert accuracy.recall(torch.tensor([1, 2, 5, 9]), 1) == 0.25
    assert accuracy.recall(torch.tensor([1, 2, 5, 9]), 5) == 0.75


# --- pictures with several readings, by hand


def test_alignment_is_the_score_of_the_worse_reading():
    assert scoring.alignment(torch.tensor([[-0.5, -9.0], [-9.0, -2.0]])) == -2.0


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
    assert scoring.concealment(torch.tensor(scores)) == pytest.approx(expected, abs=1e-6)


def test_rank_among_prompts():
    scores = torch.tensor([-3.0, -1.0, -2.0, -9.0])
    assert [scoring.rank(scores, own) for own in range(4)] == [3, 1, 2, 4]


def test_each_reading_is_judged_against_all_prompts(random_judge, monkeypatch):
    asked = []

    def scores(images, prompts):
        asked.append((images, prompts))
        return torch.tensor([[-1.0, -5.0] + [-9.0] * 18, [-1.0, -3.0] + [-2.0] * 18])

    monkeypatch.setattr(random_judge, "scores", scores)
    views = torch.rand(2, 3, 64, 64)
    pair = ("an oil painting of an old man", "an oil painting of people around a campfire")
    found = scoring.score_readings(Judges(random_judge, random_judge), views, pair)
    (images, prompts), _ = asked
    assert torch.equal(images, views)
    assert prompts[:2] == [*pair]
    assert len(set(prompts)) == 20
    assert found["alignment"] == -3.0
    assert found["ranks"] == found["second"] == [1, 20]
