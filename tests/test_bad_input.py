"""What is wrong is told in one line that names the place; the exit status is not 0, and the old site stays."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import page_fixture as fixture
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from page_fixture import panel, prose, section

from generators import inputs
from generators.figures import Figure, Section, each
from generators.records.errors import BuildError, DeclarationError, InputError, TexError
from generators.running import staleness
from generators.running.run import load_section
from report.command import cli
from report.figures import figure_png
from report.page.builder import build
from report.problems import Problems
from report.prose.excerpt import excerpt
from report.prose.mathml import LONGEST, mathml
from report.records.drawn import load

PLACED = "/// fig | 1.2-blur\n///\n"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A report of one section that has been built, with templates of its own; the command works on it."""
    monkeypatch.setattr(figure_png, "compose", lambda *_: b"grid")
    root = fixture.folder(tmp_path / "report")
    (root / "templates").unlink()
    for path in (fixture.REPO / "templates").rglob("*"):
        if path.is_file():
            copy = root / "templates" / path.relative_to(fixture.REPO / "templates")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    section(root, "1.2", {"blur": fixture.blurred()})
    prose(root, "part_1_2", PLACED)
    build(root)
    monkeypatch.setattr(cli, "ROOT", root)
    return root


def refused(root: Path, *arguments: str) -> list[str]:
    """Run the command, which must fail and leave the site as it was; returns the lines that it says."""
    site = {path: path.read_bytes() for path in (root / "site").rglob("*") if path.is_file()}
    done = CliRunner().invoke(cli.main, arguments)
    assert done.exit_code in (1, 2), (done.output, done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.output
    assert {path: path.read_bytes() for path in (root / "site").rglob("*") if path.is_file()} == site
    return [line.removeprefix("report: ") for line in done.stderr.strip().splitlines()]


BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"

PROSE = {
    "not UTF-8": (PLACED.encode() + b"\ncaf\xe9\n", "4: not UTF-8"),
    "UTF-16": (PLACED.encode() + "\n\nhello".encode("utf-16"), "3: not UTF-8"),
    "a null character": (PLACED.encode() + b"\nno\x00thing\n", "4: the control character U+0000"),
    "an escape sequence": (PLACED.encode() + b"\x1b[31mred\n", "3: the control character U+001B"),
    "a C1 control": (PLACED.encode() + "\u0085\n".encode(), "3: the control character U+0085"),
    "a line separator": (PLACED.encode() + "a\u2028b\n".encode(), "3: the control character U+2028"),
    **{
        f"the direction of text, U+{ord(letter):04X}": (
            PLACED.encode() + f"a\n{letter}b\n".encode(),
            f"4: the control character U+{ord(letter):04X} in the prose",
        )
        for letter in BIDIRECTIONAL
    },
    "an unknown figure": (b"/// fig | 1.2-nothing\n///\n" + PLACED.encode(), "1: unknown figure"),
    "a figure twice": (PLACED.encode() * 2, "3: figure 1.2-blur is placed twice"),
    "a path for a figure": (b"/// fig | ../../etc/passwd\n///\n" + PLACED.encode(), "1: "),
    "an open directive": (PLACED.encode() + b"/// only | pocket\n", "3: `/// only` is never closed"),
    "an open fence": (PLACED.encode() + b"```\ncode\n", "3: this fenced code is never closed"),
    "an unknown directive": (PLACED.encode() + b"/// include | /etc/passwd\n///\n", "3: unknown directive 'include'"),
    "code from outside": (PLACED.encode() + b"/// code | ../../../etc/passwd::x\n///\n", "3: unknown code target"),
    "code from the root": (PLACED.encode() + b"/// code | /etc/passwd::root\n///\n", "3: unknown code target"),
    "code that is not Python": (PLACED.encode() + b"/// code | CITATION.cff::title\n///\n", "3: unknown code target"),
    "unknown TeX": (PLACED.encode() + b"\n$\\evil{x}$\n", "4: bad TeX"),
    "half a formula": (PLACED.encode() + b"\n$$ x\n", "4: `$$` without its counterpart"),
    "open braces": (PLACED.encode() + b"\n$$\\frac{a$$\n", "4: bad TeX"),
    "TeX of 100,000 letters": (PLACED.encode() + b"\n$" + b"{" * 50_000 + b"}" * 50_000 + b"$\n", "4: bad TeX"),
    "a script for a link": (PLACED.encode() + b"\n[x](javascript:alert(1))\n", "4: a link to 'javascript:"),
    "data for a link": (PLACED.encode() + b"\n[x](data:text/html,x)\n", "4: a link to 'data:"),
    "a file for a link": (PLACED.encode() + b"\n[x](file:///etc/passwd)\n", "4: a link to 'file:"),
    "a link out of the site": (PLACED.encode() + b"\n[x](../.report/pocket/1.2/record.json)\n", "4: "),
    "a link from the root": (PLACED.encode() + b"\n[x](/etc/passwd)\n", "4: /etc/passwd: use a relative address"),
    "an image from elsewhere": (PLACED.encode() + b"\n![x](https://example.org/x.png)\n", "4: the picture https://ex"),
    "an image from the disk": (
        PLACED.encode() + b"\n![x](../../x.png)\n",
        "4: the picture ../../x.png is not in report",
    ),
    "an unknown value": (PLACED.encode() + b"\n@val:1.2-blur[t=1].psnr\n", "4: @val:1.2-blur[t=1].psnr"),
    "an unknown section": (PLACED.encode() + b"\n@sec:9.9\n", "4: @sec:9.9: there is no section"),
    "a placeholder": (PLACED.encode() + b"\nSEED_HERE\n", "4: placeholder 'SEED_HERE'"),
}


@pytest.mark.parametrize("name", PROSE)
def test_prose(root, name):
    data, message = PROSE[name]
    (root / "report" / "writeup" / "part_1_2.md").write_bytes(data)
    lines = refused(root, "site")
    assert any(line.startswith(f"report/writeup/part_1_2.md:{message}") for line in lines), lines


@pytest.mark.parametrize(
    "name", ["part_x.md", "part_1_2_.md", "part_.md", "part_1..2.md", "part_²_1.md", "part_9_9.md"]
)
def test_names_of_prose_files(root, name):
    (root / "report" / "writeup" / name).write_text("Text.\n")
    (line,) = refused(root, "site")
    assert line.startswith(f"report/writeup/{name}: ")


TEMPLATES = {
    "a tag that does not end": ("section.html.j2", "{% if x %}\n", "section.html.j2:1: the template does not parse"),
    "an unknown tag": ("footer.html.j2", "\n\n{% evil %}\n", "footer.html.j2:3: the template does not parse"),
    "an unknown name": ("section.html.j2", "<p>\n{{ nothing }}</p>\n", "section.html.j2:2: the template fails"),
    "an unknown field": ("figure.html.j2", "\n{{ figure.nothing }}\n", "figure.html.j2:2: the template fails"),
    "a partial that is not there": ("figure.html.j2", "{% include 'gone.j2' %}", "templates"),
    "a partial from outside": ("figure.html.j2", "{% include '../../secret.txt' %}", "templates"),
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates(root, name):
    file, text, message = TEMPLATES[name]
    (root.parent / "secret.txt").write_text("secret")
    (root / "templates" / file).write_text(text)
    (line,) = refused(root, "site")
    assert line.startswith("templates")
    assert message in line
    assert "secret\n" not in line


def test_a_template_that_is_gone(root):
    (root / "templates" / "made.html.j2").unlink()
    (line,) = refused(root, "site")
    assert line.startswith("templates")
    assert "made.html.j2" in line


RECORDS = {
    "no JSON": lambda record: "{",
    "a list": lambda record: "[]",
    "null": lambda record: "null",
    "nested without end": lambda record: "[" * 100_000,
    "another format": lambda record: record.update(format=2),
    "no id": lambda record: record.pop("id"),
    "another id": lambda record: record.update(id="1.3"),
    "an id that is a path": lambda record: record.update(id="../1.2"),
    "a source outside": lambda record: record.update(source="../../etc/passwd"),
    "no model": lambda record: record.pop("model"),
    "a model that is a text": lambda record: record.update(model="pocket"),
    "figures that are none": lambda record: record.update(figures=None),
    "a figure without panels": lambda record: record["figures"][0].update(panels=[]),
    "a figure that is a path": lambda record: record["figures"][0].update(name="../../../x"),
    "a figure with markup": lambda record: record["figures"][0].update(name="<b>"),
    "a panel that is a path": lambda record: record["figures"][0]["panels"][0].update(file="../../x.webp"),
    "a digest that is a path": lambda record: record["figures"][0]["panels"][0].update(pixels="../" * 8),
    "a width of letters": lambda record: record["figures"][0]["panels"][0].update(width="wide"),
    "another width": lambda record: record["figures"][0]["panels"][0].update(width=65),
    "no alt text": lambda record: record["figures"][0]["panels"][0].update(alt=" "),
    "a control character": lambda record: record["figures"][0]["panels"][0].update(label="a\x00b"),
    "a prompt with one": lambda record: record["trajectories"][0].update(prompts=["a\x1b[0mb"]),
    "half a character": lambda record: record["figures"][0]["panels"][0].update(alt="\ud800"),
    "bad TeX": lambda record: record["figures"][0].update(caption="$\\evil$"),
}


@pytest.mark.parametrize("name", RECORDS)
def test_records(root, name):
    path = root / ".report/pocket/1.2/record.json"
    record = json.loads(path.read_text())
    changed = RECORDS[name](record)
    if isinstance(changed, str) and changed[0] in "{[n":
        path.write_text(changed)
    else:
        fixture.write_record(path, record)
    lines = refused(root, "site")
    assert lines[0].startswith(".report/pocket/1.2/record.json: "), lines
    assert "seal" not in lines[0]


LETTERS = {  # how a record gets a character that it may not have, and the place that is named
    "title": lambda record, letter: record.update(title=f"a{letter}"),
    "model.description": lambda record, letter: record["model"].update(description=letter),
    "figures[0].caption": lambda record, letter: record["figures"][0].update(caption=f"{letter}a"),
    "figures[0].panels[1].label": lambda record, letter: record["figures"][0]["panels"][1].update(label=letter),
    "trajectories[0].prompts[1]": lambda record, letter: record["trajectories"][0].update(prompts=["a", letter]),
    "figures[0].panels[0].case.deep[0]": lambda record, letter: record["figures"][0]["panels"][0]["case"].update(
        deep=[letter]
    ),
    "the name of a field of figures[0].panels[0].found": lambda record, letter: record["figures"][0]["panels"][0][
        "found"
    ].update({letter: 1}),
}


@pytest.mark.parametrize("place", LETTERS)
@pytest.mark.parametrize("letter", ["\x07", "\u202e", "\u2066"])
def test_control_characters_in_records_are_named_with_their_place(root, place, letter):
    path = root / ".report/pocket/1.2/record.json"
    record = json.loads(path.read_text())
    LETTERS[place](record, letter)
    fixture.write_record(path, record)
    (line,) = refused(root, "site")
    why = f"the control character U+{ord(letter):04X} in {place}"
    assert line == f".report/pocket/1.2/record.json: not a record ({why}); run `report section 1.2`"


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
@pytest.mark.parametrize("field", ["psnr", "seconds", "evaluations", "width"])
def test_numbers_that_are_none_in_records(root, literal, field):
    path = root / ".report/pocket/1.2/record.json"
    text, count = re.subn(rf'"{field}": [0-9.]+', f'"{field}": {literal}', path.read_text(), count=1)
    assert count == 1
    path.write_text(text)
    (line,) = refused(root, "site")
    why = f"{literal} is not a finite number"
    assert line == f".report/pocket/1.2/record.json: not a record ({why}); run `report section 1.2`"


def edited(path: Path) -> None:
    text = path.read_text()
    assert '"psnr": 20.25' in text
    path.write_text(text.replace('"psnr": 20.25', '"psnr": 99.9'))


def test_a_number_edited_by_hand(root, monkeypatch):
    monkeypatch.setattr(staleness, "changed_dependency", lambda *_: None)
    monkeypatch.setattr(staleness, "sections", lambda: {"1.2": root / "part_1_2.py"})
    says = "the record was edited by hand: its seal does not match its content"
    says += "; to draw it again, run `report section 1.2`"
    edited(root / "site/records/1.2.json")
    assert refused(root, "check") == [f"site/records/1.2.json: {says}"]
    assert refused(root, "verify") == [f"site/records/1.2.json: {says}"]
    edited(root / ".report/pocket/1.2/record.json")
    assert refused(root, "site") == [f".report/pocket/1.2/record.json: {says}"]
    done = CliRunner().invoke(cli.main, ["status"])
    assert done.output == "1.2    its record was edited by hand: its seal does not match its content\n"


def test_a_record_without_a_seal(root, monkeypatch):
    path = root / ".report/pocket/1.2/record.json"
    record = json.loads(path.read_text())
    del record["seal"]
    path.write_text(json.dumps(record))
    (line,) = refused(root, "site")
    says = "the record has no seal: it is from an older version or was edited by hand"
    assert line == f".report/pocket/1.2/record.json: {says}; to draw it again, run `report section 1.2`"
    monkeypatch.setattr(staleness, "sections", lambda: {"1.2": root / "part_1_2.py"})
    done = CliRunner().invoke(cli.main, ["status"])
    assert done.output.startswith("1.2    its record has no seal: ")


def test_a_published_record_edited_by_hand_is_replaced_by_the_one_drawn_here(root):
    before = (root / "site/records/1.2.json").read_bytes()
    edited(root / "site/records/1.2.json")
    build(root)
    assert (root / "site/records/1.2.json").read_bytes() == before


ARGUMENTS = {
    "no verb of ours": ["draw"],
    "a section without a number": ["section"],
    "an unknown section": ["section", "9.9"],
    "a section that is a path": ["section", "../../etc"],
    "a section with a trailing dot": ["section", "1.1."],
    "an empty section": ["section", ""],
    "an unknown model": ["all", "--model", "dall-e"],
    "a model that is a path": ["all", "--model", "../pocket"],
    "an unknown option": ["site", "--quickly"],
    "a port of letters": ["serve", "--port", "http"],
    "a port out of range": ["serve", "--port", "70000"],
    "a negative sample": ["verify", "--sample", "-1"],
    "a section that is not published": ["verify", "--section", "1.9"],
    "a remote that is an option": ["publish", "--remote", "--upload-pack=x"],
    "a site of another model": ["site", "--model", "deepfloyd"],
    "an unknown model's site": ["site", "--model", "../../x"],
}


@pytest.mark.parametrize("name", ARGUMENTS)
def test_arguments(root, name):
    lines = refused(root, *ARGUMENTS[name])
    assert lines
    assert len(lines[-1]) < 400


FIELDS = {"name": "a", "caption": "c", "label": "{k}", "alt": "a {k}", "cases": each(k=(1, 2)), "draw": print}
DECLARATIONS = {
    "a name that is a path": ({"name": "../x"}, "lower-case words joined by hyphens"),
    "a name that is an option": ({"name": "-rf"}, "lower-case words joined by hyphens"),
    "a name of 100 letters": ({"name": "a" * 100}, "at most 60"),
    "a name with a line break": ({"name": "a\n"}, "lower-case words joined by hyphens"),
    "no cases": ({"cases": ()}, "has no cases"),
    "a case that is no dict": ({"cases": (1,)}, "is not a dict"),
    "a case without names": ({"cases": ({1: 2},)}, "is not a dict"),
    "a case named lab": ({"cases": each(lab=1, k=2)}, "'lab'"),
    "a case that cannot be recorded": ({"cases": each(k=object())}, "cannot be recorded"),
    "a case that is not a number": ({"cases": each(k=float("nan"))}, "cannot be recorded"),
    "a control character in a prompt": ({"cases": each(k=("a\x00", "b"))}, "control character U+0000"),
    "a control character deep down": ({"cases": each(k=1, p=(["a\x07"],))}, "control character U+0007"),
    "half a character in a prompt": ({"cases": each(k=("\ud800", "b"))}, "control character U+D800"),
    "a control character in a caption": ({"caption": "a\x1b"}, "control character U+001B"),
    "an open brace": ({"label": "{k"}, "label does not parse"),
    "a brace without a name": ({"label": "{}"}, "names {}"),
    "an unknown field": ({"label": "{j}"}, "names {j}"),
    "an attribute": ({"label": "{k.__class__}"}, "label has {k.__class__}; write the name of a field"),
    "an item": ({"caption": "{k[0]}"}, "caption has {k[0]}; write the name of a field"),
    "a conversion": ({"alt": "{k!r}"}, "alt has {k!r}; write the name of a field"),
    "a conversion with a format": ({"row": "{k!s:>5}"}, "row has {k!s:>5}; write the name of a field"),
    "a field in a format": ({"label": "{k:{k}}"}, "label has {k:{k}}; write the name of a field"),
    "an attribute in a format": ({"label": "{k:{k.real}}"}, "label has {k:{k.real}}; write the name of a field"),
    "a format of a huge width": ({"label": "{k:999999999}"}, "label has {k:999999999}; write the name of a field"),
    "a format that makes characters": ({"label": "{k:c}"}, "label has {k:c}; write the name of a field"),
    "a format that is none": ({"label": "{k:q}"}, "label has {k:q}; write the name of a field"),
    "a format that does not fit": ({"label": "{k:.1f}", "cases": each(k=("a", "b"))}, "label cannot be filled"),
    "a format that does not fit an alt text": ({"alt": "{k:x}", "cases": each(k=(1.5, 2))}, "alt cannot be filled"),
    "a format that does not fit a caption": ({"caption": "{j:s}", "cases": each(j=1, k=(1, 2))}, "caption cannot be"),
    "a key that is no text": ({"cases": each(k=1, p=({1: 2},))}, "1 is the key of a dict"),
    "a prompt of 9,000 emoji": ({"cases": each(k=("🐂" * 9000, "b"))}, "has 9,000 characters; at most 300"),
    "a long text deep down": ({"cases": each(k=1, p=([["x" * 301]],))}, "field 'p' of a case: the text 'xxx"),
    **{
        f"U+{ord(letter):04X} in {place}": (fields, f"the control character U+{ord(letter):04X} in ")
        for letter in BIDIRECTIONAL
        for place, fields in (
            ("a prompt", {"cases": each(k=(f"a{letter}", "b"))}),
            ("a caption", {"caption": f"{letter}a"}),
            ("a label", {"label": "{k}" + letter}),
            ("an alt text", {"alt": {"*": letter}}),
            ("a row", {"row": letter}),
        )
    },
    "equal labels": ({"label": "same"}, "two panels have the label"),
}


@pytest.mark.parametrize("name", DECLARATIONS)
def test_declarations(name):
    fields, message = DECLARATIONS[name]
    with pytest.raises(DeclarationError) as caught:
        Figure(**{**FIELDS, **fields})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_formats_that_are_ordinary():
    for spec in ("", ":d", ":.1f", ":>6.2f", ":+,.0f", ":03d", ":*^9", ":e", ":%", ":x"):
        value = 7.25 if spec.endswith(("f", "e", "%")) else 7
        figure = Figure(**{**FIELDS, "label": f"{{{{k}}}} is {{k{spec}}}", "cases": each(k=(value, 9))})
        assert figure.label_of({"k": value}) == "{k} is " + format(value, spec[1:])


def test_a_control_character_in_a_title():
    with pytest.raises(
        DeclarationError, match=r"^section 1\.2: the control character U\+202E in the title; remove it$"
    ):
        Section("1.2", "a\u202eb", [])


@pytest.mark.parametrize(
    "prompt", ["", " ", "x" * 300, "Ένα σπίτι 家 بيت 🏠", "<b>&amp;</b>", "{k}", "a 'b' \"c\"", "👨‍👩‍👧"]
)
def test_prompts_that_are_odd_but_possible(root, prompt):
    """They are accepted, and shown as they are."""
    assert Figure(**{**FIELDS, "cases": each(k=(prompt, "b"))}).label_of({"k": prompt}) == prompt
    section(root, "1.2", {"blur": [panel("a", prompts=[prompt, ""], case={"prompt": prompt})]})
    page = build(root).read_text()
    assert "<b>&amp;</b>" not in page
    assert (
        json.dumps(prompt, ensure_ascii=False) in (root / "site/records/1.2.json").read_text() or not prompt.isascii()
    )


@pytest.mark.parametrize("section_id", ["", "1.", ".1", "1..2", "²", "١", "-1", "1.2\n", "../1", "1 2"])
def test_ids_of_sections(section_id):
    with pytest.raises(DeclarationError, match="numbers joined by dots"):
        Section(section_id, "Title", [])


MODULES = {
    "does not parse": ("def (:\n", "part_1_77.py:1"),
    "does not parse further down": ("x = 1\n\n\ny = (\n", "part_1_77.py:4"),
    "imports what is not there": ("import nowhere_at_all\n", "part_1_77.py:1: ModuleNotFoundError"),
    "fails": ("x = 1\ny = x / 0\n", "part_1_77.py:2: ZeroDivisionError"),
    "declares nothing": ("x = 1\n", "part_1_77.py: declares no SECTION"),
    "declares another": (
        'from ..figures import Section\n\nSECTION = Section("1.78", "T", [])\n', "part_1_77.py: declares section 1.78"
    ),
    "declares wrongly": (
        'from ..figures import Figure, Section\n\nSECTION = Section("1.77", "T", [\n'
        '    Figure("a", "c", "{x}", "alt", ({"k": 1},), print),\n])\n',
        "part_1_77.py:4: figure 'a': label names {x}",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_modules_of_sections(name, tmp_path, monkeypatch):
    """The file and the line are named, whoever meets the module first."""
    text, message = MODULES[name]
    path = tmp_path / "part_1_77.py"
    path.write_text(text)
    from generators import sections

    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(tmp_path)])
    monkeypatch.setattr(staleness, "sections", lambda: {"1.77": path})
    try:
        with pytest.raises(DeclarationError) as caught:
            load_section("1.77")
    finally:
        sys.modules.pop("generators.sections.part_1_77", None)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


IMAGES = {
    "empty.png": b"",
    "text.png": b"not an image",
    "cut.jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF",
    "bomb.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="99999"/>',
    "entity.svg": b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg xmlns="http://www.w3.org/2000/svg">'
    b'<image href="file:///etc/passwd"/></svg>',
    "script.ps": b"%!PS-Adobe-3.0 EPSF-3.0\nquit",
    "latin.svg": b"<svg>\xe9</svg>",
}


@pytest.mark.parametrize("name", IMAGES)
def test_images(name, tmp_path):
    (tmp_path / name).write_bytes(IMAGES[name])
    with pytest.raises(InputError) as caught:
        inputs.read(tmp_path / name)
    assert Path(name).stem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "root:" not in str(caught.value)


@pytest.mark.parametrize("citation", ["", "- a", "title: x\n", "title: [\n", "\x00"])
def test_citations(root, citation):
    (root / "CITATION.cff").write_text(citation)
    (line,) = refused(root, "site")
    assert line.startswith("CITATION.cff: ")


# --- properties


class _Markup(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.found.add(tag)
        self.attributes |= {name for name, _ in attrs}


def assert_one_line(error: Exception, without: str = "\n") -> None:
    assert "\n" not in str(error)
    assert without not in str(error)


def assert_places(error: BuildError) -> None:
    assert all(re.match(r"(report|\.report|site)/[^:]+:", line) for line in error.problems), error.problems


SCRAPS = st.sampled_from(
    [
        "<script>",
        "</script>",
        "<img src=x onerror=y>",
        "$",
        "$$",
        "\\frac{",
        "}",
        "`",
        "```",
        "///",
        "/// fig | 1.2-blur",
        "@fig:1.2-blur",
        "@val:",
        "[x](",
        "javascript:x)",
        "![",
        "|",
        "\n",
        "\n\n",
        "# ",
        "- ",
        "&lt;",
        "{{",
        "{%",
        '"',
    ]
)
PROSES = st.lists(SCRAPS | st.text(max_size=12), max_size=25).map("".join)
QUIET = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@QUIET
@given(text=PROSES)
@example(text="<script>alert(1)</script>")
@example(text="/// only | pocket\n<b>\n///")
def test_no_prose_breaks_the_builder_or_becomes_markup(tmp_path_factory, text):
    root = fixture.folder(tmp_path_factory.mktemp("prose") / "report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure_png, "compose", lambda *_: b"grid")
        section(root, "1.2", {"blur": fixture.blurred()[:1]})
        prose(root, "part_1_2", PLACED)
        plain = _Markup()
        plain.feed(build(root).read_text())
        (root / "report/writeup/part_1_2.md").write_bytes((PLACED + text).encode("utf-8", "surrogatepass"))
        try:
            html = build(root).read_text()
        except BuildError as error:
            assert_places(error)
            return
    made = _Markup()
    made.feed(html)
    assert html.count("<script") == 2  # the data block, page.js
    assert not {tag for tag in made.found - plain.found if tag in ("img", "iframe", "object", "style", "form", "base")}
    assert not {name for name in made.attributes if name.startswith("on") or name == "style"}


@QUIET
@given(
    tex=st.lists(
        st.sampled_from('\\frac \\sqrt { } ^ _ & \\\\ \\left( \\begin{align} < > " x 1'.split()) | st.text(max_size=3)
    ).map(" ".join)
)
def test_tex_is_mathml_or_an_error(tex):
    try:
        found = mathml(tex)
    except TexError as error:
        assert_one_line(error)
        return
    made = _Markup()
    made.feed(found)
    assert all(tag.startswith("m") or tag in ("semantics", "annotation") for tag in made.found), made.found


@pytest.mark.parametrize("unit", ["{", "\\sqrt", "\\left(", "^{", "\\frac{", "x_{", "\\begin{matrix}", "\\text{"])
def test_no_tex_of_the_length_allowed_ends_the_process(unit):
    """In a process of its own: what recurses too deeply cannot be caught."""
    code = (
        "from report.prose.mathml import LONGEST, TexError, mathml\n"
        f"unit = {unit!r}\n"
        "for end in ('', 'x'):\n"
        "    try: mathml((unit * LONGEST)[: LONGEST // len(unit) * len(unit) - 1] + end)\n"
        "    except TexError: pass\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=fixture.REPO)
    assert done.returncode == 0, done.stderr


def test_tex_that_is_too_long_is_refused():
    with pytest.raises(TexError, match=f"longer than {LONGEST} letters"):
        mathml("x" * (LONGEST + 1))


@QUIET
@given(
    target=st.text()
    | st.lists(st.sampled_from(["..", "/", "etc", "passwd", ".py", "::", "a", "generators/schedule.py"])).map("".join)
)
def test_code_comes_from_the_report_or_not_at_all(tmp_path_factory, target):
    root = tmp_path_factory.mktemp("code")
    (root / "inside.py").write_text("a = 1\n")
    (root.parent / "outside.py").write_text("a = 'secret'\n")
    try:
        assert "secret" not in excerpt(root, target).code
    except LookupError as error:
        assert_one_line(error, without="secret")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@QUIET
@given(value=JSON, where=st.lists(st.integers(0, 40), max_size=4))
def test_no_record_breaks_the_builder(tmp_path_factory, value, where):
    """Some value of a whole record becomes any other: it is read, or one line says what is wrong with it."""
    root = fixture.folder(tmp_path_factory.mktemp("record") / "report")
    path = section(root, "1.2", {"blur": fixture.blurred()[:1]})
    record = json.loads(path.read_text())
    holder, key = {"": record}, ""
    for step in where:
        inner = holder[key]
        if not isinstance(inner, (dict, list)) or not inner:
            break
        holder, key = inner, (list(inner)[step % len(inner)] if isinstance(inner, dict) else step % len(inner))
    holder[key] = value
    try:
        fixture.write_record(path, record if key else value)
    except (TypeError, ValueError):  # no dict, or a number that is none: it has no seal
        path.write_text(json.dumps(record if key else value))
    problems = Problems(root)
    found = load(root, "pocket", root / "site", problems)
    assert len(found) + len(problems.lines) <= 1
    assert all("\n" not in line for line in problems.lines)


NAMES = st.text(st.characters(codec="utf-8"), max_size=20)


@QUIET
@given(
    name=NAMES | st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True),
    label=NAMES | st.just("{k}"),
    cases=st.lists(st.dictionaries(st.just("k") | NAMES, JSON, max_size=2), max_size=3),
)
def test_a_declaration_is_refused_or_whole(name, label, cases):
    try:
        figure = Figure(name=name, caption="c", label=label, alt="a", cases=tuple(cases), draw=print)
    except DeclarationError as error:
        assert_one_line(error)
        return
    assert re.fullmatch(r"[a-z0-9-]{1,60}", figure.name)
    assert len({figure.label_of(case) for case in figure.cases}) == len(figure.cases)
    for case in figure.cases:
        assert json.loads(json.dumps(dict(case))).keys() == case.keys()


@pytest.mark.parametrize(
    "verb",
    ["all", "section 1.2", "site", "check", "status", "verify", "publish", "serve", "doctor", "sample x", "search"],
)
def test_an_unknown_model_is_refused_by_every_command(root, verb):
    (line,) = refused(root, *verb.split(), "--model", "pokcet")
    assert line == "model 'pokcet': choose one of pocket, deepfloyd, deepfloyd-l, deepfloyd-m"
    assert not (root / ".report" / "pokcet").exists()
