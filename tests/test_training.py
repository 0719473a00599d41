"""What pocket's training scripts share, and how training pictures become batches. No icons are needed."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from generators import models
from generators.making.drawings import vectors
from generators.making.training import later_stages, loop, stage_1
from generators.models.base import schedule_of
from generators.models.pocket import patches, super_resolution
from generators.models.pocket.cascade import scheduler


@pytest.fixture
def fit(tmp_path, monkeypatch):
    """`loop.fit` of a network to nothing but zeros, without a compiler, its checkpoints in a folder of the test."""
    monkeypatch.setattr(loop, "CHECKPOINTS", tmp_path)
    monkeypatch.setattr(loop.shutil, "which", lambda program: None)
    monkeypatch.setattr(loop, "VALIDATE_EVERY", 5)
    batches = []

    def run(updates, stop_at=None, minutes=math.inf):
        def loss_of(network, generator):
            if len(batches) == stop_at:
                raise KeyboardInterrupt
            batches.append(torch.randn((4, 3), generator=generator))
            return network(batches[-1]).float().square().mean()

        torch.manual_seed(0)
        network = nn.Linear(3, 2)
        optimizers = [loop.adamw(network.parameters(), 1e-2)]
        validate = lambda network: {"size": network.weight.abs().sum().item()}  # noqa: E731
        loop.fit("tiny", network, loss_of, optimizers, updates, ema=0.9, validate=validate, minutes=minutes)
        return network.state_dict()

    run.batches = batches
    return run


def checkpoint(folder, name="tiny.pt"):
    return torch.load(folder / name, weights_only=True)


def test_training_goes_on_from_its_checkpoint(fit, tmp_path):
    fit(6)
    state = checkpoint(tmp_path)
    assert state["update"] == len(fit.batches) == 6
    average = fit(6)  # the updates are made
    assert len(fit.batches) == 6
    assert all(torch.equal(average[key], state["average"][key]) for key in average)
    fit(9)
    assert checkpoint(tmp_path)["update"] == len(fit.batches) == 9
    assert checkpoint(tmp_path)["core_seconds"] > state["core_seconds"]
    assert not torch.equal(fit.batches[6], fit.batches[0])  # other batches than in the first run


def test_a_resumed_run_cools_down_too(fit, tmp_path):
    """Loading an optimizer's state replaces its groups, so the rate must be set in the new ones."""
    fit(6)
    fit(9)
    (group,) = checkpoint(tmp_path)["optimizers"][0]["param_groups"]
    assert group["lr"] == pytest.approx(1e-2 * loop.learning_rate(2, 8 / 9))


def test_a_checkpoint_of_other_optimizers_is_refused_and_kept(fit, tmp_path):
    fit(6)
    loop.save_checkpoint("tiny", {**checkpoint(tmp_path), "optimizers": []})
    with pytest.raises(SystemExit, match=r"tiny\.pt: was saved with other optimizers"):
        fit(9)
    assert checkpoint(tmp_path)["update"] == 6


