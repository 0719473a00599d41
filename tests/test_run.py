"""What is drawn again and what is not, and that a run may be killed at any moment."""

from __future__ import annotations

import ast
import fcntl
import hashlib
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generators import inputs, models
from generators.diffusion.schedule import strided
from generators.figures import Figure, Section, each
from generators.records.errors import DrawingError, ModelError, SectionError
from generators.records.record import read_drawn, seal
from generators.running import run, staleness
from generators.running.definitions import Essence
from generators.running.session import Observer, Session

ROOT = Path(__file__).parents[1]
CHEAP = ("1.1", "1.2")  # they ask the network nothing


class Told(run.Observer):
    """Collects what a run reports."""

    def __init__(self) -> None:
        self.why, self.drawn, self.waited, self.evaluations = {}, [], threading.Event(), 0

    def waits(self, line):
        self.waited.set()

    def begin(self, todo):
        self.why = {section_id: why for section_id, (why, _) in todo.items()}
        self.expected = {section_id: count for section_id, (_, count) in todo.items()}

    def evaluated(self, count, section_id=""):
        self.evaluations += count

    def done(self, section_id, record):
        self.drawn.append(section_id)


@pytest.fixture(scope="module")
def drawn(tiny_pocket, tmp_path_factory):
    """A root in which the cheap sections have been drawn; not to be changed."""
    root = tmp_path_factory.mktemp("drawn")
    told = Told()
    assert run.draw(root, "pocket", CHEAP, observer=told) == 2
    assert told.why == dict.fromkeys(CHEAP, "not drawn yet")
    assert told.drawn == [*CHEAP]
    return root


@pytest.fixture
def root(drawn, tmp_path):
    """A copy of it, to be changed."""
    shutil.copytree(drawn / ".report", tmp_path / ".report")
    return tmp_path


def state(root: Path) -> Path:
    return run.state_folder(root, "pocket")


def record(root: Path, section_id: str) -> dict:
    return read_drawn(state(root) / section_id)


def panels(root: Path, section_id: str) -> list[dict]:
    return [panel for figure in record(root, section_id)["figures"] for panel in figure["panels"]]


def pixels(root: Path, section_id: str) -> dict[str, str]:
    """The digest of every panel's pixels, by file."""
    return {panel["file"]: panel["pixels"] for panel in panels(root, section_id)}


def everything(root: Path, section_id: str) -> dict[str, tuple]:
    """All the files of a section: their bytes, and when they were written."""
    folder = state(root) / section_id
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in sorted(folder.iterdir())}


def why(root: Path, section_id: str) -> str | None:
    return staleness.why_stale(state(root) / section_id, section_id, "pocket")


# --- panels and records


