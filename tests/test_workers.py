"""Sections drawn by several processes: the records equal a single process's, a failing worker gives one line, and
nothing is left behind."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import nullcontext
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from generators.records.errors import ModelError, WorkerError
from generators.records.record import read_drawn
from generators.running import run, workers
from generators.running.cost import Cost
from report.command import cli

SECTIONS = ("1.1", "1.2", "1.5")  # two that ask the network nothing, and one that samples
ROOT = Path(__file__).parents[1]


class Told(run.Observer):
    def __init__(self) -> None:
        self.said, self.evaluations = [], 0

    def begin(self, todo):
        self.said.append(("begin", *todo))

    def section(self, section_id, title):
        self.said.append(("section", section_id))

    def evaluated(self, count, section_id=""):
        self.evaluations += count

    def done(self, section_id, record):
        self.said.append(("done", section_id))


def records(root: Path) -> dict[str, dict]:
    """What each section was made of and came to, without when, how long it took, and the seal, which covers that."""
    found = {}
    for section_id in SECTIONS:
        record = read_drawn(run.state_folder(root, "pocket") / section_id)
        for walk in record["trajectories"]:
            walk.pop("seconds")
        for name in ("seconds", "seal", "drawn", "where"):
            record.pop(name)
        found[section_id] = record
    return found


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """One thread per process, here as in the workers, because another number of threads may change the last bits."""
    import torch

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def alone(tiny_pocket, tmp_path_factory):
    """The sections as a single process draws them."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    root = tmp_path_factory.mktemp("alone")
    run.draw(root, "pocket", SECTIONS)
    torch.set_num_threads(threads)
    return records(root)


PARSL = """
from parsl import Config
from parsl.executors import HighThroughputExecutor
from parsl.providers import LocalProvider

config = Config(
    executors=[
        HighThroughputExecutor(
            address="127.0.0.1",
            max_workers_per_node=2,
            provider=LocalProvider(init_blocks=1, max_blocks=1),
        )
    ],
    run_dir={folder!r},
    usage_tracking=0,
)
"""


def check_drawn(root: Path, told: Told, alone: dict) -> None:
    assert records(root) == alone
    assert {path.name for path in run.state_folder(root, "pocket").iterdir()} == {*SECTIONS, "lock", run.WORDS}
    assert told.said[0] == ("begin", *SECTIONS)
    assert sorted(told.said[1:]) == sorted((what, key) for what in ("section", "done") for key in SECTIONS)
    assert told.evaluations == 5 * 34


def test_two_workers_leave_the_records_and_the_pixels_of_a_single_process(alone, tmp_path):
    told = Told()
    assert run.draw(tmp_path, "pocket", SECTIONS, observer=told, backend=workers.in_workers(2)) == 3
    check_drawn(tmp_path, told, alone)
    assert run.draw(tmp_path, "pocket", SECTIONS, backend=workers.in_workers(2)) == 0


def test_parsls_workers_do_too(alone, tmp_path):
    told, config = Told(), tmp_path / "two_here.py"
    config.write_text(PARSL.format(folder=str(tmp_path / "parsl")))
    assert run.draw(tmp_path, "pocket", SECTIONS, observer=told, backend=workers.in_parsl(config)) == 3
    check_drawn(tmp_path, told, alone)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "none.py: declares no `config = parsl.Config(…)`"),
        ("1 / 0", "none.py: ZeroDivisionError: division by zero"),
        ("config = 5", "none.py: declares no `config = parsl.Config(…)`"),
    ],
)
def test_a_file_that_declares_no_workers_is_refused_in_one_line(tiny_pocket, tmp_path, text, says):
    (tmp_path / "none.py").write_text(text)
    with pytest.raises(WorkerError, match=re.escape(says)) as caught:
        run.draw(tmp_path, "pocket", ["1.1"], backend=workers.in_parsl(tmp_path / "none.py"))
    assert "\n" not in str(caught.value)


