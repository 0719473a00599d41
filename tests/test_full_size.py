"""`make full-size` with small networks: the real path loads what is written, and refusals."""

import errno
import os

import pytest
import tiny_if
import torch
from click.testing import CliRunner
from diffusers import UNet2DConditionModel
from transformers import T5Config

from generators import models
from generators.bench import full_size
from generators.bench import random_weights as weights
from generators.bench.configurations import CONFIGURATIONS, Configuration
from generators.models.deepfloyd import weights as places

TINY = Configuration("I-XL", (32, 32), layers=1, head=8, text=16, text_heads=2, groups=4)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Small networks under the real names, in many files."""
    monkeypatch.setitem(CONFIGURATIONS, "I-XL", TINY)
    monkeypatch.setattr(
        weights, "T5_XXL",
        T5Config(d_model=16, d_ff=37, d_kv=8, num_heads=4, num_layers=2, vocab_size=64, feed_forward_proj="gated-gelu"),
    )  # fmt: skip
    later = tiny_if.save(tmp_path / "later", size=64, later=True)
    config = UNet2DConditionModel.load_config(later / "stage_2" / "unet")
    monkeypatch.setattr(weights, "second", lambda: UNet2DConditionModel.from_config(config))
    third = {"unet": UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(later / "stage_3" / "unet"))}
    monkeypatch.setattr(weights, "third", lambda: third)
    monkeypatch.setattr(weights, "SHARD", 20_000)
    monkeypatch.setattr(places, "CACHE", tmp_path / "cache")
    return tmp_path / "full-size"


def test_what_is_written_is_what_the_real_path_loads(small, monkeypatch):
    told = []
    weights.write(small, "I-XL", lambda file, done: told.append(done))
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1)
    assert len(list((small / "stage_1" / "unet").glob("*.fp16-0*-of-0*.safetensors"))) > 3
    held = sum(path.stat().st_size for path in small.rglob("*.safetensors"))
    assert weights.size("I-XL") <= held <= 2 * weights.size("I-XL")
    monkeypatch.setenv("DEEPFLOYD_WEIGHTS", str(small))
    models.prepare("deepfloyd", lambda steps, guided: models.Workload(("", "a dog"), 1, 1, 0), told.append)
    model = models.load("deepfloyd")
    noise = model.guided("a dog")(torch.randn(3, 64, 64), 500)
    assert torch.isfinite(noise.eps).all()
    assert model.second.guided("a dog")(torch.randn(6, 256, 256), 500).eps.std() > 0


def test_the_real_layouts_have_the_published_sizes():
    networks = weights.components("I-XL")
    sizes = {name: sum(parameter.numel() for parameter in net.parameters()) for name, net in networks.items()}
    assert sizes["stage_1/unet"] == pytest.approx(4.305e9, rel=1e-3)
    assert sizes["stage_1/text_encoder"] == pytest.approx(places.T5_PARAMETERS, rel=2e-2)
    assert sizes["stage_2/unet"] == pytest.approx(places.SECOND.parameters, rel=0.05)
    assert sum(size for name, size in sizes.items() if "stage_3" in name) == pytest.approx(0.87e9, rel=1e-2)


def run(folder, *arguments, answer=None):
    return CliRunner().invoke(full_size.main, ["--folder", str(folder), *arguments], input=answer)


def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(small, monkeypatch):
    monkeypatch.setattr(full_size, "disk", lambda place: 1000)
    done = run(small, "--yes")
    assert done.exit_code == 1
    assert f"{small}: deepfloyd at full size needs 0.0 GB, and 0.0 are free; free some space, or set" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not small.exists()


def test_it_asks_first(small):
    done = run(small, answer="n\n")
    assert done.exit_code == 1
    assert "Go on?" in done.stderr
    assert not small.exists()


def test_a_disk_that_fills_is_one_line_and_what_was_written_is_removed(small, monkeypatch):
    written, usual = [], weights.save_file

    def full(tensors, path, *more):
        written.append(path)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        usual(tensors, path, *more)

    monkeypatch.setattr(weights, "save_file", full)
    done = run(small, "--yes")
    assert done.exit_code == 1
    assert done.stderr.strip().splitlines()[-1] == (
        f"Error: {small}: the disk is full; free some space, and run the same command again"
    )
    assert not small.exists()


def test_the_table_says_what_was_measured():
    row = {"wall": 10.0, "cores": 18.0, "peak": 2e9, "did": "22 prompts"}
    first = {**row, "load": 3.0, "evaluations": 5, "rate": 1e11}
    told = full_size.table("deepfloyd", {"text": row, "stage 1": first, "stage 3": None}, 22e9)
    assert "| text | 22 prompts | 3 | 2.00 |  | 10 | 18 |  |" in told
    assert "| stage 1 | 22 prompts | 6 | 2.00 | 3.0 | 10 | 18 | 3.6 |" in told
    assert "| stage 3 | does not fit | 8 |" in told
    assert "an evaluation of I-XL (2.88 TFLOP) takes 28.8 core seconds" in told
