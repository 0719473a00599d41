"""The console command from end to end, in a copy of the project, with a tiny model of random weights."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SKIPPED = shutil.ignore_patterns("__pycache__", "weights")


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_pocket):
    """A copy of the sources, without state or published site, in which all sections have been drawn once."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("generators", "report", "templates"):
        shutil.copytree(ROOT / name, copy / name, ignore=SKIPPED)
    shutil.copy(ROOT / "CITATION.cff", copy)
    drawn = run(copy, tiny_pocket, "all")
    assert drawn.returncode == 0, drawn.stderr
    copy.joinpath("drawn.txt").write_text(drawn.stdout + drawn.stderr)
    return copy


def run(project: Path, weights: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    none = str(project / "none")
    environment = {**os.environ, "POCKET_WEIGHTS": str(weights), "DEEPFLOYD_WEIGHTS": none, "COLUMNS": "200"}
    environment["PYTHONPATH"] = str(project)
    return subprocess.run(
        [sys.executable, "-m", "report", *arguments],
        cwd=project, env=environment, capture_output=True, text=True, timeout=900,
    )  # fmt: skip


def records(project: Path) -> dict[str, dict]:
    return {path.parent.name: json.loads(path.read_text()) for path in project.glob(".report/pocket/*/record.json")}


def stamps(project: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in project.glob(".report/pocket/*/*")}


def test_every_declared_figure_is_on_the_page_exactly_once(project):
    page = (project / "site" / "index.html").read_text()
    declared = [f"{key}-{figure['name']}" for key, record in records(project).items() for figure in record["figures"]]
    assert len(declared) >= 16
    placed = re.findall(r'<figure[^>]* id="fig-([^"]+)"', page)
    assert sorted(placed) == sorted(name.replace(".", "_") for name in declared)


def test_progress_names_every_section(project):
    told = (project / "drawn.txt").read_text()
    for section_id, record in records(project).items():
        assert re.search(rf"^{re.escape(section_id)} +{re.escape(record['title'])}: \d+ evaluations", told, re.M), (
            section_id
        )
    assert str(project / "site" / "index.html") in told


def test_a_second_run_draws_nothing(project, tiny_pocket):
    before = stamps(project)
    again = run(project, tiny_pocket, "all")
    assert again.returncode == 0
    assert "All sections are up to date." in again.stdout
    assert stamps(project) == before


def test_a_word_of_prose_changes_the_page_and_no_panel(project, tiny_pocket):
    before, prose = stamps(project), project / "report" / "writeup" / "part_1_1.md"
    prose.write_text(prose.read_text() + "\n\nA sentence about quokkas.\n")
    assert run(project, tiny_pocket, "site").returncode == 0
    assert "quokkas" in (project / "site" / "index.html").read_text()
    assert stamps(project) == before


def test_the_page_is_built_without_torch(project, tiny_pocket):
    code = (
        "import sys; from report.command.cli import main; main(['site'], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )
    built = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True,
        env={**os.environ, "POCKET_WEIGHTS": str(tiny_pocket), "PYTHONPATH": str(project)},
    )  # fmt: skip
    assert built.returncode == 0, built.stderr


def test_one_section_alone_equals_the_full_run(project, tiny_pocket):
    before = {key: record["figures"] for key, record in records(project).items()}
    drawn = run(project, tiny_pocket, "section", "1.5", "--again")
    assert drawn.returncode == 0, drawn.stderr

    def pixels(figures):
        return [panel["pixels"] for figure in figures for panel in figure["panels"]]

    after = {key: record["figures"] for key, record in records(project).items()}
    assert {key: pixels(figures) for key, figures in after.items()} == {key: pixels(f) for key, f in before.items()}


def test_a_new_section_is_one_new_file(project, tiny_pocket):
    (project / "generators" / "sections" / "part_1_11.py").write_text(
        "from ..figures import Figure, Section, each\n\n\ndef draw(lab, k):\n    return lab.noise(k)\n\n\n"
        'SECTION = Section("1.11", "Noise", [Figure("noise", "Noise.", "{k}", "Noise {k}", each(k=(0, 1)), draw)])\n'
    )
    drawn = run(project, tiny_pocket, "all")
    (project / "generators" / "sections" / "part_1_11.py").unlink()
    assert drawn.returncode == 0, drawn.stderr
    told = [line.split()[0] for line in drawn.stderr.splitlines() if "evaluations" in line]
    assert told == ["1.11"]
    page = (project / "site" / "index.html").read_text()
    assert page.index('id="fig-1_9-') < page.index('id="fig-1_11-noise"')
    assert run(project, tiny_pocket, "site").returncode == 0
    assert "fig-1_11-noise" not in (project / "site" / "index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("section", "2.7"), "there is no section 2.7; the sections are 0, 1.1, 1.2"),
        (
            ("section", "1.1", "--model", "imagen"),
            "model 'imagen': choose one of pocket, deepfloyd, deepfloyd-l, deepfloyd-m",
        ),
        (("all", "--model", "deepfloyd"), "set DEEPFLOYD_WEIGHTS to a folder"),
    ],
)
def test_bad_input_gets_one_line_and_the_page_stays(project, tiny_pocket, arguments, told):
    page = (project / "site" / "index.html").read_bytes()
    failed = run(project, tiny_pocket, *arguments)
    assert failed.returncode == 1
    assert told in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1
    assert (project / "site" / "index.html").read_bytes() == page


