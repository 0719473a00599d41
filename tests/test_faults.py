"""Killed, out of disk, damaged, twice at once, a terminal that goes away: what was finished stays, and it goes on."""

from __future__ import annotations

import errno
import hashlib
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import page_fixture as fixture
import pytest
from click.testing import CliRunner

from generators import models
from generators.records.errors import BuildError
from generators.records.record import read_drawn
from generators.running import run, staleness
from report.command import cli
from report.figures import figure_png
from report.page import links
from report.page.builder import build

SECTIONS = ("1.1", "1.5")  # one that asks the network nothing, one that samples
KILLS = 20


@pytest.fixture(scope="module")
def older(tiny_pocket, tmp_path_factory):
    """A report with stale sections, whose records are of an older source, and its site."""
    root = fixture.folder(tmp_path_factory.mktemp("older") / "report")
    for section_id in SECTIONS:
        (root / "generators" / "sections" / staleness.sections()[section_id].name).touch()
    fixture.prose(root, "intro", "Older words.\n")
    run.draw(root, "pocket", SECTIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figure_png, "compose", lambda *_: b"grid")
        build(root)
    for section_id in SECTIONS:
        path = run.state_folder(root, "pocket") / section_id / "record.json"
        record = json.loads(path.read_text())
        record["depends"]["source"] = "older"
        fixture.write_record(path, record)
    fixture.prose(root, "intro", "Newer words.\n")
    return root


@pytest.fixture
def root(older, tmp_path, monkeypatch):
    """A copy of it, to be changed. The network is loaded once, so that forked processes have it."""
    monkeypatch.setattr(figure_png, "compose", lambda *_: b"grid")
    loaded = models.load("pocket")
    monkeypatch.setattr(models, "load", lambda name: loaded)
    return fresh(older, tmp_path / "report")


def fresh(older: Path, root: Path) -> Path:
    shutil.rmtree(root, ignore_errors=True)
    return shutil.copytree(older, root, symlinks=True)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pixels(root: Path) -> dict[str, list[str]]:
    records = {name: read_drawn(run.state_folder(root, "pocket") / name) for name in SECTIONS}
    return {
        name: [panel["pixels"] for figure in record["figures"] for panel in figure["panels"]]
        for name, record in records.items()
    }


def assert_whole(site: Path) -> None:
    """Every file is there as the site's own list has it, and every link of the page leads somewhere."""
    crate = json.loads((site / "ro-crate-metadata.json").read_text())
    listed = {entry["@id"]: entry["sha256"] for entry in crate["@graph"] if entry["@type"] == "File"}
    held = {name: hashlib.sha256(data).hexdigest() for name, data in files(site).items()}
    held.pop("ro-crate-metadata.json")
    assert held == listed
    assert links.broken((site / "index.html").read_text(), site) == []


def in_another_process(work, *arguments) -> int:
    """Fork, run `work` there, and return its exit code: negative for a signal."""
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def work(root: str, moment: int, log: str) -> None:
    """Draw and build, and kill this process at the n-th event: an operation on a file of the report, or a network call.

    The log gets the sections that were finished, and in the end the number of events.
    """
    passed, finished = 0, os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def one_more(*_) -> None:
        nonlocal passed
        passed += 1
        if passed == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def audit(event: str, arguments: tuple) -> None:
        if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir") and str(arguments[0]).startswith(root):
            one_more()

    import torch

    torch.set_num_threads(1)  # the threads of the process that this one was forked from are not here
    report = run.Observer()
    report.evaluated = one_more
    report.done = lambda section_id, record: os.write(finished, f"{section_id}\n".encode())
    sys.addaudithook(audit)
    run.draw(Path(root), "pocket", SECTIONS, observer=report)
    build(Path(root))
    os.write(finished, f"{passed}\n".encode())


