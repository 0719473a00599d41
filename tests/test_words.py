"""The words that pocket has learned: their file, the hints at others, and where these are told."""

from __future__ import annotations

import dataclasses
import json

import page_fixture as fixture
import pytest
from click.testing import CliRunner

from generators import models
from generators.figures import Figure, Section, each
from generators.models.pocket import words
from generators.records.record import read_drawn
from generators.running import run, staleness
from generators.running.session import Observer, Session, workload
from report.command import cli
from report.page.builder import build

HINT = "pocket has not learned ‘grandmother’; it draws something else"


def test_the_file_is_the_vocabulary_of_the_training_captions():
    from generators.making.judging import labelled

    text = json.dumps(dataclasses.asdict(labelled.vocabulary()))
    assert words.vocabulary() == json.loads(text), "run `python -m generators.making.judging.labelled`"


def test_every_caption_of_a_drawing_is_known(no_icons):
    import numpy as np

    from generators.making.drawings import data

    for seed in range(300):
        for caption in data.draw(np.random.default_rng(seed)).captions:
            assert words.hint(caption) == "", caption


def test_the_reports_own_prompts_are_known():
    asked = workload(map(run.load_section, staleness.sections())).prompts
    assert len(asked) >= 20
    assert [prompt for prompt in asked if words.hint(prompt)] == []


@pytest.mark.parametrize(
    ("prompt", "unknown"),
    [
        ("a photo of my grandmother", "‘grandmother’"),
        ("a pencil sketch of my grandmother", "‘grandmother’"),  # there is a pencil among the names
        ("A lithograph of a Capybara at night", "‘capybara’"),
        ("a high quality photo of a corgi riding a skateboard", "‘corgi’, ‘riding’ or ‘skateboard’"),
        ("one two three four five six", "‘one’, ‘three’, ‘four’ or ‘five’"),
        ("un éléphant", "‘un’ or ‘éléphant’"),
        ("two dogs", ""),
        ("an oil painting of a tree", ""),  # "a pine tree"
        ("an astronaut discovering an alien flower", ""),
        ("the Amalfi coast", ""),
        ("…", ""),
        ("", ""),
    ],
)
def test_a_prompt_of_which_no_word_is_known_is_told(prompt, unknown):
    assert words.hint(prompt) == (f"pocket has not learned {unknown}; it draws something else" if unknown else "")


def test_report_words_lists_things_styles_and_places():
    listed = CliRunner().invoke(cli.main, ["words"])
    assert listed.exit_code == 0
    assert "styles: a photo of …, an oil painting of …" in listed.output
    assert "\n  a robot, an android\n" in listed.output
    assert "… in the snow" in listed.output
    assert len(listed.output.splitlines()) > 70


def test_a_hint_is_told_before_drawing_and_stands_in_the_record(tiny_pocket, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.main, ["anagram", "a photo of my grandmother", "a dog", "--stride", "333", "-k", "1"])
    assert done.exit_code == 0, done.output
    told = " ".join(done.stderr.split())
    assert f"“a photo of my grandmother”: {HINT}; see `report words`" in told
    (record,) = tmp_path.glob("*.json")
    assert json.loads(record.read_text())["hints"] == {"a photo of my grandmother": HINT}


def test_the_page_says_what_was_not_learned(tiny_pocket, tmp_path):
    def draw(lab, prompt):
        return lab.sample(lab.guided(prompt), timesteps=[500, 0])

    prompts = ("a photo of my grandmother", "a dog")
    figure = Figure(
        "a", caption="A.", label="{prompt}", alt="A sample of {prompt}", cases=each(prompt=prompts), draw=draw
    )
    root = fixture.folder(tmp_path)
    place = root / ".report" / "pocket" / "1.5"
    about = {"source": "generators/sections/part_1_5.py"}
    Session(models.load("pocket"), Observer()).draw(Section("1.5", "Title", [figure]), place, about)
    (root / about["source"]).touch()
    assert read_drawn(place)["hints"] == {prompts[0]: HINT}
    page = build(root).read_text()
    assert "<dt>Not learned</dt>" in page
    assert f'<span class="which">{prompts[0]}:</span> {HINT}' in page
    assert page.count(HINT) == 1
