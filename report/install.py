"""Sets up .venv: `python3 report/install.py` installs what a report needs, and `python3 report/install.py dev` adds
what tests, checks and training need.

It runs before anything is installed, so it uses the standard library only. uv installs: the one on the PATH, or else
one that is put into .venv first. Where uv cannot be had, pip installs.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {"report": "requirements.lock", "dev": "requirements-dev.lock"}
VENV = ROOT / ".venv"
STAMPS = {"report": VENV / "ready", "dev": VENV / "ready-dev"}  # for make
UNFINISHED = VENV / "installing"  # is there while packages are installed, and after an interruption
BIN, SUFFIX = (VENV / "Scripts", ".exe") if os.name == "nt" else (VENV / "bin", "")
PYTHON = BIN / f"python{SUFFIX}"

# For options of pip: uv's variable, and what separates several values in it (None: there is one value).
HANDED_ON = {
    "index-url": ("UV_DEFAULT_INDEX", None),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "no-index": ("UV_NO_INDEX", None),
    "constraint": ("UV_CONSTRAINT", " "),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "timeout": ("UV_HTTP_TIMEOUT", None),
    "default-timeout": ("UV_HTTP_TIMEOUT", None),
    "cert": ("SSL_CERT_FILE", None),
    "client-cert": ("SSL_CLIENT_CERT", None),
    "proxy": ("ALL_PROXY", None),
}


def main(kind: str = "report") -> None:
    """Installs the set `kind`, "report" or "dev". Raises SystemExit with one line."""
    if sys.version_info < (3, 11):  # noqa: UP036 -- any Python may start this
        raise SystemExit("set-up: Python 3.11 or newer is needed; say which with PYTHON=…")
    if kind not in LOCKS:
        raise SystemExit(f"set-up: there is no set {kind!r}; choose one of {', '.join(LOCKS)}")
    print(f"setting up .venv from {LOCKS[kind]}; the first time, this takes from seconds to minutes", flush=True)
    try:
        install(kind)
    except subprocess.CalledProcessError as error:
        program = Path(error.cmd[0]).name
        raise SystemExit(f"set-up: {program} failed, as it says above; the same command continues here") from None
    STAMPS[kind].touch()


def install(kind: str) -> None:
    """Installs the pinned packages of a set, and with the report's this package. Raises CalledProcessError."""
    installer = Installer(again=UNFINISHED.exists())
    UNFINISHED.touch()
    lock = str(ROOT / LOCKS[kind])
    if kind == "report":  # torch first: with it comes what its build for this machine needs, which is in no lock
        installer.install("torch", "--constraint", lock)
    installer.install("--no-deps", "--requirement", lock)
    if kind == "report":
        installer.install("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    UNFINISHED.unlink()


class Installer:
    """What installs into .venv, which is created if needed: uv, or pip.

    again: installs also what seems to be there, because after an interruption packages may be incomplete.
    """

    def __init__(self, again: bool) -> None:
        uv = shutil.which("uv")
        if not works("import pip"):  # pip is for readers who add a package
            create = [uv, "venv", "--quiet", "--allow-existing", "--seed", "--python"] if uv else []
            run([*create, sys.executable, *([] if uv else ["-m", "venv"]), str(VENV)])
        pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--no-compile"]
        uv = uv or shutil.which("uv", path=str(BIN))
        if not uv:
            done = subprocess.run([*pip, "--constraint", LOCKS["dev"], "uv"], cwd=ROOT, capture_output=True)
            uv = shutil.which("uv", path=str(BIN)) if done.returncode == 0 else None
        if uv:
            self.command = [uv, "pip", "install", "--quiet", "--python", str(PYTHON)]
            self.command += ["--reinstall"] if again else []
            self.backend = ["--torch-backend=auto"]  # the build of torch for this machine
        else:
            print("set-up: uv could not be installed; pip takes its place, which takes minutes", flush=True)
            self.command = [*pip, *(["--force-reinstall"] if again else [])]
            self.backend = []

    def install(self, *arguments: str) -> None:
        """Installs packages, given as pip takes them. Raises CalledProcessError."""
        if self.backend:
            done = subprocess.run(
                [*self.command, *self.backend, *arguments], env=environment(), capture_output=True, text=True
            )
            if done.returncode == 0:
                return
            self.backend = []
            print(
                "set-up: uv could not ask PyTorch's index; torch comes from the usual one, on Linux perhaps with CUDA"
            )
        run([*self.command, *arguments])


def environment() -> dict[str, str]:
    """Returns this process's environment, with pip's configuration in uv's variables where those are not set."""
    found = {}
    for option, value in pip_configuration().items():
        if option in HANDED_ON:
            variable, separator = HANDED_ON[option]
            found[variable] = separator.join(value.split()) if separator else value
    if "UV_INDEX" in found:
        found["UV_INDEX_STRATEGY"] = "unsafe-best-match"  # pip's: the best version in all indexes
    return {**found, **os.environ}


def pip_configuration() -> dict[str, str]:
    """Returns pip's options from its files and variables, by name. PIP_ variables win over the files, and in those
    `install` over `global`."""
    python = str(PYTHON) if works("import pip") else sys.executable
    done = subprocess.run([python, "-m", "pip", "config", "list"], capture_output=True, text=True)
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in done.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        if section in sections:
            sections[section][option] = ast.literal_eval(value)
    return {**sections["global"], **sections["install"], **sections[":env:"]}


def works(code: str) -> bool:
    """Returns whether the Python of .venv is there and runs this code."""
    return PYTHON.exists() and subprocess.run([str(PYTHON), "-c", code], capture_output=True).returncode == 0


def run(command: list[str]) -> None:
    subprocess.run(command, env=environment(), check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