def test_an_error_in_a_worker_is_its_one_line_and_what_was_drawn_stays(tiny_pocket, tmp_path, monkeypatch):
    """The weights are damaged so that only the worker, which loads them, notices."""
    shutil.copytree(tiny_pocket, tmp_path / "weights")
    monkeypatch.setenv("POCKET_WEIGHTS", str(tmp_path / "weights"))
    run.draw(tmp_path, "pocket", ["1.1"])
    before = sorted((run.state_folder(tmp_path, "pocket") / "1.1").iterdir())
    for path in (tmp_path / "weights").rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"^pocket: the weights in \S+ cannot be loaded") as caught:
        run.draw(tmp_path, "pocket", SECTIONS, again=True, backend=workers.in_workers(2))
    assert "\n" not in str(caught.value)
    assert sorted((run.state_folder(tmp_path, "pocket") / "1.1").iterdir()) == before
    assert {path.name for path in run.state_folder(tmp_path, "pocket").iterdir()} == {"1.1", "lock", run.WORDS}


def workers_of(parent: int) -> list[psutil.Process]:
    """The worker processes of a parent, once there are some."""
    while (running := psutil.Process(parent)).status() != psutil.STATUS_ZOMBIE:
        found = []
        for process in running.children():
            try:
                if "popen_loky_posix" in " ".join(process.cmdline()):
                    found.append(process)
            except psutil.Error:
                continue  # it has just gone
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it ended before it had workers")


def test_a_worker_that_is_killed_is_one_line(tiny_pocket, tmp_path):
    killer = threading.Thread(target=lambda: workers_of(os.getpid())[0].kill())
    killer.start()
    with pytest.raises(WorkerError, match=r"^a worker process ended unexpectedly") as caught:
        run.draw(tmp_path, "pocket", SECTIONS, backend=workers.in_workers(2))
    killer.join()
    assert "\n" not in str(caught.value)


class Failing:
    """An executor whose tasks end with an error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def submit(self, *_: object) -> Future:
        future: Future = Future()
        future.set_exception(self.error)
        return future


def failing(error: Exception) -> run.Backend:
    return workers._backend(lambda: nullcontext(Failing(error)))


def test_errors_of_parsl_and_of_a_workers_packages_are_one_line(tmp_path):
    from parsl.dataflow.errors import DependencyError
    from parsl.executors.errors import BadMessage
    from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost
    from parsl.serialize.errors import DeserializationError

    for lost in (WorkerLost(0, "node7"), ManagerLost(b"12", "node7")):
        with pytest.raises(WorkerError, match=r"^a worker on node7 ended unexpectedly .* run the same command"):
            failing(lost)({"1.1": Cost()}, "pocket", tmp_path, Told())
    for error in (DependencyError([], "a task\nfailed"), BadMessage("odd"), DeserializationError("no\nsuch class")):
        with pytest.raises(WorkerError, match=rf"^Parsl: {type(error).__name__}: .* run the same command") as caught:
            failing(error)({"1.1": Cost()}, "pocket", tmp_path, Told())
        assert "\n" not in str(caught.value)
    with pytest.raises(WorkerError, match=r"^a worker cannot import .*'generators'; install this project") as caught:
        failing(ModuleNotFoundError("No module named 'generators'"))({"1.1": Cost()}, "pocket", tmp_path, Told())
    with pytest.raises(ZeroDivisionError):  # a fault of ours stays one
        failing(ZeroDivisionError())({"1.1": Cost()}, "pocket", tmp_path, Told())


def test_what_workers_evaluate_is_heard_before_their_sections_are_done(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "EVERY", 0.01)
    heard, drawing = threading.Event(), Future()

    class Drawing:
        def submit(self, *_: object) -> Future:
            return drawing

    class Hearing(Told):
        def evaluated(self, count, section_id=""):
            super().evaluated(count)
            if self.evaluations == 30:
                heard.set()

    told, counting = Hearing(), workers._Counting()
    drawn = threading.Thread(
        target=workers._backend(lambda: nullcontext(Drawing())), args=({"1.5": Cost()}, "pocket", tmp_path, told)
    )
    drawn.start()
    counting.begins("1.5", tmp_path)
    for _ in range(3):
        time.sleep(0.02)  # of one thread of this process; a count is written every 0.01 s at most
        counting.evaluated(10)
    assert heard.wait(30)
    assert told.said == []
    drawing.set_result({"title": "Samples", "evaluations": 34})
    drawn.join(30)
    assert told.said == [("section", "1.5"), ("done", "1.5")]
    assert told.evaluations == 34
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wish", "threads"), [("4", 4), ("4,2", 4), (" 8 , 2,1 ", 8), ("08", 8), ("", None), ("  ", None), (None, None)]
)
def test_omp_num_threads_is_read_as_openmp_does(monkeypatch, wish, threads):
    monkeypatch.delenv("OMP_NUM_THREADS")
    if wish is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", wish)
    assert workers._threads() == threads


@pytest.mark.parametrize("wish", ["four", "0", "-1", "4.5", "4,", ",4", "4,x", "4 2", "0,4", "1e3", "٤"])
def test_other_numbers_of_threads_are_one_line(tmp_path, monkeypatch, wish):
    monkeypatch.setenv("OMP_NUM_THREADS", wish)
    with pytest.raises(WorkerError) as caught:
        workers.in_workers(2)({"1.1": Cost()}, "pocket", tmp_path, Told())
    assert str(caught.value) == (
        f"OMP_NUM_THREADS is {wish!r}, which is no number of threads; set it to one such as 4, or unset it"
    )


def test_ctrl_c_ends_the_workers_too(tiny_pocket, tmp_path):
    shutil.copy(ROOT / "CITATION.cff", tmp_path)
    for name in ("generators", "report/writeup", "templates"):  # the prose is checked before drawing, its code too
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("weights", "__pycache__"))
    shutil.copy(ROOT / "report" / "report.toml", tmp_path / "report")
    code = f"""
