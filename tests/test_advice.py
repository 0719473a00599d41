"""Every command that a message advises is for the model that the message is about."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import page_fixture as fixture
import pytest
from click.testing import CliRunner
from page_fixture import prose, section

from generators.records.errors import ReportError
from generators.running import staleness
from report.command import cli
from report.figures import figure_png
from report.page.builder import build
from report.problems import run
from report.publishing import check, publish, verify

PLACED = "/// fig | 1.2-blur\n///\n"


@pytest.fixture(params=["pocket", "deepfloyd", "deepfloyd-l"])
def model(request):
    return request.param


@pytest.fixture
def root(tmp_path, monkeypatch, model):
    """A report of one section that has been built; the module of another one is there, undrawn."""
    monkeypatch.setattr(figure_png, "compose", lambda *_: b"grid")
    root = fixture.folder(tmp_path / "report")
    section(root, "1.2", {"blur": fixture.blurred()}, model)
    (root / "generators" / "sections" / "part_1_1.py").touch()
    prose(root, "part_1_2", PLACED)
    build(root, model)
    return root


def advised(lines: list[str], *commands: str) -> None:
    """What the messages advise to run, each command for the model."""
    found = [command for line in lines for command in re.findall(r"`(report [^`]+|make publish[^`]*)`", line)]
    assert found == list(commands), lines


def of(model: str, command: str) -> str:
    return f"report {command}" + ("" if model == "pocket" else f" --model {model}")


def failing(build, *arguments) -> list[str]:
    with pytest.raises(ReportError) as caught:
        build(*arguments)
    return str(caught.value).splitlines()


def test_the_usual_model_is_not_named():
    assert run("section 1.1", "pocket") == "run `report section 1.1`"
    assert run("section 1.1", "deepfloyd-m") == "run `report section 1.1 --model deepfloyd-m`"


def test_a_section_that_is_not_drawn(root, model):
    prose(root, "part_1_1", "Text.\n")
    prose(root, "part_1_2", PLACED + "@fig:1.1-noisy\n\n/// fig | 1.1-noisy\n///\n")
    advised(failing(build, root, model), *[of(model, "section 1.1")] * 3)


def test_nothing_that_is_drawn(root, model):
    for folder in (".report", "site", "report/writeup"):
        shutil.rmtree(root / folder)
    advised(failing(build, root, model), of(model, "all"))


@pytest.mark.parametrize("text", ["{", '{"format": 1}', '{"format": 1, "seal": ""}', "[]"])
def test_a_damaged_record(root, model, text):
    (root / ".report" / model / "1.2" / "record.json").write_text(text)
    advised(failing(build, root, model), of(model, "section 1.2"))


def test_a_record_of_another_model(root, model):
    path = root / ".report" / model / "1.2" / "record.json"
    record = json.loads(path.read_text())
    record["model"]["name"] = "deepfloyd-m"
    fixture.write_record(path, record)
    advised(failing(build, root, model), of(model, "section 1.2"))


def test_a_missing_panel(root, model):
    (root / ".report" / model / "1.2" / "blur-02.webp").unlink()
    advised(failing(build, root, model), of(model, "section 1.2"))


def test_checks_of_a_site(root, model, monkeypatch):
    monkeypatch.setattr(staleness, "changed_dependency", lambda *_: "its source changed")
    lines = check.publishing_problems(root, model)
    advised(lines, of(model, "section 1.2"), of(model, "verify --section 1.2"))
    advised(failing(verify.verify, root, model), of(model, "section 1.2"))


def test_a_site_that_is_not_built_from_its_sources(root, model, monkeypatch):
    monkeypatch.setattr(staleness, "changed_dependency", lambda *_: None)
    monkeypatch.setattr(check, "_confirmed", lambda *_: None)
    prose(root, "part_1_2", "More.\n\n" + PLACED)
    advised(check.publishing_problems(root, model), of(model, "site"))


def test_no_site(root, model):
    shutil.rmtree(root / "site" / "records")
    advised(check.publishing_problems(root, model), of(model, "all"))
    shutil.rmtree(root / "site")
    advised(check.publishing_problems(root, model), of(model, "all"))


def test_publishing(root, model, monkeypatch):
    (root / "site" / "link").symlink_to("index.html")
    monkeypatch.setattr(publish, "git", lambda *_, **__: "")
    advised(failing(publish.plan, root, "origin", "gh-pages", model), of(model, "site"))
    changes = publish.Plan("origin", "gh-pages", "", "tree", [("A", "index.html")])
    monkeypatch.setattr(publish, "refusals", lambda *_: [])
    monkeypatch.setattr(publish, "plan", lambda *_: changes)
    told = CliRunner().invoke(cli.main, ["publish", "--model", model]).stdout
    advised([told], "make publish PUSH=1" + ("" if model == "pocket" else f" MODEL={model}"))


def test_no_other_message_advises_a_command():
    """A command that a message advises goes through `problems.run`, which knows the model."""
    own = Path(fixture.REPO, "report")
    for path in own.rglob("*.py"):
        code = re.sub(r'""".*?"""', "", path.read_text(), flags=re.DOTALL)
        if path.name != "problems.py":
            assert not re.search(r"run `report\b", code), path
