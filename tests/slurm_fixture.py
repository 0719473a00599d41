"""A Slurm cluster of one node on the loopback address, with a state folder and ports of its own, beside any other.

Its two GPUs are empty files. Needs root, and Debian's packages slurmctld, slurmd, slurm-client and munge.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "sinfo")
HOST = socket.gethostname().partition(".")[0]
CONF = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={controller}
SlurmdPort={daemon}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
GresTypes=gpu
KillWait=1
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 Gres=gpu:2 State=UNKNOWN
PartitionName=gpu Nodes={host} Default=YES State=UP
"""
GRES = "AutoDetect=off\nNodeName={host} Name=gpu File={folder}/gpu[0-1]\n"


def lacking() -> str | None:
    """Returns why no cluster can be started here; None if one can."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
    missing = [program for program in PROGRAMS if not shutil.which(program, path=path)]
    if missing:
        return f"Slurm is not installed ({', '.join(missing)}): apt-get install slurmctld slurmd slurm-client munge"
    return None if os.geteuid() == 0 else "starting Slurm needs root"


@contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """Starts a cluster for the block and gives the variables with which its commands find it."""
    with ExitStack() as stack, _ports(2) as (controller, daemon):
        # In /tmp itself: munge wants parents that others cannot write, and a socket's path is short.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True)))
        folder.chmod(0o755)
        for name in ("state", "spool"):
            (folder / name).mkdir()
        for name in ("gpu0", "gpu1"):
            (folder / name).touch()
        (folder / "key").write_bytes(secrets.token_bytes(1024))
        (folder / "key").chmod(0o600)
        facts = {"host": HOST, "folder": folder, "controller": controller, "daemon": daemon}
        (folder / "slurm.conf").write_text(CONF.format(**facts))
        (folder / "gres.conf").write_text(GRES.format(**facts))
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"])
        variables = {"PATH": path, "SLURM_CONF": f"{folder}/slurm.conf"}
        environment = os.environ | variables
        plugin = "disabled" if _version(variables) >= 23 else "cgroup/v1"  # neither asks systemd for anything
        (folder / "cgroup.conf").write_text(f"CgroupPlugin={plugin}\n")
        munged = [f"--{name}={folder}/{file}" for name, file in (
            ("key-file", "key"), ("socket", "munge.socket"), ("pid-file", "munged.pid"), ("log-file", "munged.log"),
            ("seed-file", "munged.seed"),
        )]  # fmt: skip
        for command in (["munged", "--force", *munged], ["slurmctld"], ["slurmd", "-N", HOST]):
            name = command[0]
            stack.callback(_end, folder / f"{name}.pid")
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
            assert done.returncode == 0, f"{name}: {done.stderr}{done.stdout}{_logs(folder)}"
        stack.callback(_cancel_all, variables)
        _wait(lambda: said(variables, "sinfo", "--noheader", "--format=%t") == "idle", "an idle node", folder)
        yield variables


def said(variables: dict[str, str], *command: str) -> str:
    """Returns what a command of Slurm says."""
    environment = os.environ | variables
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60).stdout.strip()


def jobs(variables: dict[str, str]) -> list[str]:
    """Returns the numbers of the jobs that have not ended."""
    return said(variables, "squeue", "--noheader", "--format=%A").split()


def _version(variables: dict[str, str]) -> int:
    """Returns the year of Slurm's version: 22 of "slurm-wlm 22.05.8"."""
    return int(said(variables, "slurmd", "-V").split()[-1].partition(".")[0])


def _cancel_all(variables: dict[str, str]) -> None:
    """Ends all jobs: the daemons would leave their processes behind."""
    if left := jobs(variables):
        said(variables, "scancel", *left)
        _wait(lambda: not jobs(variables), "the end of all jobs", Path(variables["SLURM_CONF"]).parent)


def _wait(reached, what: str, folder: Path) -> None:
    for _ in range(300):
        if reached():
            return
        time.sleep(0.2)
    raise AssertionError(f"waited a minute in vain for {what}\n{_logs(folder)}")


def _end(pid_file: Path) -> None:
    """Ends the daemon that wrote this file, if it still runs."""
    try:
        daemon = psutil.Process(int(pid_file.read_text()))
        daemon.terminate()
        daemon.wait(20)
    except psutil.TimeoutExpired:
        daemon.kill()
    except (OSError, ValueError, psutil.NoSuchProcess):
        return


@contextmanager
def _ports(count: int) -> Iterator[list[int]]:
    """Gives ports that nothing listened on a moment ago."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        ports = [each.getsockname()[1] for each in sockets]
    yield ports


def _logs(folder: Path) -> str:
    return "\n".join(f"{path.name}:\n{path.read_text()[-2000:]}" for path in folder.glob("*.log"))