@pytest.mark.parametrize("section_id", CHEAP)
def test_a_record_agrees_with_the_files_beside_it(drawn, section_id):
    files = {path.name for path in (state(drawn) / section_id).iterdir()}
    assert files == {"record.json"} | {panel["file"] for panel in panels(drawn, section_id)}
    for panel in panels(drawn, section_id):
        path = state(drawn) / section_id / panel["file"]
        with Image.open(path) as image:
            rgb = np.asarray(image)
            assert (image.format, image.mode, *image.size) == ("WEBP", "RGB", panel["width"], panel["height"])
        assert hashlib.sha256(rgb.tobytes()).hexdigest() == panel["pixels"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == panel["bytes"]


def test_the_panel_of_the_original_is_the_input_to_the_last_bit(drawn):
    """8 bits to -1 … 1 and back lose nothing, and neither does the file."""
    (original,) = [panel for panel in panels(drawn, "1.1") if panel["label"] == "original"]
    with Image.open(state(drawn) / "1.1" / original["file"]) as image:
        assert np.array_equal(np.asarray(image), (inputs.read(inputs.find("campanile")) * 255).round().astype(np.uint8))
    assert (original["origin"], original["inputs"], original["seeds"]) == ("photograph", ["campanile"], [])


def test_a_record_says_how_each_panel_was_made(drawn):
    noisy = panels(drawn, "1.1")[0]
    assert (noisy["label"], noisy["case"]) == ("t = 250", {"image": "campanile", "t": 250, "show": "t = 250"})
    assert (noisy["origin"], noisy["inputs"], noisy["seeds"]) == ("noised", ["campanile"], [42])
    assert noisy["trajectories"] == []
    whole = record(drawn, "1.1")
    assert whole["model"]["digest"] == whole["depends"]["weights"] == models.digest("pocket")
    assert whole["depends"]["inputs"] == {"campanile": inputs.digest_of(inputs.find("campanile"))}
    assert (whole["dtype"], whole["device"], whole["network_calls"]) == ("float32", "cpu", 0)


def test_a_record_is_sorted_text(drawn):
    text = (state(drawn) / "1.1" / "record.json").read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def test_sampled_panels_are_recorded_with_their_prompts_and_steps(sampled):
    assert record(sampled, "1.5")["network_calls"] == 34
    assert record(sampled, "1.5")["evaluations"] == 5 * 34
    for k, panel in enumerate(panels(sampled, "1.5")):
        assert (panel["origin"], panel["seeds"]) == ("sample", [42 + k])
        (walk,) = (record(sampled, "1.5")["trajectories"][number] for number in panel["trajectories"])
        assert (walk["stage"], walk["seed"], walk["gamma"]) == (1, 42 + k, [])
        assert walk["prompts"] == ["a high quality photo"]
        assert walk["timesteps"] == list(range(990, -1, -30))
        assert walk["evaluations"] == 34


@pytest.fixture(scope="module")
def sampled(drawn, tmp_path_factory):
    """A root with the cheap sections and 1.5, which samples."""
    root = tmp_path_factory.mktemp("sampled")
    shutil.copytree(drawn / ".report", root / ".report")
    told = Told()
    assert run.draw(root, "pocket", ["1.5"], observer=told) == 1
    assert told.evaluations == 5 * 34
    return root


# --- what is drawn again


def test_a_second_run_draws_nothing_and_touches_nothing(root):
    before, told = {section_id: everything(root, section_id) for section_id in CHEAP}, Told()
    assert run.draw(root, "pocket", CHEAP, observer=told) == 0
    assert (told.why, told.drawn) == ({}, [])
    assert {section_id: everything(root, section_id) for section_id in CHEAP} == before


def test_a_run_with_nothing_to_do_loads_no_model_and_no_section(root, monkeypatch):
    run.draw(root, "pocket", CHEAP)  # whose texts are up to date from now on
    monkeypatch.setattr(models, "load", lambda name: pytest.fail("the model was loaded"))
    monkeypatch.setattr(run, "load_section", lambda name: pytest.fail("a section was imported, and torch with it"))
    assert run.draw(root, "pocket", CHEAP) == 0
    (state(root) / run.WORDS).write_text("no JSON")
    monkeypatch.undo()
    assert run.draw(root, "pocket", CHEAP) == 0
    assert set(json.loads((state(root) / run.WORDS).read_text())) == {*CHEAP}


def test_again_draws_what_holds(root):
    before, told = pixels(root, "1.1"), Told()
    assert run.draw(root, "pocket", ["1.1"], again=True, observer=told) == 1
    assert told.why == {"1.1": "requested"}
    assert pixels(root, "1.1") == before


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES = {
    "one bit of a panel is wrong": (
        "noisy-02.webp is missing or damaged", lambda folder: damage(folder / "noisy-02.webp"),
    ),
    "a panel is missing": (
        "noisy-03.webp is missing or damaged", lambda folder: (folder / "noisy-03.webp").unlink(),
    ),
    "a panel is empty": (
        "noisy-01.webp is missing or damaged", lambda folder: (folder / "noisy-01.webp").write_bytes(b""),
    ),
    "the record is cut off": (
        "not drawn yet", lambda folder: os.truncate(folder / "record.json", 400),
    ),
    "the record is empty": ("not drawn yet", lambda folder: (folder / "record.json").write_text("")),
    "the record is of a later format": (
        "not drawn yet", lambda folder: (folder / "record.json").write_text('{"format": 2}'),
    ),
    "the record is missing": ("not drawn yet", lambda folder: (folder / "record.json").unlink()),
    "the folder is missing": ("not drawn yet", shutil.rmtree),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_section_is_drawn_again_and_no_other(root, name):
    says, do = DAMAGES[name]
    before, other = pixels(root, "1.1"), everything(root, "1.2")
    do(state(root) / "1.1")
    told = Told()
    assert run.draw(root, "pocket", CHEAP, observer=told) == 1
    assert told.why == {"1.1": says}
    assert pixels(root, "1.1") == before
    assert everything(root, "1.2") == other
    assert run.draw(root, "pocket", CHEAP) == 0


def test_a_changed_input_image_makes_those_stale_that_show_it(root, monkeypatch):
    real = inputs.digest_of
    monkeypatch.setattr(inputs, "digest_of", lambda path: "other" if path.stem == "campanile" else real(path))
    assert why(root, "1.1") == why(root, "1.2") == "the input image campanile changed"
    monkeypatch.setattr(inputs, "digest_of", lambda path: "other" if path.stem == "fox" else real(path))
    assert why(root, "1.1") is None


def test_changed_weights_make_everything_stale(root, tiny_pocket, tmp_path, monkeypatch):
    shutil.copytree(tiny_pocket, tmp_path / "weights")
    monkeypatch.setenv("POCKET_WEIGHTS", str(tmp_path / "weights"))
    staleness.weights_digest.cache_clear()
    try:
        assert why(root, "1.1") is None  # the same files in another place are the same
        (changed, *_) = sorted((tmp_path / "weights").rglob("*.safetensors"))
        damage(changed)
        staleness.weights_digest.cache_clear()
        assert why(root, "1.1") == why(root, "1.2") == "the model's weights changed"
    finally:
        staleness.weights_digest.cache_clear()


def copy_of_the_project(folder: Path) -> Path:
    """The sources and the input images, in a folder of their own; its root is where the sections were drawn."""
    shutil.copytree(ROOT / "generators", folder / "generators", ignore=shutil.ignore_patterns("__pycache__", "weights"))
    shutil.copytree(ROOT / "report" / "writeup" / "inputs", folder / "report" / "writeup" / "inputs")
    shutil.copy(ROOT / "report" / "report.toml", folder / "report")
    return folder


def in_another_process(folder: Path, code: str) -> str:
    """Run this in a new Python whose `generators` are those of the folder; its `root` is the folder."""
    preface = "from pathlib import Path; from generators.running import run, staleness; root = Path.cwd()\n"
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", preface + code], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


WHY = """
state = run.state_folder(root, "pocket")
print({section_id: staleness.why_stale(state / section_id, section_id, "pocket") for section_id in ("1.1", "1.2")})
"""

EDITS = {  # file: (old text, new text, which of the cheap sections are stale then)
    "the section's own equation": (
        "sections/part_1_1.py", "schedule.forward(x0, t,", "schedule.forward(2 * x0, t,", ["1.1"]
    ),
    "the section's cases": ("sections/part_1_1.py", "(250, 500, 750)", "(250, 500, 751)", ["1.1"]),
    "what only 1.2 imports": ("diffusion/filters.py", "-0.5 * (", "-0.6 * (", ["1.2"]),
    "the maths that both reach": ("diffusion/schedule.py", "abar_t**0.5 * x0", "abar_t**0.4 * x0", ["1.1", "1.2"]),
    "the lab": ("lab.py", "STREAM = 1_000_000", "STREAM = 2_000_000", ["1.1", "1.2"]),
    "the reading of input images": ("inputs.py", "_SVG_OVERSAMPLING = 4", "_SVG_OVERSAMPLING = 8", ["1.1", "1.2"]),
    "the model in use": ("models/pocket/patches.py", "COARSE = 850", "COARSE = 800", ["1.1", "1.2"]),
    "another model": ("models/deepfloyd/text_projections.py", "(v + 1) / 2", "(v + 2) / 2", []),
    "another section": ("sections/part_1_5.py", "(0, 1, 2, 3, 4)", "(0, 1, 2, 3)", []),
    "a helper of other sections": ("editing.py", "(1, 3, 5", "(1, 2, 5", []),
    "a section's docstring": ("sections/part_1_1.py", '"""1.1: the', '"""New words for 1.1: the', []),
    "a docstring and a comment of the maths": (
        "diffusion/schedule.py", "import torch\n", '"""Another docstring."""\nimport torch  # a comment\n', []
    ),
    "the layout of a line": ("sections/part_1_1.py", "lab.noise())", "\n        lab.noise(),\n    )", []),
    "a label": ("sections/part_1_1.py", 'label="{show}"', 'label="level {show}"', []),
    "a title": ("sections/part_1_1.py", "Implementing the forward", "Writing the forward", []),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_edits_of_the_source_make_stale_what_they_reach_and_no_words_do(root, name):
    file, old, new, stale = EDITS[name]
    path = copy_of_the_project(root) / "generators" / file
    source = path.read_text(encoding="utf-8")
    assert source.count(old) >= 1
    path.write_text(source.replace(old, new, 1), encoding="utf-8")
    expected = {section_id: "its source changed" if section_id in stale else None for section_id in CHEAP}
    assert in_another_process(root, WHY) == str(expected)


def test_moved_files_make_nothing_stale(root):
    """The imported modules move, and every import with them; the panels stay the same."""
    copied = copy_of_the_project(root) / "generators"
    (copied / "diffusion" / "filters.py").rename(copied / "blurs.py")
    (copied / "prompts.py").rename(copied / "sections" / "texts.py")
    for path in copied.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        text = text.replace("from .filters import", "from ..blurs import").replace("from ..prompts", "from .texts")
        path.write_text(text.replace("..diffusion.filters import", "..blurs import"), encoding="utf-8")
    assert in_another_process(root, WHY) == str({"1.1": None, "1.2": None})


def test_a_changed_file_in_the_folder_of_inputs_is_seen(root):
    svg = copy_of_the_project(root) / "report" / "writeup" / "inputs" / "campanile.svg"
    svg.write_text(svg.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert in_another_process(root, WHY) == str(dict.fromkeys(CHEAP, "the input image campanile changed"))


def test_changed_words_are_put_into_the_record_without_drawing(root):
    path = copy_of_the_project(root) / "generators" / "sections" / "part_1_1.py"
    source = path.read_text(encoding="utf-8")
    for old, new in (
        ("Implementing the forward process", "Adding noise"),
        ("The {image} at increasing noise levels, and without noise.", "New caption."),
        ('label="{show}"', 'label="level: {show}"'),
        ("The {image} under noise, {show}", "New alt text, {show}"),
    ):
        assert old in source
        source = source.replace(old, new)
    path.write_text(source, encoding="utf-8")
    before, images, other = record(root, "1.1"), everything(root, "1.1"), everything(root, "1.2")
    assert in_another_process(root, f'print(run.draw(root, "pocket", {CHEAP!r}))') == "0"
    after = record(root, "1.1")
    assert (after["title"], after["figures"][0]["caption"]) == ("Adding noise", "New caption.")
    assert [panel["label"] for panel in panels(root, "1.1")] == [
        "level: t = 250", "level: t = 500", "level: t = 750", "level: original"
    ]  # fmt: skip
    assert panels(root, "1.1")[0]["alt"] == "New alt text, t = 250"

    assert after["seal"] == seal(after)
    for words in ("title", "seal"):
        before.pop(words), after.pop(words)
    for kept in (before, after):
        for figure in kept["figures"]:
            figure.pop("caption")
            for panel in figure["panels"]:
                panel.pop("label"), panel.pop("alt"), panel.pop("row")
    assert after == before
    images.pop("record.json")
    assert {name: kept for name, kept in everything(root, "1.1").items() if name != "record.json"} == images
    assert everything(root, "1.2") == other


def test_a_new_section_is_a_new_file(root):
    copied = copy_of_the_project(root) / "generators" / "sections"
    text = (copied / "part_1_1.py").read_text(encoding="utf-8")
    (copied / "part_1_10.py").write_text(text.replace('"1.1"', '"1.10"'), encoding="utf-8")
    assert in_another_process(root, "print(*staleness.sections())").split()[-2:] == ["1.9", "1.10"]
    assert in_another_process(root, 'print(run.load_section("1.10").id)') == "1.10"
    says = WHY.replace('("1.1", "1.2")', '("1.1", "1.2", "1.10")')
    assert in_another_process(root, says) == str({"1.1": None, "1.2": None, "1.10": "not drawn yet"})


# --- alone as together


def test_a_section_drawn_alone_equals_the_same_in_a_larger_run(sampled, tmp_path):
    assert run.draw(tmp_path, "pocket", ["1.1", "1.5", "1.2"]) == 3
    for section_id in ("1.1", "1.2", "1.5"):
        assert pixels(tmp_path, section_id) == pixels(sampled, section_id)
    assert len(set(pixels(sampled, "1.5").values())) == 5


# --- killed


def killed(root: str, section_id: str, moment: int, what: str) -> None:
    """Draw, and end this process at the n-th file operation in the root, or after the n-th call of the network."""
    passed = 0

    def one_more() -> None:
        nonlocal passed
        passed += 1
        if passed == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, arguments: tuple) -> None:
        writes = event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "open")
        if writes and arguments and str(arguments[0]).startswith(root):
            one_more()

    import torch

    torch.set_num_threads(1)  # the threads of the process that this one was forked from are not here
    report = Told()
    if what == "file":
        sys.addaudithook(audit)
    else:
        report.evaluated = lambda count: one_more()
    run.draw(Path(root), "pocket", [section_id], again=True, observer=report)


def start(*arguments) -> int:
    """Run `killed` in a process of its own, forked so that it starts at once. Returns its exit code."""
    process = multiprocessing.get_context("fork").Process(target=killed, args=arguments)
    process.start()
    process.join(60)
    process.kill()
    process.join()
    return process.exitcode


def make_older(folder: Path) -> None:
    """Replaces a section by another complete one that differs in every file, so that a mixture of both is detected."""
    kept = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    for panel in (panel for figure in kept["figures"] for panel in figure["panels"]):
        data = (folder / panel["file"]).read_bytes() + b"older"
        (folder / panel["file"]).write_bytes(data)
        panel["bytes"] = hashlib.sha256(data).hexdigest()
    (folder / "record.json").write_text(json.dumps({**kept, "seal": seal(kept)}), encoding="utf-8")


def test_killed_before_any_of_its_file_operations_a_run_leaves_whole_sections(root, tmp_path, monkeypatch):
    """Kills at every change of the folder, one after the other, until a run completes."""
    loaded = models.load("pocket")
    monkeypatch.setattr(models, "load", lambda name: loaded)  # the forked processes have it at once
    digests, other, folder = pixels(root, "1.1"), everything(root, "1.2"), state(root) / "1.1"
    older = tmp_path / "older"
    shutil.copytree(folder, older)
    make_older(older)
    moment, missing = 0, 0
    while True:
        moment += 1
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(older, folder)
        if (code := start(str(root), "1.1", moment, "file")) != -signal.SIGKILL:
            break
        if folder.exists():
            assert why(root, "1.1") is None
        else:
            missing += 1
            assert run.draw(root, "pocket", ["1.1"]) == 0  # the folder of before takes its place again
            assert why(root, "1.1") is None
        assert pixels(root, "1.1") == digests
        assert everything(root, "1.2") == other
    assert code == 0
    assert moment > 12  # the folder, four panels, the record, the renames, the old folder's files
    assert missing <= 1  # between the two renames
    assert run.draw(root, "pocket", ["1.1"], again=True) == 1
    assert {path.name for path in state(root).iterdir()} == {"1.1", "1.2", "lock", run.WORDS}


@pytest.mark.parametrize("moment", [1, 20])
def test_killed_while_it_samples_a_run_loses_only_that_section(sampled, tmp_path, moment):
    shutil.copytree(sampled / ".report", tmp_path / ".report")
    others = {section_id: everything(tmp_path, section_id) for section_id in CHEAP}
    assert start(str(tmp_path), "1.5", moment, "network") == -signal.SIGKILL
    assert {section_id: everything(tmp_path, section_id) for section_id in CHEAP} == others
    assert why(tmp_path, "1.5") is None  # what was there before is still there
    shutil.rmtree(state(tmp_path) / "1.5")
    assert run.draw(tmp_path, "pocket", [*CHEAP, "1.5"]) == 1
    assert pixels(tmp_path, "1.5") == pixels(sampled, "1.5")
    assert {section_id: everything(tmp_path, section_id) for section_id in CHEAP} == others


def test_an_error_while_drawing_leaves_what_was_there(root, monkeypatch):
    from generators.diffusion import schedule

    before = everything(root, "1.1")
    monkeypatch.setattr(schedule.Schedule, "forward", lambda *arguments: 1 / 0)
    with pytest.raises(DrawingError) as caught:
        run.draw(root, "pocket", ["1.1"], again=True)
    first, statement = str(caught.value).splitlines()
    case = "case image='campanile', t=250, show='t = 250'"
    assert first == f"figure 1.1-noisy, {case}: ZeroDivisionError: division by zero"
    assert re.fullmatch(r"  generators/sections/part_1_1\.py:\d+: return .*lab\.schedule\.forward\(.*", statement)
    assert everything(root, "1.1") == before
    assert {path.name for path in state(root).iterdir()} == {"1.1", "1.2", "lock", run.WORDS}


# --- errors and two at once


def test_an_unknown_section_is_refused_in_one_line_that_lists_them(root):
    with pytest.raises(SectionError) as caught:
        run.draw(root, "pocket", ["1.1", "1.77"])
    assert str(caught.value) == f"there is no section 1.77; the sections are {', '.join(staleness.sections())}"


def test_an_unknown_model_is_refused_in_one_line(tmp_path):
    with pytest.raises(ModelError) as caught:
        run.draw(tmp_path, "dalle", ["1.1"])
    assert str(caught.value) == "model 'dalle': choose one of pocket, deepfloyd, deepfloyd-l, deepfloyd-m"


def test_a_model_without_weights_is_refused_in_one_line_that_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPFLOYD_WEIGHTS", str(tmp_path / "none"))
    with pytest.raises(ModelError, match=r"no weights .* in .*none; set DEEPFLOYD_WEIGHTS to a folder") as caught:
        run.draw(tmp_path, "deepfloyd", ["1.1"])
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("record.json"))


def test_a_second_run_waits_for_the_first(root):
    from filelock import FileLock

    told, counts = Told(), []
    with FileLock(state(root) / "lock"):
        second = threading.Thread(
            target=lambda: counts.append(run.draw(root, "pocket", ["1.1"], again=True, observer=told))
        )
        second.start()
        assert told.waited.wait(30)
        second.join(0.2)
        assert (counts, told.drawn) == ([], [])
    second.join(60)
    assert counts == [1]
    assert told.drawn == ["1.1"]


def test_what_is_synced_is_open_for_writing(root, monkeypatch):
    """Windows refuses to sync what is open for reading only."""
    synced = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE))
    run.draw(root, "pocket", ["1.1"], again=True)
    assert len(synced) > 3
    assert os.O_RDONLY not in synced


