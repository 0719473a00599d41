"""Stage 1's training carried to another machine and back, with a small network and without icons."""

import json
import sys

import pytest
import torch
from safetensors.torch import load_file

from generators.making.training import bundle, loop, pool, stage_1
from generators.models.pocket.patches import denoiser


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A checkpoint of a small stage 1, and stand-ins for the pictures and the text encoder."""

    def picture(number, sequence=pool.TRAINING):
        rgb = torch.full((3, 64, 64), 8 * number % 256, dtype=torch.uint8)
        return [pool.Picture(rgb, (f"picture {number % 3}", "a picture"))]

    def encode(prompts):
        tokens = torch.zeros(1, 17, 384)
        tokens[0, : 2 + len(prompts[0].split())] = len(prompts[0]) / 16
        return tokens, None

    for module in (loop, bundle):
        monkeypatch.setattr(module, "load_checkpoint", loop.load_checkpoint)
    monkeypatch.setattr(loop, "CHECKPOINTS", tmp_path / "state")
    monkeypatch.setattr(loop.minilm, "encode", encode)
    monkeypatch.setattr(loop.shutil, "which", lambda program: None)
    monkeypatch.setattr(stage_1, "denoiser", lambda: denoiser(layers=1, heads=1))
    monkeypatch.setattr(bundle, "picture_64", picture)
    monkeypatch.setattr(bundle, "drawing", lambda number, sequence: (picture(number)[0], None))
    monkeypatch.setattr(bundle, "find_spec", lambda name: None)
    monkeypatch.setattr(bundle, "SCALE", 1)
    monkeypatch.setattr(stage_1, "FINE_BATCH", 2)
    monkeypatch.setattr(stage_1, "COARSE_BATCH", 2)
    loop._encoded.cache_clear()
    network = stage_1.untrained()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.02, generator=torch.Generator().manual_seed(0))
    states = [one.state_dict() for one in stage_1.optimizers(network)]
    whole = {part: network.state_dict() for part in ("network", "average")}
    loop.save_checkpoint("stage_1", {**whole, "optimizers": states, "update": 7, "core_seconds": 5.0})
    yield whole["average"]
    loop._encoded.cache_clear()


@pytest.mark.filterwarnings("ignore:Mismatch dtype")  # RMSNorm under autocast: float32 weights, as they should be
def test_training_goes_on_elsewhere_and_comes_back(trained, tmp_path, monkeypatch):
    there = tmp_path / "bundle"
    bundle.pack(there, pictures=6, captioned=6)
    told = json.loads((there / "bundle.json").read_text())
    assert told["vocabulary"] == ["", "a picture", "picture 0", "picture 1", "picture 2"]
    assert load_file(there / "average.safetensors")["proj_out.weight"].dtype == torch.float16

    here = loop.CHECKPOINTS
    monkeypatch.setattr(loop, "CHECKPOINTS", tmp_path / "elsewhere")
    monkeypatch.setattr(bundle, "UPDATES", 10)
    bundle.train(there, "stage_1", minutes=1)
    monkeypatch.setattr(loop, "CHECKPOINTS", here)
    assert all(path.stat().st_size <= 16e6 for path in (there / "trained").rglob("*.safetensors"))
    bundle.unpack(there)
    state = loop.load_checkpoint("stage_1")
    assert state["update"] == 10
    assert any(not torch.equal(state["network"][key], trained[key]) for key in trained)
    assert torch.load(here / "stage_1.previous.pt", weights_only=True)["update"] == 7


def test_later_stages_come_back_as_finished_networks(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "TRAINED", tmp_path / "weights")
    with pytest.raises(SystemExit, match="nothing was trained there"):
        bundle.unpack(tmp_path)
    (tmp_path / "trained" / "stage_3").mkdir(parents=True)
    (tmp_path / "trained" / "stage_3" / "config.json").write_text("{}")
    bundle.unpack(tmp_path)
    assert (tmp_path / "weights" / "stage_3" / "config.json").read_text() == "{}"
    assert not (tmp_path / "weights" / "stage_2").exists()


def test_the_time_ends_the_training(trained, tmp_path):
    bundle.pack(tmp_path, pictures=3, captioned=4)
    bundle.train(tmp_path, "stage_1", minutes=0)
    bundle.unpack(tmp_path)
    state = loop.load_checkpoint("stage_1")
    assert state["update"] == 7
    assert all(torch.allclose(state["average"][key], trained[key], atol=1e-3) for key in trained)


def test_the_tokens_that_travel_are_the_encoders(trained, tmp_path):
    bundle.pack(tmp_path, pictures=3, captioned=4)
    encode = bundle.encoder(tmp_path)
    asked = ["picture 1", "a picture"]
    assert torch.equal(encode(asked), loop.encode_captions(asked))
    assert torch.equal(encode(["never met"]), encode([""]))


def test_without_a_checkpoint_the_weights_that_ship_travel(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINTS", tmp_path / "none")
    shipped = denoiser(layers=1, heads=1)
    shipped.save_pretrained(tmp_path / "transformer")
    monkeypatch.setattr(loop.models, "SHIPPED", tmp_path)
    bundle.pack(tmp_path / "bundle", pictures=3, captioned=4)
    packed = load_file(tmp_path / "bundle" / "average.safetensors")
    assert all(torch.equal(packed[key], value.half()) for key, value in shipped.state_dict().items())
    assert json.loads((tmp_path / "bundle" / "bundle.json").read_text())["update"] == 0


def test_an_unknown_command_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bundle", "carry", str(tmp_path)])
    with pytest.raises(SystemExit):
        bundle.main()
