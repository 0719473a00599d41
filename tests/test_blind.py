"""A blind reading: numbered pictures without anything that tells what they are, and the answers in a table."""

import json

import page_fixture as fixture
from click.testing import CliRunner
from page_fixture import two_ways
from PIL import Image

from generators.making.evaluation import blind


def test_pictures_are_numbered_and_mixed_and_the_answers_meet_their_prompts(tmp_path, monkeypatch):
    fixture.section(tmp_path, "1.8", {"turning": two_ways("one", "other"), "plain": [fixture.panel("x")]})
    page = tmp_path / "readings.md"
    page.write_text("Before.\n<!-- answers -->\nold\n<!-- end of answers -->\nAfter.\n")
    monkeypatch.setattr(blind, "STATE", tmp_path / ".report" / "pocket")
    monkeypatch.setattr(blind, "PATH", page)
    folder = tmp_path / "shown"
    assert CliRunner().invoke(blind.main, ["prepare", str(folder)]).exit_code == 0
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["001.png", "002.png", "003.png", "004.png"]
    with Image.open(folder / "001.png") as image:
        assert (image.size, image.info) == ((384, 384), {})
    (folder / "answers.json").write_text(json.dumps({name: {"sees": f"a | {name}", "second": ""} for name in names}))
    assert CliRunner().invoke(blind.main, ["collect", str(folder)]).exit_code == 0
    before, _, head, _, *rows, _, after = page.read_text().splitlines()
    assert (before, after) == ("Before.", "After.")
    assert head == "| figure | picture | prompt | seen | also |"
    key = json.loads((tmp_path / "shown.key.json").read_text())
    for name, about in key.items():
        cells = (about["figure"], about["panel"], about["prompt"], f"a / {name}", "–")
        assert f"| {' | '.join(cells)} |" in rows
    assert {about["prompt"] for about in key.values()} == {"an old man", "a campfire"}
