"""The README's file for Slurm, on a real Slurm of one machine: it draws, and what is done outlasts a lost job."""

from __future__ import annotations

import json
import re
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import project_fixture
import pytest
import slurm_fixture
import tiny_if

pytestmark = pytest.mark.skipif(bool(why := slurm_fixture.lacking()), reason=str(why))

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
DRAWN, SLOW = ("1.3", "1.5"), "9"
WAITING = """
import os
import time
from pathlib import Path

from ..figures import Figure, Section


def draw(lab):
    if "SLURM_JOB_ID" in os.environ:  # in a job, not in the dry run on the login node
        Path({begun!r}).touch()
        while not Path({go!r}).exists():
            time.sleep(0.1)
    return lab.noise()


SECTION = Section("9", "Waits", [Figure("wait", caption="Noise.", label="noise", alt="Noise", cases=[{{}}], draw=draw)])
"""


@pytest.fixture(scope="module")
def slurm():
    with ExitStack() as stack:
        try:
            variables = stack.enter_context(slurm_fixture.cluster())
        except slurm_fixture.NotStarted as error:
            pytest.skip(f"Slurm does not start on this system: {error}")
        yield variables | {"OMP_NUM_THREADS": "1"}


@pytest.fixture
def project(tmp_path):
    """A copy of the project with two sections, the README's file as it stands, and a section that waits for `go`."""
    copy = project_fixture.copy(tmp_path / "project", DRAWN)
    [file] = [block for block in re.findall(r"```python\n(.*?)```", README, re.S) if "SlurmProvider" in block]
    (copy / "slurm.py").write_text(file)
    waiting = WAITING.format(begun=str(copy / "begun"), go=str(copy / "go"))
    (copy / "generators" / "sections" / "part_9.py").write_text(waiting)
    return copy


def drawn(project, model):
    return {path.parent.name: json.loads(path.read_text()) for path in project.glob(f".report/{model}/*/record.json")}


def draw(project, slurm, *sections, model="pocket", **weights):
    arguments = ("section", *sections, "--model", model, "--executor", "slurm.py")
    return project_fixture.report(project, *arguments, **slurm, **weights)


def test_the_readmes_file_draws_with_pocket(slurm, project, tiny_pocket):
    done = draw(project, slurm, *DRAWN, POCKET_WEIGHTS=str(tiny_pocket))
    assert done.returncode == 0, done.stderr
    assert sorted(drawn(project, "pocket")) == sorted(DRAWN)
    assert (project / ".report" / "pages" / "pocket" / "index.html").is_file()
    assert slurm_fixture.jobs(slurm) == []


def test_it_draws_with_deepfloyd_whose_run_is_planned_where_it_is_drawn(slurm, project, tmp_path):
    weights = tiny_if.save(tmp_path / "weights", size=64)
    done = draw(project, slurm, *DRAWN, model="deepfloyd", DEEPFLOYD_WEIGHTS=str(weights))
    assert done.returncode == 0, done.stderr
    told = done.stderr.splitlines()
    [begun] = [k for k, line in enumerate(told) if line == "deepfloyd: planning  on the first worker that starts"]
    terms = [[line.split()[1] for line in lines if line.startswith("deepfloyd: ")] for lines in (told[:begun], told)]
    assert {"prompts", "encoding", "disk"} <= set(terms[0])
    assert not {"memory", "work", "time"} & set(terms[0])
    assert {"memory", "work", "time"} <= set(terms[1])
    assert sorted(drawn(project, "deepfloyd")) == sorted(DRAWN)


def test_a_job_that_slurm_refuses_is_one_line(slurm, project, tiny_pocket):
    file = project / "slurm.py"
    file.write_text(file.read_text().replace('partition="gpu"', 'partition="none"'))
    refused = draw(project, slurm, "1.3", POCKET_WEIGHTS=str(tiny_pocket))
    assert refused.returncode == 1
    assert re.search(r"^report: Parsl: .*invalid partition specified: none", refused.stderr.splitlines()[-1])
    assert "Traceback" not in refused.stderr


def test_a_job_that_ends_too_soon_is_one_line_and_the_next_run_goes_on(slurm, project, tiny_pocket):
    sections, weights = ("1.3", SLOW), {"POCKET_WEIGHTS": str(tiny_pocket)}
    words, environment = project_fixture.command(
        project, "section", *sections, "--executor", "slurm.py", **slurm, **weights
    )
    for ending in (["scancel", "{job}"], ["scontrol", "update", "JobId={job}", "EndTime=now+1"]):  # its time limit
        process = subprocess.Popen(words, cwd=project, env=environment, stderr=subprocess.PIPE, text=True)
        try:
            while not (drawn(project, "pocket") and (project / "begun").exists()):
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.1)
            (project / "begun").unlink()
            [job] = slurm_fixture.jobs(slurm)
            slurm_fixture.said(slurm, *(word.format(job=job) for word in ending))
            _, told = process.communicate(timeout=300)
        finally:
            process.kill()
            process.stderr.close()
        assert process.returncode == 1
        line = r"report: a worker on \S+ ended unexpectedly .* run the same command to continue"
        assert re.fullmatch(line, told.splitlines()[-1]), told
        assert "Traceback" not in told
        assert list(drawn(project, "pocket")) == ["1.3"]
    (project / "go").touch()
    done = draw(project, slurm, *sections, **weights)
    assert done.returncode == 0, done.stderr
    assert sorted(drawn(project, "pocket")) == sorted(sections)
    assert "1.3 " not in done.stderr
