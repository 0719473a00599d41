"""What `make bench` compares: the published sizes, the same pictures by all ways, and a table in its place."""

import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import click
import numpy as np
import page_fixture as fixture
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from generators.bench import __main__ as bench
from generators.bench import configurations, machine, rounding, variants

TINY = configurations.Configuration("tiny", (4, 32), layers=1, head=32, text=16, text_heads=2, groups=4)
CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "parameters", "flops"),
    [("I-XL", 4.305e9, 2.88e12), ("I-L", 0.935e9, 0.612e12), ("I-M", 0.372e9, 0.229e12)],
)
def test_the_shapes_have_ifs_published_sizes(name, parameters, flops):
    assert configurations.size(configurations.CONFIGURATIONS[name]) == (
        pytest.approx(parameters, rel=0.002),
        pytest.approx(flops, rel=0.003),
    )


def test_a_thinned_trajectory_keeps_its_ends():
    assert variants.thinned([990, 960, 930, 900, 0], 2) == [990, 0]
    assert variants.thinned([990, 960, 930, 900, 0], 3) == [990, 930, 0]
    assert variants.thinned([990, 960, 0], 34) == [990, 960, 0]


@pytest.fixture(scope="module")
def measured():
    """One visit to each way, over three sections: samples without guidance, SDEdit, and what no pipeline does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(variants, "SECTIONS", ("1.5", "1.7", "1.9"))
        return bench.compare(bench.rows(CPU), TINY, CPU, steps=2, visits=1, side=16)


def test_all_ways_come_to_the_same_pictures(measured):
    samples, edits, hybrids = 5 * 2, 3 * 6 * 2, 9 * 2  # steps
    evaluations, shared = samples + 2 * edits + 4 * hybrids, samples + 2 * edits + 3 * hybrids
    assert [row.evaluations for row in measured] == [evaluations, evaluations, shared, shared]
    assert [row.calls for row in measured] == [
        evaluations,  # one image a call
        samples + edits + 4 * hybrids,  # the pipelines': both halves of an edit's step together
        *[2 + 2 * 2 + 2] * 2,  # a step of a section is a call, or two where it has more than 32 images
    ]
    loop, pipelines, ours, half = measured
    assert loop.differs == 0
    assert max(pipelines.differs, ours.differs) < 1e-3
    assert half.differs > 1e-3


def test_the_table_says_what_was_measured(measured):
    text = bench.table(TINY, CPU, 2, measured)
    head, _, columns, _, *lines = text.splitlines()
    assert head.startswith("tiny (0 million parameters, ")
    assert "sections 1.5, 1.6" in head
    assert "2 steps a trajectory" in head
    assert len(lines) == 4
    assert {line.count("|") for line in (columns, *lines)} == {10 + 1}
    assert lines[1].split(" | ")[5] == "1.00"


def test_a_table_is_put_between_its_marks_and_nowhere_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Before.\n<!-- small -->\nold\n<!-- end of small -->\nAfter.\n")
    bench.put(page, "small", "new")
    assert page.read_text() == "Before.\n<!-- small -->\nnew\n<!-- end of small -->\nAfter.\n"
    with pytest.raises(click.ClickException, match="has no lines <!-- I-M --> and <!-- end of I-M -->"):
        bench.put(page, "I-M", "new")


def test_the_page_has_a_place_for_every_shape():
    text = (Path(__file__).parents[1] / "report" / "benchmarks.md").read_text(encoding="utf-8")
    for name in ("small", "I-M", "I-XL"):
        assert f"<!-- {name} -->\n" in text
        assert f"<!-- end of {name} -->" in text


def test_an_emulated_precision_is_measured_briefly_and_left_out(monkeypatch, capsys):
    seconds = {torch.float32: 1e-3, torch.bfloat16: 1.0}  # of any product, as on a processor without bfloat16
    sides = []

    def rate(device, dtype, side):
        sides.append(side)
        return 2 * side**3 / seconds[dtype]

    monkeypatch.setattr(machine, "matmul_rate", rate)
    assert machine.highest_rate(CPU, torch.bfloat16, 64) == 2  # 1 x 1: a larger product would take too long
    assert set(sides) == {1}
    assert [row.dtype for row in bench.computed(bench.rows(CPU), CPU, 64)] == [torch.float32] * 3
    assert "torch.bfloat16 is left out" in capsys.readouterr().err


def test_memory_that_was_taken_and_given_back_is_the_peak():
    machine.forget_peak(CPU)
    before = machine.peak_memory(CPU)
    taken = torch.ones(2**25)  # 128 MB
    del taken
    assert machine.peak_memory(CPU) > before + 2**26


def test_the_table_of_rounding_has_a_row_for_each_setting(tmp_path, monkeypatch):
    """The drawings are pretended: each setting's differs from the first by its number."""
    page = tmp_path / "benchmarks.md"
    page.write_text("before\n<!-- rounding -->\nold\n<!-- end of rounding -->\nafter\n")

    def drawn(setting, section_ids, folder):
        assert section_ids == ("1.5",)
        number = int(Path(folder).name)
        root = fixture.folder(tmp_path / f"report {number}")
        picture = fixture.picture()
        other = Image.fromarray(np.asarray(picture) + np.uint8(number))
        record = fixture.section(root, "1.5", {"samples": [{**fixture.panel("a"), "image": other}]})
        shutil.copytree(record.parent, Path(folder) / "1.5")

    class Here:
        """Runs in this process."""

        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def submit(self, function, *arguments):
            function(*arguments)
            return self

        def result(self):
            pass

    monkeypatch.setattr(rounding, "ProcessPoolExecutor", Here)
    monkeypatch.setattr(rounding, "drawn", drawn)
    done = CliRunner().invoke(
        rounding.main, ["--section", "1.5", "--keep", str(tmp_path / "kept"), "--write", str(page)]
    )
    assert done.exit_code == 0, done.output
    before, _, head, _, _, _, *rows, _, after = page.read_text().splitlines()
    assert (before, after) == ("before", "after")
    assert head == "Sampled panels of sections 1.5; 255 is white."
    assert len(rows) == len(rounding.ROUNDING) + len(rounding.CHANGES)
    assert rows[0] == "| drawn again | 1 of 1 | 1 … 1 | 1.000 … 1.000 |"


def test_each_change_of_the_rounding_table_changes_what_is_drawn(tiny_pocket, tmp_path):
    """In processes of their own, as in the table: they change globals."""
    settings = [rounding.Setting("first"), *(setting for setting in rounding.CHANGES if "0.1 %" not in setting.name)]
    for number, setting in enumerate(settings):
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            process.submit(rounding.drawn, setting, ("1.6",), str(tmp_path / str(number))).result()
        if number:
            found = rounding.differences(tmp_path / "0", tmp_path / str(number))
            assert len(found) == 5
            assert all(largest for largest, _ in found)