def test_training_that_is_interrupted_keeps_what_it_has(fit, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(9, stop_at=4)
    assert checkpoint(tmp_path)["update"] == 4
    fit(9)
    assert len(fit.batches) == 9


def test_the_checkpoint_before_stands_in_for_one_that_is_damaged(fit, tmp_path, capsys):
    fit(6)
    fit(9)
    assert checkpoint(tmp_path, "tiny.previous.pt")["update"] == 6
    whole = (tmp_path / "tiny.pt").read_bytes()
    (tmp_path / "tiny.pt").write_bytes(whole[: len(whole) // 2])
    assert loop.load_checkpoint("tiny")["update"] == 6
    assert "cannot be read" in capsys.readouterr().out
    fit(7)
    assert checkpoint(tmp_path)["update"] == 7
    assert loop.load_checkpoint("another") is None


def test_the_averaged_weights_are_what_is_left_in_the_network(fit, tmp_path):
    average, state = fit(6), checkpoint(tmp_path)
    assert all(torch.equal(average[key], state["average"][key]) for key in average)
    assert any(not torch.equal(average[key], state["network"][key]) for key in average)


def test_the_held_out_error_is_written_down_and_validation_changes_nothing(fit, tmp_path, monkeypatch):
    fit(6)
    validated = checkpoint(tmp_path)["network"]
    (line,) = map(json.loads, (tmp_path / "tiny.jsonl").read_text().splitlines())
    assert line["update"] == 5
    assert line["size"] > 0
    for path in tmp_path.iterdir():
        path.unlink()
    fit.batches.clear()
    monkeypatch.setattr(loop, "VALIDATE_EVERY", 100)
    fit(6)
    assert all(torch.equal(value, validated[key]) for key, value in checkpoint(tmp_path)["network"].items())


def test_the_learning_rate_rises_stays_and_falls():
    rate = loop.learning_rate
    assert rate(0, 0) == pytest.approx(1 / loop.WARMUP)
    assert rate(loop.WARMUP, 0.1) == rate(10**6, 1 - loop.DECAY) == 1
    assert 1 > rate(10**6, 0.8) > rate(10**6, 0.9) > rate(10**6, 1) > 0


def test_the_time_ends_a_training_and_cools_it(fit, tmp_path, monkeypatch):
    clock = iter(range(1000))  # a second at each look
    monkeypatch.setattr(loop.time, "monotonic", lambda: next(clock))
    fit(10**6, minutes=1)
    state = checkpoint(tmp_path)
    assert 20 < state["update"] < 60
    (group,) = state["optimizers"][0]["param_groups"]
    assert group["lr"] < 1e-2 * 0.1


def test_each_caption_is_encoded_once(monkeypatch):
    asked = []

    def encode(prompts):
        asked.extend(prompts)
        return torch.full((1, 17, 384), float(len(prompts[0]))), torch.ones(1, 17)

    monkeypatch.setattr(loop.minilm, "encode", encode)
    loop._encoded.cache_clear()
    found = loop.encode_captions(["a dog", "a cat", "a dog", ""])
    loop._encoded.cache_clear()
    assert asked == ["a dog", "a cat", ""]
    assert found[:, 0, 0].tolist() == [5, 5, 5, 0]


def test_a_picture_may_get_the_large_scale_of_another(monkeypatch):
    board = 0.4 * (1 - 2 * ((torch.arange(64)[:, None] + torch.arange(64)) % 2)).float()
    x0 = torch.stack([torch.full((3, 64, 64), 0.5), board.expand(3, -1, -1)])
    monkeypatch.setattr(stage_1, "SWAPPED", 1.0)
    flat, fine = stage_1.swap_low_frequencies(x0, torch.tensor([400, 400]), torch.Generator().manual_seed(0))
    torch.testing.assert_close(flat, torch.zeros(3, 64, 64), atol=1e-3, rtol=0)  # the board's mean, and no details
    torch.testing.assert_close(fine, x0[1] + 0.5, atol=1e-3, rtol=0)


def test_large_scales_are_exchanged_in_the_share_and_at_the_noise_levels_that_are_named():
    x0, t = torch.linspace(-0.9, 0.9, 2000).view(-1, 1, 1, 1).expand(-1, 3, 20, 20), torch.arange(2000) % 600
    changed = (stage_1.swap_low_frequencies(x0, t, torch.Generator().manual_seed(0)) - x0).abs().amax((1, 2, 3)) > 1e-4
    low = t < stage_1.SWAP_FROM
    assert not changed[low].any()
    assert changed[~low].float().mean().item() == pytest.approx(stage_1.SWAPPED, abs=0.05)


def test_captions_are_dropped_as_often_as_guidance_needs():
    found = stage_1.drop_captions(["a dog"] * 4000, torch.Generator().manual_seed(0))
    assert set(found) == {"a dog", ""}
    assert found.count("") / 4000 == pytest.approx(stage_1.CAPTION_DROPOUT, abs=0.02)


def test_the_lower_noise_levels_come_threefold_as_often_at_their_top_as_at_their_bottom():
    t = stage_1.fine_timesteps(60_000, torch.Generator().manual_seed(0))
    assert t.min() >= 0
    assert t.max() < patches.COARSE
    low, high = (t < 85).sum().item(), (t >= patches.COARSE - 85).sum().item()
    assert high / low == pytest.approx(0.29 / 0.11, rel=0.05)  # the density rises from 1 to 3


def test_every_matrix_between_hidden_states_is_muons_and_all_else_adamws():
    network = patches.denoiser(layers=1, heads=1)
    *halves, adamw = stage_1.optimizers(network)
    assert all(isinstance(half, torch.optim.Muon) for half in halves)
    named = {id(p): name for name, p in network.named_parameters()}
    muons = [named[id(p)] for half in halves for group in half.param_groups for p in group["params"]]
    others = [named[id(p)] for group in adamw.param_groups for p in group["params"]]
    assert sorted(muons + others) == sorted(named.values())  # each in exactly one optimizer
    assert "x_embedder.weight" in others
    assert "proj_out.weight" in others
    assert "single_transformer_blocks.0.attn.to_q.weight" in muons


def test_the_held_out_errors_are_those_of_the_network(monkeypatch):
    x0, abar = torch.zeros(3, 3, 64, 64), scheduler().alphas_cumprod
    monkeypatch.setattr(stage_1, "clean", lambda network, x, t, tokens, abar_t: torch.full_like(x, 0.5))
    found = stage_1.validation_errors(nn.Identity(), x0, torch.zeros(3, 17, 384), abar)
    assert found == {str(level): pytest.approx(0.25) for level in stage_1.LEVELS}


def test_a_seam_costs_more_than_the_same_error_spread_evenly():
    abar_t = torch.full((1, 1, 1, 1), 0.75)  # sigma^2 = 1/4
    even, seam = torch.full((1, 3, 64, 64), 0.5), torch.full((1, 3, 64, 64), 0.5)
    seam[..., 32:] = -0.5
    assert stage_1.v_weighted(even, abar_t).item() == pytest.approx(1)
    assert stage_1.v_weighted(seam, abar_t).item() == pytest.approx(1 + 4 / 63)  # a step of 1 in 63 columns
    almost_clean = torch.ones(1, 1, 1, 1)
    assert stage_1.v_weighted(even, almost_clean).item() == pytest.approx(0.25 / stage_1.LEAST_SIGMA**2)


def test_crops_are_the_same_squares_of_both_images():
    y, x = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    x0 = torch.stack([y, x, 0 * x]).expand(20, -1, -1, -1)
    low = x0[..., ::4, ::4]
    large, small = later_stages.crops(x0, low, torch.Generator().manual_seed(0))
    assert large.shape == (20, 3, later_stages.SIDE, later_stages.SIDE)
    assert torch.equal(large[..., ::4, ::4], small)
    assert (large[:, :2, 0, 0] % super_resolution.SCALE == 0).all()
    assert len(large[:, :2, 0, 0].unique(dim=0)) > 10


def test_what_is_blurred_stays_near():
    low = torch.rand(64, 3, 24, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = later_stages.blurred(low, torch.Generator().manual_seed(1))
    assert found.shape == low.shape
    errors = (found - low).flatten(1).abs().amax(1)
    assert (errors == 0).any()  # some stay as they are
    assert (errors > 0).any()


def test_stage_1_draws_most_of_what_stage_2_learns_from(monkeypatch):
    low = torch.zeros(400, 3, 8, 8)
    monkeypatch.setattr(later_stages, "clean", lambda network, x, t, tokens, abar_t: torch.full_like(x, 3.0))
    found = later_stages.reconstructed(
        nn.Identity(), schedule_of(scheduler()), low, torch.zeros(400, 17, 384), torch.Generator().manual_seed(0)
    )
    assert set(found.unique().tolist()) == {0, 1}  # as it was, or drawn again and clamped
    assert found[:, 0, 0, 0].mean().item() == pytest.approx(later_stages.RECONSTRUCTED, abs=0.08)


def test_training_starts_from_the_weights_that_ship(monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "CHECKPOINTS", tmp_path)
    shipped = patches.load(models.SHIPPED / "transformer").state_dict()
    assert all(torch.equal(value, shipped[key]) for key, value in later_stages.stage_1().state_dict().items())
    for part, network in (("stage_2", super_resolution.stage_2()), ("stage_3", super_resolution.stage_3())):
        loop.load_shipped(network, part)
        assert network.conv_out.weight.abs().sum() > 0  # untrained, it is 0


def test_stage_2_learns_from_the_stage_1_in_training(monkeypatch, tmp_path):
    monkeypatch.setattr(loop, "CHECKPOINTS", tmp_path)
    average = {key: torch.full_like(value, 0.5) for key, value in later_stages.stage_1().state_dict().items()}
    loop.save_checkpoint("stage_1", {"average": average})
    assert all((value == 0.5).all() for value in later_stages.stage_1().state_dict().values())


def test_the_loss_of_a_stage_falls_on_one_batch():
    schedule, x0 = schedule_of(scheduler()), torch.zeros(2, 3, 32, 32)
    x0[..., 13:] = 0.8
    low = torch.nn.functional.avg_pool2d(x0, 4)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = super_resolution.network((8, 16), text=False)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        rng = torch.Generator().manual_seed(0)
        loss = later_stages.diffusion_loss(network, schedule, x0, low, None, rng)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


class PanicException(BaseException):
    """As a Rust library raises it."""


def test_a_drawing_at_which_the_renderer_panics_is_rendered_larger(monkeypatch):
    def fussy(body, size):
        if size == 64:
            raise PanicException
        return np.tile(np.arange(size) / size, (size, 1))[..., None].repeat(3, 2)

    monkeypatch.setattr(vectors, "_resvg", fussy)
    found = vectors.rasterise("<rect/>", 64)
    assert found.shape == (64, 64, 3)
    assert np.allclose(found[0, :, 0], (np.arange(64) * 3 + 1) / 192)
    monkeypatch.setattr(vectors, "_resvg", lambda body, size: fussy(body, 64))
    with pytest.raises(PanicException):
        vectors.rasterise("<rect/>", 64)
