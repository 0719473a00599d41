"""The judge of what pocket draws: prompts taken apart, ranks, the scores of illusions, the card. Needs no icons."""

from __future__ import annotations

import math

import pytest
import torch

from generators.pocket import card, evaluate, scorer, scorer_pictures, sheet, train_scorer
from generators.pocket.scorer import Reading, parse
from generators.pocket.scorer_pictures import Pictures


@pytest.fixture(scope="module")
def judge():
    """A scorer of random weights, whose sentence vectors are the unit vectors e_0, e_1, …; scale 16."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = scorer.Scorer(len(scorer.names()), width=4)
    made.sentences.copy_(torch.eye(len(scorer.names()), 384))
    return made.eval()


@pytest.fixture
def looking(judge, monkeypatch):
    """A scorer that sees in every image what the test says: cosines by name, and logits of styles and places."""

    def look(cosines, style=(), place=()):
        sentence = torch.zeros(1, 384)
        for name, cosine in cosines.items():
            sentence[0, scorer.numbers()[name]] = cosine
        logits = [torch.zeros(1, len(known)) for known in (scorer.STYLES, scorer.PLACES)]
        for found, known, said in zip(logits, (scorer.STYLES, scorer.PLACES), (style, place), strict=True):
            if said:
                found[0, known.index(said)] = 50
        seen = scorer.Seen(torch.zeros(1, 32), sentence, *logits)
        monkeypatch.setattr(judge, "see", lambda images: scorer.Seen(*(part.expand(len(images), -1) for part in seen)))
        return judge

    return look


BLANK = torch.zeros(1, 3, 64, 64)


# --- prompts


@pytest.mark.parametrize(
    ("prompt", "reading"),
    [
        ("a cat", ("", ("a cat",), "")),
        ("an oil painting of people around a campfire", ("an oil painting of", ("people around a campfire",), "")),
        ("a photo of a cat on the grass", ("a photo of", ("a cat",), "on the grass")),
        ("a snowman in the desert", ("", ("a snowman",), "in the desert")),
        ("a cat and a rocket", ("", ("a cat", "a rocket"), "")),
        ("a lithograph of an owl next to a teapot", ("a lithograph of", ("an owl", "a teapot"), "")),
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
    assert scorer.numbers()["a rocket ship"] == scorer.numbers()["a rocket"]
    assert scorer.numbers()["a bell tower"] == scorer.numbers()["a tower"]


def test_every_prompt_of_the_ranking_is_known_to_the_scorer():
    for prompt in evaluate.PROMPTS:
        reading = parse(prompt)
        assert reading.style
        assert reading.phrases[0] in scorer.numbers()


# --- scores and ranks


def test_shapes(judge):
    images = torch.rand(3, 3, 64, 64) * 2 - 1
    seen = judge.see(images)
    assert [tuple(part.shape) for part in seen] == [(3, 32), (3, 384), (3, 5), (3, 6)]
    assert torch.allclose(seen.sentence.norm(dim=1), torch.ones(3))
    assert judge.scores(images, ["a cat", "a photo of a dog"]).shape == (3, 2)
    assert judge.retrieval(images, ["a cat", "a dog", "a cat and a dog"]).shape == (3,)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 3, 32, 32), (1, 1, 64, 64)])
def test_images_of_another_shape_are_refused(judge, shape):
    with pytest.raises(ValueError, match=r"the scorer takes \(N, 3, 64, 64\)"):
        judge.see(torch.zeros(shape))


def test_the_score_is_the_sum_of_the_log_probabilities_of_what_is_said(looking):
    judge = looking({"a cat": 1.0}, style="a photo of")
    count = len(scorer.names())
    log_name = 16 - math.log(math.exp(16) + count - 1)
    plain, styled, wrong, placed = judge.scores(
        BLANK, ["a cat", "a photo of a cat", "a lithograph of a cat", "a cat on the grass"]
    )[0].tolist()
    assert plain == pytest.approx(log_name, abs=1e-5)
    assert styled == pytest.approx(plain, abs=1e-4)  # the style is certain
    assert wrong == pytest.approx(plain - 50, abs=1e-4)
    assert placed == pytest.approx(plain - math.log(6), abs=1e-4)  # the place is not known: one in six


def test_the_rank_counts_the_names_that_fit_better(looking):
    judge = looking({"a cat": 0.9, "a dog": 0.3, "a fox": 0.1})
    prompts = ["a cat", "a photo of a dog", "a fox", "a kitten"]
    assert judge.retrieval(BLANK.expand(4, -1, -1, -1), prompts).tolist() == [1, 2, 3, 1]


def test_a_pair_ranks_first_where_its_names_are_the_first_two(looking):
    judge = looking({"a cat": 0.5, "a dog": 0.6, "a fox": 0.1})
    prompts = ["a cat and a dog", "a dog next to a cat", "a cat and a fox"]
    assert judge.retrieval(BLANK.expand(3, -1, -1, -1), prompts).tolist() == [1, 1, 2]


@pytest.mark.parametrize("prompt", ["a high quality photo", ""])
def test_a_prompt_that_names_nothing_has_no_rank(judge, prompt):
    with pytest.raises(ValueError, match="names nothing"):
        judge.retrieval(BLANK, [prompt])


def test_recall():
    assert scorer.recall(torch.tensor([1, 2, 5, 9]), 1) == 0.25
    assert scorer.recall(torch.tensor([1, 2, 5, 9]), 5) == 0.75


def test_a_training_that_was_killed_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    vectors = torch.nn.functional.normalize(torch.randn(sum(map(len, scorer.names())), 384), dim=1)
    monkeypatch.setattr(train_scorer, "sentences_of", lambda phrases: vectors[: len(phrases)])
    rgb = torch.randint(256, (8, 3, 64, 64), dtype=torch.uint8)
    number = torch.arange(8)
    pictures = Pictures(rgb, torch.stack([number, number], 1), number % 5, number % 6)
    whole = train_scorer.fit(pictures, epochs=2)

    class Killed(train_scorer.Progress):
        def step(self, note="", count=1):
            if (tmp_path / "checkpoint.pt").exists():
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_scorer, "Progress", Killed)
        with pytest.raises(KeyboardInterrupt):
            train_scorer.fit(pictures, 2, tmp_path / "checkpoint.pt")
    resumed = train_scorer.fit(pictures, 2, tmp_path / "checkpoint.pt")
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(one, other)
    assert torch.allclose(resumed.sentences.norm(dim=1), torch.ones(len(scorer.names())))


def test_augmentation_keeps_shape_and_range_and_follows_its_generator():
    images = torch.rand(4, 3, 64, 64) * 2 - 1
    first, again = (scorer_pictures.augmented(images, torch.Generator().manual_seed(1)) for _ in range(2))
    assert first.shape == images.shape
    assert first.abs().max() <= 1
    assert torch.equal(first, again)
    assert not torch.equal(first, images)


# --- illusions, by hand


def test_alignment_is_the_score_of_the_worse_reading():
    assert evaluate.alignment(torch.tensor([[-0.5, -9.0], [-9.0, -2.0]])) == -2.0


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
    assert evaluate.concealment(torch.tensor(scores)) == pytest.approx(expected, abs=1e-6)


def test_rank_among_prompts():
    scores = torch.tensor([-3.0, -1.0, -2.0, -9.0])
    assert [evaluate.rank(scores, own) for own in range(4)] == [3, 1, 2, 4]


def test_each_reading_is_judged_through_its_own_view(judge, monkeypatch):
    asked = []

    def scores(images, prompts):
        asked.append((images, prompts))
        return torch.tensor([[-1.0, -5.0] + [-9.0] * 18, [-1.0, -3.0] + [-2.0] * 18])

    monkeypatch.setattr(judge, "scores", scores)
    image = torch.rand(1, 3, 64, 64)
    pair = ("an oil painting of an old man", "an oil painting of people around a campfire")
    job = evaluate.Job(lambda: image[0], 1, {"pair": pair, "k": 0})
    (found,) = evaluate.illusions(judge, [job], image, evaluate.as_is, lambda x: x.flip(-2))
    ((images, prompts),) = asked
    assert torch.equal(images[0].flip(-2), images[1])
    assert prompts[:2] == [*pair]
    assert len(set(prompts)) == 20
    assert found["alignment"] == -3.0
    assert found["ranks"] == [1, 20]


# --- statistics and distances


def test_wilson_by_hand():
    share, low, high = evaluate.wilson(5, 10)
    assert (share, round(low, 4), round(high, 4)) == (0.5, 0.2366, 0.7634)  # the textbook's example
    assert evaluate.wilson(0, 10)[1] == pytest.approx(0)
    assert evaluate.wilson(10, 10)[2] == pytest.approx(1)


@pytest.mark.parametrize(("hits", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_impossible_counts_are_refused(hits, n):
    with pytest.raises(ValueError, match=f"{hits} hits of {n}"):
        evaluate.wilson(hits, n)


def test_distances_are_parts_of_the_full_range():
    black, white, grey = (torch.full((1, 3, 64, 64), value) for value in (-1.0, 1.0, 0.0))
    assert evaluate.rms(black, torch.cat([white, grey, black])).tolist() == [[1.0, 0.5, 0.0]]
    assert evaluate.mean_distance(torch.cat([black, white, grey])) == pytest.approx(2 / 3)


def test_a_copy_is_nearer_than_the_held_out_pictures_are(judge):
    training, real = torch.rand(2, 3, 64, 64) * 2 - 1, torch.rand(20, 3, 64, 64) * 2 - 1
    drawn = torch.cat([training[:1], real[:1] * 0 + 1])
    found = evaluate.nearest(judge, drawn, real, training)
    assert found["pixels"]["copies"][0] == 0.5
    assert found["pixels"]["drawn"][0] < found["pixels"]["held-out real"][0]


def test_spread():
    assert evaluate.spread("abcdefghij", 5) == ["a", "c", "e", "g", "i"]


def test_the_plan_counts_the_evaluations_that_the_drawing_takes(tiny_pocket, monkeypatch):
    from generators import models
    from generators.lab import Lab

    lab, counted = Lab(models.load("pocket")), []
    jobs = [evaluate.sample(lab, "a cat", gamma, stride=500) for gamma in (1, 7)]

    class Counted:
        def step(self, note="", count=1):
            counted.append(count)

    images = evaluate.draw(lab, jobs, Counted())
    assert images.shape == (2, 3, 64, 64)
    assert images.abs().max() <= 1
    assert sum(counted) == sum(job.evaluations for job in jobs) == 6


# --- the card

SHARE = [0.5, 0.25, 0.75]


def judged(**more):
    return {"n": 8, "R@1": SHARE, "R@5": SHARE, **more}


FOUND = {
    "model": {"name": "pocket", "digest": "0123456789abcdef"},
    "scorer": {
        "names": 3,
        "held out": {lot: {"n": 9, "R@1": 0.9, "R@5": 1.0, "style": 1.0, "place": 0.3} for lot in ("places", "pairs")},
    },
    "sampler": {"gamma": 7.0, "stride": 30, "threshold": 1.0},
    "names": [judged(gamma=1), judged(gamma=7)],
    "styles": [judged(gamma=7, style=SHARE)],
    "unseen": [judged(what="pair")],
    "sweep": [judged(threshold=t, gamma=g, stride=90) for t in (1.0, 1.5) for g in (1, 7)],
    "strides": [judged(stride=90), judged(stride=30)],
    "nearest": {
        "n": 8, "held out": 9, "training pictures": 1234,
        **{space: {"drawn": [0.1, 0.2, 0.3], "held-out real": [0.2, 0.3, 0.4], "copies": SHARE}
           for space in ("pixels", "features")},
    },
    "diversity": [{"prompt": "a cat", "seeds": 6, "drawn": 0.1, "training pictures": 1, "training": None}],
    "anagrams": [{"prompts": ["a", "b"], "k": 0, "alignment": -0.5, "concealment": 0.9, "ranks": [1, 2]}],
    "hybrids": [],
    "sdedit": {"distance": {"fox": {"1": 0.3, "20": 0.1}}, "falls": {"fox": True}},
    "evaluations": 12345,
    "seconds": 300.0,
}  # fmt: skip


def test_the_cards_section_is_put_between_its_markers_and_putting_it_twice_changes_nothing():
    text = card.section(FOUND)
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
    assert evaluate.rounded({"a": [0.123456, 2], "b": (1.0,)}) == {"a": [0.1235, 2], "b": [1.0]}


# --- the sheet


def test_the_sheet_has_a_hundred_prompts_none_twice():
    prompts = [prompt for group in sheet.GROUPS.values() for prompt in group]
    assert len(prompts) == len(set(prompts)) == 100


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
