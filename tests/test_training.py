"""What pocket's training scripts share, and how training pictures become batches. No icons are needed."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from generators.models import super_resolution
from generators.models.base import schedule_of
from generators.models.pocket import scheduler
from generators.pocket import icons, train_stages, training


@pytest.fixture
def fit(tmp_path, monkeypatch):
    """`training.fit` of a network to nothing but zeros, without a compiler, its checkpoints in a folder of the test."""
    monkeypatch.setattr(training, "CACHE", tmp_path)
    monkeypatch.setattr(training.shutil, "which", lambda program: None)
    ticks = itertools.count()  # the clock: a second each time that one looks
    monkeypatch.setattr(training.time, "monotonic", lambda: float(next(ticks)))
    updates = []

    def loss_of(network, generator):
        updates.append(torch.randn((4, 3), generator=generator))
        return network(updates[-1]).float().square().mean()

    def run(minutes):
        torch.manual_seed(0)
        network, before = nn.Linear(3, 2), len(updates)
        training.fit("tiny", network, loss_of, [training.adamw(network.parameters(), 1e-2)], minutes, ema=0.9)
        return network.state_dict(), len(updates) - before

    return run


def test_training_goes_on_from_its_checkpoint(fit, tmp_path):
    _, begun = fit(0.2)
    state = torch.load(tmp_path / "tiny.pt", weights_only=True)
    assert state["update"] == begun > 0
    average, more = fit(0.2)  # the minutes are spent
    assert more == 0
    assert all(torch.equal(average[key], state["average"][key]) for key in average)
    _, more = fit(0.4)
    assert torch.load(tmp_path / "tiny.pt", weights_only=True)["update"] == begun + more > begun
    assert not (tmp_path / "tiny.part").exists()


def test_the_averaged_weights_are_what_is_left_in_the_network(fit, tmp_path):
    average, _ = fit(0.2)
    state = torch.load(tmp_path / "tiny.pt", weights_only=True)
    assert all(torch.equal(average[key], state["average"][key]) for key in average)
    assert any(not torch.equal(average[key], state["network"][key]) for key in average)


def test_the_learning_rate_rises_stays_and_falls():
    rate = training.learning_rate
    assert rate(0.0, 0) == pytest.approx(1 / training.WARMUP)
    assert rate(0.1, training.WARMUP) == rate(0.6, 10**6) == 1
    assert 1 > rate(0.7, 10**6) > rate(0.9, 10**6) > rate(1.0, 10**6) > 0


def test_crops_lie_on_the_grid_of_the_smaller_image():
    y, x = np.mgrid[0:256, 0:256]
    rgb = np.stack([y, x, 0 * x], -1)[None].astype(np.uint8)
    rng = torch.Generator().manual_seed(0)
    found = ((train_stages.crops(rgb, torch.zeros(20, dtype=torch.int64), rng) + 1) * 127.5).round().int()
    assert found.shape == (20, 3, train_stages.SIDE, train_stages.SIDE)
    corners = found[:, :2, 0, 0]
    assert (corners % super_resolution.SCALE == 0).all()
    assert len(corners.unique(dim=0)) > 10
    assert torch.equal(found[:, 0, 5, 9], corners[:, 0] + 5)
    assert torch.equal(found[:, 1, 5, 9], corners[:, 1] + 9)


def test_what_is_spoilt_stays_near():
    low = torch.rand(64, 3, 24, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = train_stages.spoilt(low, torch.Generator().manual_seed(1))
    assert found.shape == low.shape
    errors = (found - low).flatten(1).abs().amax(1)
    assert (errors == 0).any()  # some stay as they are
    assert (errors > 0).any()


def test_the_loss_of_a_stage_falls_on_one_batch():
    schedule, x0 = schedule_of(scheduler()), torch.zeros(2, 3, 32, 32)
    x0[..., 13:] = 0.8
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = super_resolution.network((8, 16), text=False)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        rng = torch.Generator().manual_seed(0)
        loss = train_stages.diffusion_loss(network, schedule, x0, None, rng)
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

    monkeypatch.setattr(icons, "_resvg", fussy)
    found = icons.rasterise("<rect/>", 64)
    assert found.shape == (64, 64, 3)
    assert np.allclose(found[0, :, 0], (np.arange(64) * 3 + 1) / 192)
    monkeypatch.setattr(icons, "_resvg", lambda body, size: fussy(body, 64))
    with pytest.raises(PanicException):
        icons.rasterise("<rect/>", 64)
