"""What the prose says about pictures is shown beside those pictures only, and is kept where the author wrote it."""

from __future__ import annotations

from pathlib import Path

import click
import page_fixture as fixture
import pytest
from click.testing import CliRunner
from page_fixture import panel, prose, section

from generators.records.errors import BuildError, ObservationError
from generators.running import staleness
from report.command import cli, observe
from report.figures import figure_png
from report.page.builder import build
from report.prose import observations
from report.publishing import check

FIGURES = "/// fig | 0-stages\n///\n"
GRAPES, FIGS = "The grapes are blue.", "The figs are green."


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A report of section 0, with two panels, and a command line that works there."""
    monkeypatch.setattr(figure_png, "compose", lambda *_: b"grid")
    monkeypatch.setattr(cli, "ROOT", tmp_path)
    fixture.folder(tmp_path)
    draw(tmp_path)
    return tmp_path


def draw(root: Path, *seeds: int, model: str = "pocket", prompts: tuple[str, ...] = ("grapes", "figs")) -> None:
    """Draws section 0: a panel for each prompt."""
    seeds = seeds or (1, 2)
    panels = [
        panel(text, seed, case={"prompt": text}, prompts=[text]) for text, seed in zip(prompts, seeds, strict=True)
    ]
    section(root, "0", {"stages": panels}, model)


def said(root: Path, model: str = "pocket") -> tuple[str, list[str]]:
    """The page, and what the build tells."""
    told: list[str] = []
    return build(root, model, tell=told.append).read_text(), told


def run(*arguments: str, **options) -> tuple[int, str]:
    done = CliRunner().invoke(cli.main, ["observe", *arguments], **options)
    return done.exit_code, done.output


def written(root: Path, name: str = "part_0") -> str:
    return (root / "report" / "writeup" / f"{name}.md").read_text()


def seen(text: str, *targets: str) -> str:
    return f"\n{observations.header(targets, [''] * len(targets))}\n{text}\n///\n"


def bound(root: Path, text: str) -> None:
    """Writes the prose of section 0 and binds its observations to what is drawn."""
    prose(root, "part_0", FIGURES + text)
    code, output = run("--accept", "0-stages")
    assert code == 0, output


def test_an_observation_is_on_the_page_as_long_as_its_pictures_are(root):
    bound(root, seen(GRAPES, "0-stages"))
    assert written(root).count("/// seen | 0-stages ") == 1
    page, told = said(root)
    assert (GRAPES in page, told) == (True, [])
    draw(root, 1, 3)
    page, told = said(root)
    assert GRAPES not in page
    assert told == ["report/writeup/part_0.md:4: written about other pictures of 0-stages; left out"]
    assert GRAPES in written(root)
    draw(root)
    assert GRAPES in said(root)[0]


@pytest.mark.parametrize("change", [{"prompts": ("grapes", "dates")}, {"seeds": (1, 4)}])
def test_it_speaks_of_the_panels_that_it_names(root, change):
    bound(
        root, seen(GRAPES, "0-stages[prompt=grapes]") + seen(FIGS, "0-stages[prompt=figs]", "0-stages[prompt=grapes]")
    )
    draw(root, *change.get("seeds", (1, 2)), prompts=change.get("prompts", ("grapes", "figs")))
    page, told = said(root)
    assert (GRAPES in page, FIGS in page) == (True, False)
    assert told == ["report/writeup/part_0.md:8: written about other pictures of 0-stages[prompt=figs]; left out"]


def test_one_that_is_not_bound_is_left_out_and_said(root):
    prose(root, "part_0", FIGURES + seen(GRAPES, "0-stages"))
    page, told = said(root)
    assert GRAPES not in page
    assert told == ["report/writeup/part_0.md:4: not bound to pictures of 0-stages yet; left out"]


def test_of_observations_beside_each_other_the_one_that_fits_is_shown(root):
    bound(root, seen(GRAPES, "0-stages"))
    draw(root, 5, 6, model="deepfloyd")
    prose(root, "part_0", written(root) + seen(FIGS, "0-stages") + "\nMore.\n" + seen("Both are ripe.", "0-stages"))
    _, told = said(root, "deepfloyd")
    assert [line.split(":")[1] for line in told] == ["4", "8", "14"]
    code, output = run("--accept", "0-stages", "--model", "deepfloyd")
    assert code == 1
    assert "0-stages has several observations, one beside the other; accept part_0.md:4 or part_0.md:8" in output
    assert run("--accept", "part_0.md:8", "--accept", "part_0.md:14", "--model", "deepfloyd")[0] == 0
    for model, text, other, lines in (("pocket", GRAPES, FIGS, ["14"]), ("deepfloyd", FIGS, GRAPES, [])):
        page, told = said(root, model)
        assert (text in page, other in page) == (True, False)
        assert [line.split(":")[1] for line in told] == lines  # what is apart from them has no alternative


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("/// seen | 0-stage 12345678\n///\n", "4: there is no figure 0-stage; section 0 has: 0-stages"),
        ("/// seen | 0-stages[promt=figs]\n///\n", "4: no field 'promt'"),
        ("/// seen\nText.\n///\n", "4: `/// seen` must have the form `/// seen | 1.8-lion`"),
        ("/// seen | 0-stages\nText.\n", "4: `/// seen` is never closed"),
        ("/// seen | 0-stages\n/// fig | 0-stages\n///\n///\n", "5: `/// fig` inside `/// seen`"),
    ],
)
def test_what_is_wrong_with_an_observation_has_its_line(root, text, told):
    prose(root, "part_0", f"{FIGURES}\n{text}")
    with pytest.raises(BuildError) as caught:
        build(root)
    assert any(line.startswith(f"report/writeup/part_0.md:{told}") for line in str(caught.value).splitlines())


def test_of_another_model_nothing_is_asked(root):
    prose(root, "part_0", FIGURES + "\n/// only | deepfloyd\n/// seen | 0-nothing\n///\n///\n")
    assert said(root)[1] == []


# --- the verb


def test_without_a_terminal_it_lists_what_is_outdated_with_the_files(root):
    bound(root, seen(GRAPES, "0-stages[prompt=grapes]"))
    draw(root, 7, 2)
    code, output = run()
    assert code == 1
    assert output.splitlines() == [
        "report/writeup/part_0.md:4: written about other pictures of 0-stages[prompt=grapes]",
        f"    {GRAPES}",
        "  .report/pocket/0/stages-01.webp",
        "After an edit, run `report observe --accept FIGURE`, or give its place, as in part_0.md:6.",
    ]
    before = written(root)
    assert run("--accept", "0-stages") == (0, f"part_0.md:4: bound to {before_after(root, before)}\n")
    assert run() == (0, "")


def before_after(root: Path, before: str) -> str:
    """What the opening line names now; all other lines are as before."""
    old, new = before.splitlines(), written(root).splitlines()
    (changed,) = [line for line, was in zip(new, old, strict=True) if line != was]
    return changed.partition(" | ")[2]


def test_what_is_not_outdated_is_not_accepted(root):
    bound(root, seen(GRAPES, "0-stages"))
    code, output = run("--accept", "0-stages")
    assert (code, output) == (1, "report: no outdated observation of 0-stages; outdated: none\n")


def test_of_pictures_that_are_gone_nothing_is_accepted(root):
    bound(root, seen(GRAPES, "0-stages[prompt=grapes]"))
    draw(root, prompts=("dates", "figs"))
    code, output = run("--accept", "0-stages")
    assert code == 1
    assert "part_0.md:4: the page shows no 0-stages[prompt=grapes]; change what the block names" in output


class Author:
    """Answers what a terminal asks, and edits."""

    def __init__(self, monkeypatch, *answers: str, edited: str | None = None):
        monkeypatch.setattr(observe.sys.stdin, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(click, "prompt", lambda *_, **__: self.answers.pop(0))
        monkeypatch.setattr(click, "edit", lambda text, **_: edited)
        self.answers = list(answers)


def test_in_a_terminal_each_is_edited_kept_or_skipped(root, monkeypatch):
    """Texts that grow move those below."""
    several = [seen(GRAPES, "0-stages"), "\nAnd.\n", seen(FIGS, "0-stages"), "\nOr.\n", seen("Both.", "0-stages")]
    bound(root, "".join(several))
    draw(root, 8, 9)
    Author(monkeypatch, "edit", "keep", "skip", edited="One.\n\nTwo.\n")
    assert observe.observe(root, "pocket", (), started=False)
    page, told = said(root)
    assert ["One." in page, "Two." in page, GRAPES in page, FIGS in page, "Both." in page] == [1, 1, 0, 1, 0]
    assert [line.split(":")[1] for line in told] == ["18"]


def test_an_edit_that_is_given_up_changes_nothing(root, monkeypatch):
    bound(root, seen(GRAPES, "0-stages"))
    draw(root, 8, 9)
    before = written(root)
    Author(monkeypatch, "edit")
    assert observe.observe(root, "pocket", (), started=False)
    assert written(root) == before


@pytest.mark.parametrize("edit", ["New.\n", GRAPES + "\n" + GRAPES, ""])
def test_what_the_author_wrote_meanwhile_is_never_lost(root, edit):
    bound(root, seen(GRAPES, "0-stages"))
    draw(root, 8, 9)
    (found,) = observe.read(root, "pocket").outdated
    changed = edit and written(root).replace(GRAPES, edit)
    prose(root, "part_0", changed)
    with pytest.raises(ObservationError, match=r"part_0\.md:4: the file changed meanwhile"):
        observations.accept(found, "Something else.")
    assert written(root) == changed


def test_an_observation_is_started_for_each_figure_that_has_none(root):
    section(root, "1.1", {"noisy": [panel("a", 3)], "other": [panel("b", 4)]})
    bound(root, seen(GRAPES, "0-stages"))
    code, output = run("--start")
    assert code == 1
    assert "part_1_1.md: an empty observation of 1.1-noisy\npart_1_1.md: an empty observation of 1.1-other" in output
    for name in ("noisy", "other"):
        assert f"/// fig | 1.1-{name}\n///\n\n/// seen | 1.1-{name} " in written(root, "part_1_1")
    texts = written(root), written(root, "part_1_1")
    run("--start")
    assert (written(root), written(root, "part_1_1")) == texts
    assert said(root)[1] == []
    prose(root, "part_1_1", texts[1].replace("\n\n///\n", "\nWritten.\n///\n"))
    assert said(root)[0].count("Written.") == 2


# --- the check


@pytest.fixture
def checked(root, monkeypatch):
    """checked(): the problems of the page as it is built now, but for those of staleness and verification."""
    monkeypatch.setattr(staleness, "changed_dependency", lambda *_: None)
    monkeypatch.setattr(check, "_confirmed", lambda *_: None)
    monkeypatch.setattr(check.citation, "outdated", lambda *_: False)

    def problems(without: bool = False) -> list[str]:
        build(root)
        return check.publishing_problems(root, "pocket", without)

    return problems


def test_a_page_without_a_reflection_is_not_ready(root, checked):
    prose(root, "part_0", FIGURES)
    (line,) = checked()
    assert line.startswith("report/writeup/part_0.md: nothing is said about 0-stages; ")
    assert checked(without=True) == []
    run("--start")
    (line,) = checked()
    assert line.startswith("report/writeup/part_0.md:4: an empty observation of 0-stages; ")
    bound(root, seen(GRAPES, "0-stages"))
    assert checked() == []


def test_a_page_with_an_outdated_observation_is_not_ready(root, checked):
    bound(root, seen(GRAPES, "0-stages"))
    draw(root, 8, 9)
    (line,) = checked()
    assert line.startswith("report/writeup/part_0.md:4: outdated: written about other pictures of 0-stages; ")
    assert checked(without=True) == []
