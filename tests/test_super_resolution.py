"""Stages 2 and 3 of pocket: the preconditioning, the timesteps, sampling, and the stages as pocket offers them."""

import pytest
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel

from generators import models
from generators.models.base import Meter, schedule_of
from generators.models.pocket import super_resolution
from generators.models.pocket.cascade import scheduler
from generators.models.pocket.super_resolution import (
    RESIDUAL,
    SCALE,
    Enlarger,
    condition,
    network,
    predicted,
    timesteps,
)


@pytest.fixture(scope="module")
def schedule():
    return schedule_of(scheduler())


@pytest.fixture(scope="module")
def stage():
    """A small stage with text, of random weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = network((8, 16), text=True).eval()
        torch.nn.init.normal_(net.conv_out.weight, std=0.1)  # an untrained stage would be bicubic
    return net


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed))


class Spy:
    """Replaces the network: records its inputs and returns a constant."""

    def __init__(self, answer):
        self.answer = answer

    def __call__(self, inputs, t, **conditions):
        self.inputs, self.t, self.conditions = inputs, t, conditions
        return (self.answer,)


def noised(schedule, t, seed=0):
    """An image that differs from the bicubic enlargement of a smaller one by RESIDUAL, that with noise of level t, and
    the condition."""
    low = normal(2, 3, 16, 16, seed=seed).clamp(-1, 1)
    given = condition(schedule, low, torch.tensor([7, 7]), torch.zeros_like(low), None)
    x0 = given.bicubic + RESIDUAL * normal(2, 3, 64, 64, seed=seed + 1)
    abar_t = schedule.abar[t].view(1, 1, 1, 1)
    return x0, abar_t, abar_t.sqrt() * x0 + (1 - abar_t).sqrt() * normal(2, 3, 64, 64, seed=seed + 2), given


def enlarge(net, schedule, low, tokens, generator):
    """What a stage of this network makes of the smaller image; tokens: of whatever prompt, None for a stage without."""
    encode = None if tokens is None else lambda prompt: tokens
    return Enlarger(2, net, schedule, encode, 8, Meter()).enlarge(low, "", generator)


@pytest.mark.parametrize("t", [1, 40, 200, 480])
def test_the_network_sees_the_best_linear_guess(schedule, t):
    x0, abar_t, x, given = noised(schedule, t)
    spy = Spy(torch.zeros(2, 3 * SCALE**2, 16, 16))
    bicubic = predicted(spy, x, abar_t, torch.tensor([t, t]), given)
    assert torch.equal(bicubic, given.bicubic)  # the network said nothing
    assert spy.inputs.shape == (2, 3 * SCALE**2 + 3, 16, 16)
    wanted, seen = F.pixel_unshuffle((x0 - bicubic) / RESIDUAL, SCALE), spy.inputs[:, :-3]
    assert wanted.var() == pytest.approx(1, rel=0.05)
    assert (seen * (wanted - seen)).mean() == pytest.approx(0, abs=0.02)  # its error is orthogonal to it
    signal, noise = abar_t * RESIDUAL**2, 1 - abar_t
    assert (wanted - seen).var() == pytest.approx((noise / (signal + noise)).item(), rel=0.05)
    assert torch.equal(spy.inputs[:, -3:], given.low)
    assert spy.conditions["class_labels"].tolist() == [7, 7]


def test_space_to_depth_and_back_keep_their_places(schedule):
    """At nearly no noise, a network that returns its input returns the image."""
    x0, abar_t, x, given = noised(schedule, 0)
    echo = lambda inputs, t, **conditions: (inputs[:, :-3],)  # noqa: E731
    torch.testing.assert_close(predicted(echo, x, abar_t, torch.tensor([0, 0]), given), x0, atol=0.05, rtol=0)


def test_each_smaller_image_gets_noise_of_its_own_level(schedule):
    low, eps = normal(2, 3, 8, 8), normal(2, 3, 8, 8, seed=1)
    given = condition(schedule, low, torch.tensor([0, 60]), eps, None)
    for k, level in enumerate((0, 60)):
        torch.testing.assert_close(given.low[k], schedule.forward(low[k], level, eps[k]))
    assert given.bicubic.shape == (2, 3, 32, 32)


def test_untrained_it_is_bicubic(schedule):
    low, net = normal(3, 8, 8).clamp(-1, 1), network((8, 16), text=False).eval()
    with torch.inference_mode():
        found = enlarge(net, schedule, low, None, seeded())
    torch.testing.assert_close(found, F.interpolate(low[None], scale_factor=SCALE, mode="bicubic")[0].clamp(-1, 1))


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
