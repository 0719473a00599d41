"""The notebook from top to bottom, by pocket, in a copy of the project; interrupted, its cell goes on."""

import os
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).parents[1]
KEPT = {"part_1_1", "part_1_3"}


@pytest.fixture
def project(tmp_path, tiny_pocket, monkeypatch):
    """A copy of the sources with two sections, set up already. Of the prose, what needs no other section."""
    copy = tmp_path / "diffusion-report"
    for name in ("generators", "report", "templates"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "weights"))
    shutil.copytree(ROOT / "generators/models", copy / "generators/models", dirs_exist_ok=True)
    for name in ("CITATION.cff", "Makefile", "pyproject.toml", "requirements.lock", "requirements-dev.lock"):
        shutil.copy(ROOT / name, copy)
        os.utime(copy / name, (0, 0))  # older than .venv/ready: nothing may install this copy into the project's .venv
    (copy / ".venv").symlink_to(ROOT / ".venv")
    for path in (*copy.glob("generators/sections/part_*.py"), *copy.glob("report/writeup/part_*.md")):
        if path.stem not in KEPT or (path.suffix == ".md" and path.stem != "part_1_1"):
            path.unlink()
    (copy / "report" / "writeup" / "intro.md").write_text("An introduction that shows no figure.\n")
    environment = {"MODEL": "pocket", "FOLDER": copy.name, "PYTHONPATH": str(copy), "POCKET_WEIGHTS": str(tiny_pocket)}
    for name, value in {**environment, "COLUMNS": "200", "IPYTHONDIR": str(tmp_path / "ipython")}.items():
        monkeypatch.setenv(name, value)
    return copy


def notebook():
    return nbformat.read(ROOT / "notebooks" / "report.ipynb", as_version=4)


def said(cell):
    return "".join(str(output.get("text", output.get("data", ""))) for output in cell.outputs)


@pytest.mark.filterwarnings("ignore")
def test_it_runs_from_top_to_bottom_and_an_interrupted_cell_goes_on(project):
    found, where = notebook(), {"metadata": {"path": str(project.parent)}}
    cells = {cell.id: cell for cell in found.cells}
    shown = 'print(line, end="", flush=True)\n'
    assert shown in cells["clone"].source
    interrupt = "            if line.startswith('1.1    Impl'):\n                os.killpg(0, 2)  # as Jupyter does\n"
    cells["clone"].source = cells["clone"].source.replace(shown, shown + interrupt)
    with pytest.raises(CellExecutionError, match="KeyboardInterrupt"):
        NotebookClient(found, timeout=600, resources=where).execute()
    assert "There are no obstacles" in said(cells["doctor"])
    record = project / ".report/pocket/1.1/record.json"
    assert record.is_file(), said(cells["draw"])
    before = record.stat().st_mtime_ns

    client = NotebookClient(notebook(), timeout=600, resources=where)
    cells = {cell.id: cell for cell in client.execute().cells}
    assert "1.1    Implementing" not in said(cells["draw"])
    assert (project / ".report/pocket/1.3/record.json").is_file()
    assert record.stat().st_mtime_ns == before
    assert "IFrame" in said(cells["show"])
    assert (project / "site/index.html").is_file()
    assert (project / "site.zip").is_file()


def test_it_holds_no_outputs_and_no_token():
    assert not [cell for cell in notebook().cells if cell.get("outputs") or cell.get("execution_count")]
    assert "hf_" not in (ROOT / "notebooks/report.ipynb").read_text()