@pytest.fixture
def one_thread():
    """As in the forked processes: another number of threads may round otherwise."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("one_thread")
def test_killed_at_random_moments_it_goes_on_and_the_site_is_never_half_new(root, older, tmp_path):
    log = tmp_path / "log"
    assert in_another_process(work, str(root), 0, str(log)) == 0
    *_, events = log.read_text().split()
    reference, forms = pixels(root), files(root / "site" / "figures")
    before, chance, away = files(older / "site"), random.Random(0), 0
    assert int(events) > 100  # some forty network calls, the panels, the web forms, the records, the renames
    for moment in chance.sample(range(1, int(events)), KILLS):
        fresh(older, root)
        assert in_another_process(work, str(root), moment, str(log)) == -signal.SIGKILL, moment
        if not (root / "site").exists():
            away += 1  # between the two renames; the next build brings it back
        elif files(root / "site") != before:
            assert_whole(root / "site")
        finished = set(log.read_text().split())
        stale = {name for name in SECTIONS if staleness.why_stale(root / ".report/pocket" / name, name, "pocket")}
        assert not stale & finished, "what was finished is kept"
        assert run.draw(root, "pocket", SECTIONS) == len(stale)
        build(root)
        assert pixels(root) == reference
        assert files(root / "site" / "figures") == forms
        assert_whole(root / "site")
        assert "Newer words." in (root / "site" / "index.html").read_text()
        assert {path.name for path in root.iterdir() if path.name.startswith(".site")} == {".site.lock"}
        assert {path.name for path in (root / ".report/pocket").iterdir()} == {*SECTIONS, "lock", run.WORDS}
    assert away <= 1


def test_a_site_on_its_way_out_comes_back(root):
    before = files(root / "site")
    (root / "site").rename(root / ".site.old")
    (root / ".site.new").mkdir()
    fixture.prose(root, "intro", "TODO\n")
    with pytest.raises(BuildError):
        build(root)
    assert files(root / "site") == before
    assert {path.name for path in root.iterdir() if path.name.startswith(".site")} == {".site.lock"}


# --- signals and terminals


def interrupted(root: str, end) -> None:
    """Run the command, and do `end` when the network is called for the third time."""
    import torch

    from report.command.progress import Progress

    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs are born deaf to both
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))  # noqa: SIM115  not what pytest captures
    calls = []

    def evaluated(self, count, section_id=""):
        calls.append(count)
        if len(calls) == 3:
            end()

    Progress.evaluated = evaluated
    cli.ROOT = Path(root)
    cli.main(["section", *SECTIONS])


def hang_up() -> None:
    """The reader of the output is gone."""
    readable, writable = os.pipe()
    os.close(readable)
    for number in (1, 2):
        os.dup2(writable, number)


@pytest.mark.parametrize(
    ("end", "codes"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGINT), {130}),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), {-signal.SIGTERM}),
        (lambda: os.kill(os.getpid(), signal.SIGHUP), {-signal.SIGHUP}),
        (hang_up, {0, 1, -signal.SIGPIPE}),
    ],
    ids=["Ctrl-C", "SIGTERM", "SIGHUP", "closed pipe"],
)
def test_an_interrupted_run_keeps_what_was_finished(root, end, codes):
    before = files(root / "site")
    assert in_another_process(interrupted, str(root), end) in codes
    assert files(root / "site") == before or assert_whole(root / "site") is None
    assert staleness.why_stale(root / ".report/pocket/1.1", "1.1", "pocket") is None
    assert run.draw(root, "pocket", SECTIONS) <= 1
    assert_whole(build(root).parent)


# --- the disk


def limited(root: str, size: int) -> None:
    """Draws and builds while no file may exceed so many bytes: the kernel refuses the write."""
    import torch

    torch.set_num_threads(1)
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    cli.ROOT = Path(root)
    cli.main(["section", *SECTIONS])


@pytest.mark.parametrize("size", [0, 2_000, 20_000])
def test_a_write_that_the_system_refuses_leaves_whole_sections_and_the_old_site(root, size):
    before = files(root / "site")
    assert in_another_process(limited, str(root), size) == 1
    assert files(root / "site") == before
    run.draw(root, "pocket", SECTIONS)
    assert_whole(build(root).parent)


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, "No space left on device; free some space"),
        (errno.EDQUOT, "Disk quota exceeded; free some space"),
        (errno.EROFS, "Read-only file system; make it writable"),
        (errno.EACCES, "Permission denied; make it writable"),
        (errno.EIO, "Input/output error; correct this"),
    ],
)
@pytest.mark.parametrize("verb", [["section", "1.1"], ["site"]])
def test_errors_of_the_disk_are_one_line(root, monkeypatch, number, says, verb):
    before = files(root / "site")

    def refused(self, *_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(cli, "ROOT", root)
    monkeypatch.setattr(Path, "mkdir", refused)
    done = CliRunner().invoke(cli.main, verb)
    assert done.exit_code == 1
    assert done.stderr.strip().splitlines()[-1].startswith("report: ")
    assert says in done.stderr
    assert "Traceback" not in done.output
    monkeypatch.undo()
    assert files(root / "site") == before


def test_a_lock_that_is_a_folder_is_one_line(root, monkeypatch):
    (root / ".report/pocket/lock").unlink()
    (root / ".report/pocket/lock").mkdir()
    monkeypatch.setattr(cli, "ROOT", root)
    done = CliRunner().invoke(cli.main, ["section", "1.1"])
    assert done.exit_code == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(root / ".report/pocket/lock") in done.stderr


def test_a_lock_that_a_killed_run_left_is_no_obstacle(root):
    (root / ".report/pocket/lock").write_text("\0garbage")
    (root / ".site.lock").write_text("\0garbage")
    assert run.draw(root, "pocket", ["1.1"]) == 1
    assert_whole(build(root).parent)


# --- damage


@pytest.mark.parametrize(
    "text",
    [
        '{"format": 1}',
        '{"format": 1, "depends": null}',
        '{"format": 1, "depends": {"weights": 1}}',
        "[" * 100_000,
        "\0",
    ],
)
def test_a_damaged_record_is_drawn_again(root, text):
    (root / ".report/pocket/1.1/record.json").write_text(text)
    (root / "site/records/1.1.json").write_text(text)
    assert run.draw(root, "pocket", ["1.1"]) == 1
    assert staleness.why_stale(root / ".report/pocket/1.1", "1.1", "pocket") is None


def spoil(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def first(folder: Path, pattern: str) -> Path:
    return min(folder.rglob(pattern))


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: spoil(first(folder, "*.safetensors")),
        lambda folder: first(folder, "*.safetensors").write_bytes(b"not weights at all"),
        lambda folder: first(folder, "*.safetensors").unlink(),
        lambda folder: first(folder, "config.json").write_text("{"),
        lambda folder: first(folder, "config.json").write_text("{}"),
        lambda folder: first(folder, "scheduler_config.json").unlink(),
        lambda folder: (path := first(folder, "*.safetensors")).rename(path.with_suffix(".bin")),
        shutil.rmtree,
    ],
)
def test_damaged_weights_are_refused_in_one_line_and_nothing_is_lost(older, tiny_pocket, tmp_path, monkeypatch, damage):
    root, folder = fresh(older, tmp_path / "report"), tmp_path / "weights"
    shutil.copytree(tiny_pocket, folder)
    damage(folder)
    before = files(root)
    monkeypatch.setenv("POCKET_WEIGHTS", str(folder))
    monkeypatch.setattr(cli, "ROOT", root)
    staleness.weights_digest.cache_clear()
    try:
        done = CliRunner().invoke(cli.main, ["section", "1.1"])
    finally:
        staleness.weights_digest.cache_clear()
    assert done.exit_code == 1, done.output
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("report: ")]
    assert line.startswith("report: pocket: ")
    assert str(folder) in line
    assert "Traceback" not in done.output
    assert {name: data for name, data in files(root).items() if name in before} == before


# --- clocks and company


def test_clocks_that_jump_make_nothing_stale(root, monkeypatch):
    run.draw(root, "pocket", ["1.1"])
    jumps = iter(range(2_000_000_000, 0, -100_000_000))
    monkeypatch.setattr(time, "time", lambda: float(next(jumps, 0)))
    for path in (root / ".report/pocket/1.1").iterdir():
        os.utime(path, (0, 4_000_000_000))
    assert run.draw(root, "pocket", ["1.1"]) == 0
    assert run.draw(root, "pocket", ["1.1"], again=True) == 1
    assert read_drawn(root / ".report/pocket/1.1")["seconds"] >= 0


def test_builds_at_once_take_turns(root):
    run.draw(root, "pocket", SECTIONS)
    failed = []

    def one() -> None:
        try:
            build(root)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failed == []
    assert_whole(root / "site")


def test_a_token_in_the_environment_is_written_nowhere(root, monkeypatch):
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "hf_secretsecretsecret")
    monkeypatch.setattr(cli, "ROOT", root)
    done = CliRunner().invoke(cli.main, ["section", *SECTIONS])
    assert done.exit_code == 0, done.output
    assert "secretsecret" not in done.output
    assert not [name for name, data in files(root).items() if b"secretsecret" in data]
