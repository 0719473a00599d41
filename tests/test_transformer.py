"""pocket's stage 1 and its schedule equal diffusers' bit for bit without it; later stages are loaded when asked."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from generators import models
from generators.models.base import schedule_of
from generators.models.pocket import cascade, patches, transformer
from generators.records.errors import ModelError

ROOT = Path(__file__).parents[1]
SHIPPED = models.SHIPPED / "transformer"


@pytest.fixture(scope="module")
def both():
    return transformer.load(SHIPPED), patches.load(SHIPPED)


def test_it_has_diffusers_tensors(both):
    ours, theirs = (network.state_dict() for network in both)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(("size", "shift"), [(64, 0), (64, patches.SHIFT), (32, 0)])
@pytest.mark.parametrize("n", [1, 3])
def test_it_answers_as_diffusers_to_the_bit(both, size, shift, n):
    rng = torch.Generator().manual_seed(n)
    x, tokens = torch.randn(n, 3, size, size, generator=rng), torch.randn(n, 17, 384, generator=rng)
    t = torch.randint(0, 1000, (n,), generator=rng)
    with torch.inference_mode():
        ours, theirs = (patches.answer(network, x, t, tokens, shift) for network in both)
    assert torch.equal(ours, theirs)


def test_the_schedule_is_diffusers_to_the_bit():
    ours, theirs = cascade.schedule(), schedule_of(cascade.scheduler())
    assert torch.equal(ours.abar, theirs.abar)
    assert ours.threshold == theirs.threshold == 1  # both clip


def test_the_first_picture_needs_no_diffusers():
    """Its import takes longer than the import of torch."""
    code = """if True:
        import sys, torch
        from generators import models
        from generators.diffusion import batching
        from generators.lab import Lab
        lab = Lab(models.load("pocket"))
        with torch.inference_mode():
            batching.run([lambda: lab.sample(lab.guided("a fox"), timesteps=[500, 0])])
        assert "diffusers" not in sys.modules, "diffusers was imported"
    """
    shipped = {name: value for name, value in os.environ.items() if name != "POCKET_WEIGHTS"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=shipped, check=True)


@pytest.mark.parametrize("part", ["transformer", "stage_2", "stage_3", "scheduler"])
@pytest.mark.parametrize("text", ["{", "{}", "[]", '{"_class_name": "Another"}'])
def test_a_damaged_configuration_is_refused_before_anything_is_drawn(tiny_pocket, damaged, part, text):
    (path,) = (damaged / part).glob("*config.json")
    path.write_text(text)
    with pytest.raises(ModelError, match=rf"cannot be loaded \(\S*{part}[/:]") as caught:
        models.load("pocket")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("part", ["transformer", "stage_2"])
def test_a_network_of_another_size_is_refused_in_a_line(damaged, part):
    path = damaged / part / "config.json"
    text = path.read_text()
    path.write_text(text.replace('"num_single_layers": 1', '"num_single_layers": 2').replace("16\n  ]", "24\n  ]"))
    assert path.read_text() != text
    with pytest.raises(ModelError) as caught:
        models.load("pocket").second.net(torch.zeros(1, 51, 8, 8), torch.zeros(1))
    assert str(caught.value).startswith("pocket: the weights in ")
    assert "\n" not in str(caught.value)


@pytest.fixture
def damaged(tiny_pocket, tmp_path, monkeypatch):
    """A copy of the tiny model, to be damaged, as POCKET_WEIGHTS."""
    folder = shutil.copytree(tiny_pocket, tmp_path / "weights")
    monkeypatch.setenv("POCKET_WEIGHTS", str(folder))
    return folder