from pathlib import Path
from report.command import cli
cli.ROOT = Path({str(tmp_path)!r})
cli.main(["section", "1.1", "1.5", "--workers", "2"])
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "POCKET_WEIGHTS": str(tiny_pocket)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    helpers = workers_of(process.pid)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert said.endswith("report: stopped; finished work is kept, run the same command to continue\n")
    assert "Traceback" not in said, said
    assert psutil.wait_procs(helpers, 30)[1] == []


def test_workers_of_this_machine_and_of_another_are_not_asked_for_together(tmp_path):
    (tmp_path / "slurm.py").write_text("")
    done = CliRunner().invoke(cli.main, ["all", "--workers", "2", "--executor", str(tmp_path / "slurm.py")])
    assert done.exit_code == 2
    assert "--workers is for this machine" in done.output


# --- places


TAKE = """
import errno, fcntl, os, sys
from generators.running import workers
if sys.argv[3] != "0":
    def refused(*_):
        raise OSError(int(sys.argv[3]), "no locks here")
    fcntl.flock = refused
workers._claim_slot(sys.argv[1], int(sys.argv[2]), ["GPU-a", "GPU-b"])
print(os.environ["CUDA_VISIBLE_DEVICES"], workers.SHARING.gpu, workers.SHARING.ram, flush=True)
input()
"""