def test_help_answers_without_loading_anything(project, tiny_pocket):
    code = (
        "import sys\nfrom report.command.cli import main\n"
        "try: main(['--help'])\nfinally: assert not {'torch', 'numpy', 'jinja2'} & set(sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert all(verb in told.stdout for verb in ("all", "section", "doctor", "site", "serve", "status", "clean"))


@pytest.fixture
def clone(project, tmp_path):
    """A copy of the project with its published page, as a fresh clone has it: nothing was drawn here."""
    copy = tmp_path / "clone"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".report", "__pycache__"))
    return copy


def site(project: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in (project / "site").rglob("*") if path.is_file()}


def test_a_fresh_clone_draws_what_is_published_and_changes_no_file_of_the_site(clone, tiny_pocket):
    lines = run(clone, tiny_pocket, "status").stdout.splitlines()
    assert len(lines) == len(list((clone / "site/records").iterdir()))
    assert {line.split(maxsplit=1)[1] for line in lines} == {"published, not drawn here"}
    before = site(clone)
    drawn = run(clone, tiny_pocket, "section", "1.1", "1.5")
    assert re.search(r"^reproduced: 9 identical$", drawn.stdout, re.M), drawn.stdout
    assert site(clone) == before
    assert re.search(r"^1\.1 +up to date$", run(clone, tiny_pocket, "status").stdout, re.M)


def test_on_another_processor_it_agrees_within_rounding_and_changes_no_file_either(clone, tiny_pocket, monkeypatch):
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    before = site(clone)
    drawn = run(clone, tiny_pocket, "section", "1.5", "1.7.2")
    assert re.search(r"^reproduced: .*\d+ within rounding \(at most 1 of 255, [678]\d\.\d dB\)$", drawn.stdout, re.M), (
        drawn
    )
    assert "new on the page" not in drawn.stdout
    assert site(clone) == before


def test_a_build_names_what_is_on_the_page_but_stale(clone, tiny_pocket):
    source = clone / "generators" / "sections" / "part_1_1.py"
    source.write_text(source.read_text().replace("250", "260"))
    assert "on the page but stale: 1.1 (its source changed)\n" in run(clone, tiny_pocket, "site").stderr
    status = run(clone, tiny_pocket, "status").stdout
    assert re.search(r"^1\.1 +published, not drawn here; its source changed since$", status, re.M)
    assert re.search(r"^1\.2 +published, not drawn here$", status, re.M)