def test_a_run_that_finds_no_other_does_not_wait(root):
    told = Told()
    run.draw(root, "pocket", ["1.1"], observer=told)
    assert not told.waited.is_set()


def test_fields_that_a_newer_python_adds_to_the_syntax_change_no_digest():
    program = ast.parse("def f(x):\n    return None if x else [0, '', ...]")
    old = Essence(program).syntax
    function = program.body[0]
    function._fields = (*function._fields, "type_params")  # as of Python 3.12
    function.type_params = []
    assert Essence(program).syntax == old
    function.type_params = [ast.Name("T")]
    assert Essence(program).syntax != old
    assert Essence(ast.parse("f(0)")).syntax != Essence(ast.parse("f('')")).syntax != Essence(ast.parse("f()")).syntax


def test_every_trajectory_is_kept_once_with_its_own_stage_seed_and_timesteps(tiny_pocket, tmp_path):
    def enlarged(lab, k, show):
        x = lab.shared(k, lambda: lab.sample(lab.guided("a dog"), k, strided(333)))
        return x if show == "small" else lab.enlarge(x, "a dog", k)

    cases = each(k=(0, 1), show=("small", "large"))
    figure = Figure("one", caption="One.", label="{show} {k}", alt="A sample", cases=cases, draw=enlarged)
    kept = Session(models.load("pocket"), Observer()).draw(Section("1.1", "One", [figure]), tmp_path / "one", {})
    walks, made = kept["trajectories"], kept["figures"][0]["panels"]
    assert [panel["trajectories"] for panel in made] == [[0], [0, 1], [2], [2, 3]]
    assert [panel["seeds"] for panel in made] == [[42], [42], [43], [43]]
    assert [(walk["stage"], walk["seed"]) for walk in walks] == [(1, 42), (2, 1_000_042), (1, 43), (2, 1_000_043)]
    assert (walks[0]["timesteps"], walks[0]["gamma"], walks[0]["prompts"]) == ([999, 666, 333, 0], [3.0], ["", "a dog"])
    assert (len(walks[1]["timesteps"]), walks[1]["gamma"]) == (8, [])
    assert [walk["evaluations"] for walk in walks] == [8, 8, 8, 8]
    assert sum(walk["evaluations"] for walk in walks) == kept["evaluations"]