def taking(places: Path, count: int, refused: int = 0) -> tuple[subprocess.Popen, str]:
    """A worker of so many, and the GPU that it took, with how many share that and the RAM. refused: the error number
    with which the system refuses locks."""
    process = subprocess.Popen(
        [sys.executable, "-c", TAKE, str(places), str(count), str(refused)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return process, process.stdout.readline().strip()


@pytest.mark.parametrize("system", [0, errno.ENOSYS], ids=["flock", "no locks"])
def test_each_worker_has_its_own_gpu_and_the_next_takes_that_of_one_who_died(tmp_path, system):
    (one, took_one), (two, took_two) = taking(tmp_path, 2, system), taking(tmp_path, 2, system)
    assert (took_one, took_two) == ("GPU-a 1 2", "GPU-b 1 2")
    one.kill()
    one.communicate()
    three, took_three = taking(tmp_path, 2, system)
    assert took_three == "GPU-a 1 2"
    for process in (two, three):
        process.communicate("\n")


def test_more_workers_than_gpus_know_how_many_share_theirs(tmp_path):
    begun = [taking(tmp_path, 3) for _ in range(3)]
    assert [took for _, took in begun] == ["GPU-a 2 3", "GPU-b 1 3", "GPU-a 2 3"]
    for process, _ in begun:
        process.communicate("\n")


def test_the_gpus_are_those_that_the_user_lets_be_seen(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, GPU-8932f937")
    assert workers._gpus() == ["2", "GPU-8932f937"]


MIG = """GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-aa11)
  MIG 3g.20gb     Device  0: (UUID: MIG-one)
  MIG 3g.20gb     Device  1: (UUID: MIG-two)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-bb22)
GPU 2: NVIDIA A100-SXM4-40GB (UUID: GPU-cc33)
  MIG 7g.40gb     Device  0: (UUID: MIG-GPU-cc33/7/0)
"""
WHOLE = "\n".join(line for line in MIG.splitlines() if line.startswith("GPU"))


@pytest.mark.parametrize(
    ("listed", "visible", "names"),
    [
        (MIG, None, ["MIG-one", "MIG-two", "GPU-bb22", "MIG-GPU-cc33/7/0"]),
        (MIG, "0", ["MIG-one", "MIG-two"]),
        (MIG, "GPU-aa", ["MIG-one", "MIG-two"]),
        (MIG, "MIG-two,1", ["MIG-two", "1"]),
        (MIG, "", []),
        (WHOLE, "1,2", ["1", "2"]),
        (WHOLE, None, ["0", "1", "2"]),
    ],
)
def test_the_slices_of_a_gpu_are_places_of_their_own(tmp_path, monkeypatch, listed, visible, names):
    import torch

    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ncat <<'end'\n{listed}\nend\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert workers._gpus() == names


KEPT: list[bytes] = []


def growing(section_id: str, model: str, state: str) -> dict:
    """A section that leaves 400 MB in its worker, and takes as long as loky needs to look."""
    KEPT.append(b"1" * 400_000_000)
    time.sleep(1.2)
    return {"title": str(os.getpid()), "evaluations": 0}


def test_a_worker_that_has_loaded_more_is_kept(tmp_path, monkeypatch):
    class Pids(Told):
        def section(self, section_id, title):
            self.said.append(title)

    told = Pids()
    monkeypatch.setattr(workers, "_draw", growing)
    workers.in_workers(1)(dict.fromkeys(SECTIONS, Cost()), "pocket", tmp_path, told)
    pids = [said for said in told.said if isinstance(said, str)]
    assert len(pids) == 3
    assert len(set(pids)) == 1


# --- plans


class Inline:
    """An executor that runs each task at once, here, and notes them."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def submit(self, function, *arguments):
        self.ran.append(function.__name__)
        future: Future = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture
def planned(monkeypatch):
    """What models.prepare was called with; it refuses to draw where `refuses` is set."""
    calls = []

    def prepare(name, dry_run, tell, here):
        calls.append(here)
        tell("deepfloyd: files    present")
        if here:
            tell("deepfloyd: memory   80 GB")
            if os.environ.get("REFUSES"):
                raise ModelError("deepfloyd: no GPU")

    monkeypatch.setattr(workers.models, "prepare", prepare)
    monkeypatch.setattr(
        workers, "_draw", lambda section_id, *_: {"title": section_id, "evaluations": 0, "seconds": 1.0}
    )
    return calls


def test_files_are_seen_to_here_and_the_first_worker_plans(planned, tmp_path):
    lines, executor = [], Inline()
    told = Told()
    told.planned = lines.append
    workers._backend(lambda: nullcontext(executor))({"1.1": Cost(), "1.2": Cost()}, "deepfloyd", tmp_path, told)
    assert planned == [False, True]
    assert executor.ran == ["_plan", "<lambda>", "<lambda>"]
    assert lines == [
        "deepfloyd: files    present",
        "deepfloyd: planning  on the first worker that starts",
        "deepfloyd: memory   80 GB",
    ]


def test_a_workers_refusal_ends_the_run_before_anything_is_drawn(planned, tmp_path, monkeypatch):
    monkeypatch.setenv("REFUSES", "1")
    executor = Inline()
    with pytest.raises(ModelError, match=r"^deepfloyd: no GPU$"):
        workers._backend(lambda: nullcontext(executor))({"1.1": Cost()}, "deepfloyd", tmp_path, Told())
    assert executor.ran == ["_plan"]


def test_pocket_fits_everywhere_and_no_worker_is_asked_to_plan_it(planned, tmp_path):
    executor = Inline()
    workers._backend(lambda: nullcontext(executor))({"1.1": Cost()}, "pocket", tmp_path, Told())
    assert (planned, executor.ran) == ([False], ["<lambda>"])
