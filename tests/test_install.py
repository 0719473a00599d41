"""Setting up .venv, by stand-ins for uv and pip that note how they were called."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tools import lock

from report import install

ROOT = Path(__file__).parents[1]
TORCH, PINS, PACKAGE = "torch", "requirements.lock", "--editable"
NOTING = """#!{python}
import json, os, pathlib, sys
with open({log!r}, "a") as log:
    log.write(json.dumps({{"said": sys.argv, "env": dict(os.environ)}}) + "\\n")
said, bin = " ".join(sys.argv[1:]), pathlib.Path({bin!r})
if "config list" in said:
    print(os.environ.get("TEST_CONFIG", ""))
if said.startswith("venv ") or "-m venv" in said or (said.endswith(" uv") and "uv" in os.environ["TEST_HAS"]):
    bin.mkdir(parents=True, exist_ok=True)
    made = bin / ("uv" if said.endswith(" uv") else "python")
    made.write_text(pathlib.Path(__file__).read_text())
    made.chmod(0o755)
elif said.endswith(" uv"):
    sys.exit(1)
sys.exit(any(word and word in said for word in os.environ.get("TEST_FAILS", "").split(",")))
"""


class Machine:
    """A folder with the script in it, set up by programs that only take notes."""

    def __init__(self, folder: Path, uv: bool) -> None:
        self.root, self.log, self.path = folder / "project", folder / "log", folder / "path"
        self.venv = self.root / ".venv"
        (self.root / "report").mkdir(parents=True)
        self.path.mkdir()
        self.log.touch()
        shutil.copy(ROOT / "report" / "install.py", self.root / "report")
        code = NOTING.format(python=sys.executable, log=str(self.log), bin=str(self.venv / "bin"))
        if uv:
            self.program(self.path / "uv", code)
        else:
            self.program(self.venv / "bin" / "python", code)

    @staticmethod
    def program(path: Path, code: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
        path.chmod(0o755)

    def set_up(self, *arguments: str, has: str = "uv", **environment: str) -> subprocess.CompletedProcess[str]:
        told = {"PATH": str(self.path), "TEST_HAS": has, **environment}
        command = [sys.executable, "report/install.py", *arguments]
        return subprocess.run(command, cwd=self.root, env=told, capture_output=True, text=True)

    @property
    def notes(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def installed(self) -> list[str]:
        """What was installed, without the noted calls that only ask."""
        lines = [" ".join([Path(note["said"][0]).name, *note["said"][1:]]) for note in self.notes]
        return [line for line in lines if " install " in line]


@pytest.fixture
def with_uv(tmp_path):
    return Machine(tmp_path, uv=True)


@pytest.fixture
def without_uv(tmp_path):
    return Machine(tmp_path, uv=False)


def test_uv_installs_torch_the_pins_and_this_package_into_a_new_environment(with_uv):
    done = with_uv.set_up()
    assert done.returncode == 0, done.stderr
    assert with_uv.notes[0]["said"][1:3] == ["venv", "--quiet"]
    for line, what in zip(with_uv.installed(), (TORCH, PINS, PACKAGE), strict=True):
        assert line.startswith("uv pip install")
        assert {what, "--torch-backend=auto"} <= {*line.replace("/", " ").split()}
        assert ("--no-deps" in line) == (what != TORCH)
    assert (with_uv.venv / "ready").exists()
    assert not (with_uv.venv / "installing").exists()


def test_the_second_set_is_installed_alone(with_uv):
    assert with_uv.set_up("dev").returncode == 0
    [line] = with_uv.installed()
    assert line.endswith("requirements-dev.lock")
    assert [path.name for path in with_uv.venv.glob("ready*")] == ["ready-dev"]


def test_where_there_is_no_uv_it_is_installed_first(without_uv):
    assert without_uv.set_up().returncode == 0
    first, *rest = without_uv.installed()
    assert first.endswith("--constraint requirements-dev.lock uv")
    assert "--no-compile" in first
    assert {line.split()[0] for line in rest} == {"uv"}


def test_where_uv_cannot_be_had_pip_installs_the_same_without_byte_code(without_uv):
    done = without_uv.set_up(has="")
    assert done.returncode == 0
    assert "uv could not be installed; pip takes its place" in done.stdout
    for line, what in zip(without_uv.installed()[1:], (TORCH, PINS, PACKAGE), strict=True):
        assert line.startswith("python -m pip install --quiet --no-compile")
        assert what in line


def test_where_pytorchs_index_is_out_of_reach_torch_comes_as_usual_and_it_is_said_once(with_uv):
    done = with_uv.set_up(TEST_FAILS="--torch-backend")
    assert done.returncode == 0
    assert done.stdout.count("uv could not ask PyTorch's index") == 1
    assert ["--torch-backend=auto" in line for line in with_uv.installed()] == [True, False, False, False]


@pytest.mark.parametrize("fails", ["torch", PINS, PACKAGE])
def test_after_an_interruption_all_is_installed_again(with_uv, fails):
    done = with_uv.set_up(TEST_FAILS=fails)
    assert done.returncode != 0
    assert done.stderr == "set-up: uv failed, as it says above; the same command continues here\n"
    assert not (with_uv.venv / "ready").exists()
    with_uv.log.write_text("")
    assert with_uv.set_up().returncode == 0
    assert all("--reinstall" in line for line in with_uv.installed())
    with_uv.log.write_text("")
    assert with_uv.set_up().returncode == 0
    assert not any("--reinstall" in line for line in with_uv.installed())


CONFIGURED = [
    ("global.index-url='https://one/simple'", {"UV_DEFAULT_INDEX": "https://one/simple"}),
    ("global.index-url='https://one'\ninstall.index-url='https://two'", {"UV_DEFAULT_INDEX": "https://two"}),
    ("global.index-url='https://one'\n:env:.index-url='https://two'", {"UV_DEFAULT_INDEX": "https://two"}),
    (
        "global.extra-index-url='\\nhttps://one\\nhttps://two'",
        {"UV_INDEX": "https://one https://two", "UV_INDEX_STRATEGY": "unsafe-best-match"},
    ),
    (":env:.find-links='/wheels https://more'", {"UV_FIND_LINKS": "/wheels,https://more"}),
    ("global.cert='/a.pem'\nglobal.proxy='http://p'", {"SSL_CERT_FILE": "/a.pem", "ALL_PROXY": "http://p"}),
    ("global.default-timeout='180'\nfreeze.timeout='1'", {"UV_HTTP_TIMEOUT": "180"}),
    ("global.trusted-host='a b'\nglobal.constraint='/c'", {"UV_INSECURE_HOST": "a b", "UV_CONSTRAINT": "/c"}),
]


@pytest.mark.parametrize(("config", "variables"), CONFIGURED)
def test_pips_configuration_is_handed_on(without_uv, config, variables):
    assert without_uv.set_up(TEST_CONFIG=config).returncode == 0
    given = next(note["env"] for note in without_uv.notes if Path(note["said"][0]).name == "uv")
    assert {name: value for name, value in given.items() if name.startswith(("UV_", "SSL_", "ALL_"))} == variables


def test_what_is_set_for_uv_wins_over_pips_configuration(without_uv):
    without_uv.set_up(TEST_CONFIG="global.index-url='https://one'", UV_DEFAULT_INDEX="https://mine")
    assert without_uv.notes[-1]["env"]["UV_DEFAULT_INDEX"] == "https://mine"


def test_an_older_python_and_an_unknown_set_are_refused_in_a_line(monkeypatch):
    with pytest.raises(SystemExit, match="there is no set 'all'; choose one of report, dev"):
        install.main("all")
    monkeypatch.setattr(sys, "version_info", (3, 10, 13))
    with pytest.raises(SystemExit, match=r"Python 3\.11 or newer is needed; say which with PYTHON="):
        install.main()


@pytest.mark.parametrize(("goal", "sets"), [("report", 1), ("setup", 1), ("site", 1), ("test", 2), ("check", 2)])
def test_make_installs_the_second_set_only_where_it_is_needed(tmp_path, goal, sets):
    for name in ("Makefile", "pyproject.toml", *install.LOCKS.values()):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run(["make", "-n", goal], cwd=tmp_path, capture_output=True, text=True, check=True)
    run = dict.fromkeys(line for line in done.stdout.splitlines() if "report/install.py" in line)
    assert list(run) == ["python3 report/install.py", "python3 report/install.py dev"][:sets]


# --- the pins


def test_pins_are_the_same_for_every_build_of_torch():
    found = ["numpy==2 ; sys_platform == 'win32'", "nvidia-cublas==13", "cuda-toolkit==13 ; x", "triton==3"]
    found += ["torch==2.13.0 ; sys_platform == 'darwin'", "torch==2.13.0+cpu ; sys_platform == 'linux'"]
    assert lock.pins(found) == ["numpy==2 ; sys_platform == 'win32'", "torch==2.13.0"]


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """answers(…): an uv that ends with this status and these words; a list of how it was called."""
    called: list[tuple[str, ...]] = []

    def answer(status: int, words: str = "", where: str = "--") -> list[tuple[str, ...]]:
        def uv(*arguments: str) -> subprocess.CompletedProcess[str]:
            called.append(arguments)
            failed = any(where in argument for argument in arguments)
            return subprocess.CompletedProcess(arguments, status if failed else 0, "", words)

        monkeypatch.setattr(lock, "uv", uv)
        return called

    return answer


def test_pins_are_looked_up_for_four_pythons_on_four_systems(answers, capsys):
    called = answers(0)
    lock.check()
    assert len({(python, platform) for *_, python, platform, _ in called}) == 16
    assert capsys.readouterr().out.startswith("wheels: every pin has one for Python 3.11 to 3.14 on x86_64-")


def test_a_pin_without_a_wheel_is_named_with_the_systems(answers):
    answers(1, "no wheel\n of this", where="windows")
    with pytest.raises(SystemExit) as caught:
        lock.check()
    places = ", ".join(f"Python 3.{minor} on x86_64-pc-windows-msvc" for minor in range(11, 15))
    assert str(caught.value) == f"wheels: {places}: no wheel of this"


def test_an_index_out_of_reach_is_said_and_is_no_failure(answers, capsys):
    called = answers(lock.UNREACHABLE)
    lock.check()
    assert capsys.readouterr().out == "wheels: could not reach the package index; the pins were not looked up\n"
    assert len(called) == 2


def test_the_locks_are_replaced_only_when_both_are_resolved(answers, tmp_path, monkeypatch):
    monkeypatch.setattr(lock, "ROOT", tmp_path)
    answers(1, "no solution", where="--extra=dev")
    with pytest.raises(SystemExit, match="nothing was written: no solution"):
        lock.write()
    assert not list(tmp_path.glob("*.lock"))
    answers(0)
    lock.write()
    assert {path.name for path in tmp_path.glob("*.lock")} == set(install.LOCKS.values())


def test_uv_is_asked_with_pips_configuration(monkeypatch, tmp_path):
    monkeypatch.setattr(lock, "environment", lambda: {**os.environ, "UV_FIND_LINKS": "/wheels"})
    asked = []
    monkeypatch.setattr(lock.subprocess, "run", lambda command, **told: asked.append((command, told["env"])))
    lock.uv("pyproject.toml")
    [(command, environment)] = asked
    assert (environment["UV_FIND_LINKS"], environment["MACOSX_DEPLOYMENT_TARGET"]) == ("/wheels", "14.0")
    assert command[1:3] == ["pip", "compile"]
