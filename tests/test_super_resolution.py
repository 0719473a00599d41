"""Stages 2 and 3 of pocket: the preconditioning, the timesteps, sampling, and the stages as pocket offers them."""

import pytest
import torch
from diffusers import UNet2DConditionModel

from generators import models
from generators.models import super_resolution
from generators.models.base import schedule_of
from generators.models.pocket import scheduler
from generators.models.super_resolution import RESIDUAL, SCALE, enlarge, enlarged, network, predicted, timesteps


@pytest.fixture(scope="module")
def schedule():
    return schedule_of(scheduler())


@pytest.fixture(scope="module")
def stage():
    """A small stage with text, of random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return network((8, 16), text=True).eval()


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed))


class Spy:
    """In place of the network: keeps what it is asked, and gives the same answer always."""

    def __init__(self, answer):
        self.answer = answer

    def __call__(self, inputs, t, **conditions):
        self.inputs, self.t, self.conditions = inputs, t, conditions
        return (self.answer,)


def noised(schedule, t, seed=0):
    """A small image, a large one that differs from its enlargement by RESIDUAL, and that with noise of level t."""
    low = normal(2, 3, 16, 16, seed=seed).clamp(-1, 1)
    x0 = enlarged(low) + RESIDUAL * normal(2, 3, 64, 64, seed=seed + 1)
    abar_t = schedule.abar[t].view(1, 1, 1, 1)
    return low, x0, abar_t, abar_t.sqrt() * x0 + (1 - abar_t).sqrt() * normal(2, 3, 64, 64, seed=seed + 2)


@pytest.mark.parametrize("t", [1, 40, 200, 480])
def test_the_network_works_at_unit_variance(schedule, t):
    low, x0, abar_t, x = noised(schedule, t)
    spy = Spy(torch.zeros(2, 3 * SCALE**2, 16, 16))
    x0_hat, c_out = predicted(spy, x, abar_t, torch.tensor([t, t]), low, torch.tensor([7, 7]), None)
    assert spy.inputs.shape == (2, 3 * SCALE**2 + 3, 16, 16)
    assert spy.inputs[:, :-3].var() == pytest.approx(1, rel=0.05)
    assert ((x0 - x0_hat) / c_out).var() == pytest.approx(1, rel=0.05)  # what is left for F to say
    assert torch.equal(spy.inputs[:, -3:], low)
    assert spy.conditions["class_labels"].tolist() == [7, 7]


def test_without_the_network_it_is_the_best_guess_for_a_gaussian_residual(schedule):
    low, _, abar_t, x = noised(schedule, 60)
    spy = Spy(torch.zeros(2, 3 * SCALE**2, 16, 16))
    x0_hat, _ = predicted(spy, x, abar_t, torch.tensor([60, 60]), low, torch.tensor([0, 0]), None)
    b = enlarged(low)
    y = (x / abar_t.sqrt() - b).flatten()  # the residual and noise of variance (1 - abar) / abar
    wiener = RESIDUAL**2 / (RESIDUAL**2 + (1 - abar_t) / abar_t)
    torch.testing.assert_close(x0_hat, b + wiener * y.view(b.shape))


def test_space_to_depth_and_back_keep_their_places(schedule):
    """An answer that is the input itself adds c_out c_in times the noisy residual, at each pixel its own."""
    low, _, abar_t, x = noised(schedule, 100)
    echo = lambda inputs, t, **conditions: (inputs[:, :-3],)  # noqa: E731
    at, level = torch.tensor([100, 100]), torch.tensor([0, 0])
    x0_hat, c_out = predicted(echo, x, abar_t, at, low, level, None)
    silent, _ = predicted(Spy(torch.zeros(2, 3 * SCALE**2, 16, 16)), x, abar_t, at, low, level, None)
    y = x - abar_t.sqrt() * enlarged(low)
    torch.testing.assert_close(x0_hat - silent, c_out * y / (abar_t * RESIDUAL**2 + 1 - abar_t).sqrt())


@pytest.mark.parametrize("steps", [1, 4, 8, 20])
def test_timesteps_fall_and_never_repeat(steps):
    found = timesteps(steps)
    assert len(found) == steps
    assert found[0] == super_resolution.FIRST
    assert found == sorted(set(found), reverse=True)
    assert found[-1] > 0


@torch.inference_mode()
def test_enlarging_depends_on_image_text_and_seed_alone(schedule, stage):
    low, tokens = normal(3, 8, 12).clamp(-1, 1), normal(1, 24, 384, seed=1)
    first = enlarge(stage, schedule, low, tokens, seeded())
    assert first.shape == (3, 32, 48)
    assert first.abs().max() <= 1
    assert torch.equal(first, enlarge(stage, schedule, low, tokens, seeded()))
    assert not torch.equal(first, enlarge(stage, schedule, low, tokens, seeded(1)))
    assert not torch.equal(first, enlarge(stage, schedule, low, -tokens, seeded()))


def test_a_stage_is_saved_as_diffusers_saves_it(tmp_path, stage):
    stage.save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    loaded = UNet2DConditionModel.from_pretrained(tmp_path, torch_dtype=torch.float32)
    assert loaded.config.in_channels == 3 * SCALE**2 + 3
    assert all(torch.equal(loaded.state_dict()[key], value) for key, value in stage.state_dict().items())


@torch.inference_mode()
def test_pocket_chooses_the_stage_by_the_size(tiny_pocket):
    pocket = models.load("pocket")
    small = normal(3, 64, 64).clamp(-1, 1)
    middle = pocket.enlarge(small, "a photo of a dog", seeded())
    assert middle.shape == (3, 256, 256)
    assert not torch.equal(middle, pocket.enlarge(small, "a lithograph of a skull", seeded()))
    detail = middle[:, 100:132, 100:132]
    large = pocket.enlarge(detail, "a photo of a dog", seeded())
    assert large.shape == (3, 128, 128)
    assert torch.equal(large, pocket.enlarge(detail, "a lithograph of a skull", seeded()))  # stage 3 reads no text
